//! One job queue: its row and the order of what waits in it. Never here: hosts and environments.

pub(crate) mod fifo;

use crate::resource::JobQueue;
use crate::slab::Key;
use fifo::Fifo;

/// A queue and its jobs.
#[derive(Debug)]
pub(crate) struct Queue {
    /// As its row says.
    pub row: JobQueue,
    /// RUNNABLE jobs in the order in which they are looked at.
    pub waiting: Fifo,
    /// Jobs of it that have not ended.
    pub open: usize,
    /// The waiting job whose `statusReason` is that of a head; all others say that they are behind it.
    pub told: Option<Key>,
}

impl Queue {
    pub(crate) fn new(row: JobQueue) -> Self {
        Self { row, waiting: Fifo::default(), open: 0, told: None }
    }
}
