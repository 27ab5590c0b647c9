//! One job queue: its row and the order of what waits in it. Never here: hosts and environments.

pub(crate) mod fifo;
pub(crate) mod limit;

use crate::resource::JobQueue;
use crate::slab::Key;
use fifo::Fifo;
use limit::Blocked;

/// A queue and its jobs.
#[derive(Debug)]
pub(crate) struct Queue {
    /// As its row says.
    pub row: JobQueue,
    /// RUNNABLE jobs in the order in which they are looked at.
    pub waiting: Fifo,
    /// PENDING jobs.
    pub pending: Fifo,
    /// Jobs of it that have not ended.
    pub open: usize,
    /// The waiting job whose `statusReason` is that of a head; all others say that they are behind it.
    pub told: Option<Key>,
    /// Since when that one has waited for a cause that a time limit can be set for. Not in the rows: after a restart the
    /// clock starts anew.
    pub blocked: Option<Blocked>,
}

impl Queue {
    pub(crate) fn new(row: JobQueue) -> Self {
        Self { row, waiting: Fifo::default(), pending: Fifo::default(), open: 0, told: None, blocked: None }
    }
}
