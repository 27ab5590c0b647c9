//! The store: rows on disk, written by the one task that owns the engine, read by everybody else.
//!
//! [`Writer::commit`] writes one batch in one synced transaction; [`Reader`] answers Describe and List and sees every
//! write that was answered. SQLite in WAL mode with `synchronous=FULL` is the embedded default. Never here: what rows
//! mean; the engine and the API know.

mod beside;
mod checkpoint;
mod children;
mod codec;
mod definitions;
mod listing;
mod logs;
mod logs_catalog;
mod logs_events;
mod logs_write;
mod pool;
mod read;
mod restore;
pub mod schema;
mod wal;
mod write;

#[cfg(test)]
mod logs_tests;
#[cfg(test)]
mod tests;

pub use beside::{TagChange, TagOwner, Write, Written};
pub use codec::fair_share;
pub use definitions::DefinitionQuery;
pub use listing::{JobSummaryRecord, Listing, Position, Selection};
pub use logs::LogStreamRow;
pub use logs_catalog::Catalog;
pub use logs_events::{Events, StoredEvent};
pub use logs_write::{LogWrite, LogWritten, NewGroup};
pub use pool::Readers;
pub use read::{AttemptRecord, JobRecord, Reader};
pub use write::Writer;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::{Path, PathBuf};

/// Name of the database in the data folder.
pub const FILE: &str = "batchyard.db";

/// What a store can fail with.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite says so.
    #[error("store: {0}")]
    Sqlite(rusqlite::Error),
    /// The file can't be made or opened.
    #[error("store: {FILE} in the data folder can't be opened: {0}; run the server as the folder's owner")]
    File(std::io::Error),
    /// A column holds what no version of this program writes.
    #[error("store: {table} row {id} cannot be read: {what}; the database is damaged, restore a backup")]
    Row {
        /// The table.
        table: &'static str,
        /// The row.
        id: i64,
        /// What is wrong.
        what: String,
    },
    /// The file belongs to another program.
    #[error("store: {FILE} in the data folder is not a batchyard database; choose another --data-dir")]
    NotOurs,
    /// There is no database, but what belongs to one.
    #[error(
        "store: {FILE} is gone or empty, but the data folder holds attempts; restore a backup or choose another --data-dir"
    )]
    Gone,
    /// The file was written by a newer program.
    #[error("store: the database has schema version {found}, this program knows {known}; use the newer program", known = schema::VERSION)]
    Newer {
        /// The version found.
        found: i64,
    },
    /// The file is cut off or overwritten.
    #[error("store: {FILE} in the data folder is damaged ({verdict}); restore a backup, nothing was changed")]
    Damaged {
        /// SQLite's words.
        verdict: String,
    },
    /// The store of log events fails.
    #[error(
        "store: logs/events.db in the data folder, which holds what clients sent with PutLogEvents, fails: {0}"
    )]
    Events(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { verdict: error.to_string() }
            }
            _ => Self::Sqlite(error),
        }
    }
}

/// Where the store lies.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// Makes or opens the database in `data_dir`, brings it forward and checks that it is whole. One process at a
    /// time: the caller holds the data folder's lock. One that is refused is not changed.
    pub fn open(data_dir: &Path) -> Result<(Self, Writer), StoreError> {
        let path = data_dir.join(FILE);
        let empty = std::fs::metadata(&path).map_or(0, |m| m.len()) == 0;
        if empty && data_dir.join("attempts").exists() {
            return Err(StoreError::Gone);
        }
        wal::check(&path.with_file_name(format!("{FILE}-wal")))?;
        if !empty {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            schema::check(&Connection::open_with_flags(&path, flags)?)?;
        }
        keep_private(&path)?;
        let mut connection = Connection::open(&path)?;
        configure(&connection)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        schema::prepare(&mut connection)?;
        let store = Self { path };
        let checkpoints = checkpoint::start(&store)?;
        Ok((store, Writer::new(connection, checkpoints)))
    }

    /// A connection for reading, in its own right.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        configure(&connection)?;
        Ok(Reader::new(connection))
    }
}

/// Jobs' environments are in it: readable by the server's user alone, whatever the folder allows. SQLite gives the
/// files beside it the same mode.
fn keep_private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let open = std::fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    open.and_then(|file| file.set_permissions(std::fs::Permissions::from_mode(0o600)))
        .map_err(StoreError::File)
}

fn configure(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    if !connection.is_readonly(rusqlite::MAIN_DB)? {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "wal_autocheckpoint", checkpoint::BACKSTOP_PAGES)?;
    }
    connection.pragma_update(None, "cache_size", -16_000)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}
