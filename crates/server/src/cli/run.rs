//! `batchyard run`: submit a job, show its log as it comes, end with its exit code.
//!
//! Never here: the parts of the request (run_request.rs), reading logs (follow.rs).

use super::client::Client;
use super::error::{CliError, INTERRUPTED};
use super::follow::{Pace, Tail, Watcher};
use super::interrupt::{Interrupts, Signal};
use super::job::{Job, State};
use super::output::Console;
use super::{completion, run_request, units, wait};
use clap::Args;
use clap_complete::ArgValueCompleter;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a second Ctrl-C may take to mean "terminate".
const SECOND_PRESS: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 1500 });

/// How long a job may wait before that is told to those who have no terminal.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 2 });

/// Submit a job, stream its log, exit with its code.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  batchyard run busybox -- sh -c 'echo hello; exit 7'
  batchyard run -d --name nightly --cpus 1 --memory 1g --mount .:/data tools -- make -C /data all
  batchyard run --attempts 3 --timeout 10m --env MODE=test --env-file job.env busybox -- ./job

Ctrl-C once leaves the job running, twice ends it. Exits with the job's code; 1 when it failed without one.")]
pub struct RunArgs {
    /// Image to run, as `batchyard image ls` shows it or with its registry
    pub image: String,
    /// Command and its arguments; the image's own when absent
    #[arg(last = true)]
    pub command: Vec<String>,
    /// Print the job's id and come back at once
    #[arg(short, long)]
    pub detach: bool,
    /// Name of the job; from the image when absent
    #[arg(long)]
    pub name: Option<String>,
    /// vCPUs
    #[arg(long, default_value_t = 1, value_parser = units::vcpus)]
    pub cpus: u32,
    /// Memory: MiB, or with a unit (512m, 2g)
    #[arg(long, default_value = "512", value_parser = units::mebibytes)]
    pub memory: u64,
    /// Environment variable; NAME alone takes this shell's value; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// File of NAME=VALUE lines; --env goes before it; may be repeated
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// Folder of the host to mount; may be repeated
    #[arg(short = 'v', long, value_name = "SRC:DST[:ro]")]
    pub mount: Vec<String>,
    /// Attempts in all, 1 to 10
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub attempts: Option<u32>,
    /// Attempts after the first, 0 to 9
    #[arg(long, conflicts_with = "attempts", value_parser = clap::value_parser!(u32).range(0..=9))]
    pub retries: Option<u32>,
    /// Longest time of an attempt (90s, 10m, 2h); AWS wants at least 60s
    #[arg(long, value_parser = units::duration)]
    pub timeout: Option<Duration>,
    /// Children of an array job, at least 2: wait for all of them and show how far they are instead of a log
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub array: Option<u32>,
    /// Job that has to succeed first, named as by other commands; may be repeated
    #[arg(long, value_name = "JOB", add = ArgValueCompleter::new(completion::jobs))]
    pub after: Vec<String>,
    /// Tag of the job; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub tag: Vec<String>,
    /// Job queue
    #[arg(long, default_value = "default", add = ArgValueCompleter::new(completion::queues))]
    pub queue: String,
    /// User inside the container: name or number, with :GROUP
    #[arg(short, long)]
    pub user: Option<String>,
    /// Terminate the job when this command is interrupted
    #[arg(long)]
    pub kill_on_exit: bool,
}

/// Runs the command; gives the exit code.
pub fn run(args: &RunArgs, client: &Client, console: &mut Console) -> Result<u8, CliError> {
    // Before the submission, so that no interruption finds a job without an owner.
    let interrupts = if args.detach { None } else { Some(Interrupts::install()?) };
    let id = run_request::submit(args, client)?;
    match interrupts {
        None => {
            console.line(&id)?;
            Ok(0)
        }
        // Its children have logs, the parent has none.
        Some(_) if args.array.is_some() => {
            wait::until(client, vec![id], wait::Until::Terminal, None, console)
        }
        Some(interrupts) => attach(client, console, &interrupts, &id, args.kill_on_exit),
    }
}

/// Shows a job's log until it has ended; gives the exit code.
pub fn attach(
    client: &Client,
    console: &mut Console,
    interrupts: &Interrupts,
    id: &str,
    kill_on_exit: bool,
) -> Result<u8, CliError> {
    Attached::new(client, console, interrupts, id, kill_on_exit).follow()
}

/// A job that this command is attached to.
struct Attached<'a> {
    client: &'a Client,
    console: &'a mut Console,
    interrupts: &'a Interrupts,
    id: &'a str,
    kill_on_exit: bool,
    /// When Ctrl-C was pressed first.
    pressed: Option<Instant>,
    terminated: bool,
    began: Instant,
    /// Why the job waits, as it was told last.
    told: String,
}

impl<'a> Attached<'a> {
    fn new(
        client: &'a Client,
        console: &'a mut Console,
        interrupts: &'a Interrupts,
        id: &'a str,
        kill_on_exit: bool,
    ) -> Self {
        let (began, told) = (Instant::now(), String::new());
        Self { client, console, interrupts, id, kill_on_exit, pressed: None, terminated: false, began, told }
    }

    fn follow(mut self) -> Result<u8, CliError> {
        let result = self.until_the_end();
        self.console.clear_progress();
        if matches!(result, Err(CliError::Pipe)) && self.kill_on_exit {
            self.client.terminate_job(self.id, "output of `batchyard run` was closed")?;
        }
        result
    }

    fn until_the_end(&mut self) -> Result<u8, CliError> {
        let mut watcher = Watcher::new(self.client, vec![self.id.to_string()]);
        let mut tail = Tail::new(self.client, None, None);
        let mut pace = Pace::of(self.client);
        let mut seen = String::new();
        loop {
            let job = watcher.look()?.and_then(|mut jobs| jobs.pop());
            let away = watcher.is_away();
            if let Some(job) = &job {
                if job.status() != seen {
                    seen = job.status().to_string();
                    pace.changed();
                }
                let console = &mut *self.console;
                let read = tail.read(job, &mut |events| print_events(console, events));
                match watcher.tolerate(read)? {
                    // The end counts only once the log is read to its end.
                    Some(_) if job.has_ended() => {
                        self.late_lines(&mut tail, job)?;
                        return Ok(self.finish(job));
                    }
                    Some(true) => pace.wrote(),
                    _ => {}
                }
                self.show_progress(job);
            }
            if away {
                self.console.progress("the server is away; its jobs go on");
            }
            if let Some(code) = self.pause(pace.pause())? {
                return Ok(code);
            }
        }
    }

    /// Waits, and gives an exit code when this command is to end before its job.
    fn pause(&mut self, time: Duration) -> Result<Option<u8>, CliError> {
        if let Some(since) = self.pressed.filter(|_| !self.terminated)
            && since.elapsed() >= SECOND_PRESS
        {
            return Ok(Some(INTERRUPTED));
        }
        match self.interrupts.sleep(time) {
            None => Ok(None),
            Some(_) if self.terminated => Ok(Some(INTERRUPTED)),
            Some(signal) if self.kill_on_exit || (signal == Signal::Interrupt && self.pressed.is_some()) => {
                self.terminated = true;
                self.console.note(format!("terminating job {}", self.id));
                self.client.terminate_job(self.id, "interrupted in `batchyard run`")?;
                Ok(None)
            }
            Some(Signal::Terminate) => Ok(Some(INTERRUPTED)),
            Some(Signal::Interrupt) => {
                self.pressed = Some(Instant::now());
                let id = self.id;
                self.console.note(format!(
                    "job {id} goes on; press Ctrl-C again now to terminate it, `batchyard logs -f {id}` shows it again"
                ));
                Ok(None)
            }
        }
    }

    /// Why the job waits: one changing line on a terminal, elsewhere a line each time the reason changes.
    fn show_progress(&mut self, job: &Job) {
        // From here on the log speaks.
        if job.state().is_some_and(|s| s >= State::Running) {
            self.console.clear_progress();
            return;
        }
        let id = &job.id()[..8.min(job.id().len())];
        let reason = job.reason();
        if self.console.progress {
            let reason = reason.map(|r| format!(": {r}")).unwrap_or_default();
            let since = job.created().map(|t| units::length(units::now_ms() - t)).unwrap_or_default();
            self.console.progress(&format!("{id} {since} {}{reason}", job.status()));
        } else if let Some(reason) = reason
            && reason != self.told
            && self.began.elapsed() >= PATIENCE
        {
            self.console.note(format!("job {id} is {}: {reason}", job.status()));
            self.told = reason.to_string();
        }
    }

    fn late_lines(&mut self, tail: &mut Tail<'_>, job: &Job) -> Result<(), CliError> {
        let until = Instant::now() + tail.lag();
        while Instant::now() < until {
            if self.interrupts.sleep(Duration::from_secs(1)).is_some() {
                return Ok(());
            }
            let console = &mut *self.console;
            tail.read(job, &mut |events| print_events(console, events))?;
        }
        Ok(())
    }

    fn finish(&mut self, job: &Job) -> u8 {
        if let Some(failure) = job.failure() {
            self.console.note(format!("job {} failed: {failure}", job.id()));
        }
        if self.terminated || self.pressed.is_some() { INTERRUPTED } else { job.process_code() }
    }
}

/// Prints log lines as they were written.
pub fn print_events(console: &mut Console, events: &[super::client::calls::Event]) -> Result<(), CliError> {
    let text: String = events.iter().map(|e| format!("{}\n", e.text.trim_end_matches('\n'))).collect();
    console.print(&text)
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
