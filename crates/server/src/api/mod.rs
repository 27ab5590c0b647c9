//! One handler per operation, a file per resource. Handlers read the store, send the engine commands and build
//! answers; they never decide what happens next and never write rows.

pub mod sts;
