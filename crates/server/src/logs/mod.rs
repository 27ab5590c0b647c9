//! Reading back what jobs wrote, and what clients write: log files, stored events, and CloudWatch Logs' operations over
//! them (spec infrastructure §9.4).
//!
//! [`Logs`] answers the operations; rows of groups and streams come through [`LogCatalog`] and change through
//! [`LogWriter`], events come from the files of jobs and from the event store. Everything here blocks: async callers go
//! through a blocking thread. Never here: writing log files (supervisors do), the rows themselves (the store).

pub mod catalog;
pub mod file;

mod api;
mod describe;
mod event_stream;
mod filter;
mod get;
mod groups;
mod merge;
mod pattern;
mod positions;
mod put;
mod source;
mod sweep;
mod tail;
mod writer;

#[cfg(test)]
pub(crate) mod testing;

pub use api::{LogStores, Logs};
pub use catalog::{
    GroupQuery, GroupRow, LogCatalog, LogWriter, RangeQuery, RemovedStreams, StreamOrder, StreamQuery,
    StreamRow,
};
