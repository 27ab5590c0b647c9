//! Compute environments, job queues, scheduling policies and job definitions. Never here: the jobs that use them.

pub(crate) mod definitions;
pub(crate) mod environments;
pub(crate) mod policies;
pub(crate) mod queues;
pub(crate) mod settle;
