//! First in, first out; who has begun before and is to be tried again stands at the front (spec infrastructure §3.2). Never
//! here: whether the head fits anywhere.
//!
//! A job whose dependencies are met stands where it was submitted. The order follows from the rows alone, the same after
//! a restart.

use crate::change::JobHot;
use crate::ids::JobId;
use crate::queue::front::SHOWN;
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
    /// Lines a job up. Answers with the number of those before it, [`SHOWN`] for that many or more.
    pub(crate) fn insert(&mut self, job: &JobHot, key: Key) -> usize {
        let place = place(job);
        self.jobs.insert(place, key);
        self.before(place)
    }

    /// Takes a job out wherever it stands; answers as [`Self::insert`] would have. Nothing: it does not wait here.
    pub(crate) fn remove(&mut self, job: &JobHot) -> Option<usize> {
        let place = place(job);
        self.jobs.contains_key(&place).then(|| {
            let before = self.before(place);
            self.jobs.remove(&place);
            before
        })
    }

    /// How many stand before a place, counted no further than a snapshot shows.
    fn before(&self, place: Place) -> usize {
        if self.jobs.len() > SHOWN && self.jobs.last_key_value().is_some_and(|(last, _)| *last == place) {
            return SHOWN;
        }
        self.jobs.keys().take(SHOWN).take_while(|other| **other < place).count()
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
