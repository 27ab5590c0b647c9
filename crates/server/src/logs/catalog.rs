//! What the operations need to know of groups and streams, as a trait that the store answers.
//!
//! Every query is bounded and continues after a row, so that nothing reads more than its page (invariant 9).

use crate::error::ApiError;
use std::path::PathBuf;

/// A log group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupRow {
    /// Its name.
    pub name: String,
    /// When it was made, wall milliseconds.
    pub created_ms: i64,
    /// Days after which events go; absent: never.
    pub retention_days: Option<i32>,
    /// Bytes of its streams' files, as far as their rows know.
    pub stored_bytes: i64,
}

/// A log stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamRow {
    /// Its group.
    pub group: String,
    /// Its name.
    pub name: String,
    /// When it was made, wall milliseconds. No event of it is older.
    pub created_ms: i64,
    /// The log file, relative to the data folder.
    pub path: PathBuf,
    /// Nothing will be appended any more. Until then the file knows the times and the row does not.
    pub done: bool,
    /// Time of the first event.
    pub first_event_ms: Option<i64>,
    /// Time of the last event.
    pub last_event_ms: Option<i64>,
}

/// Which groups, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupQuery<'a> {
    /// Names that begin so.
    pub prefix: Option<&'a str>,
    /// Names that hold this, upper and lower case told apart.
    pub contains: Option<&'a str>,
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
    /// The group.
    pub group: &'a str,
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

/// Which streams of a group may have events in a range of time, by `created_ms`, then by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeQuery<'a> {
    /// The group.
    pub group: &'a str,
    /// Names that begin so.
    pub prefix: Option<&'a str>,
    /// Without those that are done and whose last event is older (or that have none).
    pub start_ms: i64,
    /// Without those that were made later.
    pub end_ms: i64,
    /// Rows behind this one: its `created_ms` and name.
    pub after: Option<(i64, &'a str)>,
    /// At most so many.
    pub limit: usize,
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

    /// One stream.
    ///
    /// # Errors
    /// See the trait.
    fn stream(&self, group: &str, name: &str) -> Result<Option<StreamRow>, ApiError>;

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
}
