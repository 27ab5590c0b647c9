//! What the tests are written with. Never here: expectations.

pub mod random;
pub mod store;
pub mod words;
pub mod world;

pub use world::World;
