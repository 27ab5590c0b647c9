//! The end of attempts and jobs, and what it gives back. Never here: who may use it next.

use crate::effect::Effect;
use crate::engine::Engine;
use crate::ids::TaskId;
use crate::input::Now;
use crate::job::Part;
use crate::job::end::Ending;
use crate::job::retry::FailedAttempt;
use crate::job::status::{Event, JobStatus};
use crate::queue::fifo::{Entry, place};
use crate::slab::Key;
use std::sync::Arc;

impl Engine {
    /// Closes an open attempt; its job ends with it or waits for the next one (spec jobs §1.1, §7).
    pub(crate) fn finish_attempt(&mut self, task: TaskId, ending: Ending) {
        let Some(mut attempt) = self.state.release(task) else { return };
        let row = &mut attempt.row;
        row.started_ms = row.started_ms.or(ending.started_ms);
        row.stopped_ms = Some(ending.stopped_ms);
        row.status_reason = Some(self.state.shared.text(ending.reason.clone()));
        row.containers.clone_from(&ending.containers);
        self.batch.attempt(row);
        self.batch.effect(Effect::Forget { task, host: row.host });
        self.state.agenda.environments.insert(row.environment);
        self.count_usage(attempt.key, false);

        let job = &mut self.state.jobs[attempt.key];
        job.task = None;
        job.hot.started_ms = row.started_ms.or(job.hot.started_ms);
        let container = ending.deciding();
        let failed = FailedAttempt {
            number: row.attempt,
            status_reason: &ending.reason,
            reason: container.and_then(|c| c.reason.as_deref()),
            exit_code: container.and_then(|c| c.exit_code),
        };
        if ending.success {
            self.end_job(attempt.key, Event::Succeeded, Some(ending.reason), ending.stopped_ms);
        } else if ending.may_retry && job.facts.retry.wants_another(failed) {
            self.make_runnable(attempt.key, Event::Retried);
        } else {
            self.end_job(attempt.key, Event::Failed, Some(ending.reason), ending.stopped_ms);
        }
        self.remove_idle_environment(attempt.row.environment);
    }

    /// Ends a waiting job, or what of an array waits. Another head is another chance, so a pass is due.
    pub(crate) fn fail_waiting(&mut self, key: Key, reason: Arc<str>, now: Now) {
        if self.state.jobs[key].part == Part::Array {
            return self.fail_array(key, &reason, now);
        }
        self.leave_pending(key);
        if self.leave_queue(key) {
            self.state.agenda.queues.insert(self.state.jobs[key].queue);
        }
        self.end_job(key, Event::Failed, Some(reason), now.wall_ms);
    }

    /// SUCCEEDED or FAILED. It stays in memory until that is durable.
    pub(crate) fn end_job(&mut self, key: Key, event: Event, reason: Option<Arc<str>>, stopped_ms: i64) {
        self.advance(key, event);
        let job = &mut self.state.jobs[key];
        job.hot.status_reason = reason.map(|reason| self.state.shared.text(reason));
        job.hot.stopped_ms = Some(stopped_ms);
        let (id, row, part) = (job.queue, job.hot.id, job.part);
        let well = job.hot.status == JobStatus::Succeeded;
        if let Some(queue) = self.state.queues.get_mut(&id) {
            queue.closed(job);
        }
        if let Part::Child(parent, index) = part {
            self.child_ended(parent, index, well);
        } else {
            self.state.depends.leave(row, key);
            self.state.depends.end(key, well);
        }
        self.batch.touch(&mut self.state.jobs, key);
        self.batch.ended.push(key);
        self.remove_idle_queue(id);
    }

    /// Moves a job to the state after an event; its parent, where it has one, counts it there.
    pub(crate) fn advance(&mut self, key: Key, event: Event) {
        let job = &mut self.state.jobs[key];
        let before = job.hot.status;
        job.advance(event);
        if let Part::Child(parent, _) = job.part
            && let Some(array) = self.state.arrays.get_mut(&parent)
        {
            array.count(before, job.hot.status);
            self.batch.array(parent);
        }
    }

    /// Takes a waiting job out of its queue. True when it was the head.
    pub(crate) fn leave_queue(&mut self, key: Key) -> bool {
        let job = &self.state.jobs[key];
        let place = place(&self.state.jobs, key);
        let share = &job.facts.share;
        let Some(queue) = self.state.queues.get_mut(&job.queue) else { return false };
        if let Some(line) = queue.waiting.line_mut(share).filter(|line| line.told == Some(key)) {
            (line.told, line.blocked) = (None, None);
        }
        queue.waiting.at(share, place) == Some(Entry::job(key)) && queue.take_out(share, place)
    }

    /// Gives a job another `statusReason`.
    pub(crate) fn say(&mut self, key: Key, text: Arc<str>) {
        self.state.jobs[key].hot.status_reason = Some(text);
        self.batch.touch(&mut self.state.jobs, key);
    }
}
