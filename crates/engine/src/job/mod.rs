//! One job: its life cycle, its retries, how its end is told. Never here: queues and hosts.

pub mod array;
pub(crate) mod depends;
pub(crate) mod end;
pub mod retry;
pub(crate) mod runs;
pub mod status;

use crate::change::{JobFacts, JobHot};
use crate::ids::{JobRef, JobUuid, QueueId, TaskId};
use crate::slab::Key;
use status::Event;

/// What a job is to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// A job by itself.
    Whole,
    /// The parent of an array; never placed.
    Array,
    /// A child of the array.
    Child(Key, u32),
}

/// A job that has not ended, or whose end is not durable yet.
#[derive(Debug)]
pub(crate) struct Job {
    /// How it stands, as its row will say.
    pub hot: JobHot,
    /// Public id; a child has its parent's.
    pub uuid: JobUuid,
    /// What it is to others.
    pub part: Part,
    /// Its queue.
    pub queue: QueueId,
    /// What decides over it.
    pub facts: JobFacts,
    /// Its open attempt; present exactly while it is placed.
    pub task: Option<TaskId>,
    /// The running batch already knows that its row must be written.
    pub dirty: bool,
}

// A million waiting jobs must fit into a small machine.
const _: () = assert!(size_of::<Option<Job>>() <= 200);

impl Job {
    /// Which it is, to the outside.
    pub(crate) fn named(&self) -> JobRef {
        let index = if let Part::Child(_, index) = self.part { Some(index) } else { None };
        JobRef { uuid: self.uuid, index }
    }

    /// Moves it to the state after an event.
    pub(crate) fn advance(&mut self, event: Event) {
        let next = self.hot.status.on(event);
        debug_assert!(next.is_some(), "{:?} is not allowed in {:?}", event, self.hot.status);
        if let Some(next) = next {
            self.hot.status = next;
        }
    }
}
