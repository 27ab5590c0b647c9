//! Who waits for whom (spec jobs §3). Only open jobs are here: one that has ended is no longer waited for, and waits for
//! nothing.
//!
//! Never here: what follows from an end (`lifecycle::depend`); children that wait for children (`job::array`).

use crate::ids::JobId;
use crate::slab::Key;
use std::collections::{BTreeMap, BTreeSet};

/// `statusReason` of a PENDING job. AWS gives none; an empty one leaves people to guess.
pub const WAITS: &str = "waits for the jobs that it depends on";
/// `statusReason` of a job of whose dependencies one failed (spec jobs §1.5).
pub(crate) const FAILED: &str = "Dependent Job failed";

/// What can be waited for: a job, or with an index a child of that array.
pub(crate) type Target = (Key, Option<u32>);

/// The dependencies that are not met.
#[derive(Debug, Default)]
pub(crate) struct Depends {
    /// Who waits for a job, the one submitted first at the front.
    dependents: BTreeMap<Target, BTreeSet<(JobId, Key)>>,
    /// What a job waits for; present exactly while that is something.
    waits: BTreeMap<Key, BTreeSet<Target>>,
    /// What has ended and is waited for, and whether well; what follows has not been done yet.
    ended: Vec<(Target, bool)>,
}

impl Depends {
    /// A job waits for these, of which there is at least one.
    pub(crate) fn wait(&mut self, id: JobId, key: Key, on: BTreeSet<Target>) {
        for target in &on {
            self.dependents.entry(*target).or_default().insert((id, key));
        }
        self.waits.insert(key, on);
    }

    /// A job waits for nobody any more.
    pub(crate) fn leave(&mut self, id: JobId, key: Key) {
        for target in self.waits.remove(&key).into_iter().flatten() {
            self.forget(target, (id, key));
        }
    }

    /// A job has ended, for which others may have waited.
    pub(crate) fn end(&mut self, key: Key, well: bool) {
        if self.dependents.contains_key(&(key, None)) {
            self.ended.push(((key, None), well));
        }
    }

    /// These children of an array have ended.
    pub(crate) fn end_children(&mut self, array: Key, first: u32, last: u32, well: bool) {
        let range = (array, Some(first))..=(array, Some(last));
        let waited_for = self.dependents.range(range).map(|(target, _)| (*target, well));
        self.ended.extend(waited_for);
    }

    /// One of those that wait for what has ended, the one submitted first; it waits for that no longer. Tells whether that
    /// ended well and whether there is another that this one waits for.
    pub(crate) fn next(&mut self) -> Option<Freed> {
        let (target, well, (id, key)) = loop {
            let (target, well) = *self.ended.last()?;
            match self.dependents.get(&target).and_then(|set| set.first()) {
                Some(first) => break (target, well, *first),
                None => drop(self.ended.pop()),
            }
        };
        self.forget(target, (id, key));
        let left = self.waits.get_mut(&key);
        let more = left.is_some_and(|on| {
            on.remove(&target);
            !on.is_empty()
        });
        if !more {
            self.waits.remove(&key);
        }
        Some(Freed { key, well, more })
    }

    fn forget(&mut self, target: Target, dependent: (JobId, Key)) {
        if let Some(set) = self.dependents.get_mut(&target) {
            set.remove(&dependent);
            if set.is_empty() {
                self.dependents.remove(&target);
            }
        }
    }

    /// What a job waits for.
    pub(crate) fn of(&self, key: Key) -> Option<&BTreeSet<Target>> {
        self.waits.get(&key)
    }

    /// How many pairs there are of a job and one that it waits for, as either side counts them. For checks.
    pub(crate) fn pairs(&self) -> (usize, usize) {
        let count = |sets: &mut dyn Iterator<Item = usize>| sets.sum();
        (
            count(&mut self.dependents.values().map(BTreeSet::len)),
            count(&mut self.waits.values().map(BTreeSet::len)),
        )
    }

    /// Whether all that follows from ends has been done.
    pub(crate) fn is_settled(&self) -> bool {
        self.ended.is_empty()
    }
}

/// A job that waited for one that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Freed {
    /// The job.
    pub key: Key,
    /// The one it waited for has succeeded.
    pub well: bool,
    /// It waits for others still.
    pub more: bool,
}
