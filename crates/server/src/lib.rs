//! The server of Batchyard and the command line beside it; `main` only calls in here.

pub mod api;
pub mod clock;
pub mod core;
pub mod error;
pub mod http;
pub mod iam;
pub mod store;
