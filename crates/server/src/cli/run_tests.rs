//! Exit codes, output and interruption of an attached job.

use super::*;
use crate::cli::testing::{Captured, client_at, job, log_of, serve};
use serde_json::{Value, json};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

type Calls = Arc<Mutex<Vec<(String, Value)>>>;

/// A job that is each of `stages` for one question, the last for all further ones; `after` sees each operation.
fn endpoint(stages: Vec<Value>, calls: &Calls, after: impl Fn(&str) + Send + Sync + 'static) -> String {
    let left = Mutex::new(stages);
    let log = log_of(vec![("s", vec!["one", "two", "three"])]);
    let calls = calls.clone();
    serve(Arc::new(move |operation, body| {
        calls.lock().unwrap().push((operation.to_string(), body.clone()));
        let answer = match operation {
            "GetLogEvents" => log(operation, body),
            "describejobs" => {
                let mut stages = left.lock().unwrap();
                let stage = if stages.len() > 1 { stages.remove(0) } else { stages[0].clone() };
                (200, json!({ "jobs": [stage] }))
            }
            _ => (200, json!({})),
        };
        after(operation);
        answer
    }))
}

fn stage(status: &str, more: Value) -> Value {
    let mut job = job("abcd", "j", status);
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

fn id() -> String {
    job("abcd", "", "")["jobId"].as_str().unwrap().to_string()
}

fn attached(url: &str, signals: &Interrupts, kill_on_exit: bool) -> (Result<u8, CliError>, String, String) {
    let captured = Captured::new(None);
    let mut console = captured.console();
    let client = client_at(url);
    let code = Attached::new(&client, &mut console, signals, &id(), kill_on_exit).follow();
    (code, captured.out(), captured.err())
}

fn quiet() -> Interrupts {
    Interrupts::from_channel(channel().1)
}

fn ended(status: &str, reason: &str, container: Value) -> Value {
    stage(status, json!({"statusReason": reason, "container": container}))
}

const PLAIN: &str = "Essential container in task exited";

#[test]
fn the_log_is_printed_once_and_the_code_is_the_jobs() {
    let calls = Calls::default();
    let stages = vec![
        stage("RUNNABLE", json!({})),
        stage("RUNNING", json!({"container": {"logStreamName": "s"}})),
        stage("RUNNING", json!({"container": {"logStreamName": "s"}})),
        ended("FAILED", PLAIN, json!({"exitCode": 7, "logStreamName": "s"})),
    ];
    let (code, out, err) = attached(&endpoint(stages, &calls, |_| {}), &quiet(), false);
    assert_eq!((code.unwrap(), out.as_str(), err.as_str()), (7, "one\ntwo\nthree\n", ""));
}

#[test]
fn without_a_terminal_each_reason_to_wait_is_a_line() {
    let calls = Calls::default();
    let waits = |reason: &str| stage("RUNNABLE", json!({ "statusReason": reason }));
    let stages = vec![
        waits("no room"),
        waits("no room"),
        waits("the image is read"),
        stage("RUNNING", json!({"statusReason": "not told"})),
        ended("SUCCEEDED", PLAIN, json!({"exitCode": 0})),
    ];
    let (code, out, err) = attached(&endpoint(stages, &calls, |_| {}), &quiet(), false);
    assert_eq!((code.unwrap(), out.as_str()), (0, ""));
    let short = &id()[..8];
    assert_eq!(
        err,
        format!("job {short} is RUNNABLE: no room\njob {short} is RUNNABLE: the image is read\n")
    );
}

#[test]
fn success_is_0() {
    let calls = Calls::default();
    let stages = vec![ended("SUCCEEDED", PLAIN, json!({"exitCode": 0, "logStreamName": "s"}))];
    let (code, out, err) = attached(&endpoint(stages, &calls, |_| {}), &quiet(), false);
    assert_eq!((code.unwrap(), out.lines().count(), err.as_str()), (0, 3, ""));
}

#[test]
fn a_reason_is_said_when_the_end_was_not_plain() {
    let calls = Calls::default();
    let oom = json!({"exitCode": 137, "reason": "OutOfMemoryError: Container killed due to memory usage"});
    let (code, _, err) =
        attached(&endpoint(vec![ended("FAILED", PLAIN, oom)], &calls, |_| {}), &quiet(), false);
    assert_eq!(code.unwrap(), 137);
    assert_eq!(err, format!("job {} failed: OutOfMemoryError: Container killed due to memory usage\n", id()));

    let never = ended("FAILED", "Task failed to start", json!({"reason": "CannotPullContainerError: x"}));
    let (code, _, err) = attached(&endpoint(vec![never], &calls, |_| {}), &quiet(), false);
    assert_eq!(code.unwrap(), 1);
    assert!(err.contains("Task failed to start: CannotPullContainerError: x"), "{err}");
}

/// An endpoint whose job goes on until it is terminated; each operation presses Ctrl-C as told.
fn going_on(
    calls: &Calls,
    press: impl Fn(&str, &Sender<Signal>) + Send + Sync + 'static,
) -> (String, Interrupts) {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let seen = calls.clone();
    let url = serve(Arc::new(move |operation, body| {
        seen.lock().unwrap().push((operation.to_string(), body.clone()));
        press(operation, &sender.lock().unwrap());
        let over = seen.lock().unwrap().iter().any(|(op, _)| op == "terminatejob");
        let status = if over { "FAILED" } else { "RUNNING" };
        match operation {
            "describejobs" => (200, json!({"jobs": [stage(status, json!({}))]})),
            _ => (200, json!({})),
        }
    }));
    (url, Interrupts::from_channel(receiver))
}

fn presses(times: usize) -> impl Fn(&str, &Sender<Signal>) + Send + Sync {
    let left = Mutex::new(times);
    move |_, sender| {
        for _ in 0..std::mem::take(&mut *left.lock().unwrap()) {
            sender.send(Signal::Interrupt).unwrap();
        }
    }
}

fn terminations(calls: &Calls) -> usize {
    calls.lock().unwrap().iter().filter(|(op, _)| op == "terminatejob").count()
}

#[test]
fn ctrl_c_once_leaves_the_job_and_says_how_to_see_it_again() {
    let calls = Calls::default();
    let (url, signals) = going_on(&calls, presses(1));
    let (code, _, err) = attached(&url, &signals, false);
    assert_eq!((code.unwrap(), terminations(&calls)), (130, 0));
    assert!(err.contains(&format!("batchyard logs -f {}", id())), "{err}");
}

#[test]
fn ctrl_c_twice_terminates() {
    let calls = Calls::default();
    let (url, signals) = going_on(&calls, presses(2));
    let (code, _, _) = attached(&url, &signals, false);
    assert_eq!((code.unwrap(), terminations(&calls)), (130, 1));
}

#[test]
fn with_kill_on_exit_once_is_enough() {
    let calls = Calls::default();
    let (url, signals) = going_on(&calls, presses(1));
    let (code, _, _) = attached(&url, &signals, true);
    assert_eq!((code.unwrap(), terminations(&calls)), (130, 1));
}

#[test]
fn a_job_that_vanishes_is_an_error() {
    let url = serve(Arc::new(|_, _| (200, json!({"jobs": []}))));
    assert_eq!(attached(&url, &quiet(), false).0.unwrap_err().exit_code(), 3);
}
