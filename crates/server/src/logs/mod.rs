//! Reading back what jobs wrote: log files, and CloudWatch Logs' operations over them (spec infrastructure §9.4).
//!
//! [`Logs`] answers the operations; rows of groups and streams come through [`LogCatalog`], events from the files.
//! Everything here blocks: async callers go through a blocking thread. Never here: writing log files (supervisors do),
//! the rows themselves (the store).

pub mod catalog;
pub mod file;

mod api;
mod describe;
mod filter;
mod get;
mod pattern;
mod positions;

#[cfg(test)]
pub(crate) mod testing;

pub use api::Logs;
pub use catalog::{GroupQuery, GroupRow, LogCatalog, RangeQuery, StreamOrder, StreamQuery, StreamRow};
