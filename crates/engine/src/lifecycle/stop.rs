//! CancelJob and TerminateJob (spec jobs §8), and the end of a deleted queue's jobs. Never here: how a container is
//! stopped.

use crate::effect::Effect;
use crate::engine::Engine;
use crate::ids::{JobRef, QueueId, TaskId};
use crate::input::{Now, Reply, StopRequest};
use crate::job::array::{ChildState, Unplaced};
use crate::job::end::{QUEUE_DELETED, host_gone};
use crate::resource::Status;
use crate::slab::Key;
use std::sync::Arc;

/// Seconds between SIGTERM and SIGKILL (spec jobs §7, §8).
pub(crate) const STOP_GRACE_S: u32 = 30;
/// Jobs of deleted queues that end within one batch, so that others are answered in between.
const ENDED_AT_ONCE: usize = 1000;

/// Who an id means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// A job with a row of its own, open or just ended.
    Job(Key),
    /// A child of this array that has none, or has ended.
    Child(Key, u32),
}

impl Engine {
    /// Ends a job that is not placed; otherwise accepted and without effect. Of an array all children that are not.
    pub(crate) fn cancel(&mut self, request: &StopRequest, now: Now) -> Reply {
        match self.find(request.job) {
            Some(Named::Job(key)) if self.state.jobs[key].hot.status.can_cancel() => {
                if !std::mem::replace(&mut self.state.jobs[key].hot.cancelled, true) {
                    self.batch.touch(&mut self.state.jobs, key);
                }
                self.fail_waiting(key, request.reason.clone(), now);
            }
            Some(Named::Child(parent, index)) => self.end_child(parent, index, request, true, now),
            _ => {}
        }
        Reply::Done
    }

    /// Ends a job in any state, an array with all of its children.
    pub(crate) fn terminate(&mut self, request: &StopRequest, now: Now) -> Reply {
        match self.find(request.job) {
            Some(Named::Job(key)) => self.terminate_job(key, &request.reason, now),
            Some(Named::Child(parent, index)) => self.end_child(parent, index, request, false, now),
            None => {}
        }
        Reply::Done
    }

    fn terminate_job(&mut self, key: Key, reason: &Arc<str>, now: Now) {
        let status = self.state.jobs[key].hot.status;
        if status.is_placed() {
            return self.stop_placed(key, reason.clone());
        }
        if !status.can_cancel() || self.state.jobs[key].hot.terminated.is_some() {
            return;
        }
        self.state.jobs[key].hot.terminated = Some(reason.clone());
        self.batch.touch(&mut self.state.jobs, key);
        self.fail_waiting(key, reason.clone(), now);
        let own = self.array(key).map(|array| array.own.values().copied().collect::<Vec<_>>());
        for child in own.into_iter().flatten() {
            self.stop_placed(child, reason.clone());
        }
    }

    /// A child without a row of its own, which waits or has ended.
    fn end_child(&mut self, parent: Key, index: u32, request: &StopRequest, cancelled: bool, now: Now) {
        let ended = Unplaced {
            reason: request.reason.clone(),
            stopped_ms: now.wall_ms,
            cancelled,
            terminated: !cancelled,
        };
        self.change_children(parent, index, index, &ChildState::Unplaced(Arc::new(ended)));
    }

    /// Who is meant; nobody where it has left memory or never was.
    pub(crate) fn find(&self, job: JobRef) -> Option<Named> {
        let key = *self.state.by_uuid.get(&job.uuid)?;
        let Some(index) = job.index else { return Some(Named::Job(key)) };
        let array = self.array(key)?;
        match array.own.get(&index) {
            Some(child) => Some(Named::Job(*child)),
            None => array.children.at(index).map(|_| Named::Child(key, index)),
        }
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
            let jobs = queue.waiting.iter().chain(queue.pending.iter()).map(|entry| entry.key);
            doomed.extend(jobs.take(ENDED_AT_ONCE - doomed.len()));
        }
        let reason: Arc<str> = QUEUE_DELETED.into();
        for key in doomed {
            // A child may have ended with its parent, which stands here once for each run of its children.
            if self.state.jobs[key].hot.status.can_cancel() {
                self.fail_waiting(key, reason.clone(), now);
            }
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
