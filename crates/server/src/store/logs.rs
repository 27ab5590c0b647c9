//! Rows of the log streams that jobs write, told with their attempts' reports: where the file lies, and what is known
//! of it without opening it.
//!
//! Never here: the lines themselves (files, `logs`), reading rows (`logs_catalog`), what clients write (`logs_write`).

use super::StoreError;
use batchyard_engine::TaskId;
use rusqlite::{OptionalExtension, Transaction, params};

/// A log stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStreamRow {
    /// Name of its group; the group is made with its first stream.
    pub group: String,
    /// `logStreamName`.
    pub name: String,
    /// The attempt that writes it.
    pub task: TaskId,
    /// The container of the attempt that writes it.
    pub container: String,
    /// Its file, below the data folder.
    pub path: String,
    /// Wall milliseconds.
    pub created_ms: i64,
    /// Time of the first line. Of a running stream the file knows better.
    pub first_event_ms: Option<i64>,
    /// Time of the last line. Of a running stream the file knows better.
    pub last_event_ms: Option<i64>,
    /// Size of its file. Of a running stream the file knows better.
    pub bytes: u64,
    /// Nothing more will be written.
    pub done: bool,
}

pub(super) fn put_stream(t: &Transaction<'_>, row: &LogStreamRow) -> Result<(), StoreError> {
    let sql = "INSERT INTO log_group (name, created_ms) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";
    t.prepare_cached(sql)?.execute(params![row.group, row.created_ms])?;
    let sql = "SELECT id FROM log_group WHERE name = ?1";
    let group: i64 = t.prepare_cached(sql)?.query_row([&row.group], |r| r.get(0))?;
    let sql = "SELECT bytes FROM log_stream WHERE log_group = ?1 AND name = ?2";
    let before: Option<i64> =
        t.prepare_cached(sql)?.query_row(params![group, row.name], |r| r.get(0)).optional()?;
    let bytes = i64::try_from(row.bytes).unwrap_or(i64::MAX);
    let sql = "INSERT INTO log_stream (log_group, name, task, container, path, created_ms, first_event_ms,
               last_event_ms, bytes, done)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
               ON CONFLICT (log_group, name) DO UPDATE SET first_event_ms = excluded.first_event_ms,
               last_event_ms = excluded.last_event_ms, bytes = excluded.bytes, done = max(done, excluded.done)";
    t.prepare_cached(sql)?.execute(params![
        group,
        row.name,
        &row.task.0[..],
        row.container,
        row.path,
        row.created_ms,
        row.first_event_ms,
        row.last_event_ms,
        bytes,
        row.done,
    ])?;
    let sql = "UPDATE log_group SET stored_bytes = max(0, stored_bytes + ?2) WHERE id = ?1";
    t.prepare_cached(sql)?.execute([group, bytes - before.unwrap_or(0)])?;
    Ok(())
}
