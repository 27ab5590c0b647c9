//! `batchyard ps`: the jobs of all queues in one list.
//!
//! One ListJobs a queue and state; no DescribeJobs where no job is named, since the summaries hold all that is shown.
//! Never here: how a row looks (rows.rs), what names a job (select.rs).

use super::client::Client;
use super::client::calls::Depth;
use super::error::CliError;
use super::job::{Job, State};
use super::output::{Console, Format};
use super::rows::JobRow;
use super::select::{self, Usual};
use super::{completion, units};
use clap::Args;
use clap_complete::ArgValueCompleter;
use std::thread::sleep;
use std::time::Duration;

/// List jobs, newest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  batchyard ps                            everything that has not ended
  batchyard ps -a --queue default -o wide
  batchyard ps 'train-*' @project=demo --since 2h --columns id,name,exit
  batchyard ps --status FAILED -o json | jq -r '.jobs[] | [.id, .exitCode, .reason] | @tsv'

With --since what has ended is listed too. Words and tags cost a DescribeJobs for each hundred jobs.")]
pub struct PsArgs {
    /// Ids, beginnings of ids, ARNs, names (the newest), patterns ('train-*'), last, last:3, @tag=value
    #[arg(add = ArgValueCompleter::new(completion::jobs))]
    pub jobs: Vec<String>,
    /// Ended jobs too
    #[arg(short, long)]
    pub all: bool,
    /// Narrow the words.
    #[command(flatten)]
    pub filters: select::TimedFilters,
    /// Most jobs of each queue and state, newest first; 0 for all
    #[arg(long, default_value_t = 1000)]
    pub limit: usize,
    /// Show the list again and again
    #[arg(short, long)]
    pub watch: bool,
    /// Time between two looks with --watch
    #[arg(long, default_value = "2s", value_parser = units::duration, requires = "watch")]
    pub interval: Duration,
}

/// Runs the command.
pub fn run(args: &PsArgs, client: &Client, console: &mut Console) -> Result<u8, CliError> {
    if !args.watch {
        let jobs = jobs(args, client, console)?;
        console.list(&JobRow::of(&jobs, units::now_ms()))?;
        if jobs.is_empty() && console.format() == Format::Table {
            let open = !args.all && args.filters.filters.status.is_empty() && args.filters.since.is_none();
            console.note(if open { "no open jobs; -a shows ended ones" } else { "no jobs" });
        }
        return Ok(0);
    }
    if !matches!(console.format(), Format::Table | Format::Wide) {
        return Err(CliError::Usage("--watch shows tables only; leave -o out or use -o wide".into()));
    }
    loop {
        let jobs = jobs(args, client, console)?;
        let table = console.table(&JobRow::of(&jobs, units::now_ms()), console.format() == Format::Wide);
        let clear = if console.width.is_some() { "\x1b[H\x1b[2J" } else { "" };
        console.print(&format!(
            "{clear}{} jobs at {}\n{table}\n",
            jobs.len(),
            units::stamp(units::now_ms())
        ))?;
        sleep(args.interval.max(Duration::from_millis(100)));
    }
}

fn jobs(args: &PsArgs, client: &Client, console: &mut Console) -> Result<Vec<Job>, CliError> {
    let filters = &args.filters.filters;
    if args.all && !filters.status.is_empty() {
        return Err(CliError::Usage("--status says already which states; leave -a out".into()));
    }
    let selection = args.filters.with(&args.jobs)?;
    if !(selection.words.is_empty() && selection.tags.is_empty()) {
        return select::find(client, &selection, if args.all { Usual::ALL } else { Usual::OPEN });
    }
    let states: &[State] = match (&filters.status[..], args.all || selection.since.is_some()) {
        ([], false) => &State::OPEN,
        ([], true) => &State::ALL,
        (some, _) => some,
    };
    let depth = if args.limit == 0 { Depth::All } else { Depth::First(args.limit) };
    let mut jobs: Vec<Job> = Vec::new();
    let mut cut = false;
    for queue in client.queue_names(&filters.queue)? {
        for state in states {
            let listed = client.list_jobs(&queue, *state, depth)?;
            cut |= listed.cut;
            jobs.extend(listed.jobs);
        }
    }
    if cut {
        console.note(format!("more than {} jobs of a queue and state; --limit 0 shows all", args.limit));
    }
    jobs.retain(|j| selection.fits(j));
    Ok(select::once_each(jobs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{Captured, client_at, job, jobs_of, serve};
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: PsArgs,
    }

    fn ps(words: &[&str], format: Format) -> (Result<u8, CliError>, String, String) {
        let args = Line::try_parse_from(["ps"].iter().chain(words)).unwrap().args;
        let url = serve(jobs_of(vec![
            job("aa", "one", "RUNNING"),
            job("bb", "two", "RUNNABLE"),
            job("cc", "three", "FAILED"),
            job("dd", "four", "RUNNING"),
        ]));
        let captured = Captured::new(Some(format));
        let code = run(&args, &client_at(&url), &mut captured.console());
        (code, captured.out(), captured.err())
    }

    #[test]
    fn open_jobs_by_default_and_all_with_a() {
        assert_eq!(ps(&[], Format::Id).1.lines().count(), 3);
        assert_eq!(ps(&["-a"], Format::Id).1.lines().count(), 4);
        assert_eq!(ps(&["--status", "failed"], Format::Id).1.lines().count(), 1);
    }

    #[test]
    fn the_queue_is_named_though_summaries_do_not_say_it() {
        let (_, out, _) = ps(&[], Format::Json);
        let document: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(document["jobs"][0]["queue"], "default");
    }

    #[test]
    fn a_limit_is_said_when_it_cuts() {
        let (_, out, err) = ps(&["--limit", "1", "--status", "RUNNING"], Format::Id);
        assert_eq!(out.lines().count(), 1);
        assert!(err.contains("--limit 0"), "{err}");
    }

    #[test]
    fn an_unknown_queue_is_not_found() {
        assert_eq!(ps(&["--queue", "nope"], Format::Table).0.unwrap_err().exit_code(), 3);
        assert_eq!(ps(&["--watch"], Format::Json).0.unwrap_err().exit_code(), 2);
    }

    #[test]
    fn a_job_seen_in_two_states_is_shown_in_the_later() {
        let jobs = ["RUNNABLE", "RUNNING", "STARTING"].map(|s| Job::new(job("aa", "x", s)));
        let once = select::once_each(jobs.to_vec());
        assert_eq!(once.len(), 1);
        assert_eq!(once[0].status(), "RUNNING");
    }
}
