//! Rows of log groups and streams: where a stream's file lies, and what is known of it without opening it.
//!
//! Never here: the lines themselves; those are in files (`logs`).

use super::restore::all;
use super::{Reader, StoreError};
use batchyard_engine::TaskId;
use rusqlite::{Row, Transaction, params};

/// A log group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogGroupRow {
    /// Row id; groups are listed by name, streams refer to it.
    pub id: i64,
    /// `logGroupName`.
    pub name: String,
    /// Wall milliseconds.
    pub created_ms: i64,
    /// `retentionInDays`, absent: kept.
    pub retention_days: Option<i32>,
}

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
    /// Time of the first line, known once the stream is done.
    pub first_event_ms: Option<i64>,
    /// Time of the last line, known once the stream is done.
    pub last_event_ms: Option<i64>,
    /// Size of its file, known once the stream is done.
    pub bytes: u64,
    /// Nothing more will be written.
    pub done: bool,
}

pub(super) fn put_stream(t: &Transaction<'_>, row: &LogStreamRow) -> Result<(), StoreError> {
    let sql = "INSERT INTO log_group (name, created_ms) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";
    t.prepare_cached(sql)?.execute(params![row.group, row.created_ms])?;
    let sql = "INSERT INTO log_stream (log_group, name, task, container, path, created_ms, first_event_ms,
               last_event_ms, bytes, done)
               VALUES ((SELECT id FROM log_group WHERE name = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
               ON CONFLICT (log_group, name) DO UPDATE SET first_event_ms = excluded.first_event_ms,
               last_event_ms = excluded.last_event_ms, bytes = excluded.bytes, done = max(done, excluded.done)";
    t.prepare_cached(sql)?.execute(params![
        row.group,
        row.name,
        &row.task.0[..],
        row.container,
        row.path,
        row.created_ms,
        row.first_event_ms,
        row.last_event_ms,
        i64::try_from(row.bytes).unwrap_or(i64::MAX),
        row.done,
    ])?;
    Ok(())
}

const STREAM: &str = "SELECT log_stream.*, log_group.name AS group_name FROM log_stream
                      JOIN log_group ON log_group.id = log_stream.log_group";

impl Reader {
    /// The group of this name.
    pub fn log_group(&self, name: &str) -> Result<Option<LogGroupRow>, StoreError> {
        Ok(self.log_groups(name, name, 1, true)?.pop())
    }

    /// Groups whose name begins with `prefix`, after the name `after`, by name; with `exact` only the one named so.
    pub fn log_groups(&self, prefix: &str, after: &str, limit: u32, exact: bool) -> Result<Vec<LogGroupRow>, StoreError> {
        let sql = if exact {
            "SELECT * FROM log_group WHERE name = ?1 AND ?2 = ?2 LIMIT ?3"
        } else {
            "SELECT * FROM log_group WHERE name > ?2 AND substr(name, 1, length(?1)) = ?1 ORDER BY name LIMIT ?3"
        };
        self.rows(sql, params![prefix, after, limit], group)
    }

    /// One stream of a group.
    pub fn log_stream(&self, group: &str, name: &str) -> Result<Option<LogStreamRow>, StoreError> {
        let sql = format!("{STREAM} WHERE log_group.name = ?1 AND log_stream.name = ?2");
        Ok(self.rows(&sql, params![group, name], stream)?.pop())
    }

    /// Streams of a group whose name begins with `prefix`, by name, those after the name `after`.
    pub fn log_streams(&self, group: &str, prefix: &str, after: &str, limit: u32) -> Result<Vec<LogStreamRow>, StoreError> {
        let sql = format!(
            "{STREAM} WHERE log_group.name = ?1 AND log_stream.name > ?3
             AND substr(log_stream.name, 1, length(?2)) = ?2 ORDER BY log_stream.name LIMIT ?4"
        );
        self.rows(&sql, params![group, prefix, after, limit], stream)
    }

    /// Streams that may hold lines of this time range, running ones always. Both ends count.
    pub fn log_streams_in_range(&self, group: &str, start_ms: i64, end_ms: i64) -> Result<Vec<LogStreamRow>, StoreError> {
        let sql = format!(
            "{STREAM} WHERE log_group.name = ?1 AND (log_stream.last_event_ms IS NULL OR log_stream.last_event_ms >= ?2)
             AND log_stream.created_ms <= ?3 AND NOT (log_stream.done AND log_stream.last_event_ms IS NULL)
             ORDER BY log_stream.name"
        );
        self.rows(&sql, params![group, start_ms, end_ms], stream)
    }

    /// Every group, for listings that need them all at once.
    pub fn all_log_groups(&self) -> Result<Vec<LogGroupRow>, StoreError> {
        all(self.connection(), "SELECT * FROM log_group ORDER BY name", group)
    }
}

fn group(row: &Row<'_>) -> Result<LogGroupRow, StoreError> {
    Ok(LogGroupRow {
        id: row.get("id")?,
        name: row.get("name")?,
        created_ms: row.get("created_ms")?,
        retention_days: row.get("retention_days")?,
    })
}

fn stream(row: &Row<'_>) -> Result<LogStreamRow, StoreError> {
    Ok(LogStreamRow {
        group: row.get("group_name")?,
        name: row.get("name")?,
        task: TaskId(row.get("task")?),
        container: row.get("container")?,
        path: row.get("path")?,
        created_ms: row.get("created_ms")?,
        first_event_ms: row.get("first_event_ms")?,
        last_event_ms: row.get("last_event_ms")?,
        bytes: row.get::<_, i64>("bytes")?.try_into().unwrap_or(0),
        done: row.get("done")?,
    })
}
