//! What the operations need to know and change of groups and streams, as traits that the store answers.
//!
//! Every query is bounded and continues after a row, so that nothing reads more than its page (invariant 9).

use crate::error::ApiError;
use crate::store::{LogWrite, LogWritten, TagChange};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A log group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupRow {
    /// Its row id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// When it was made, wall milliseconds.
    pub created_ms: i64,
    /// Days after which events go; absent: never.
    pub retention_days: Option<i32>,
    /// Bytes of its streams, as far as their rows know.
    pub stored_bytes: i64,
    /// `logGroupClass`.
    pub class: String,
    /// It may not be deleted.
    pub protected: bool,
}

/// A log stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamRow {
    /// Its row id, by which the event store knows it.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// When it was made, wall milliseconds.
    pub created_ms: i64,
    /// The log file, relative to the data folder. Empty: events are in the event store, if there are any.
    pub path: PathBuf,
    /// The row knows the times. While a job writes the stream, only its file does.
    pub done: bool,
    /// Time of the first event.
    pub first_event_ms: Option<i64>,
    /// Time of the last event.
    pub last_event_ms: Option<i64>,
    /// When the last events came from a client, wall milliseconds.
    pub ingested_ms: Option<i64>,
    /// No event is older.
    pub begin_ms: i64,
    /// No event is newer.
    pub until_ms: i64,
    /// The class of its length in time (`store::schema`); none: nothing is in it.
    pub span: Option<i64>,
}

/// Where a stream stands among those of a range; see [`RangeQuery`].
pub type StreamKey = (i64, i64, String);

impl StreamRow {
    /// Its place in the order of a range.
    pub fn key(&self, newest_first: bool) -> StreamKey {
        let first = if newest_first { self.until_ms } else { self.begin_ms };
        (first, self.begin_ms, self.name.clone())
    }
}

/// Which groups, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupQuery<'a> {
    /// Names that begin so.
    pub prefix: Option<&'a str>,
    /// Names that hold this, upper and lower case told apart.
    pub contains: Option<&'a str>,
    /// Of this class.
    pub class: Option<&'a str>,
    /// Names behind this one.
    pub after: Option<&'a str>,
    /// At most so many.
    pub limit: usize,
}

/// The order of streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StreamOrder {
    /// By name.
    #[default]
    Name,
    /// By `last_event_ms`, or `created_ms` where there is none, then by name.
    LastEvent,
}

/// Which streams of a group, in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamQuery<'a> {
    /// The group's row id.
    pub group: i64,
    /// Names that begin so.
    pub prefix: Option<&'a str>,
    /// The order.
    pub order: StreamOrder,
    /// Last first; names too.
    pub descending: bool,
    /// Rows behind this one in that order: the time that it was sorted by (0 in the order of names) and its name.
    pub after: Option<(i64, &'a str)>,
    /// At most so many.
    pub limit: usize,
}

/// Which streams of a group may have events in a range of time: by `begin_ms`, or newest first by `until_ms` and then
/// `begin_ms` (and by name at last).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeQuery<'a> {
    /// The group's row id.
    pub group: i64,
    /// Names that begin so.
    pub prefix: Option<&'a str>,
    /// Without those whose last event is older.
    pub start_ms: i64,
    /// Without those that begin later.
    pub end_ms: i64,
    /// The order.
    pub newest_first: bool,
    /// Rows behind this one.
    pub after: Option<StreamKey>,
    /// At most so many.
    pub limit: usize,
}

/// What was removed and not cleared away yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemovedStreams {
    /// Some streams.
    pub streams: Vec<StreamRow>,
    /// There are removed groups.
    pub groups: bool,
}

/// Rows of groups and streams. Errors of all: a [`crate::error::ErrorKind::Server`], its cause logged.
pub trait LogCatalog: Send + Sync {
    /// The group of this name.
    ///
    /// # Errors
    /// See the trait.
    fn group(&self, name: &str) -> Result<Option<GroupRow>, ApiError>;

    /// Groups by name.
    ///
    /// # Errors
    /// See the trait.
    fn groups(&self, query: &GroupQuery<'_>) -> Result<Vec<GroupRow>, ApiError>;

    /// One stream of a group.
    ///
    /// # Errors
    /// See the trait.
    fn stream(&self, group: i64, name: &str) -> Result<Option<StreamRow>, ApiError>;

    /// Streams of a group.
    ///
    /// # Errors
    /// See the trait.
    fn streams(&self, query: &StreamQuery<'_>) -> Result<Vec<StreamRow>, ApiError>;

    /// Streams of a group that may have events in a range of time.
    ///
    /// # Errors
    /// See the trait.
    fn streams_in_range(&self, query: &RangeQuery<'_>) -> Result<Vec<StreamRow>, ApiError>;

    /// Streams of a group that no job writes and that have events before a time, or have nothing else.
    ///
    /// # Errors
    /// See the trait.
    fn expired(&self, group: i64, before_ms: i64, limit: usize) -> Result<Vec<StreamRow>, ApiError>;

    /// Streams that were removed, or whose group was.
    ///
    /// # Errors
    /// See the trait.
    fn removed(&self, limit: usize) -> Result<RemovedStreams, ApiError>;

    /// Whether there is a stream of this row id, removed or not.
    ///
    /// # Errors
    /// See the trait.
    fn has_stream(&self, id: i64) -> Result<bool, ApiError>;

    /// A group's tags.
    ///
    /// # Errors
    /// See the trait.
    fn group_tags(&self, group: i64) -> Result<BTreeMap<String, String>, ApiError>;
}

/// Changes rows of groups and streams. Blocks until the change is durable.
pub trait LogWriter: Send + Sync {
    /// Changes rows.
    ///
    /// # Errors
    /// The store takes no writes; the cause is logged.
    fn write(&self, write: LogWrite) -> Result<LogWritten, ApiError>;

    /// Changes tags. None: done; else the number of tags that it would have left, which is too many.
    ///
    /// # Errors
    /// The store takes no writes; the cause is logged.
    fn tag(&self, change: TagChange) -> Result<Option<usize>, ApiError>;
}
