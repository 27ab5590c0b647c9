//! What runs tasks: one trait, because several backends exist, and what they tell the core.
//!
//! A call hands work over and returns at once; what comes of it arrives as a report. Every call is idempotent and
//! names its attempt, so a core that crashed between commit and effect simply asks again (invariant 4). Never here:
//! what a result means (the engine), which rows exist (the store).

pub mod docker;
pub mod machine;
pub mod permitted;
pub mod spec;

use crate::store::LogStreamRow;
use batchyard_engine::resource::Host;
use batchyard_engine::{Report, TaskId};
use tokio::sync::mpsc::UnboundedSender;

pub use permitted::Permitted;
pub use spec::{
    DeviceSpec, LogSink, LogTarget, MountSpec, TaskSpec, TmpfsSpec, UlimitSpec, VolumeSource, host_of,
};

/// Where a backend's reports go. The core commits a report and the stream rows that came with it together.
pub type Reports = UnboundedSender<ReportEnvelope>;

/// A report, and what is known of the log streams of its task at that moment.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportEnvelope {
    /// For the engine.
    pub report: Report,
    /// Rows to insert or replace in the same commit, by group and stream.
    pub streams: Vec<LogStreamRow>,
}

/// A backend that runs tasks on hosts.
pub trait Compute: Send + Sync {
    /// The hosts that are there now. The core reports them to the engine as joined, at start too.
    fn hosts(&self) -> Vec<Host>;

    /// Compares what is there with the open attempts of the engine, once, before the first `start` after a restart:
    /// what belongs to no open attempt is ended and removed.
    ///
    /// # Errors
    /// The backend's records cannot be read or written.
    fn reconcile(&self, open: &[TaskId]) -> std::io::Result<()>;

    /// Runs an attempt, unless it runs or ran already; then what is known of it is reported again.
    fn start(&self, task: TaskSpec);

    /// Ends an attempt: its stop signal now, SIGKILL after `grace_s` seconds, or its own `stop_timeout_s`. One that never
    /// began never will.
    fn stop(&self, task: TaskId, grace_s: u32);

    /// Drops what is kept of an attempt whose end is in the rows.
    fn forget(&self, task: TaskId);

    /// The attempts that were started and have not ended, as far as is known now.
    fn running(&self) -> Vec<TaskId>;

    /// The server stops and nothing runs: what is only there for running attempts goes.
    fn leave(&self) {}
}
