//! First in, first out, retried jobs at the front (spec infrastructure §3.2). The order follows from the rows alone, so
//! that it is the same after a restart. Never here: whether the head fits anywhere.

use crate::change::JobHot;
use crate::ids::JobId;
use crate::slab::Key;
use std::collections::BTreeMap;

/// Where a job stands: a retried one before a new one, then by submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    new: bool,
    job: JobId,
}

impl Place {
    fn of(job: &JobHot) -> Self {
        Self { new: job.attempts == 0, job: job.id }
    }
}

/// The waiting jobs of a queue.
#[derive(Debug, Default)]
pub(crate) struct Fifo {
    places: BTreeMap<Place, Key>,
}

impl Fifo {
    /// Lines a job up. True when it is the head now.
    pub(crate) fn insert(&mut self, job: &JobHot, key: Key) -> bool {
        self.places.insert(Place::of(job), key);
        self.head() == Some(key)
    }

    /// Takes a job out wherever it stands. True when it was the head.
    pub(crate) fn remove(&mut self, job: &JobHot) -> bool {
        let place = Place::of(job);
        let head = self.places.first_key_value().is_some_and(|(first, _)| *first == place);
        self.places.remove(&place).is_some() && head
    }

    /// The job that is looked at next.
    pub(crate) fn head(&self) -> Option<Key> {
        self.places.first_key_value().map(|(_, key)| *key)
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// In order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Key> + '_ {
        self.places.values().copied()
    }

    /// Whether this job waits here, at its proper place.
    pub(crate) fn holds(&self, job: &JobHot, key: Key) -> bool {
        self.places.get(&Place::of(job)) == Some(&key)
    }
}
