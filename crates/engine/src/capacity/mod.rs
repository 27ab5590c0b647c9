//! Where jobs run: which queues compete for what, which host takes a job, and why none does. Never here: the order of
//! jobs within a queue.

pub(crate) mod group;
pub(crate) mod host;
pub(crate) mod pass;
pub(crate) mod place;
pub(crate) mod reason;
