//! Shared pieces of the yardsticks: SigV4 (both sides), a group-committed log, command-line flags, statistics.
//!
//! Never here: anything of batchyard itself. A limit is what a machine can do with the same work and no product.

pub mod flags;
pub mod group;
pub mod sigv4;
pub mod stats;
