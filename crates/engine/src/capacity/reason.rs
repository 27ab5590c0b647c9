//! Why the head of a queue waits, in words (spec jobs §1.5, infrastructure §3.3). Never here: writing it.
//!
//! A reason has a cause and, where they help, the numbers of the moment it was written. Only another cause is worth
//! another write, so the cause is the text's beginning and can be found again in a row.

use crate::capacity::place::Obstacle;
use crate::resource::{ComputeEnvironment, LimitCause, Needs};
use std::fmt::{self, Write};

const INVALID: &str = "ACTION_REQUIRED - CE(s) associated with the job queue are invalid.";
const MAX_RESOURCE: &str = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - CE(s) associated with the job queue cannot \
     meet the CPU requirement of the job.";
const REQUIREMENT: &str = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource requirement (vCPU/memory/GPU) is \
     higher than that can be met by the CE(s) attached to the job queue.";

/// Why a head waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    cause: String,
    numbers: String,
    limit: Option<LimitCause>,
}

impl Reason {
    /// From what each environment of the queue has against a job with these needs.
    pub(crate) fn new(obstacles: &[(&ComputeEnvironment, Obstacle)], needs: Needs) -> Self {
        let all = |test: fn(Obstacle) -> bool| obstacles.iter().all(|(_, obstacle)| test(*obstacle));
        let fixed = |text: &str, limit| Self { cause: text.to_owned(), numbers: String::new(), limit };
        if all(|o| o == Obstacle::Invalid) {
            fixed(INVALID, None)
        } else if all(|o| o == Obstacle::MaxTooSmall) {
            fixed(MAX_RESOURCE, Some(LimitCause::MaxResource))
        } else if all(|o| matches!(o, Obstacle::MaxTooSmall | Obstacle::HostsTooSmall)) {
            fixed(REQUIREMENT, Some(LimitCause::Requirement))
        } else {
            let limit = all(|o| o == Obstacle::NoHost).then_some(LimitCause::Capacity);
            Self { cause: causes(obstacles), numbers: numbers(obstacles, needs), limit }
        }
    }

    /// Whether a row's text already gives this cause, with whatever numbers.
    pub(crate) fn is_told_by(&self, text: &str) -> bool {
        text.starts_with(&self.cause)
    }

    /// What a time limit of the queue may be set for, where this is such a cause.
    pub(crate) fn limit_cause(&self) -> Option<LimitCause> {
        self.limit
    }

    /// The text for the row.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.cause, self.numbers)
    }
}

/// Ends in a semicolon, so that no cause is the beginning of another.
fn causes(obstacles: &[(&ComputeEnvironment, Obstacle)]) -> String {
    let mut text = String::from("waits for room: ");
    for (n, (environment, obstacle)) in obstacles.iter().enumerate() {
        let comma = if n == 0 { "" } else { ", " };
        let words = match obstacle {
            Obstacle::Invalid => "is not valid",
            Obstacle::Disabled => "is disabled",
            Obstacle::OtherPlatform => "runs another kind of job",
            Obstacle::MaxTooSmall => "has a maxvCpus below what the job needs",
            Obstacle::NoHost => "has no host",
            Obstacle::HostsTooSmall => "has no host that is large enough",
            Obstacle::AtMax { .. } => "has reached its maxvCpus",
            Obstacle::HostsBusy(_) => "has no host with room",
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}environment {} {words}", environment.name);
    }
    text.push(';');
    text
}

fn numbers(obstacles: &[(&ComputeEnvironment, Obstacle)], needs: Needs) -> String {
    let mut text = format!(" needs {} vCPU and {} MiB", Vcpus(needs.vcpus_milli.into()), needs.memory_mib);
    if needs.gpus > 0 {
        let _ = write!(text, " and {} GPU", needs.gpus);
    }
    for (environment, obstacle) in obstacles {
        let name = &environment.name;
        let _ = match obstacle {
            Obstacle::AtMax { free_milli, max_milli } => {
                write!(text, ", {name} has {} of {} vCPU free", Vcpus(*free_milli), Vcpus(*max_milli))
            }
            Obstacle::HostsBusy(room) => {
                let (vcpus, memory) = (Vcpus(room.vcpus_milli), room.memory_mib);
                write!(text, ", {name} has at most {vcpus} vCPU and {memory} MiB free on a host")
            }
            _ => Ok(()),
        };
    }
    text
}

/// Thousandths of a vCPU as people write them: `2`, `0.25`.
struct Vcpus(u64);

impl fmt::Display for Vcpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1000, self.0 % 1000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        write!(f, "{whole}.{}", format!("{rest:03}").trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::Vcpus;

    #[test]
    fn vcpus_read_like_a_person_writes_them() {
        let texts = [0, 250, 500, 1000, 2050, 16000, 1].map(|n| Vcpus(n).to_string());
        assert_eq!(texts, ["0", "0.25", "0.5", "1", "2.05", "16", "0.001"]);
    }
}
