//! First in, first out; who has begun before and is to be tried again stands at the front (spec infrastructure §3.2). Never
//! here: whether the head fits anywhere.
//!
//! A job whose dependencies are met stands where it was submitted. The order follows from the rows alone, the same after
//! a restart.

use crate::change::JobHot;
use crate::ids::JobId;
use crate::slab::Key;
use std::collections::BTreeMap;

/// Jobs of a queue.
#[derive(Debug, Default)]
pub(crate) struct Fifo {
    jobs: BTreeMap<Place, Key>,
}

/// Where a job stands: it never ran, and its row id.
type Place = (bool, JobId);

fn place(job: &JobHot) -> Place {
    (job.attempts == 0, job.id)
}

impl Fifo {
    /// Lines a job up. True when it is the head now.
    pub(crate) fn insert(&mut self, job: &JobHot, key: Key) -> bool {
        self.jobs.insert(place(job), key);
        self.head() == Some(key)
    }

    /// Takes a job out wherever it stands. True when it was the head.
    pub(crate) fn remove(&mut self, job: &JobHot) -> bool {
        let place = place(job);
        let head = self.jobs.first_key_value().is_some_and(|(first, _)| *first == place);
        self.jobs.remove(&place).is_some() && head
    }

    /// The job that is looked at next.
    pub(crate) fn head(&self) -> Option<Key> {
        self.jobs.first_key_value().map(|(_, key)| *key)
    }

    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// In order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Key> + '_ {
        self.jobs.values().copied()
    }

    /// Whether this job waits here.
    pub(crate) fn holds(&self, job: &JobHot, key: Key) -> bool {
        self.jobs.get(&place(job)) == Some(&key)
    }
}
