//! The attempt folder: what a server and a supervisor tell each other through files, and nothing else.
//!
//! A server makes the folder, writes [`Task`], takes the lock on [`LOCK`] and starts the supervisor with the locked
//! file as its standard input. The supervisor writes [`Started`] once the container runs and [`Exit`] at its end, and
//! appends output to the log file that the task names. Files are the truth; a datagram to the socket named in the task
//! only wakes the server. Locked = running; unlocked with an exit record = ended; unlocked without = never started or
//! lost, and only whoever takes the lock may say so.
//!
//! Never here: starting containers (the program beside this library does that), deciding what a result means (the
//! engine does that). No dependencies, because the library is part of a program that is paid once per job.

pub mod cgroup;
pub mod disk;
pub mod exit;
pub mod format;
pub mod hooks;
pub mod log_file;
pub mod multiline;
pub mod rootless;
pub mod sink;
pub mod task;
pub mod tmpfs;

pub use disk::{Disk, DiskKind};
pub use exit::{ContainerExit, Exit, Started, Why};
pub use format::FormatError;
pub use rootless::Rootless;
pub use task::{Container, Device, Driver, IdMap, Mount, MountKind, OwnFile, Task, Ulimit};

/// Name of the task file, written by the server before the start, mode 0600.
pub const TASK: &str = "task";
/// Name of the lock file. Its lock is held by the supervisor (as standard input) for as long as the attempt lives.
pub const LOCK: &str = "lock";
/// Name of the record that the container runs.
pub const STARTED: &str = "started";
/// Name of the exit record.
pub const EXIT: &str = "exit";
/// Name of the preallocated file that becomes the exit record by renaming, so that a full disk cannot lose it.
pub const EXIT_TMP: &str = "exit.tmp";
/// Name of the stop request: a file that holds the grace in whole seconds. Written before [`CONTROL`] is poked.
pub const STOP: &str = "stop";
/// Name of the FIFO, made by the server, that the supervisor listens on; a byte on it means "look at [`STOP`]".
pub const CONTROL: &str = "control";
