//! Tests of the image store, against archives that they make themselves.
//!
//! Most need root, as unpacking does; without it they say so and pass. Never touches anything outside of
//! temporary folders.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attacks;
mod builtins;
mod imports;
pub(super) mod kills;
mod pruning;
mod references;
mod storing;
mod support;
mod unpacking;
