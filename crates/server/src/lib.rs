//! Placeholder.
pub mod images;
