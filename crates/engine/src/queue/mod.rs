//! One job queue: its row and the order of what waits in it. Never here: hosts and environments.

pub(crate) mod fifo;
pub mod front;
pub(crate) mod limit;

use crate::job::Job;
use crate::resource::JobQueue;
use crate::slab::Key;
use fifo::{Entry, Fifo, Place};
use front::Front;
use limit::Blocked;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A queue and its jobs.
#[derive(Debug)]
pub(crate) struct Queue {
    /// As its row says.
    pub row: JobQueue,
    /// RUNNABLE jobs in the order in which they are looked at.
    pub waiting: Fifo,
    /// PENDING jobs; of arrays those of whose children some wait without a row of their own.
    pub pending: Fifo,
    /// Jobs of it that have not ended.
    pub open: usize,
    /// Share identifiers of its open jobs, and how many of them each has.
    pub shares: BTreeMap<Arc<str>, usize>,
    /// Since when its first places are held.
    pub front: Front,
    /// The waiting job whose `statusReason` is that of a head; all others say that they are behind it.
    pub told: Option<Key>,
    /// Since when that one has waited for a cause that a time limit can be set for. Not in the rows: after a restart the
    /// clock starts anew.
    pub blocked: Option<Blocked>,
}

impl Queue {
    pub(crate) fn new(row: JobQueue) -> Self {
        Self {
            row,
            waiting: Fifo::default(),
            pending: Fifo::default(),
            open: 0,
            shares: BTreeMap::new(),
            front: Front::default(),
            told: None,
            blocked: None,
        }
    }

    /// A job of it is there.
    pub(crate) fn opened(&mut self, job: &Job) {
        self.open += 1;
        if let Some(share) = &job.facts.share {
            *self.shares.entry(share.clone()).or_default() += 1;
        }
    }

    /// A job of it has ended.
    pub(crate) fn closed(&mut self, job: &Job) {
        self.open -= 1;
        if let Some(share) = &job.facts.share
            && let Some(count) = self.shares.get_mut(share)
        {
            *count -= 1;
            if *count == 0 {
                self.shares.remove(share);
            }
        }
    }

    /// Lines a job or a run of children up. True when it is the head now.
    pub(crate) fn line_up(&mut self, place: Place, entry: Entry) -> bool {
        let before = self.waiting.insert(place, entry);
        self.front.moved(before);
        before == 0
    }

    /// Takes out who waits there. True when it was the head.
    pub(crate) fn take_out(&mut self, place: Place) -> bool {
        let Some(before) = self.waiting.remove(place) else { return false };
        self.front.moved(before);
        before == 0
    }
}
