//! What must be done in the world, once the changes of the same batch are durable.
//!
//! Effects name their attempt and are idempotent: done twice, they do nothing twice. A crash between commit and effect
//! is repaired at start, when the engine gives them again for every open row. Never here: how.

use crate::ids::{AttemptNumber, ComputeEnvironmentId, HostId, JobId, JobRef, TaskId};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Run an attempt, unless it runs or ran already.
    Start(StartTask),
    /// End an attempt that was started.
    Stop {
        /// The attempt.
        task: TaskId,
        /// Where it runs.
        host: HostId,
        /// Seconds between SIGTERM and SIGKILL.
        grace_s: u32,
    },
    /// The end of this attempt is in the rows: what the backend keeps of it may go.
    Forget {
        /// The attempt.
        task: TaskId,
        /// Where it ran.
        host: HostId,
    },
    /// Give a tick at this time of the monotonic clock, in milliseconds.
    Wake(u64),
}

/// An attempt to run. The body is in the job's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartTask {
    /// Public id of the attempt.
    pub task: TaskId,
    /// The job's row.
    pub job: JobId,
    /// The job's public id.
    pub name: JobRef,
    /// From 1.
    pub attempt: AttemptNumber,
    /// Where.
    pub host: HostId,
    /// For `AWS_BATCH_CE_NAME`.
    pub environment: ComputeEnvironmentId,
    /// Seconds of RUNNING after which the backend ends it by itself, server or no server.
    pub timeout_s: Option<u32>,
}
