//! What the engine is built from at start: open rows, nothing that is finished (invariant 3).
//!
//! Never here: reading them (the store does that).

use crate::change::{ArrayFacts, AttemptRow, ChildRow, ChildState, JobFacts, JobHot, ShareUsage};
use crate::ids::{DefinitionId, JobId, JobRef, JobUuid, QueueId};
use crate::resource::{ComputeEnvironment, JobQueue, SchedulingPolicy};
use std::sync::Arc;

/// All open rows and the counters behind row ids.
#[derive(Debug, Clone, Default)]
pub struct OpenRows {
    /// All of them.
    pub compute_environments: Vec<ComputeEnvironment>,
    /// All of them.
    pub job_queues: Vec<JobQueue>,
    /// All of them.
    pub scheduling_policies: Vec<SchedulingPolicy>,
    /// Every revision, ACTIVE or not.
    pub job_definitions: Vec<DefinitionFacts>,
    /// Every job that is not SUCCEEDED or FAILED, in the order of its row id.
    pub jobs: Vec<OpenJob>,
    /// The children without a row of their own, and those that have ended, of every array among the jobs.
    pub arrays: Vec<OpenArray>,
    /// What shares have used.
    pub share_usage: Vec<ShareUsage>,
    /// Every attempt without an end.
    pub attempts: Vec<AttemptRow>,
    /// The greatest row id ever given to a compute environment, queue, policy, definition and job.
    pub last_ids: LastIds,
}

/// The greatest row ids ever given; 0 where none was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastIds {
    /// Of compute environments.
    pub compute_environment: i64,
    /// Of job queues.
    pub job_queue: i64,
    /// Of scheduling policies.
    pub scheduling_policy: i64,
    /// Of job definitions.
    pub job_definition: i64,
    /// Of jobs.
    pub job: i64,
}

/// What the engine keeps of a definition's revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionFacts {
    /// Row id.
    pub id: DefinitionId,
    /// `jobDefinitionName`.
    pub name: Arc<str>,
    /// From 1. The greatest of a name is where the next one counts on from.
    pub revision: u32,
    /// ACTIVE.
    pub active: bool,
}

/// What the engine keeps of a job that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenJob {
    /// How it stands.
    pub hot: JobHot,
    /// Public id; a child has its parent's.
    pub uuid: JobUuid,
    /// Of which array it is which child.
    pub child: Option<ChildRow>,
    /// What makes it an array.
    pub array: Option<ArrayFacts>,
    /// Its queue.
    pub queue: QueueId,
    /// Jobs that have to succeed first, those that have included.
    pub depends_on: Arc<[JobRef]>,
    /// The rest that decides; its row id is in `hot`.
    pub facts: JobFacts,
}

/// Children of an array that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenArray {
    /// The array.
    pub job: JobId,
    /// As its segments say: first, last, state.
    pub runs: Vec<(u32, u32, ChildState)>,
    /// Children that have ended in a row of their own: index, and whether well. They win over the segments, as those do
    /// that are among the open jobs.
    pub ended: Vec<(u32, bool)>,
}

impl OpenJob {
    /// Its row id.
    pub fn id(&self) -> JobId {
        self.hot.id
    }
}
