//! What each operation does: one handler per operation, a file per resource.
//!
//! A handler gets valid, typed input, reads what it needs from the store, and asks the core for one command. Never
//! here: HTTP, signatures, rows, decisions of the life cycle.

mod compute_environments;
mod input;
mod job_definitions;
mod job_queues;
pub mod jobs;
mod known;
mod page;
mod scheduling_policies;
mod service;
pub mod sts;
mod tags;

pub use service::Service;

use crate::error::{ApiError, ErrorKind};
use batchyard_engine::{Refusal, Reply};

/// Tries of a command whose facts have changed under it, before the caller is told to try again.
const STALE_TRIES: usize = 64;

/// A refusal of the engine as an answer.
fn refused(refusal: Refusal) -> ApiError {
    ApiError::client(refusal.message)
}

/// An answer of the engine that its command can't have: a mistake of ours.
fn unexpected(reply: &Reply) -> ApiError {
    tracing::error!(?reply, "the engine gave an answer that does not fit the command");
    ApiError::server()
}

/// A command that stayed stale however often it was tried.
fn contended() -> ApiError {
    ApiError::new(ErrorKind::TooManyRequests, "Too Many Requests")
}
