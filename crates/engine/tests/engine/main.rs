//! The engine from outside: scenarios that name the section of the spec they follow, and a seeded simulation.

mod arrays;
mod backlog;
mod common;
mod depends;
mod life;
mod placing;
mod policies;
mod reasons;
mod resources;
mod restart;
mod retries;
mod shares;
mod simulation;
mod snapshot;
mod stopping;
mod time_limits;
