//! The options of a job, on the command line of `submit` and on `#BATCH` lines alike.
//!
//! Never here: what they become in a request (request.rs).

use crate::cli::{completion, units};
use clap::Args;
use clap_complete::ArgValueCompleter;
use std::path::PathBuf;
use std::time::Duration;

/// What is said of a job; what is absent is left to the job file or the definition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "The job; on #BATCH lines too")]
pub struct JobFlags {
    /// Name of the job; from the definition or the file when absent
    #[arg(long)]
    pub name: Option<String>,
    /// Job queue; `default` when absent
    #[arg(long, add = ArgValueCompleter::new(completion::queues))]
    pub queue: Option<String>,
    /// Image, for a job without a definition of its own
    #[arg(long)]
    pub image: Option<String>,
    /// Definition: NAME, NAME:REVISION or ARN
    #[arg(long, value_name = "DEF")]
    pub definition: Option<String>,
    /// vCPUs; parts of one (0.25) in Fargate queues only
    #[arg(long, value_parser = vcpus)]
    pub cpus: Option<String>,
    /// Memory: MiB, or with a unit (512m, 2g)
    #[arg(long, value_parser = units::mebibytes)]
    pub memory: Option<u64>,
    /// GPUs
    #[arg(long)]
    pub gpus: Option<u32>,
    /// Environment variable; NAME alone takes this shell's value; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// File of NAME=VALUE lines; --env goes before it; may be repeated
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// Value for Ref::NAME in the command; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub parameter: Vec<String>,
    /// Tag of the job; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub tag: Vec<String>,
    /// Attempts in all, 1 to 10
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub attempts: Option<u32>,
    /// Attempts after the first, 0 to 9
    #[arg(long, conflicts_with = "attempts", value_parser = clap::value_parser!(u32).range(0..=9))]
    pub retries: Option<u32>,
    /// Longest time of an attempt (90s, 10m, 2h); AWS wants at least 60s
    #[arg(long, value_parser = units::duration)]
    pub timeout: Option<Duration>,
    /// Children of an array job, at least 2; each finds its number in AWS_BATCH_JOB_ARRAY_INDEX
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub array: Option<u32>,
    /// Job that has to succeed first, named as by other commands; may be repeated
    #[arg(long, value_name = "JOB", add = ArgValueCompleter::new(completion::jobs))]
    pub after: Vec<String>,
    /// Share identifier, for queues with a scheduling policy
    #[arg(long, value_name = "ID")]
    pub share: Option<String>,
    /// Priority inside its share, 0 to 9999
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=9999))]
    pub priority: Option<u32>,
    /// With --image: folder of the host to mount; may be repeated
    #[arg(short = 'v', long, value_name = "SRC:DST[:ro]")]
    pub mount: Vec<String>,
    /// With --image: user inside the container, name or number, with :GROUP
    #[arg(short, long)]
    pub user: Option<String>,
}

impl JobFlags {
    /// These flags where they say something, those below where not. Of what may be repeated both count, these last,
    /// so that they win where names are equal.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        let both = |below: Vec<String>, own: Vec<String>| below.into_iter().chain(own).collect();
        // Two ways to say one thing: what is said above in either hides both.
        let (attempts, retries) = match (self.attempts, self.retries) {
            (None, None) => (below.attempts, below.retries),
            own => own,
        };
        let (image, definition) = match (self.image, self.definition) {
            (None, None) => (below.image, below.definition),
            own => own,
        };
        Self {
            name: self.name.or(below.name),
            queue: self.queue.or(below.queue),
            image,
            definition,
            cpus: self.cpus.or(below.cpus),
            memory: self.memory.or(below.memory),
            gpus: self.gpus.or(below.gpus),
            env: both(below.env, self.env),
            env_file: below.env_file.into_iter().chain(self.env_file).collect(),
            parameter: both(below.parameter, self.parameter),
            tag: both(below.tag, self.tag),
            attempts,
            retries,
            timeout: self.timeout.or(below.timeout),
            array: self.array.or(below.array),
            after: both(below.after, self.after),
            share: self.share.or(below.share),
            priority: self.priority.or(below.priority),
            mount: both(below.mount, self.mount),
            user: self.user.or(below.user),
        }
    }
}

fn vcpus(text: &str) -> Result<String, String> {
    let text = text.trim();
    let good = text.parse::<f64>().is_ok_and(|n| n > 0.0 && n < 1e6);
    let plain = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    if good && plain {
        Ok(text.into())
    } else {
        Err(format!("`{text}` is no number of vCPUs; write 1, 2 or 0.25"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_above_win_and_lists_add_up() {
        let below = JobFlags {
            cpus: Some("1".into()),
            name: Some("b".into()),
            attempts: Some(3),
            image: Some("i".into()),
            env: vec!["A=1".into()],
            ..JobFlags::default()
        };
        let own = JobFlags {
            cpus: Some("2".into()),
            retries: Some(0),
            definition: Some("d".into()),
            env: vec!["A=2".into()],
            ..JobFlags::default()
        };
        let both = own.over(below);
        assert_eq!((both.cpus.as_deref(), both.name.as_deref()), (Some("2"), Some("b")));
        assert_eq!((both.attempts, both.retries), (None, Some(0)));
        assert_eq!((both.image, both.definition.as_deref()), (None, Some("d")));
        assert_eq!(both.env, ["A=1", "A=2"]);
    }

    #[test]
    fn vcpus_may_be_parts() {
        assert_eq!(vcpus("0.25"), Ok("0.25".into()));
        for bad in ["", "0", "-1", "1e3", "x", "inf"] {
            assert!(vcpus(bad).is_err(), "{bad}");
        }
    }
}
