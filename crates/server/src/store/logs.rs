//! Rows of log groups and streams: where a stream's file lies, and what is known of it without opening it.
//! [`Catalog`] answers what the Logs operations ask.
//!
//! Never here: the lines themselves; those are in files (`logs`).

use super::{Reader, Readers, StoreError};
use crate::error::ApiError;
use crate::logs::{GroupQuery, GroupRow, LogCatalog, RangeQuery, StreamOrder, StreamQuery, StreamRow};
use batchyard_engine::TaskId;
use rusqlite::types::Value;
use rusqlite::{Row, Transaction, params, params_from_iter};

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

/// The store as the Logs operations see it. Blocks on the disk.
pub struct Catalog(pub Readers);

impl Catalog {
    fn rows<T>(
        &self,
        sql: &str,
        values: Vec<Value>,
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, ApiError> {
        let rows = self.0.read_here(|r: &Reader| r.rows(sql, params_from_iter(values), &read));
        rows.map_err(|error| {
            tracing::error!(%error, "a read of log rows failed");
            ApiError::server()
        })
    }
}

const GROUPS: &str =
    "SELECT name, created_ms, retention_days, (SELECT coalesce(sum(bytes), 0) FROM log_stream
                      WHERE log_group = log_group.id) AS stored FROM log_group";
const STREAMS: &str = "SELECT log_stream.*, log_group.name AS group_name FROM log_stream
                       JOIN log_group ON log_group.id = log_stream.log_group WHERE log_group.name = ?1";

impl LogCatalog for Catalog {
    fn group(&self, name: &str) -> Result<Option<GroupRow>, ApiError> {
        Ok(self.rows(&format!("{GROUPS} WHERE name = ?1"), vec![text(name)], group)?.pop())
    }

    fn groups(&self, query: &GroupQuery<'_>) -> Result<Vec<GroupRow>, ApiError> {
        let sql = format!(
            "{GROUPS} WHERE name > ?1 AND substr(name, 1, length(?2)) = ?2 AND instr(name, ?3) > 0
             ORDER BY name LIMIT ?4"
        );
        let [after, prefix, contains] =
            [query.after, query.prefix, query.contains].map(|t| text(t.unwrap_or_default()));
        self.rows(&sql, vec![after, prefix, contains, count(query.limit)], group)
    }

    fn stream(&self, group: &str, name: &str) -> Result<Option<StreamRow>, ApiError> {
        let sql = format!("{STREAMS} AND log_stream.name = ?2");
        Ok(self.rows(&sql, vec![text(group), text(name)], stream)?.pop())
    }

    fn streams(&self, query: &StreamQuery<'_>) -> Result<Vec<StreamRow>, ApiError> {
        let (way, than) = if query.descending { ("DESC", "<") } else { ("ASC", ">") };
        let (order, behind) = match query.order {
            StreamOrder::Name => {
                (format!("log_stream.name {way}"), format!("(0, log_stream.name) {than} (?3, ?4)"))
            }
            StreamOrder::LastEvent => {
                let time = "coalesce(last_event_ms, log_stream.created_ms)";
                (
                    format!("{time} {way}, log_stream.name {way}"),
                    format!("({time}, log_stream.name) {than} (?3, ?4)"),
                )
            }
        };
        let behind = if query.after.is_some() { behind } else { "?3 = ?3 AND ?4 = ?4".to_string() };
        let (time, name) = query.after.unwrap_or_default();
        let sql = format!(
            "{STREAMS} AND substr(log_stream.name, 1, length(?2)) = ?2 AND {behind} ORDER BY {order} LIMIT ?5"
        );
        let prefix = text(query.prefix.unwrap_or_default());
        self.rows(
            &sql,
            vec![text(query.group), prefix, Value::Integer(time), text(name), count(query.limit)],
            stream,
        )
    }

    fn streams_in_range(&self, query: &RangeQuery<'_>) -> Result<Vec<StreamRow>, ApiError> {
        let sql = format!(
            "{STREAMS} AND substr(log_stream.name, 1, length(?2)) = ?2 AND log_stream.created_ms <= ?3
             AND (NOT done OR last_event_ms >= ?4) AND (log_stream.created_ms, log_stream.name) > (?5, ?6)
             ORDER BY log_stream.created_ms, log_stream.name LIMIT ?7"
        );
        let (created, name) = query.after.unwrap_or((i64::MIN, ""));
        let values = vec![
            text(query.group),
            text(query.prefix.unwrap_or_default()),
            Value::Integer(query.end_ms),
            Value::Integer(query.start_ms),
            Value::Integer(created),
            text(name),
            count(query.limit),
        ];
        self.rows(&sql, values, stream)
    }
}

fn text(value: &str) -> Value {
    Value::Text(value.to_string())
}

fn count(value: usize) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

fn group(row: &Row<'_>) -> Result<GroupRow, StoreError> {
    Ok(GroupRow {
        name: row.get("name")?,
        created_ms: row.get("created_ms")?,
        retention_days: row.get("retention_days")?,
        stored_bytes: row.get("stored")?,
    })
}

fn stream(row: &Row<'_>) -> Result<StreamRow, StoreError> {
    Ok(StreamRow {
        group: row.get("group_name")?,
        name: row.get("name")?,
        created_ms: row.get("created_ms")?,
        path: row.get::<_, String>("path")?.into(),
        done: row.get("done")?,
        first_event_ms: row.get("first_event_ms")?,
        last_event_ms: row.get("last_event_ms")?,
    })
}
