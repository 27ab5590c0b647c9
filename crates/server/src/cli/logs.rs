//! `batchyard logs`: what jobs wrote.
//!
//! Never here: pages and tokens (follow.rs).

use super::client::Client;
use super::client::calls::Event;
use super::error::CliError;
use super::follow::{Pace, Tail, Watcher};
use super::job::Job;
use super::output::{Console, Format};
use super::{completion, select, units};
use clap::Args;
use clap_complete::ArgValueCompleter;
use serde_json::json;
use std::collections::VecDeque;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Widest name before a line.
const LABEL: usize = 30;

/// Show what jobs wrote.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  batchyard logs last
  batchyard logs -f nightly               until the job has ended
  batchyard logs 3f2a --attempt 1 --tail 20 --timestamps
  batchyard logs 'train-*' --status FAILED --tail 5

Of several jobs each line has its job's name before it. --since is about lines, not about jobs.")]
pub struct LogsArgs {
    /// Ids, beginnings of ids, ARNs, names (the newest), patterns ('train-*'), last, last:3, @tag=value
    #[arg(add = ArgValueCompleter::new(completion::jobs))]
    pub jobs: Vec<String>,
    /// Narrow the words.
    #[command(flatten)]
    pub filters: select::Filters,
    /// Go on until the jobs have ended and their logs are read
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last lines of each job
    #[arg(short = 'n', long)]
    pub tail: Option<usize>,
    /// Only lines not older than this (10m, 2h)
    #[arg(long, value_parser = units::duration)]
    pub since: Option<Duration>,
    /// Only this attempt, from 1
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub attempt: Option<u16>,
    /// Time before each line
    #[arg(short, long)]
    pub timestamps: bool,
}

/// A job whose log is shown.
struct Shown<'a> {
    id: String,
    tail: Tail<'a>,
    printer: Printer,
    /// When its end was seen first.
    ended: Option<Instant>,
    done: bool,
}

/// Runs the command.
pub fn run(args: &LogsArgs, client: &Client, console: &mut Console) -> Result<u8, CliError> {
    let selection = args.filters.with(&args.jobs, None)?;
    let jobs = select::jobs(client, &selection, select::Usual::ALL)?;
    let since = args.since.map(|d| units::now_ms() - i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
    let mut shown: Vec<Shown<'_>> = Vec::new();
    let mut without: Vec<String> = Vec::new();
    for (job, label) in jobs.iter().zip(labels(&jobs)) {
        let tail = Tail::new(client, since, args.attempt.map(usize::from));
        if !args.follow && !tail.has_log(job) {
            without.push(no_log(args, job));
            continue;
        }
        let id = job.id().to_string();
        let of_several = (jobs.len() > 1).then(|| id.clone());
        let printer = Printer { timestamps: args.timestamps, format: console.format, label, of_several };
        let mut one = Shown { id, tail, printer, ended: None, done: job.has_ended() };
        one.first(args.tail, job, console)?;
        shown.push(one);
    }
    match (without.as_slice(), shown.is_empty()) {
        ([], _) => {}
        ([why], true) => return Err(CliError::NotFound(why.clone())),
        (all, true) => {
            return Err(CliError::NotFound(format!("none of these {} jobs has such a log", all.len())));
        }
        ([why], false) => console.note(why),
        (some, false) => console.note(format!("{} of {} jobs have no such log", some.len(), jobs.len())),
    }
    if args.follow {
        follow(client, console, shown)?;
    }
    Ok(0)
}

/// What stands before the lines of each job: nothing where there is one job, else its name, and the beginning of its
/// id where names are not enough.
fn labels(jobs: &[Job]) -> Vec<String> {
    if jobs.len() < 2 {
        return vec![String::new(); jobs.len()];
    }
    let ids: Vec<&str> = jobs.iter().map(Job::id).collect();
    let short = select::short_ids(&ids);
    let alone = |job: &Job| jobs.iter().filter(|j| j.name() == job.name()).count() == 1;
    let label = |(job, id): (&Job, String)| {
        if alone(job) { job.name().to_string() } else { format!("{} {id}", job.name()) }
    };
    let labels: Vec<String> = jobs.iter().zip(short).map(label).collect();
    let width = labels.iter().map(|l| l.chars().count()).max().unwrap_or(0).min(LABEL);
    labels.into_iter().map(|l| format!("{l:<width$} | ")).collect()
}

impl Shown<'_> {
    /// What there is already, or its last lines.
    fn first(&mut self, lines: Option<usize>, job: &Job, console: &mut Console) -> Result<(), CliError> {
        let printer = &self.printer;
        let Some(lines) = lines else {
            return self.tail.read(job, &mut |events| printer.print(console, events)).map(|_| ());
        };
        let mut last: VecDeque<Event> = VecDeque::new();
        self.tail.read(job, &mut |events| {
            last.extend(events.iter().cloned());
            last.drain(..last.len().saturating_sub(lines));
            Ok(())
        })?;
        printer.print(console, last.make_contiguous())
    }

    /// What came since; gives whether there was anything.
    fn next(
        &mut self,
        job: &Job,
        watcher: &mut Watcher<'_>,
        console: &mut Console,
    ) -> Result<bool, CliError> {
        let printer = &self.printer;
        let read = self.tail.read(job, &mut |events| printer.print(console, events));
        let read = watcher.tolerate(read)?;
        if read.is_some() && job.has_ended() {
            let since = *self.ended.get_or_insert_with(Instant::now);
            self.done = since.elapsed() >= self.tail.lag();
        }
        Ok(read == Some(true))
    }
}

fn no_log(args: &LogsArgs, job: &Job) -> String {
    let id = job.id();
    if let Some(driver) = job.other_log_driver() {
        return format!("job {id} has no log here, its log driver is {driver}");
    }
    match args.attempt {
        Some(n) => format!("job {id} has no log of an attempt {n}; `batchyard show {id}` lists its attempts"),
        None if job.has_ended() => {
            format!("job {id} has no log, since no container of it ran; `batchyard show {id}` says why")
        }
        None => format!("job {id} has no log yet, it is {}; -f waits for one", job.status()),
    }
}

fn follow(client: &Client, console: &mut Console, mut shown: Vec<Shown<'_>>) -> Result<(), CliError> {
    let mut pace = Pace::of(client);
    let mut watcher = Watcher::new(client, shown.iter().map(|s| s.id.clone()).collect());
    while shown.iter().any(|s| !s.done) {
        for job in watcher.look()?.unwrap_or_default() {
            if let Some(one) = shown.iter_mut().find(|s| s.id == job.id() && !s.done)
                && one.next(&job, &mut watcher, console)?
            {
                pace.wrote();
            }
        }
        if shown.iter().any(|s| !s.done) {
            sleep(pace.pause());
        }
    }
    Ok(())
}

struct Printer {
    timestamps: bool,
    format: Option<Format>,
    /// Stands before each line.
    label: String,
    /// The job's id, where several are shown.
    of_several: Option<String>,
}

impl Printer {
    fn print(&self, console: &mut Console, events: &[Event]) -> Result<(), CliError> {
        let label = &self.label;
        let line = |e: &Event| {
            let text = e.text.trim_end_matches('\n');
            match (self.format, &self.of_several) {
                (Some(Format::Json | Format::Jsonl), None) => {
                    format!("{}\n", json!({ "timestamp": e.at, "message": text }))
                }
                (Some(Format::Json | Format::Jsonl), Some(id)) => {
                    format!("{}\n", json!({ "timestamp": e.at, "message": text, "jobId": id }))
                }
                _ if self.timestamps => format!("{label}{} {text}\n", units::exact_stamp(e.at)),
                _ => format!("{label}{text}\n"),
            }
        };
        console.print(&events.iter().map(line).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{Captured, client_at, job, jobs_of, log_of, serve};
    use serde_json::Value;
    use std::sync::Arc;

    fn logs(change: impl Fn(&mut LogsArgs), job: Value) -> (Result<u8, CliError>, String) {
        let mut args = LogsArgs {
            jobs: vec!["j".into()],
            filters: select::Filters::default(),
            follow: false,
            tail: None,
            since: None,
            attempt: None,
            timestamps: false,
        };
        change(&mut args);
        let (jobs, log) = (jobs_of(vec![job]), log_of(vec![("s1", vec!["a"]), ("s2", vec!["b", "c", "d"])]));
        let url = serve(Arc::new(
            move |op, body| if op == "GetLogEvents" { log(op, body) } else { jobs(op, body) },
        ));
        let captured = Captured::new(None);
        let code = run(&args, &client_at(&url), &mut captured.console());
        (code, captured.out())
    }

    fn ended() -> Value {
        let mut job = job("ab", "j", "SUCCEEDED");
        job["attempts"] =
            json!([{"container": {"logStreamName": "s1"}}, {"container": {"logStreamName": "s2"}}]);
        job
    }

    #[test]
    fn whole_log_tail_attempt_and_time() {
        assert_eq!(logs(|_| {}, ended()).1, "a\nb\nc\nd\n");
        assert_eq!(logs(|a| a.follow = true, ended()).1, "a\nb\nc\nd\n");
        assert_eq!(logs(|a| a.tail = Some(2), ended()).1, "c\nd\n");
        assert_eq!(logs(|a| a.tail = Some(0), ended()).1, "");
        assert_eq!(logs(|a| a.attempt = Some(1), ended()).1, "a\n");
        let stamped = logs(|a| (a.timestamps, a.attempt) = (true, Some(1)), ended()).1;
        assert_eq!(stamped, "1970-01-01T00:00:00.000Z a\n");
    }

    #[test]
    fn no_log_is_not_found() {
        assert_eq!(logs(|_| {}, job("ab", "j", "RUNNABLE")).0.unwrap_err().exit_code(), 3);
        assert_eq!(logs(|a| a.attempt = Some(9), ended()).0.unwrap_err().exit_code(), 3);
    }

    #[test]
    fn several_jobs_have_their_names_before_the_lines() {
        let (mut one, mut two) = (job("ab", "j", "SUCCEEDED"), job("cd", "longer", "SUCCEEDED"));
        one["container"] = json!({"logStreamName": "s1"});
        two["container"] = json!({"logStreamName": "s2"});
        let (jobs, log) =
            (jobs_of(vec![one, two]), log_of(vec![("s1", vec!["a"]), ("s2", vec!["b", "c", "d"])]));
        let url = serve(Arc::new(
            move |op, body| if op == "GetLogEvents" { log(op, body) } else { jobs(op, body) },
        ));
        for follow in [false, true] {
            let args = LogsArgs {
                jobs: vec!["j".into(), "longer".into()],
                filters: select::Filters::default(),
                follow,
                tail: Some(1),
                since: None,
                attempt: None,
                timestamps: false,
            };
            let captured = Captured::new(None);
            run(&args, &client_at(&url), &mut captured.console()).unwrap();
            assert_eq!(captured.out(), "j      | a\nlonger | d\n");
        }
    }
}
