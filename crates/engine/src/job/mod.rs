//! One job: its life cycle, its retries, how its end is told. Never here: queues and hosts.

pub mod retry;
pub mod status;
