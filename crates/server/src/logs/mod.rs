//! Reading back what jobs wrote: log files, and CloudWatch Logs' operations over them.
//!
//! Never here: writing log files (supervisors do), the rows of groups and streams (the store).

pub mod file;

#[cfg(test)]
pub mod testing;
