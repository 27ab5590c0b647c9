//! Who waits for whom (spec jobs §3). Only open jobs are here: one that has ended is no longer waited for, and waits for
//! nothing.
//!
//! Never here: what follows from an end (`lifecycle::depend`).

use crate::ids::JobId;
use crate::slab::Key;
use std::collections::{BTreeMap, BTreeSet};

/// `statusReason` of a PENDING job. AWS gives none; an empty one leaves people to guess.
pub(crate) const WAITS: &str = "waits for the jobs that it depends on";
/// `statusReason` of a job of whose dependencies one failed (spec jobs §1.5).
pub(crate) const FAILED: &str = "Dependent Job failed";

/// The dependencies that are not met.
#[derive(Debug, Default)]
pub(crate) struct Depends {
    /// Who waits for a job, the one submitted first at the front.
    dependents: BTreeMap<Key, BTreeSet<(JobId, Key)>>,
    /// Whom a job waits for; present exactly while it is PENDING.
    waits: BTreeMap<Key, BTreeSet<Key>>,
    /// Jobs that ended and that others wait for, and whether well; what follows has not been done yet.
    ended: Vec<(Key, bool)>,
}

impl Depends {
    /// A job waits for these, of which there is at least one.
    pub(crate) fn wait(&mut self, id: JobId, key: Key, on: BTreeSet<Key>) {
        for dependency in &on {
            self.dependents.entry(*dependency).or_default().insert((id, key));
        }
        self.waits.insert(key, on);
    }

    /// A job has ended: it waits for nobody, and others may have waited for it.
    pub(crate) fn end(&mut self, id: JobId, key: Key, well: bool) {
        for dependency in self.waits.remove(&key).into_iter().flatten() {
            self.forget(dependency, (id, key));
        }
        if self.dependents.contains_key(&key) {
            self.ended.push((key, well));
        }
    }

    /// One of those that wait for a job that has ended, the one submitted first; it waits for that job no longer. Tells
    /// whether the job ended well and whether there is another that this one waits for.
    pub(crate) fn next(&mut self) -> Option<Freed> {
        let (dependency, well, (id, key)) = loop {
            let (dependency, well) = *self.ended.last()?;
            match self.dependents.get(&dependency).and_then(|set| set.first()) {
                Some(first) => break (dependency, well, *first),
                None => drop(self.ended.pop()),
            }
        };
        self.forget(dependency, (id, key));
        let left = self.waits.get_mut(&key);
        let more = left.is_some_and(|on| {
            on.remove(&dependency);
            !on.is_empty()
        });
        if !more {
            self.waits.remove(&key);
        }
        Some(Freed { key, well, more })
    }

    fn forget(&mut self, dependency: Key, dependent: (JobId, Key)) {
        if let Some(set) = self.dependents.get_mut(&dependency) {
            set.remove(&dependent);
            if set.is_empty() {
                self.dependents.remove(&dependency);
            }
        }
    }

    /// Whom a job waits for.
    pub(crate) fn of(&self, key: Key) -> Option<&BTreeSet<Key>> {
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
