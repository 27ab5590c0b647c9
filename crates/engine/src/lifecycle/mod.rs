//! A job's way through the engine: submitted, reported on, stopped, ended. Never here: which job is placed next.

pub(crate) mod array;
pub(crate) mod depend;
pub(crate) mod finish;
pub(crate) mod report;
pub(crate) mod stop;
pub(crate) mod submit;
