//! `batchyard stop`: end the server of a data folder, with or without its jobs.
//!
//! Waits on the process itself, not on a clock. Never here: what the server does when it is told to stop.

use super::client::Client;
use super::client::calls::Depth;
use super::error::CliError;
use super::follow::Pace;
use super::job::State;
use super::local::{self, Process};
use super::output::Console;
use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Signal, pidfd_send_signal};
use std::fs::{self, File};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Stop the server on this machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  batchyard stop                          running jobs run on; the next server collects them
  batchyard stop --terminate-jobs
  batchyard stop --data-dir ./data --stop-timeout 2m")]
pub struct StopArgs {
    /// End all jobs first, waiting ones too, and wait until nothing of them runs
    #[arg(long)]
    pub terminate_jobs: bool,
    /// Longest time to wait for the jobs and for the server, each
    #[arg(long, default_value = "2m", value_parser = super::units::duration)]
    pub stop_timeout: Duration,
}

/// Runs the command: 3 when no server runs on this data folder. `client` speaks to that server.
pub fn run(
    args: &StopArgs,
    data_dir: &Path,
    client: Result<Client, CliError>,
    console: &mut Console,
) -> Result<u8, CliError> {
    let Some(server) = local::process(data_dir)? else {
        return Err(CliError::NotFound(format!("no server runs on {}", data_dir.display())));
    };
    if args.terminate_jobs {
        terminate_all(&client?, args.stop_timeout, console)?;
        return stop(&server, args.stop_timeout, console, || {
            wait_for_supervisors(data_dir);
            "server stopped; its jobs are ended".into()
        });
    }
    // A server that does not answer can still be stopped.
    let left = client.and_then(|client| open_jobs(&client)).map(|jobs| {
        let running = jobs.iter().filter(|(_, s)| matches!(s, State::Starting | State::Running)).count();
        (running, jobs.len() - running)
    });
    stop(&server, args.stop_timeout, console, || match left {
        Ok((0, 0)) => "server stopped; no jobs were left".into(),
        Ok((running, waiting)) => {
            let mut parts = Vec::new();
            if running > 0 {
                parts.push(counted(running, "keeps running", "keep running"));
            }
            if waiting > 0 {
                parts.push(counted(waiting, "waits", "wait"));
            }
            format!("server stopped; {}; start the server again to collect them", parts.join(" and "))
        }
        Err(_) => "server stopped; jobs that run keep running; start the server again to collect them".into(),
    })
}

fn counted(n: usize, one: &str, several: &str) -> String {
    if n == 1 { format!("1 job {one}") } else { format!("{n} jobs {several}") }
}

fn stop(
    server: &Process,
    longest: Duration,
    console: &mut Console,
    done: impl FnOnce() -> String,
) -> Result<u8, CliError> {
    match pidfd_send_signal(&server.fd, Signal::TERM) {
        // Gone already, which is what was asked for.
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(e) if e == rustix::io::Errno::PERM => {
            return Err(CliError::Denied(format!(
                "process {} belongs to another user; run this as that user, or with sudo",
                server.pid.as_raw_pid()
            )));
        }
        Err(e) => return Err(CliError::Failed(format!("cannot signal the server: {e}"))),
    }
    console.progress("waiting for the server to finish its requests");
    let ended = wait_for_end(server, longest)?;
    console.clear_progress();
    if ended {
        let text = done();
        console.line(text)?;
        return Ok(0);
    }
    Err(CliError::Failed(format!(
        "the server (process {}) has not ended after {}s; its log says why, `kill -9 {0}` ends it at once and loses nothing",
        server.pid.as_raw_pid(),
        longest.as_secs()
    )))
}

/// Whether the process ended within this time.
fn wait_for_end(server: &Process, longest: Duration) -> Result<bool, CliError> {
    let deadline = Instant::now() + longest;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left =
            Timespec::try_from(left).map_err(|_| CliError::Usage("--stop-timeout is too long".into()))?;
        match poll(&mut [PollFd::new(&server.fd, PollFlags::IN)], Some(&left)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(CliError::Failed(format!("cannot wait for the server: {e}"))),
        }
    }
}

/// Ids and states of all jobs that have not ended.
fn open_jobs(client: &Client) -> Result<Vec<(String, State)>, CliError> {
    let mut open: Vec<(String, State)> = Vec::new();
    for queue in client.queue_names(&[])? {
        for state in State::OPEN {
            for job in client.list_jobs(&queue, state, Depth::All)?.jobs {
                match open.iter_mut().find(|(id, _)| id == job.id()) {
                    Some(known) => known.1 = state,
                    None => open.push((job.id().to_string(), state)),
                }
            }
        }
    }
    Ok(open)
}

/// Terminates until no job is open; what is submitted meanwhile is ended too.
fn terminate_all(client: &Client, longest: Duration, console: &mut Console) -> Result<(), CliError> {
    let deadline = Instant::now() + longest;
    let mut pace = Pace::of(client);
    let mut asked: std::collections::HashSet<String> = std::collections::HashSet::new();
    loop {
        let open = open_jobs(client)?;
        if open.is_empty() {
            console.clear_progress();
            return Ok(());
        }
        console.progress(&format!("jobs to end: {}", open.len()));
        for (id, _) in &open {
            if asked.insert(id.clone()) {
                client.terminate_job(id, "terminated with `batchyard stop --terminate-jobs`")?;
                pace.changed();
            }
        }
        if Instant::now() >= deadline {
            console.clear_progress();
            return Err(CliError::TimedOut(format!(
                "{} after {}s; the server runs on, try again with a longer --stop-timeout",
                counted(open.len(), "has not ended", "have not ended"),
                longest.as_secs()
            )));
        }
        sleep(pace.pause());
    }
}

/// Waits until no supervisor holds the lock of its attempt folder. Only after the server has ended: while one runs, a
/// lock that is held for a moment here could be taken for an attempt that lives.
fn wait_for_supervisors(data_dir: &Path) {
    let Ok(attempts) = fs::read_dir(data_dir.join("attempts")) else { return };
    for attempt in attempts.flatten() {
        if let Ok(lock) = File::open(attempt.path().join(batchyard_supervisor::LOCK)) {
            let _ = flock(&lock, FlockOperation::LockShared);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{Captured, TempDir, client_at, job, serve};
    use serde_json::json;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::process::{Child, ChildStdin, Command, Stdio};
    use std::sync::{Arc, Mutex};

    /// A process that ends on SIGTERM, and the data folder that names it.
    fn server() -> (TempDir, Child, ChildStdin) {
        let script = "trap 'exit 0' TERM; echo ready; while :; do read x || exit 0; done";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let stdin = child.stdin.take().unwrap();
        let dir = TempDir::new();
        fs::create_dir(dir.path().join("run")).unwrap();
        let mut stat = String::new();
        File::open(format!("/proc/{}/stat", child.id())).unwrap().read_to_string(&mut stat).unwrap();
        let start = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap();
        let mut pid = File::create(dir.path().join("run/pid")).unwrap();
        writeln!(pid, "{} {start}", child.id()).unwrap();
        (dir, child, stdin)
    }

    fn args(terminate_jobs: bool) -> StopArgs {
        StopArgs { terminate_jobs, stop_timeout: Duration::from_secs(20) }
    }

    #[test]
    fn says_what_keeps_running() {
        let (dir, mut child, _stdin) = server();
        let url =
            serve(crate::cli::testing::jobs_of(vec![job("aa", "x", "RUNNING"), job("bb", "y", "RUNNABLE")]));
        let captured = Captured::new(None);
        let code = run(&args(false), dir.path(), Ok(client_at(&url)), &mut captured.console());
        assert_eq!(code.unwrap(), 0);
        assert!(captured.out().contains("1 job keeps running and 1 job waits"), "{}", captured.out());
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn ends_all_jobs_first() {
        let (dir, mut child, _stdin) = server();
        let ended = Arc::new(Mutex::new(Vec::new()));
        let seen = ended.clone();
        let url = serve(Arc::new(move |operation, body| match operation {
            "describejobqueues" => (200, json!({"jobQueues": [{"jobQueueName": "default"}]})),
            "listjobs" => {
                let over = !seen.lock().unwrap().is_empty();
                let runs = !over && body["jobStatus"] == "RUNNING";
                (200, json!({"jobSummaryList": if runs { vec![job("aa", "x", "RUNNING")] } else { vec![] }}))
            }
            "terminatejob" => {
                seen.lock().unwrap().push(body["jobId"].clone());
                (200, json!({}))
            }
            _ => (404, json!({})),
        }));
        let captured = Captured::new(None);
        let code = run(&args(true), dir.path(), Ok(client_at(&url)), &mut captured.console());
        assert_eq!(code.unwrap(), 0);
        assert_eq!(ended.lock().unwrap().len(), 1);
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn no_server_is_code_3_and_one_that_does_not_answer_is_stopped_all_the_same() {
        let captured = Captured::new(None);
        let away = || Ok(client_at("http://127.0.0.1:9"));
        let empty = TempDir::new();
        let none = run(&args(false), empty.path(), away(), &mut captured.console());
        assert_eq!(none.unwrap_err().exit_code(), 3);
        let (dir, mut child, _stdin) = server();
        assert_eq!(run(&args(false), dir.path(), away(), &mut captured.console()).unwrap(), 0);
        assert!(child.wait().unwrap().success());
    }
}
