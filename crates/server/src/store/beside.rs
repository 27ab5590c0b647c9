//! Writes that the engine has no part in, since they decide nothing about jobs: tags and logs.
//!
//! They go into the same transaction as the engine's changes, and are judged in it, where nothing can come between.
//! Never here: rows of jobs and resources.

use super::StoreError;
use super::logs_write::{LogWrite, LogWritten, write_logs};
use batchyard_model::limits::MAX_TAGS;
use rusqlite::{OptionalExtension, Transaction, params};
use std::collections::BTreeMap;

/// One such write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// TagResource or UntagResource.
    Tags(TagChange),
    /// Of CloudWatch Logs.
    Logs(LogWrite),
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It is done.
    Done,
    /// It would have left this many tags, more than a resource may have; nothing was changed.
    TooManyTags(usize),
    /// Of a write of CloudWatch Logs.
    Logs(LogWritten),
}

/// What tags can be on, by row id. The numbers are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum TagOwner {
    /// A job.
    Job = 0,
    /// A compute environment.
    ComputeEnvironment = 1,
    /// A job queue.
    JobQueue = 2,
    /// A revision of a job definition.
    JobDefinition = 3,
    /// A scheduling policy.
    SchedulingPolicy = 4,
    /// A log group.
    LogGroup = 5,
}

/// Tags to set and to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagChange {
    /// On what.
    pub owner: TagOwner,
    /// Its row id.
    pub id: i64,
    /// Those it was made with, which count while none were ever changed.
    pub made_with: BTreeMap<String, String>,
    /// Set, whatever they were.
    pub set: BTreeMap<String, String>,
    /// Removed; what is not there is no error.
    pub remove: Vec<String>,
}

pub(super) fn write(t: &Transaction<'_>, write: &Write) -> Result<Written, StoreError> {
    match write {
        Write::Tags(change) => change_tags(t, change),
        Write::Logs(write) => Ok(Written::Logs(write_logs(t, write)?)),
    }
}

fn change_tags(t: &Transaction<'_>, change: &TagChange) -> Result<Written, StoreError> {
    let (kind, id) = (change.owner as i64, change.id);
    let sql = "SELECT tags FROM tag_set WHERE owner_kind = ?1 AND owner = ?2";
    let text: Option<String> = t.prepare_cached(sql)?.query_row([kind, id], |r| r.get(0)).optional()?;
    let mut tags = match text {
        Some(text) => tags_of(id, &text)?,
        None => change.made_with.clone(),
    };
    tags.retain(|key, _| !change.remove.contains(key));
    tags.extend(change.set.clone());
    if tags.len() > MAX_TAGS {
        return Ok(Written::TooManyTags(tags.len()));
    }
    let text = serde_json::to_string(&tags).expect("a map of texts");
    let sql = "INSERT OR REPLACE INTO tag_set (owner_kind, owner, tags) VALUES (?1, ?2, ?3)";
    t.prepare_cached(sql)?.execute(params![kind, id, text])?;
    Ok(Written::Done)
}

pub(super) fn tags_of(id: i64, text: &str) -> Result<BTreeMap<String, String>, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::Row { table: "tag_set", id, what: e.to_string() })
}
