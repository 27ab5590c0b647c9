//! `batchyard logs`: what a job wrote.
//!
//! Never here: pages and tokens (follow.rs).

use super::client::Client;
use super::client::calls::Event;
use super::error::CliError;
use super::follow::{Pace, Tail, Watcher};
use super::job::Job;
use super::output::{Console, Format};
use super::{select, units};
use clap::Args;
use serde_json::json;
use std::collections::VecDeque;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Show what a job wrote.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  batchyard logs last
  batchyard logs -f nightly               until the job has ended
  batchyard logs 3f2a --attempt 1 --tail 20 --timestamps")]
pub struct LogsArgs {
    /// Id, beginning of an id, ARN, name (the newest) or `last`
    pub job: String,
    /// Go on until the job has ended and its log is read
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last lines
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

/// Runs the command.
pub fn run(args: &LogsArgs, client: &Client, console: &mut Console) -> Result<u8, CliError> {
    let job = select::job(client, &args.job)?;
    let since = args.since.map(|d| units::now_ms() - i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
    let mut tail = Tail::new(client, since, args.attempt.map(usize::from));
    let printer = Printer { timestamps: args.timestamps, format: console.format };
    if !args.follow && !tail.has_log(&job) {
        return Err(CliError::NotFound(no_log(args, &job)));
    }
    match args.tail {
        None => tail.read(&job, &mut |events| printer.print(console, events))?,
        Some(lines) => {
            let mut last: VecDeque<Event> = VecDeque::new();
            let any = tail.read(&job, &mut |events| {
                last.extend(events.iter().cloned());
                last.drain(..last.len().saturating_sub(lines));
                Ok(())
            })?;
            printer.print(console, last.make_contiguous())?;
            any
        }
    };
    if args.follow && !job.has_ended() {
        follow(client, console, job.id(), &mut tail, &printer)?;
    }
    Ok(0)
}

fn no_log(args: &LogsArgs, job: &Job) -> String {
    let id = job.id();
    match args.attempt {
        Some(n) => format!("job {id} has no log of an attempt {n}; `batchyard show {id}` lists its attempts"),
        None if job.has_ended() => {
            format!("job {id} has no log, since no container of it ran; `batchyard show {id}` says why")
        }
        None => format!("job {id} has no log yet, it is {}; -f waits for one", job.status()),
    }
}

fn follow(
    client: &Client,
    console: &mut Console,
    id: &str,
    tail: &mut Tail<'_>,
    printer: &Printer,
) -> Result<(), CliError> {
    let mut watcher = Watcher::new(client, vec![id.to_string()]);
    let mut pace = Pace::of(client);
    let mut ended: Option<Instant> = None;
    loop {
        if let Some(job) = watcher.look()?.and_then(|mut jobs| jobs.pop()) {
            let read = tail.read(&job, &mut |events| printer.print(console, events));
            match watcher.tolerate(read)? {
                Some(_) if job.has_ended() => {
                    let since = *ended.get_or_insert_with(Instant::now);
                    if since.elapsed() >= tail.lag() {
                        return Ok(());
                    }
                }
                Some(true) => pace.wrote(),
                _ => {}
            }
        }
        sleep(pace.pause());
    }
}

struct Printer {
    timestamps: bool,
    format: Option<Format>,
}

impl Printer {
    fn print(&self, console: &mut Console, events: &[Event]) -> Result<(), CliError> {
        let line = |e: &Event| {
            let text = e.text.trim_end_matches('\n');
            match self.format {
                Some(Format::Json | Format::Jsonl) => {
                    format!("{}\n", json!({ "timestamp": e.at, "message": text }))
                }
                _ if self.timestamps => format!("{} {text}\n", units::exact_stamp(e.at)),
                _ => format!("{text}\n"),
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
            job: "j".into(),
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
}
