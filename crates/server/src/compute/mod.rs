//! What runs tasks: one trait, because several backends exist, and what they tell the core.
//!
//! A call hands work over and returns at once; what comes of it arrives as a report. Every call is idempotent and
//! names its attempt, so a core that crashed between commit and effect simply asks again (invariant 4). Never here:
//! what a result means (the engine), which rows exist (the store).

pub mod crash;
pub mod machine;
pub mod spec;

use batchyard_engine::resource::Host;
use batchyard_engine::{Report, TaskId};
use std::path::PathBuf;
use tokio::sync::mpsc::UnboundedSender;

pub use spec::{LogTarget, MountSpec, TaskSpec, TmpfsSpec, UlimitSpec, VolumeSource};

/// Where a backend's reports go. The core commits a report and the stream rows that came with it together.
pub type Reports = UnboundedSender<ReportEnvelope>;

/// A report, and what is known of the log streams of its task at that moment.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportEnvelope {
    /// For the engine.
    pub report: Report,
    /// Rows to insert or replace in the same commit, by group and stream.
    pub streams: Vec<StreamFacts>,
}

/// A log stream as its row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFacts {
    /// Log group.
    pub group: String,
    /// Log stream.
    pub stream: String,
    /// The attempt that writes it.
    pub task: TaskId,
    /// Its container's name.
    pub container: String,
    /// The log file, relative to the data folder.
    pub path: PathBuf,
    /// When the attempt's start began, wall milliseconds.
    pub created_ms: i64,
    /// Time of the first event, if there is one. Of a running stream the file knows better.
    pub first_event_ms: Option<i64>,
    /// Time of the last event, if there is one. Of a running stream the file knows better.
    pub last_event_ms: Option<i64>,
    /// Size of the log file.
    pub bytes: u64,
    /// Nothing will be appended any more.
    pub done: bool,
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

    /// Ends an attempt: its stop signal now, SIGKILL after `grace_s` seconds. One that never began never will.
    fn stop(&self, task: TaskId, grace_s: u32);

    /// Drops what is kept of an attempt whose end is in the rows.
    fn forget(&self, task: TaskId);

    /// The attempts that were started and have not ended, as far as is known now.
    fn running(&self) -> Vec<TaskId>;
}
