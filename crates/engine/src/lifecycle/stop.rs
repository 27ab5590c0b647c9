//! CancelJob and TerminateJob (spec jobs §8), and the end of a deleted queue's jobs. Never here: how a container is
//! stopped.

use crate::effect::Effect;
use crate::engine::Engine;
use crate::ids::{QueueId, TaskId};
use crate::input::{Now, Reply, StopRequest};
use crate::job::end::{QUEUE_DELETED, host_gone};
use crate::resource::Status;
use crate::slab::Key;
use std::sync::Arc;

/// Seconds between SIGTERM and SIGKILL (spec jobs §7, §8).
pub(crate) const STOP_GRACE_S: u32 = 30;
/// Jobs of deleted queues that end within one batch, so that others are answered in between.
const ENDED_AT_ONCE: usize = 1000;

impl Engine {
    /// Ends a job that is not placed; otherwise accepted and without effect.
    pub(crate) fn cancel(&mut self, request: &StopRequest, now: Now) -> Reply {
        if let Some(&key) = self.state.by_uuid.get(&request.job)
            && self.state.jobs[key].hot.status.can_cancel()
        {
            self.state.jobs[key].hot.cancelled = true;
            self.fail_waiting(key, request.reason.clone(), now);
        }
        Reply::Done
    }

    /// Ends a job in any state.
    pub(crate) fn terminate(&mut self, request: &StopRequest, now: Now) -> Reply {
        if let Some(&key) = self.state.by_uuid.get(&request.job) {
            let status = self.state.jobs[key].hot.status;
            if status.can_cancel() {
                self.state.jobs[key].hot.terminated = Some(request.reason.clone());
                self.fail_waiting(key, request.reason.clone(), now);
            } else if status.is_placed() {
                self.stop_placed(key, request.reason.clone());
            }
        }
        Reply::Done
    }

    /// Asks once for the end of a placed job; the first words stay.
    pub(crate) fn stop_placed(&mut self, key: Key, reason: Arc<str>) {
        let job = &mut self.state.jobs[key];
        if job.hot.terminated.is_some() {
            return;
        }
        job.hot.terminated = Some(reason);
        let attempt = job.task.and_then(|task| self.state.attempts.get(&task));
        if let Some(row) = attempt.map(|attempt| &attempt.row) {
            self.batch.effect(Effect::Stop { task: row.task, host: row.host, grace_s: STOP_GRACE_S });
        }
        self.batch.touch(&mut self.state.jobs, key);
    }

    /// Asks for the end of an attempt as if its host had gone; the retry rules decide what follows.
    pub(crate) fn take_host_from(&mut self, task: TaskId) {
        let Some(attempt) = self.state.attempts.get_mut(&task) else { return };
        let row = &mut attempt.row;
        if self.state.jobs[attempt.key].hot.terminated.is_some() || row.status_reason.is_some() {
            return;
        }
        let host = self.state.hosts.get(&row.host).and_then(|state| state.size.as_ref());
        row.status_reason = Some(host_gone(host.map(|host| &*host.instance_id)));
        self.batch.effect(Effect::Stop { task, host: row.host, grace_s: STOP_GRACE_S });
        self.batch.attempt(row);
    }

    /// Ends waiting jobs of queues in DELETING, so many at a time.
    pub(crate) fn end_jobs_of_deleted_queues(&mut self, now: Now) {
        let mut doomed: Vec<Key> = Vec::new();
        for queue in self.state.queues.values().filter(|queue| queue.row.status == Status::Deleting) {
            let jobs = queue.waiting.iter().chain(queue.pending.iter());
            doomed.extend(jobs.take(ENDED_AT_ONCE - doomed.len()));
        }
        let reason: Arc<str> = QUEUE_DELETED.into();
        for key in doomed {
            self.fail_waiting(key, reason.clone(), now);
        }
        self.follow_ends(now);
    }

    /// Asks for another turn at once when jobs of deleted queues are left.
    pub(crate) fn come_back_for_deleted_queues(&mut self, now: Now) {
        let left = |id: &QueueId| {
            let queue = &self.state.queues[id];
            queue.row.status == Status::Deleting && !(queue.waiting.is_empty() && queue.pending.is_empty())
        };
        if let Some(id) = self.state.queues.keys().copied().find(left) {
            self.state.agenda.queues.insert(id);
            self.batch.effect(Effect::Wake(now.mono_ms));
        }
    }
}
