//! What the end of a job means for those that depend on it (spec jobs §3). Never here: who waits for whom.

use crate::engine::Engine;
use crate::input::{Dependency, Found, Now};
use crate::job::depends::FAILED;
use crate::job::status::Event;
use crate::slab::Key;
use std::collections::BTreeSet;

/// How the dependencies of a new job stand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// These have not ended; none: all are met.
    Open(BTreeSet<Key>),
    /// One has failed.
    Failed,
    /// One that the caller saw open is not here any more: it ended meanwhile.
    Stale,
}

impl Engine {
    /// The engine's own knowledge wins over what the caller saw; of those that ended before only the caller knows.
    pub(crate) fn standing(&self, dependencies: &[Dependency]) -> Standing {
        let mut open = BTreeSet::new();
        let mut failed = false;
        for dependency in dependencies {
            let known = self.state.by_uuid.get(&dependency.job);
            match known.map(|key| (*key, &self.state.jobs[*key].hot.status)) {
                Some((key, status)) if !status.is_terminal() => drop(open.insert(key)),
                Some((_, status)) => failed |= *status == crate::JobStatus::Failed,
                None if dependency.found == Found::Open => return Standing::Stale,
                None => failed |= dependency.found == Found::Failed,
            }
        }
        if failed { Standing::Failed } else { Standing::Open(open) }
    }

    /// SUBMITTED → PENDING until these have succeeded.
    pub(crate) fn make_pending(&mut self, key: Key, on: BTreeSet<Key>) {
        let job = &mut self.state.jobs[key];
        job.advance(Event::Waits);
        job.hot.status_reason = Some(self.state.shared.pending.clone());
        self.keep_pending(key, on);
        self.batch.touch(&mut self.state.jobs, key);
    }

    /// Remembers what a PENDING job waits for.
    pub(crate) fn keep_pending(&mut self, key: Key, on: BTreeSet<Key>) {
        let job = &self.state.jobs[key];
        self.state.depends.wait(job.hot.id, key, on);
        if let Some(queue) = self.state.queues.get_mut(&job.queue) {
            queue.pending.insert(&job.hot, key);
        }
    }

    /// Carries out what follows from ends, ends that follow from them included: in the same batch, so that no row is
    /// ever PENDING whose dependencies have all ended.
    pub(crate) fn follow_ends(&mut self, now: Now) {
        while let Some(freed) = self.state.depends.next() {
            if !freed.well {
                self.fail_waiting(freed.key, FAILED.into(), now);
            } else if !freed.more {
                self.leave_pending(freed.key);
                self.make_runnable(freed.key, Event::Ready);
            }
        }
    }

    /// A job is PENDING no longer.
    pub(crate) fn leave_pending(&mut self, key: Key) {
        let job = &self.state.jobs[key];
        if let Some(queue) = self.state.queues.get_mut(&job.queue) {
            queue.pending.remove(&job.hot);
        }
    }
}
