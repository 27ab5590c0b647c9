//! Moving what was committed from the log into the database file, off the writer's path.
//!
//! A thread with a connection of its own does it a little at a time, so that no commit waits for it; readers and the
//! writer go on meanwhile. Only when the log grows in spite of it (writes without a pause) the writer does it itself.
//! Never here: commits.

use super::{FILE, Store, StoreError};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Pages of the log at which the writer itself moves them: 256 MiB.
pub(super) const BACKSTOP_PAGES: u32 = 65_536;
/// Bytes of the log under which nothing is moved.
const ENOUGH: u64 = 4 << 20;
/// How often the log is looked at.
const PERIOD: Duration = Duration::from_millis(250);

/// Ends the thread when it is dropped.
pub(super) struct Checkpoints {
    _end: Sender<()>,
}

/// Starts the thread.
pub(super) fn start(store: &Store) -> Result<Checkpoints, StoreError> {
    let connection = Connection::open(&store.path)?;
    super::configure(&connection)?;
    let log = store.path.with_file_name(format!("{FILE}-wal"));
    let (end, ended) = channel();
    let run = move || run(&connection, &log, &ended);
    std::thread::Builder::new().name("checkpoint".into()).spawn(run).map_err(StoreError::File)?;
    Ok(Checkpoints { _end: end })
}

fn run(connection: &Connection, log: &PathBuf, ended: &Receiver<()>) {
    while ended.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
        if std::fs::metadata(log).map_or(0, |m| m.len()) < ENOUGH {
            continue;
        }
        if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            tracing::warn!(%error, "the store's log can't be moved into the database yet");
        }
    }
}
