//! `batchyard wait`: come back when jobs have ended, or have got as far as asked.
//!
//! One DescribeJobs per 100 jobs a look. Never here: logs.

use super::client::Client;
use super::error::{CliError, FAILED, OK};
use super::follow::{Pace, Watcher};
use super::job::{Job, State};
use super::output::Console;
use super::rows::JobRow;
use super::{completion, select, units};
use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Wait for jobs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  batchyard wait last && echo good
  batchyard wait --wait-timeout 10m 3f2a 77b1
  batchyard wait 'train-*' --since 2h      those that have ended since then too
  id=$(batchyard run -d busybox -- sleep 5); batchyard wait --for=running $id

Exits with the job's own code, of several jobs the first that is not 0, in the order given; 124 when the time is over. \
A pattern or flags alone mean jobs that have not ended, with --since also those that have.")]
pub struct WaitArgs {
    /// Ids, beginnings of ids, ARNs, names (the newest), patterns ('train-*'), last, last:3, @tag=value
    #[arg(add = ArgValueCompleter::new(completion::jobs))]
    pub jobs: Vec<String>,
    /// Narrow the words.
    #[command(flatten)]
    pub filters: select::TimedFilters,
    /// What to wait for
    #[arg(long = "for", value_enum, default_value = "terminal")]
    pub until: Until,
    /// Longest time to wait (90s, 10m, 2h)
    #[arg(long, value_parser = units::duration)]
    pub wait_timeout: Option<Duration>,
}

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Until {
    /// The container runs, or the job has ended; code 1 when it failed without running.
    Running,
    /// SUCCEEDED; stops at the first job that failed.
    Succeeded,
    /// SUCCEEDED or FAILED.
    Terminal,
}

/// Runs the command.
pub fn run(args: &WaitArgs, client: &Client, console: &mut Console) -> Result<u8, CliError> {
    let selection = args.filters.with(&args.jobs)?;
    let jobs = select::jobs(client, &selection, select::Usual::OPEN)?;
    let ids = jobs.iter().map(|j| j.id().to_string()).collect();
    until(client, ids, args.until, args.wait_timeout, console)
}

/// Waits for jobs of these ids, tells what came of them, and gives the exit code.
pub fn until(
    client: &Client,
    ids: Vec<String>,
    until: Until,
    most: Option<Duration>,
    console: &mut Console,
) -> Result<u8, CliError> {
    let mut watcher = Watcher::new(client, ids);
    let mut pace = Pace::of(client);
    let deadline = most.map(|t| Instant::now() + t);
    let mut done_before = 0;
    loop {
        if let Some(jobs) = watcher.look()? {
            let done = jobs.iter().filter(|j| is_done(j, until)).count();
            let failed = until == Until::Succeeded && jobs.iter().any(|j| j.state() == Some(State::Failed));
            if done == jobs.len() || failed {
                return report(&jobs, until, console);
            }
            if done > done_before {
                pace.changed();
                done_before = done;
            }
            progress(console, &jobs, done);
        }
        let pause = pace.pause();
        match deadline.map(|d| d.saturating_duration_since(Instant::now())) {
            Some(Duration::ZERO) => {
                console.clear_progress();
                return Err(CliError::TimedOut("the time is over; the jobs go on".into()));
            }
            Some(left) => sleep(pause.min(left)),
            None => sleep(pause),
        }
    }
}

fn is_done(job: &Job, until: Until) -> bool {
    match until {
        Until::Running => job.state().is_some_and(|s| s >= State::Running),
        Until::Succeeded => job.state() == Some(State::Succeeded),
        Until::Terminal => job.has_ended(),
    }
}

fn progress(console: &mut Console, jobs: &[Job], done: usize) {
    match jobs {
        [job] => {
            let reason = job.reason().map(|r| format!(": {r}")).unwrap_or_default();
            console.progress(&format!("{} {}{reason}", job.name(), job.status()));
        }
        _ => console.progress(&format!("{done} of {} jobs", jobs.len())),
    }
}

fn report(jobs: &[Job], until: Until, console: &mut Console) -> Result<u8, CliError> {
    console.clear_progress();
    if console.format.is_some() || console.shape.is_asked() {
        console.list(&JobRow::of(jobs, units::now_ms()))?;
    } else {
        for job in jobs {
            let exit = job.exit_code().map(|c| format!(" exit {c}")).unwrap_or_default();
            let why = job.failure().map(|f| format!(": {f}")).unwrap_or_default();
            console.line(format!("{} {} {}{exit}{why}", job.id(), job.name(), job.status()))?;
        }
    }
    Ok(jobs.iter().map(|j| code(j, until)).find(|c| *c != OK).unwrap_or(OK))
}

fn code(job: &Job, until: Until) -> u8 {
    match job.state() {
        // It did run, whatever came of it.
        Some(State::Failed) if until == Until::Running && job.started().is_some() => OK,
        Some(State::Failed) if until == Until::Running => FAILED,
        Some(State::Succeeded | State::Failed) => job.process_code(),
        _ => OK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Format;
    use crate::cli::testing::{Captured, client_at, job, jobs_of, serve};
    use serde_json::json;

    fn wait(until: Until, words: &[&str], format: Option<Format>) -> (Result<u8, CliError>, String) {
        let mut bad = job("bb", "bad", "FAILED");
        bad["container"] = json!({"exitCode": 7});
        bad["startedAt"] = json!(1_700_000_000_001_i64);
        let jobs = vec![
            job("aa", "good", "SUCCEEDED"),
            bad,
            job("cc", "busy", "RUNNING"),
            job("dd", "never", "FAILED"),
            job("ee", "waits", "RUNNABLE"),
        ];
        let args = WaitArgs {
            jobs: words.iter().map(ToString::to_string).collect(),
            filters: select::TimedFilters::default(),
            until,
            wait_timeout: Some(Duration::from_millis(20)),
        };
        let captured = Captured::new(format);
        let code = run(&args, &client_at(&serve(jobs_of(jobs))), &mut captured.console());
        (code, captured.out())
    }

    fn code_of(until: Until, words: &[&str]) -> u8 {
        wait(until, words, None).0.unwrap_or_else(|e| e.exit_code())
    }

    #[test]
    fn the_code_is_the_jobs_own_and_the_first_that_is_not_0() {
        assert_eq!(code_of(Until::Terminal, &["good"]), 0);
        assert_eq!(code_of(Until::Terminal, &["bad"]), 7);
        assert_eq!(code_of(Until::Terminal, &["good", "bad", "never"]), 7);
        assert_eq!(code_of(Until::Terminal, &["never", "bad"]), 1);
    }

    #[test]
    fn time_over_is_124() {
        assert_eq!(code_of(Until::Terminal, &["good", "busy"]), 124);
        assert_eq!(code_of(Until::Running, &["waits"]), 124);
    }

    #[test]
    fn running_and_succeeded() {
        assert_eq!(code_of(Until::Running, &["busy", "good", "bad"]), 0);
        assert_eq!(code_of(Until::Running, &["never"]), 1);
        assert_eq!(code_of(Until::Succeeded, &["busy", "bad"]), 7, "no need to wait for the other");
        assert_eq!(code_of(Until::Succeeded, &["good"]), 0);
        assert_eq!(code_of(Until::Succeeded, &["busy"]), 124);
    }

    #[test]
    fn what_it_prints() {
        let (_, text) = wait(Until::Terminal, &["bad"], None);
        assert!(text.ends_with("bad FAILED exit 7\n"), "{text}");
        let (_, text) = wait(Until::Terminal, &["bad"], Some(Format::Json));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["jobs"][0]["exitCode"], 7);
    }
}
