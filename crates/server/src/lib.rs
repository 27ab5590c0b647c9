//! The server of Batchyard and the command line beside it; `main` only calls in here.

pub mod api;
pub mod cli;
pub mod clock;
pub mod compute;
pub mod config;
pub mod core;
pub mod crash;
pub mod effects;
pub mod error;
pub mod http;
pub mod iam;
pub mod images;
pub mod logs;
pub mod registry;
pub mod rootless;
pub mod start;
pub mod store;
pub mod trash;
pub mod wire;
