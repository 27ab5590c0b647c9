//! Rows as the engine wants them written, all of one batch in one transaction.
//!
//! A job's row is split as the store splits it: what is written once ([`JobRow`]) and what changes ([`JobHot`]). However
//! often a job changes within a batch, it is written once. Never here: SQL.

use crate::ids::{
    AttemptNumber, ComputeEnvironmentId, DefinitionId, HostId, JobId, JobRef, JobUuid, PolicyId, QueueId,
    TaskId,
};
pub use crate::job::array::{ChildCounts, ChildState, SEGMENT, Unplaced};
use crate::job::status::JobStatus;
use crate::resource::{ComputeEnvironment, JobDefinition, JobQueue, SchedulingPolicy};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// A row written or removed.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Inserted, or replaced by id.
    PutComputeEnvironment(ComputeEnvironment),
    /// Gone.
    RemoveComputeEnvironment(ComputeEnvironmentId),
    /// Inserted, or replaced by id.
    PutJobQueue(JobQueue),
    /// Gone.
    RemoveJobQueue(QueueId),
    /// Inserted, or replaced by id.
    PutSchedulingPolicy(SchedulingPolicy),
    /// Gone.
    RemoveSchedulingPolicy(PolicyId),
    /// Inserted.
    InsertJobDefinition(JobDefinition),
    /// INACTIVE from this wall millisecond on.
    DeactivateJobDefinition(DefinitionId, i64),
    /// A new job: the part that is written once and how it stands at the end of the batch.
    InsertJob(Box<JobRow>, JobHot),
    /// A child of an array that has a row of its own from now on, and how it stands at the end of the batch.
    InsertChild(ChildRow, JobHot),
    /// How an older job stands at the end of the batch.
    UpdateJob(JobHot),
    /// Children of an array that have no row of their own, inserted or replaced by array and segment.
    PutSegment(SegmentRow),
    /// How many children of an array are in each state, inserted or replaced.
    PutArraySummary(ArraySummary),
    /// Inserted, or replaced by queue and share.
    PutShareUsage(ShareUsage),
    /// Gone.
    RemoveShareUsage(QueueId, Arc<str>),
    /// Inserted, or replaced by job and number.
    PutAttempt(AttemptRow),
}

/// The part of a job that is written once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Public id.
    pub uuid: JobUuid,
    /// `jobName`.
    pub name: Arc<str>,
    /// Its queue.
    pub queue: QueueId,
    /// The revision that it was made from.
    pub definition: DefinitionId,
    /// Account that it belongs to.
    pub account: Arc<str>,
    /// ARN of who submitted it.
    pub submitter: Arc<str>,
    /// `createdAt`, wall milliseconds.
    pub created_ms: i64,
    /// Everything that the engine must know again after a restart, see [`JobFacts`].
    pub facts: JobFacts,
    /// Jobs that had to succeed first, each once.
    pub depends_on: Arc<[JobRef]>,
    /// What makes it an array.
    pub array: Option<ArrayFacts>,
    /// Everything else as JSON text.
    pub body: Arc<str>,
}

/// What makes a job an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrayFacts {
    /// Children.
    pub size: u32,
    /// Each child waits for the one before it.
    pub sequential: bool,
    /// Arrays of which each child waits for the child of the same index.
    pub each_on: Arc<[JobUuid]>,
}

/// A child of an array as a job of its own; all else is its parent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChildRow {
    /// The array.
    pub parent: JobId,
    /// From 0.
    pub index: u32,
}

/// The children of a segment that have no row of their own. A child that has one is what that says, whatever is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentRow {
    /// The array.
    pub job: JobId,
    /// The children from `segment` × [`SEGMENT`] on.
    pub segment: u32,
    /// First, last, and what they are: PENDING, RUNNABLE or ended without a row of their own.
    pub runs: Vec<(u32, u32, ChildState)>,
}

/// How an array's children stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArraySummary {
    /// The array.
    pub job: JobId,
    /// Children in each state.
    pub counts: ChildCounts,
    /// When that was so, wall milliseconds.
    pub updated_ms: i64,
}

impl ArraySummary {
    /// Children.
    pub fn size(&self) -> u32 {
        self.counts.iter().sum()
    }
}

/// What a share has used of a queue: the decayed average of its vCPUs at a time (spec infrastructure §4.1).
#[derive(Debug, Clone, PartialEq)]
pub struct ShareUsage {
    /// The queue.
    pub queue: QueueId,
    /// `shareIdentifier`.
    pub share: Arc<str>,
    /// Thousandths of a vCPU.
    pub average_milli: f64,
    /// Wall milliseconds.
    pub as_of_ms: i64,
}

/// What the engine reads back of an open job at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFacts {
    /// What its environments must be.
    pub platform: crate::resource::Platform,
    /// What each attempt needs.
    pub needs: crate::resource::Needs,
    /// When to try again.
    pub retry: crate::job::retry::RetryStrategy,
    /// Seconds of RUNNING after which an attempt is ended.
    pub timeout_s: Option<u32>,
    /// `shareIdentifier`.
    pub share: Option<Arc<str>>,
    /// `schedulingPriority`, 0 to 9999.
    pub priority: i16,
}

/// The part of a job that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobHot {
    /// Row id.
    pub id: JobId,
    /// Its state.
    pub status: JobStatus,
    /// `statusReason`.
    pub status_reason: Option<Arc<str>>,
    /// Attempts that have begun; the newest one's number.
    pub attempts: AttemptNumber,
    /// `startedAt` of the newest attempt that ran, wall milliseconds.
    pub started_ms: Option<i64>,
    /// `stoppedAt`, wall milliseconds, once it is terminal.
    pub stopped_ms: Option<i64>,
    /// A cancel was accepted.
    pub cancelled: bool,
    /// A terminate was accepted, with these words.
    pub terminated: Option<Arc<str>>,
}

/// One attempt. Open while it has no `stopped_ms`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    /// The job.
    pub job: JobId,
    /// From 1.
    pub attempt: AttemptNumber,
    /// Its public id.
    pub task: TaskId,
    /// Where it was placed.
    pub environment: ComputeEnvironmentId,
    /// Where it was placed.
    pub host: HostId,
    /// When it was placed, wall milliseconds.
    pub placed_ms: i64,
    /// Its own address, when it has one.
    pub address: Option<Ipv4Addr>,
    /// When its program began, wall milliseconds.
    pub started_ms: Option<i64>,
    /// When it ended, wall milliseconds.
    pub stopped_ms: Option<i64>,
    /// The attempt's `statusReason`. Before its end: it is asked to end as if its host had gone, in these words.
    pub status_reason: Option<Arc<str>>,
    /// Each container, in the task's order; empty until it ended.
    pub containers: Vec<ContainerResult>,
}

/// How one container of an ended attempt did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerResult {
    /// `default` for a single one.
    pub name: Arc<str>,
    /// Absent when no process of it ran.
    pub exit_code: Option<i32>,
    /// ECS's reason, at most 255 characters.
    pub reason: Option<Arc<str>>,
}
