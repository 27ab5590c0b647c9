//! Compute environments, job queues and job definitions. Never here: the jobs that use them.

pub(crate) mod definitions;
pub(crate) mod environments;
pub(crate) mod queues;
