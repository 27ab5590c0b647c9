//! The server of Batchyard and the command line beside it; `main` only calls in here.

pub mod compute;
pub mod error;
pub mod logs;
