//! One job queue: its row and the order of what waits in it. Never here: hosts and environments.

pub(crate) mod fifo;
pub mod front;
pub(crate) mod limit;
pub(crate) mod share;
pub(crate) mod waiting;

use crate::job::Job;
use crate::resource::JobQueue;
use fifo::{Entry, Fifo, Place};
use front::Front;
use share::Usage;
use std::collections::BTreeMap;
use std::sync::Arc;
use waiting::{Share, Waiting};

/// A queue and its jobs.
#[derive(Debug)]
pub(crate) struct Queue {
    /// As its row says.
    pub row: JobQueue,
    /// RUNNABLE jobs.
    pub waiting: Waiting,
    /// What its shares have used.
    pub usage: BTreeMap<Arc<str>, Usage>,
    /// PENDING jobs; of arrays those of whose children some wait without a row of their own.
    pub pending: Fifo,
    /// Jobs of it that have not ended.
    pub open: usize,
    /// Share identifiers of its open jobs, and how many of them each has.
    pub shares: BTreeMap<Arc<str>, usize>,
    /// Since when its first places are held.
    pub front: Front,
}

impl Queue {
    pub(crate) fn new(row: JobQueue) -> Self {
        Self {
            row,
            waiting: Waiting::default(),
            usage: BTreeMap::new(),
            pending: Fifo::default(),
            open: 0,
            shares: BTreeMap::new(),
            front: Front::default(),
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

    /// Lines a job or a run of children up. True when it is the head of its line now.
    pub(crate) fn line_up(&mut self, share: &Share, place: Place, entry: Entry) -> bool {
        let before = self.waiting.insert(share, place, entry);
        self.moved(before);
        before == 0
    }

    /// Takes out who waits there. True when it was the head of its line.
    pub(crate) fn take_out(&mut self, share: &Share, place: Place) -> bool {
        let Some(before) = self.waiting.remove(share, place) else { return false };
        self.moved(before);
        before == 0
    }

    /// With several lines nobody's place is sure.
    fn moved(&mut self, before: usize) {
        self.front.moved(if self.row.policy.is_some() { 0 } else { before });
    }
}
