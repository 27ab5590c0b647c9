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
    let mut rate = Rate::default();
    loop {
        if let Some(jobs) = watcher.look()? {
            rate.look(&jobs);
            let done = jobs.iter().filter(|j| is_done(j, until)).count();
            let failed = until == Until::Succeeded && jobs.iter().any(|j| j.state() == Some(State::Failed));
            if done == jobs.len() || failed {
                return report(&jobs, until, console);
            }
            if done > done_before {
                pace.changed();
                done_before = done;
            }
            progress(console, &jobs, done, &rate);
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

/// How fast the children of arrays end, since the first look.
#[derive(Default)]
struct Rate {
    began: Option<(Instant, i64)>,
    ended: i64,
}

impl Rate {
    fn look(&mut self, jobs: &[Job]) {
        self.ended = jobs.iter().filter_map(children).map(|c| c.succeeded + c.failed).sum();
        self.began.get_or_insert((Instant::now(), self.ended));
    }

    /// Children a second; nothing before it can be told.
    fn per_second(&self) -> Option<f64> {
        let (began, before) = self.began?;
        let (seconds, ended) = (began.elapsed().as_secs_f64(), self.ended - before);
        (ended > 0 && seconds > 0.5).then(|| ended as f64 / seconds)
    }
}

/// How the children of an array stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Children {
    size: i64,
    succeeded: i64,
    failed: i64,
}

fn children(job: &Job) -> Option<Children> {
    let count = |state: &str| job.number(&format!("/arrayProperties/statusSummary/{state}"));
    let (succeeded, failed) = (count("SUCCEEDED")?, count("FAILED")?);
    Some(Children { size: job.number("/arrayProperties/size")?, succeeded, failed })
}

/// Characters of a bar.
const BAR: usize = 24;

/// `[####----] 250 of 1000 (3 failed), 41/s, 18s left`.
fn bar(children: Children, rate: Option<f64>) -> String {
    let ended = children.succeeded + children.failed;
    let share = if children.size > 0 { ended as f64 / children.size as f64 } else { 1.0 };
    let full = ((share * BAR as f64) as usize).min(BAR);
    let failed = if children.failed > 0 { format!(" ({} failed)", children.failed) } else { String::new() };
    let pace = rate.map_or(String::new(), |rate| {
        let left = ((children.size - ended).max(0) as f64 * 1000.0 / rate) as i64;
        format!(", {rate:.0}/s, {} left", units::length(left))
    });
    format!("[{}{}] {ended} of {}{failed}{pace}", "#".repeat(full), "-".repeat(BAR - full), children.size)
}

fn progress(console: &mut Console, jobs: &[Job], done: usize, rate: &Rate) {
    let arrays: Vec<(&Job, Children)> = jobs.iter().filter_map(|j| Some((j, children(j)?))).collect();
    match (jobs, arrays.as_slice()) {
        ([_], [(job, children)]) => {
            return console.progress(&format!("{} {}", job.name(), bar(*children, rate.per_second())));
        }
        (_, [_, ..]) => {
            let sum = |of: fn(&Children) -> i64| arrays.iter().map(|(_, children)| of(children)).sum();
            let all = Children {
                size: sum(|c| c.size),
                succeeded: sum(|c| c.succeeded),
                failed: sum(|c| c.failed),
            };
            let bar = bar(all, rate.per_second());
            return console.progress(&format!("{done} of {} jobs; children {bar}", jobs.len()));
        }
        _ => {}
    }
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
    fn a_bar_tells_how_far_an_array_is() {
        let children = |succeeded, failed| Children { size: 1000, succeeded, failed };
        assert_eq!(bar(children(0, 0), None), format!("[{}] 0 of 1000", "-".repeat(24)));
        let text = bar(children(497, 3), Some(50.0));
        assert_eq!(
            text,
            format!("[{}{}] 500 of 1000 (3 failed), 50/s, 10s left", "#".repeat(12), "-".repeat(12))
        );
    }

    #[test]
    fn what_it_prints() {
        let (_, text) = wait(Until::Terminal, &["bad"], None);
        assert!(text.ends_with("bad FAILED exit 7\n"), "{text}");
        let (_, text) = wait(Until::Terminal, &["bad"], Some(Format::Json));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["jobs"][0]["exitCode"], 7);
    }
}
