//! What the end of a job means for those that depend on it (spec jobs §3). Never here: who waits for whom.

use crate::engine::Engine;
use crate::input::{Dependency, Found, Now};
use crate::job::Part;
use crate::job::depends::{FAILED, Freed, Target};
use crate::job::status::{Event, JobStatus};
use crate::queue::fifo::{Entry, place};
use crate::slab::Key;
use std::collections::BTreeSet;

/// How the dependencies of a new job stand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// None has failed.
    Open(Open),
    /// One has failed.
    Failed,
    /// One that the caller saw open is not here any more: it ended meanwhile.
    Stale,
}

/// What a new job has to wait for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Open {
    /// These have not ended; none: all are met.
    pub on: BTreeSet<Target>,
    /// Arrays here of which each child waits for the child of the same index.
    pub each_on: BTreeSet<Key>,
    /// Children whose counterpart has failed in an array that is not here any more.
    pub failed: Vec<(u32, u32)>,
}

impl Engine {
    /// The engine's own knowledge wins over what the caller saw; of those that ended before only the caller knows.
    pub(crate) fn standing(&self, dependencies: &[Dependency]) -> Standing {
        let mut open = Open::default();
        let mut failed = false;
        for dependency in dependencies {
            let known = self.state.by_uuid.get(&dependency.job.uuid).copied();
            match (&dependency.each, known, dependency.found) {
                (Some(_), Some(key), _) => drop(open.each_on.insert(key)),
                (None, Some(key), _) => match self.status_of((key, dependency.job.index)) {
                    Some(status) if status.is_terminal() => failed |= status == JobStatus::Failed,
                    _ => drop(open.on.insert((key, dependency.job.index))),
                },
                (_, None, Found::Open) => return Standing::Stale,
                (Some(ranges), None, _) => open.failed.extend(ranges),
                (None, None, found) => failed |= found == Found::Failed,
            }
        }
        if failed { Standing::Failed } else { Standing::Open(open) }
    }

    /// How a job stands, or a child of an array.
    pub(crate) fn status_of(&self, (key, index): Target) -> Option<JobStatus> {
        let Some(index) = index else { return Some(self.state.jobs.get(key)?.hot.status) };
        let array = self.array(key)?;
        let own = array.own.get(&index).map(|child| self.state.jobs[*child].hot.status);
        own.or_else(|| array.children.at(index)?.status())
    }

    /// PENDING until these have succeeded.
    pub(crate) fn make_pending(&mut self, key: Key, on: BTreeSet<Target>) {
        self.advance(key, Event::Waits);
        let job = &mut self.state.jobs[key];
        job.hot.status_reason = Some(self.state.shared.pending.clone());
        self.keep_pending(key, on);
        self.batch.touch(&mut self.state.jobs, key);
    }

    /// Remembers what a PENDING job waits for.
    pub(crate) fn keep_pending(&mut self, key: Key, on: BTreeSet<Target>) {
        let job = &self.state.jobs[key];
        self.state.depends.wait(job.hot.id, key, on);
        let place = place(&self.state.jobs, key);
        if let Some(queue) = self.state.queues.get_mut(&job.queue) {
            queue.pending.insert(place, Entry::job(key));
        }
    }

    /// Carries out what follows from ends, ends that follow from them included: in the same batch, so that no row is
    /// ever PENDING whose dependencies have all ended.
    pub(crate) fn follow_ends(&mut self, now: Now) {
        loop {
            if let Some(freed) = self.state.depends.next() {
                match freed {
                    Freed { well: false, key, .. } => self.fail_waiting(key, FAILED.into(), now),
                    Freed { more: false, key, .. } => self.free(key),
                    _ => {}
                }
            } else if let Some(ended) = self.state.ended_children.pop_front() {
                self.follow_children(ended, now);
            } else {
                return;
            }
        }
    }

    /// All that a job waited for has succeeded.
    fn free(&mut self, key: Key) {
        if self.state.jobs[key].part == Part::Array {
            self.state.jobs[key].hot.status_reason = None;
            self.batch.touch(&mut self.state.jobs, key);
            return self.free_children(key);
        }
        self.leave_pending(key);
        self.make_runnable(key, Event::Ready);
    }

    /// A job is PENDING no longer.
    pub(crate) fn leave_pending(&mut self, key: Key) {
        let job = &self.state.jobs[key];
        let place = place(&self.state.jobs, key);
        if job.part != Part::Array
            && let Some(queue) = self.state.queues.get_mut(&job.queue)
            && queue.pending.at(place) == Some(Entry::job(key))
        {
            queue.pending.remove(place);
        }
    }
}
