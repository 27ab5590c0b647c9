//! An array job's children: what each is, how many there are of each state (spec jobs §4). Never here: what follows from a
//! change, and the queue that they wait in.
//!
//! Children in like state are runs. One that was placed, or stands at its queue's head, has become a job of its own; what
//! it is meanwhile its own row tells.

use crate::job::runs::Runs;
use crate::job::status::JobStatus;
use crate::slab::Key;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// `statusReason` of a parent of whose children one failed (spec jobs §1.5).
pub(crate) const CHILD_FAILED: &str = "Array Child Job failed";
/// Children of one row of waiting ones (decision 0002).
pub const SEGMENT: u32 = 256;

/// How many children there are in each state, in the order of [`JobStatus::ALL`].
pub type ChildCounts = [u32; 7];

/// What a child is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChildState {
    /// Waits for other jobs.
    Pending,
    /// Waits for room.
    Runnable,
    /// Has a row of its own and has not ended.
    Own,
    /// Has ended well, in a row of its own.
    Succeeded,
    /// Has ended otherwise, in a row of its own.
    Failed,
    /// Has ended before it ever had a row of its own.
    Unplaced(Arc<Unplaced>),
}

/// How a child ended that was never placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unplaced {
    /// `statusReason`.
    pub reason: Arc<str>,
    /// `stoppedAt`, wall milliseconds.
    pub stopped_ms: i64,
    /// It was cancelled.
    pub cancelled: bool,
    /// It was terminated.
    pub terminated: bool,
}

impl ChildState {
    /// Has not ended and has no row of its own.
    pub(crate) fn waits(&self) -> bool {
        matches!(self, Self::Pending | Self::Runnable)
    }

    /// No row but its segment's tells of it.
    pub(crate) fn has_no_row(&self) -> bool {
        self.waits() || matches!(self, Self::Unplaced(_))
    }

    /// The state that it counts as; of [`Self::Own`] only its job knows.
    pub fn status(&self) -> Option<JobStatus> {
        match self {
            Self::Pending => Some(JobStatus::Pending),
            Self::Runnable => Some(JobStatus::Runnable),
            Self::Own => None,
            Self::Succeeded => Some(JobStatus::Succeeded),
            Self::Failed | Self::Unplaced(_) => Some(JobStatus::Failed),
        }
    }
}

/// The children of an array that has not ended.
#[derive(Debug)]
pub(crate) struct Array {
    /// What each child is.
    pub children: Runs<ChildState>,
    /// Children that are jobs of their own and have not ended.
    pub own: BTreeMap<u32, Key>,
    /// How many are in each state.
    pub counts: ChildCounts,
    /// Each child waits for the one before it.
    pub sequential: bool,
    /// Arrays of which each child waits for the child of the same index; none that has left memory, because its children
    /// have ended and what followed has been done.
    pub each_on: BTreeSet<Key>,
    /// Arrays that wait so for this one.
    pub followers: BTreeSet<Key>,
}

impl Array {
    /// All of its children PENDING.
    pub(crate) fn new(size: u32, sequential: bool) -> Self {
        let children = Runs::new(size, ChildState::Pending);
        let mut counts = ChildCounts::default();
        counts[JobStatus::Pending as usize] = children.size();
        Self {
            children,
            own: BTreeMap::new(),
            counts,
            sequential,
            each_on: BTreeSet::new(),
            followers: BTreeSet::new(),
        }
    }

    /// A child that is a job of its own went from one state to another.
    pub(crate) fn count(&mut self, from: JobStatus, to: JobStatus) {
        self.counts[from as usize] -= 1;
        self.counts[to as usize] += 1;
    }

    /// Waiting children are this from now on. Those between the two that do not wait stay as they are; answers with the
    /// ranges that changed.
    pub(crate) fn change(&mut self, first: u32, last: u32, to: &ChildState) -> Vec<(u32, u32)> {
        let inside = |(begin, end, state): (u32, u32, &ChildState)| {
            (state.waits() && state != to).then(|| (begin.max(first), end.min(last), state.status()))
        };
        let changed: Vec<_> = self.children.within(first, last).filter_map(inside).collect();
        for (begin, end, was) in &changed {
            let number = end - begin + 1;
            self.children.set(*begin, *end, to.clone());
            if let (Some(was), Some(is)) = (was, to.status()) {
                self.counts[*was as usize] -= number;
                self.counts[is as usize] += number;
            }
        }
        changed.into_iter().map(|(begin, end, _)| (begin, end)).collect()
    }

    /// Whether nothing but room holds a child back, as far as this array's own order and other arrays decide.
    pub(crate) fn before_is_done(&self, index: u32) -> bool {
        let before = index.checked_sub(1).and_then(|before| self.children.at(before));
        !self.sequential || index == 0 || before == Some(&ChildState::Succeeded)
    }

    /// Some children are PENDING or RUNNABLE without a row of their own.
    pub(crate) fn has_waiting(&self) -> bool {
        self.children.iter().any(|(_, _, state)| state.waits())
    }

    /// All children have ended.
    pub(crate) fn is_done(&self) -> bool {
        let ended = self.counts[JobStatus::Succeeded as usize] + self.counts[JobStatus::Failed as usize];
        ended == self.children.size()
    }
}
