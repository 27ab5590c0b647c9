//! The first places of a queue, and since when each is held by whoever holds it (GetJobQueueSnapshot, spec infrastructure
//! §4.2). Not in the rows: after a restart the clock starts anew.
//!
//! Never here: the order.

use crate::engine::Engine;
use crate::ids::{JobRef, QueueId};
use crate::input::Now;
use crate::queue::fifo::Entry;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Places that a snapshot shows.
pub const SHOWN: usize = 100;

/// A queue as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The first waiting jobs in order, and since when each has had its place at the latest, wall milliseconds.
    pub front: Vec<(JobRef, i64)>,
    /// vCPUs of its placed jobs, in thousandths.
    pub used_milli: u64,
    /// The same by share identifier, every one that has an open job; absent where no policy divides the queue.
    pub shares: Option<BTreeMap<Arc<str>, u64>>,
}

/// Since when the places are held, as far as they are.
#[derive(Debug, Default)]
pub(crate) struct Front {
    since_ms: Vec<i64>,
    /// The first place that is held by another since the last look at the clock.
    moved: Option<usize>,
}

impl Front {
    /// From this place on everybody stands elsewhere.
    pub(crate) fn moved(&mut self, place: usize) {
        if place < SHOWN {
            self.moved = Some(self.moved.map_or(place, |moved| moved.min(place)));
        }
    }

    /// Takes the time for what moved; so many wait.
    fn settle(&mut self, waiting: usize, now: Now) {
        let Some(moved) = self.moved.take() else { return };
        self.since_ms.truncate(moved);
        self.since_ms.resize(waiting.min(SHOWN), now.wall_ms);
    }
}

impl Engine {
    /// Takes the time for all places that changed hands. Looks at every queue, of which there are a few dozen at most.
    pub(crate) fn settle_fronts(&mut self, now: Now) {
        for queue in self.state.queues.values_mut() {
            queue.front.settle(queue.waiting.len(), now);
        }
    }

    /// Who stands at an entry, the n-th of a run.
    fn named(&self, entry: Entry, nth: u32) -> JobRef {
        let job = self.state.jobs[entry.key].named();
        if entry.children == 0 { job } else { JobRef { index: Some(entry.first + nth), ..job } }
    }

    /// How a queue stands; none when there is no such queue. Costs what is placed and shown, whatever waits behind.
    pub fn snapshot(&self, id: QueueId) -> Option<Snapshot> {
        let queue = self.state.queues.get(&id)?;
        let order = self.state.in_turn(queue, SHOWN, self.batch.now);
        let jobs = order.into_iter().map(|(entry, nth)| self.named(entry, nth));
        let front = jobs.zip(queue.front.since_ms.iter().copied()).collect();
        let mut shares: BTreeMap<Arc<str>, u64> = queue.shares.keys().map(|s| (s.clone(), 0)).collect();
        let mut used_milli = 0;
        for attempt in self.state.attempts.values() {
            let job = &self.state.jobs[attempt.key];
            if job.queue == id {
                let vcpus = u64::from(job.facts.needs.vcpus_milli);
                used_milli += vcpus;
                if let Some(share) = &job.facts.share {
                    *shares.entry(share.clone()).or_default() += vcpus;
                }
            }
        }
        Some(Snapshot { front, used_milli, shares: queue.row.policy.map(|_| shares) })
    }
}
