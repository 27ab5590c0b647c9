//! The wire types of the AWS services that Batchyard speaks, their operation tables and their limits, and the
//! names (ARNs, job ids) that travel in them. Nothing here does I/O or knows what an operation does.
//!
//! `batch`, `logs` and `sts` each hold structs named as AWS names them, generated from `data/` by
//! `cargo xtask codegen`; everything else is written by hand.

pub mod arn;
pub mod batch;
pub mod ids;
pub mod limits;
pub mod logs;
mod object;
pub mod operation;
pub mod sts;
pub mod validate;

pub use arn::{Arn, ArnError, ArnKind, ArnResource, DefinitionReference, Reference, name_or_arn};
pub use ids::{JobId, JobPart, TaskId, Uuid};
pub use operation::{AccessLevel, ErrorCode, Operation, Resource};
pub use validate::{Check, Rule, Validate, Violation, Violations};
