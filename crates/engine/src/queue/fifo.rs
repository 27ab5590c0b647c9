//! First in, first out; who has begun before and is to be tried again stands at the front (spec infrastructure §3.2). Never
//! here: whether the head fits anywhere.
//!
//! A job whose dependencies are met stands where it was submitted, an array's children where their parent was, by index.
//! The order follows from the rows alone, the same after a restart.

use crate::ids::JobId;
use crate::job::{Job, Part};
use crate::queue::front::SHOWN;
use crate::slab::{Key, Slab};
use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

/// Jobs of a queue. A run of an array's children that wait in the same way is one entry.
#[derive(Debug, Default)]
pub(crate) struct Fifo {
    entries: BTreeMap<Place, Entry>,
    /// Jobs in all entries.
    len: usize,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// `schedulingPriority` inside a share; elsewhere nothing decides but the rest.
    priority: Reverse<i16>,
    never_ran: bool,
    /// The job, or its parent.
    of: JobId,
    /// A child's index.
    index: u32,
}

/// Who stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The job; of a run of children the parent.
    pub key: Key,
    /// The first child of a run.
    pub first: u32,
    /// 0: the job itself; else so many children.
    pub children: u32,
}

impl Entry {
    /// A job that stands by itself.
    pub(crate) fn job(key: Key) -> Self {
        Self { key, first: 0, children: 0 }
    }

    fn jobs(&self) -> usize {
        self.children.max(1) as usize
    }
}

/// The place of a job.
pub(crate) fn place(jobs: &Slab<Job>, key: Key) -> Place {
    let job = &jobs[key];
    let (of, index) = match job.part {
        Part::Child(parent, index) => (jobs[parent].hot.id, index),
        Part::Whole | Part::Array => (job.hot.id, 0),
    };
    Place { priority: priority(job), never_ran: job.hot.attempts == 0, of, index }
}

fn priority(job: &Job) -> Reverse<i16> {
    Reverse(job.facts.share.as_ref().map_or(0, |_| job.facts.priority))
}

/// The place of a run of children that begins with this one.
pub(crate) fn place_of_run(parent: &Job, first: u32) -> Place {
    Place { priority: priority(parent), never_ran: true, of: parent.hot.id, index: first }
}

impl Place {
    /// Who has waited longer, whatever their priorities, which are not compared across shares.
    pub(crate) fn age(a: &Self, b: &Self) -> Ordering {
        (a.never_ran, a.of, a.index).cmp(&(b.never_ran, b.of, b.index))
    }
}

impl Fifo {
    /// Lines up. Answers with the number of jobs before, [`SHOWN`] for that many or more.
    pub(crate) fn insert(&mut self, place: Place, entry: Entry) -> usize {
        self.len += entry.jobs();
        if let Some(old) = self.entries.insert(place, entry) {
            self.len -= old.jobs();
        }
        self.before(place)
    }

    /// Takes out whatever stands there; answers as [`Self::insert`] would have. Nothing: nobody stands there.
    pub(crate) fn remove(&mut self, place: Place) -> Option<usize> {
        let entry = *self.entries.get(&place)?;
        let before = self.before(place);
        self.entries.remove(&place);
        self.len -= entry.jobs();
        Some(before)
    }

    /// How many stand before a place, counted no further than a snapshot shows.
    fn before(&self, place: Place) -> usize {
        if self.len > SHOWN + 1 && self.entries.last_key_value().is_some_and(|(last, _)| *last == place) {
            let behind = self.entries.last_key_value().map_or(0, |(_, entry)| entry.jobs());
            return (self.len - behind).min(SHOWN);
        }
        let mut before = 0;
        for (_, entry) in self.entries.range(..place) {
            before += entry.jobs();
            if before >= SHOWN {
                return SHOWN;
            }
        }
        before
    }

    /// Who is looked at next.
    pub(crate) fn head(&self) -> Option<Entry> {
        self.first().map(|(_, entry)| entry)
    }

    /// As [`Self::head`], with its place.
    pub(crate) fn first(&self) -> Option<(Place, Entry)> {
        self.entries.first_key_value().map(|(place, entry)| (*place, *entry))
    }

    /// Jobs that wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// In order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        self.entries.values().copied()
    }

    /// Who stands there.
    pub(crate) fn at(&self, place: Place) -> Option<Entry> {
        self.entries.get(&place).copied()
    }
}
