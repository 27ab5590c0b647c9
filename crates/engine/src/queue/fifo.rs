//! First in, first out (spec infrastructure §3.2). Never here: whether the head fits anywhere.
//!
//! In the order of row ids a retried job re-enters before all that came after it, and a job whose dependencies are met stands
//! where it was submitted. And the order follows from the rows alone, the same after a restart.

use crate::ids::JobId;
use crate::slab::Key;
use std::collections::BTreeMap;

/// Jobs of a queue.
#[derive(Debug, Default)]
pub(crate) struct Fifo {
    jobs: BTreeMap<JobId, Key>,
}

impl Fifo {
    /// Lines a job up. True when it is the head now.
    pub(crate) fn insert(&mut self, job: JobId, key: Key) -> bool {
        self.jobs.insert(job, key);
        self.head() == Some(key)
    }

    /// Takes a job out wherever it stands. True when it was the head.
    pub(crate) fn remove(&mut self, job: JobId) -> bool {
        let head = self.jobs.first_key_value().is_some_and(|(first, _)| *first == job);
        self.jobs.remove(&job).is_some() && head
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
    pub(crate) fn holds(&self, job: JobId, key: Key) -> bool {
        self.jobs.get(&job) == Some(&key)
    }
}
