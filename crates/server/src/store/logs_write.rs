//! What clients change of log groups and streams, judged in the transaction that writes it.
//!
//! Deleting renames: a group or stream disappears at once, whatever its size, and the sweep of `logs` clears away what
//! it had, a little at a time. Never here: events (`logs_events`), which errors callers see (`logs`).

use super::StoreError;
use super::beside::TagOwner;
use rusqlite::{OptionalExtension, Params, Transaction, params};
use std::collections::BTreeMap;

/// A write to the rows of groups and streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogWrite {
    /// CreateLogGroup.
    CreateGroup(NewGroup),
    /// DeleteLogGroup, by name.
    DeleteGroup(String),
    /// PutLogGroupDeletionProtection.
    Protect {
        /// The group's name.
        group: String,
        /// It may not be deleted.
        on: bool,
    },
    /// PutRetentionPolicy, or DeleteRetentionPolicy without days.
    Retention {
        /// The group's name.
        group: String,
        /// Days that events are kept.
        days: Option<i32>,
    },
    /// CreateLogStream.
    CreateStream {
        /// The group's name.
        group: String,
        /// The stream's name.
        name: String,
        /// Wall milliseconds.
        created_ms: i64,
    },
    /// DeleteLogStream.
    DeleteStream {
        /// The group's name.
        group: String,
        /// The stream's name.
        name: String,
    },
    /// PutLogEvents is about to store events: their times and size.
    Put {
        /// The group's name.
        group: String,
        /// The stream's name.
        name: String,
        /// Times of the first and the last event, wall milliseconds.
        times_ms: (i64, i64),
        /// When they came, wall milliseconds.
        ingested_ms: i64,
        /// Their size.
        bytes: i64,
    },
    /// Everything before the time is gone from these streams, if their last event is before it too.
    Emptied {
        /// Row ids.
        streams: Vec<i64>,
        /// Wall milliseconds.
        before_ms: i64,
    },
    /// The older events of a stream are gone.
    Trimmed {
        /// The stream's row id.
        stream: i64,
        /// No event is older now, wall milliseconds.
        first_ms: i64,
        /// The size of what is gone.
        bytes: i64,
    },
    /// The files and events of these removed streams are gone; so are removed groups without streams.
    Forget(Vec<i64>),
}

/// A log group to make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewGroup {
    /// Its name.
    pub name: String,
    /// Wall milliseconds.
    pub created_ms: i64,
    /// `logGroupClass`.
    pub class: String,
    /// `deletionProtectionEnabled`.
    pub protected: bool,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogWritten {
    /// It is done.
    Done,
    /// It is done; the row id of the stream.
    Stream(i64),
    /// There is one of this name.
    Exists,
    /// There is no such group.
    NoGroup,
    /// There is no such stream.
    NoStream,
    /// A job writes this stream now.
    Busy(String),
    /// A job wrote this stream, so nobody else may.
    OfJob,
    /// The group may not be deleted.
    Protected,
}

pub(super) fn write_logs(t: &Transaction<'_>, write: &LogWrite) -> Result<LogWritten, StoreError> {
    match write {
        LogWrite::CreateGroup(new) => create_group(t, new),
        LogWrite::DeleteGroup(name) => delete_group(t, name),
        LogWrite::Protect { group, on } => set(t, "protected = ?2", params![group, on]),
        LogWrite::Retention { group, days } => set(t, "retention_days = ?2", params![group, days]),
        LogWrite::CreateStream { group, name, created_ms } => create_stream(t, group, name, *created_ms),
        LogWrite::DeleteStream { group, name } => delete_stream(t, group, name),
        LogWrite::Put { .. } => put(t, write),
        LogWrite::Emptied { streams, before_ms } => emptied(t, streams, *before_ms),
        LogWrite::Trimmed { stream, first_ms, bytes } => {
            let sql = "UPDATE log_stream SET first_event_ms = ?2 WHERE id = ?1 AND first_event_ms < ?2";
            t.prepare_cached(sql)?.execute(params![stream, first_ms])?;
            resize(t, *stream, -*bytes)?;
            Ok(LogWritten::Done)
        }
        LogWrite::Forget(streams) => forget(t, streams),
    }
}

/// Sets something of a group, whose name is the first parameter.
fn set(t: &Transaction<'_>, what: &str, values: impl Params) -> Result<LogWritten, StoreError> {
    let sql = format!("UPDATE log_group SET {what} WHERE name = ?1");
    let changed = t.prepare_cached(&sql)?.execute(values)?;
    Ok(if changed == 0 { LogWritten::NoGroup } else { LogWritten::Done })
}

fn group_id(t: &Transaction<'_>, name: &str) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id FROM log_group WHERE name = ?1";
    Ok(t.prepare_cached(sql)?.query_row([name], |r| r.get(0)).optional()?)
}

fn create_group(t: &Transaction<'_>, new: &NewGroup) -> Result<LogWritten, StoreError> {
    let sql = "INSERT INTO log_group (name, created_ms, class, protected) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (name) DO NOTHING";
    let made = t.prepare_cached(sql)?.execute(params![new.name, new.created_ms, new.class, new.protected])?;
    if made == 0 {
        return Ok(LogWritten::Exists);
    }
    if !new.tags.is_empty() {
        let tags = serde_json::to_string(&new.tags).expect("a map of texts");
        let sql = "INSERT OR REPLACE INTO tag_set (owner_kind, owner, tags) VALUES (?1, ?2, ?3)";
        t.prepare_cached(sql)?.execute(params![TagOwner::LogGroup as i64, t.last_insert_rowid(), tags])?;
    }
    Ok(LogWritten::Done)
}

fn delete_group(t: &Transaction<'_>, name: &str) -> Result<LogWritten, StoreError> {
    let sql = "SELECT id, protected FROM log_group WHERE name = ?1";
    let row = t.prepare_cached(sql)?.query_row([name], |r| Ok((r.get(0)?, r.get(1)?))).optional()?;
    let Some((id, protected)): Option<(i64, bool)> = row else { return Ok(LogWritten::NoGroup) };
    if protected {
        return Ok(LogWritten::Protected);
    }
    let sql = "SELECT name FROM log_stream WHERE log_group = ?1 AND span = 16 LIMIT 1";
    let busy: Option<String> = t.prepare_cached(sql)?.query_row([id], |r| r.get(0)).optional()?;
    if let Some(stream) = busy {
        return Ok(LogWritten::Busy(stream));
    }
    t.prepare_cached("UPDATE log_group SET name = '*' || id WHERE id = ?1")?.execute([id])?;
    let sql = "DELETE FROM tag_set WHERE owner_kind = ?1 AND owner = ?2";
    t.prepare_cached(sql)?.execute([TagOwner::LogGroup as i64, id])?;
    Ok(LogWritten::Done)
}

fn create_stream(t: &Transaction<'_>, group: &str, name: &str, now: i64) -> Result<LogWritten, StoreError> {
    let Some(group) = group_id(t, group)? else { return Ok(LogWritten::NoGroup) };
    // Done: its row always knows its times.
    let sql = "INSERT INTO log_stream (log_group, name, task, container, path, created_ms, bytes, done)
               VALUES (?1, ?2, x'', '', '', ?3, 0, 1) ON CONFLICT (log_group, name) DO NOTHING";
    let made = t.prepare_cached(sql)?.execute(params![group, name, now])?;
    Ok(if made == 0 { LogWritten::Exists } else { LogWritten::Done })
}

fn delete_stream(t: &Transaction<'_>, group: &str, name: &str) -> Result<LogWritten, StoreError> {
    let Some(group) = group_id(t, group)? else { return Ok(LogWritten::NoGroup) };
    let sql = "SELECT id, done, bytes FROM log_stream WHERE log_group = ?1 AND name = ?2";
    let read = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, r.get(1)?, r.get(2)?));
    let row = t.prepare_cached(sql)?.query_row(params![group, name], read).optional()?;
    let Some((id, done, bytes)): Option<(i64, bool, i64)> = row else { return Ok(LogWritten::NoStream) };
    if !done {
        return Ok(LogWritten::Busy(name.to_string()));
    }
    resize(t, id, -bytes)?;
    let sql = "UPDATE log_stream SET log_group = 0, name = '*' || id WHERE id = ?1";
    t.prepare_cached(sql)?.execute([id])?;
    Ok(LogWritten::Done)
}

/// Widens the times before the events are stored: a range that is too wide hides nothing.
fn put(t: &Transaction<'_>, write: &LogWrite) -> Result<LogWritten, StoreError> {
    let LogWrite::Put { group, name, times_ms: (first, last), ingested_ms, bytes } = write else {
        return Ok(LogWritten::Done);
    };
    let Some(group) = group_id(t, group)? else { return Ok(LogWritten::NoGroup) };
    let sql = "SELECT id, path FROM log_stream WHERE log_group = ?1 AND name = ?2";
    let read = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, r.get(1)?));
    let row = t.prepare_cached(sql)?.query_row(params![group, name], read).optional()?;
    let Some((id, path)): Option<(i64, String)> = row else { return Ok(LogWritten::NoStream) };
    if !path.is_empty() {
        return Ok(LogWritten::OfJob);
    }
    let sql = "UPDATE log_stream SET first_event_ms = min(coalesce(first_event_ms, ?2), ?2),
               last_event_ms = max(coalesce(last_event_ms, ?3), ?3), ingested_ms = ?4 WHERE id = ?1";
    t.prepare_cached(sql)?.execute(params![id, first, last, ingested_ms])?;
    resize(t, id, *bytes)?;
    Ok(LogWritten::Stream(id))
}

/// Changes the size of a stream and of its group.
fn resize(t: &Transaction<'_>, stream: i64, by: i64) -> Result<(), StoreError> {
    let sql = "UPDATE log_group SET stored_bytes = max(0, stored_bytes + ?2)
               WHERE id = (SELECT log_group FROM log_stream WHERE id = ?1)";
    t.prepare_cached(sql)?.execute([stream, by])?;
    let sql = "UPDATE log_stream SET bytes = max(0, bytes + ?2) WHERE id = ?1";
    t.prepare_cached(sql)?.execute([stream, by])?;
    Ok(())
}

fn emptied(t: &Transaction<'_>, streams: &[i64], before_ms: i64) -> Result<LogWritten, StoreError> {
    for stream in streams {
        let sql = "SELECT bytes FROM log_stream WHERE id = ?1 AND done AND last_event_ms < ?2";
        let bytes: Option<i64> =
            t.prepare_cached(sql)?.query_row([stream, &before_ms], |r| r.get(0)).optional()?;
        if let Some(bytes) = bytes {
            resize(t, *stream, -bytes)?;
            t.prepare_cached("UPDATE log_stream SET path = '' WHERE id = ?1")?.execute([stream])?;
        }
    }
    Ok(LogWritten::Done)
}

fn forget(t: &Transaction<'_>, streams: &[i64]) -> Result<LogWritten, StoreError> {
    for stream in streams {
        // The highest id stays for now: SQLite would give it to the next stream, and events that came late to this one
        // would be the other's.
        let sql = "DELETE FROM log_stream WHERE id = ?1 AND id < (SELECT max(id) FROM log_stream)";
        if t.prepare_cached(sql)?.execute([stream])? == 0 {
            let sql = "UPDATE log_stream SET log_group = 0, name = '*' || id WHERE id = ?1";
            t.prepare_cached(sql)?.execute([stream])?;
        }
    }
    let sql = "DELETE FROM log_group WHERE name >= '*' AND name < '+' AND id <> 0
               AND NOT EXISTS (SELECT 1 FROM log_stream WHERE log_group = log_group.id)";
    t.prepare_cached(sql)?.execute([])?;
    Ok(LogWritten::Done)
}
