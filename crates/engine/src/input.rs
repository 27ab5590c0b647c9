//! All that can happen to the engine, and what it answers.
//!
//! Every variant says in which states it is allowed. Never here: wire shapes and HTTP; the API's handlers turn those
//! into commands and a [`Refusal`] into an answer.

use crate::ids::{
    ComputeEnvironmentId, DefinitionId, HostId, JobId, JobRef, JobUuid, PolicyId, QueueId, TaskId,
};
use crate::job::retry::RetryStrategy;
use crate::resource::{ComputeEnvironment, Host, JobDefinition, JobQueue, Needs, Platform, SchedulingPolicy};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// The time, passed in with every input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds since the epoch, for what people read.
    pub wall_ms: i64,
    /// Milliseconds of a clock that never goes back, for every duration. Its zero is this process's own.
    pub mono_ms: u64,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The API asks for something.
    Command(Command),
    /// A compute backend says what it saw.
    Report(Report),
    /// Nothing but time; answers an [`crate::Effect::Wake`].
    Tick,
}

/// What the API asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Refused when the name is taken.
    CreateComputeEnvironment(ComputeEnvironment),
    /// `Stale` when the version is not the row's. Not while DELETING.
    UpdateComputeEnvironment(EnvironmentUpdate),
    /// Only when DISABLED and in no queue; its running jobs finish first (DELETING).
    DeleteComputeEnvironment(ComputeEnvironmentId),
    /// Refused when the name is taken, there are 50, or an environment is not VALID; `Stale` when one is gone, or the
    /// policy.
    CreateJobQueue(JobQueue),
    /// `Stale` when the version is not the row's. Not while DELETING. The kinds of environments and policy stay.
    UpdateJobQueue(JobQueue),
    /// Only when DISABLED; its jobs end first with `JobQueue deleted` (DELETING).
    DeleteJobQueue(QueueId),
    /// Refused when the name is taken.
    CreateSchedulingPolicy(SchedulingPolicy),
    /// `Stale` when the version is not the row's. Its kind stays.
    UpdateSchedulingPolicy(SchedulingPolicy),
    /// Only when no queue has it.
    DeleteSchedulingPolicy(PolicyId),
    /// Always the next revision of its name.
    RegisterJobDefinition(JobDefinition),
    /// In any status; done twice is done once.
    DeregisterJobDefinition(DefinitionId),
    /// Queue ENABLED, definition ACTIVE. `Stale` when a dependency that was seen open is not here any more.
    Submit(Box<Submission>),
    /// Ends it when it has not been placed, else nothing (spec jobs §8). Unknown or ended: nothing.
    Cancel(StopRequest),
    /// Ends it in any state. Unknown or ended: nothing.
    Terminate(StopRequest),
}

/// A compute environment as an update leaves it.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvironmentUpdate {
    /// The whole row, with the version that was read.
    pub row: ComputeEnvironment,
    /// Its running jobs end as if their host had gone (`terminateJobsOnUpdate`, spec infrastructure §1.7); otherwise
    /// they go on.
    pub end_jobs: bool,
}

/// A job as it was submitted, merged and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// Its public id, made by the handler.
    pub uuid: JobUuid,
    /// `jobName`.
    pub name: Arc<str>,
    /// Its queue.
    pub queue: QueueId,
    /// The revision that was merged.
    pub definition: DefinitionId,
    /// What its environments must be.
    pub platform: Platform,
    /// What each attempt needs.
    pub needs: Needs,
    /// Jobs that have to succeed first.
    pub depends_on: Vec<Dependency>,
    /// It is an array of so many children.
    pub array: Option<ArraySpec>,
    /// When to try again.
    pub retry: RetryStrategy,
    /// Seconds of RUNNING after which an attempt is ended.
    pub timeout_s: Option<u32>,
    /// `shareIdentifier`: there exactly when the queue has a policy.
    pub share: Option<Arc<str>>,
    /// `schedulingPriority`, higher first within a share; 0 when none is given.
    pub priority: i16,
    /// The priority was named at submission, which only a queue with a policy takes.
    pub overrides_priority: bool,
    /// It is accepted, and FAILED at once with these words: what AWS finds out only after its answer (spec jobs §1.5).
    pub fails: Option<Arc<str>>,
    /// Account that it belongs to.
    pub account: Arc<str>,
    /// ARN of who submitted it.
    pub submitter: Arc<str>,
    /// Everything else that DescribeJobs and the container need, as JSON text.
    pub body: Arc<str>,
}

/// What an array is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArraySpec {
    /// Children, at least one.
    pub size: u32,
    /// Each child waits for the one before it (`SEQUENTIAL`).
    pub sequential: bool,
}

/// A job that another depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The job.
    pub job: JobRef,
    /// Each child waits for the child of the same index (`N_TO_N`), which only arrays of one size can. The ranges of
    /// children of the other array that have failed, as the caller saw them; needed once that array has ended.
    pub each: Option<Vec<(u32, u32)>>,
    /// How the caller saw it. What the engine holds itself wins; what it no longer holds and the caller saw open is answered
    /// `Stale`.
    pub found: Found,
}

/// How a job was seen in the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Not ended.
    Open,
    /// SUCCEEDED.
    Succeeded,
    /// FAILED.
    Failed,
}

/// Who is to be stopped, and the caller's words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopRequest {
    /// The job, or a child of it.
    pub job: JobRef,
    /// Becomes the job's `statusReason`.
    pub reason: Arc<str>,
}

/// What a compute backend saw. A report about a task that is not open is ignored: it was told twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// A host is there (at start, too) or has changed its size.
    HostJoined(Host),
    /// A host is gone, its tasks with it: `Host EC2 (instance i-…) terminated.`
    HostLeft(HostId),
    /// STARTING goes on; each attempt's text, for example how much of its image is pulled, becomes its job's
    /// `statusReason`. Many in one report, so that they share a commit.
    Progress(Vec<(TaskId, Arc<str>)>),
    /// It has an address of its own, which its attempt shows from now on.
    Addressed {
        /// The attempt.
        task: TaskId,
        /// The address.
        address: Ipv4Addr,
    },
    /// The container runs: STARTING → RUNNING.
    Started {
        /// The attempt.
        task: TaskId,
        /// Wall milliseconds, stamped by who saw it.
        at_ms: i64,
    },
    /// The attempt is over. Allowed in STARTING, too: a Started that was missed is made up for.
    Exited {
        /// The attempt.
        task: TaskId,
        /// How.
        exit: TaskExit,
    },
    /// Nobody knows how it ended, its host being there: no exit record, lock free, cgroup empty.
    Lost {
        /// The attempt.
        task: TaskId,
        /// Wall milliseconds, when that was found.
        at_ms: i64,
    },
}

/// Why an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// By itself.
    Exit,
    /// Its time was over.
    Timeout,
    /// The engine asked for it.
    Stopped,
    /// It never ran; the reason in the ECS agent's words.
    StartFailed(Arc<str>),
}

/// How an attempt ended; equal to the exit record on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskExit {
    /// Why.
    pub why: Why,
    /// Wall milliseconds, absent when no program of it ran.
    pub started_ms: Option<i64>,
    /// Wall milliseconds.
    pub stopped_ms: i64,
    /// Each container, in the task's order.
    pub containers: Vec<ContainerExit>,
}

/// How one container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerExit {
    /// Its name; `default` for a single one.
    pub name: Arc<str>,
    /// 128 + signal when a signal ended it; absent when no process of it ran.
    pub code: Option<i32>,
    /// The kernel killed a process of it for memory.
    pub oom: bool,
    /// It failed with no room left to write: on its own disk of so many bytes, or (0) on the host's.
    pub disk_full: Option<u64>,
}

/// What the engine answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Done, or nothing was to be done.
    Done,
    /// A compute environment has this row.
    ComputeEnvironment(ComputeEnvironmentId),
    /// A job queue has this row.
    JobQueue(QueueId),
    /// A scheduling policy has this row.
    SchedulingPolicy(PolicyId),
    /// A definition has this row and revision.
    JobDefinition(DefinitionId, u32),
    /// A job has this row.
    Job(JobId),
    /// What the handler read is not so any more: read again, ask again.
    Stale,
    /// Not allowed.
    Refused(Refusal),
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What stands in the way.
    pub kind: RefusalKind,
    /// A sentence for the caller, in AWS's words where they are known.
    pub message: String,
}

/// What stands in the way of a command. All are the caller's to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The name is taken.
    Exists,
    /// It is not there.
    NotFound,
    /// Another resource uses it.
    InUse,
    /// Its state or status does not allow it.
    WrongState,
    /// It can never work.
    Impossible,
}
