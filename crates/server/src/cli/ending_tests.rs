//! Ending jobs: outcomes, codes, bulk and single requests, and when it asks.

use super::*;
use crate::cli::output::Format;
use crate::cli::testing::{Captured, client_at, job, jobs_of, serve};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

fn which(words: &[&str], yes: bool) -> Which {
    Which { jobs: words.iter().map(ToString::to_string).collect(), filters: TimedFilters::default(), yes }
}

/// Ends jobs at an endpoint that knows these; gives the result, the rows and the requests that change something.
fn ended(
    how: Ending,
    which: &Which,
    jobs: Vec<Value>,
    answer: impl Fn(&str, &Value) -> Option<(u16, Value)> + Send + Sync + 'static,
) -> (Result<u8, CliError>, Value, Vec<String>) {
    let (jobs, changes) = (jobs_of(jobs), Arc::new(Mutex::new(Vec::new())));
    let seen = changes.clone();
    let url = serve(Arc::new(move |operation, body| {
        if operation.starts_with("cancel") || operation.starts_with("terminate") {
            seen.lock().unwrap().push(operation.to_string());
        }
        answer(operation, body).unwrap_or_else(|| jobs(operation, body))
    }));
    let captured = Captured::new(Some(Format::Json));
    let code = end(how, which, "test", &client_at(&url), &mut captured.console());
    let rows = serde_json::from_str(&captured.out()).unwrap_or_default();
    let changes = changes.lock().unwrap().clone();
    (code, rows, changes)
}

fn outcomes(rows: &Value) -> Vec<&str> {
    rows["results"].as_array().unwrap().iter().map(|r| r["outcome"].as_str().unwrap()).collect()
}

fn many(count: usize) -> Vec<Value> {
    (0..count).map(|i| job(&format!("{i:04x}"), &format!("n{i}"), "RUNNABLE")).collect()
}

#[test]
fn each_job_has_its_outcome_and_the_first_failure_gives_the_code() {
    let jobs = vec![job("aa", "a", "RUNNING"), job("bb", "b", "SUCCEEDED"), job("cc", "c", "RUNNING")];
    let full = |begin: &str| job(begin, "", "")["jobId"].as_str().unwrap().to_string();
    let words = [full("aa"), full("bb"), full("cc"), full("dd"), full("aa")];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (code, rows, changes) = ended(Ending::Terminate, &which(&words, false), jobs, |operation, body| {
        let refused = operation == "terminatejob" && body["jobId"].as_str().unwrap().starts_with("cc");
        refused.then(|| (403, json!({"__type": "AccessDeniedException", "message": "not yours"})))
    });
    assert_eq!(code.unwrap(), 4);
    assert_eq!(outcomes(&rows), ["terminated", "ended", "failed", "failed"]);
    assert!(rows["results"][2]["error"].as_str().unwrap().contains("not yours"));
    assert_eq!(changes, ["terminatejobs", "terminatejob", "terminatejob"], "bulk is not known here");
}

#[test]
fn bulk_requests_hold_fifty_and_tell_of_each_job() {
    let bad = job("0037", "", "")["jobId"].clone();
    let (code, rows, changes) =
        ended(Ending::Terminate, &which(&["n*"], true), many(60), move |operation, body| {
            (operation == "terminatejobs").then(|| {
                let jobs = body["jobs"].as_array().unwrap();
                assert!(jobs.len() <= 50 && body["reason"] == "test");
                let (errors, good): (Vec<&Value>, Vec<&Value>) = jobs.iter().partition(|j| **j == bad);
                let errors: Vec<Value> = errors
                    .iter()
                    .map(|j| json!({"job": j, "code": "ClientException", "message": "no"}))
                    .collect();
                (200, json!({"successful": good, "errors": errors}))
            })
        });
    assert_eq!(changes, ["terminatejobs", "terminatejobs"]);
    assert_eq!((code.unwrap(), outcomes(&rows).len()), (1, 60));
    assert_eq!(outcomes(&rows).iter().filter(|o| **o == "failed").count(), 1);
}

#[test]
fn cancelling_leaves_what_runs() {
    let jobs = || vec![job("aa", "a", "RUNNABLE"), job("bb", "b", "RUNNING"), job("cc", "c", "FAILED")];
    let ok = |operation: &str, _: &Value| (operation == "canceljob").then(|| (200, json!({})));
    let (code, rows, changes) = ended(Ending::Cancel, &which(&["aa", "bb", "cc"], false), jobs(), ok);
    assert_eq!(outcomes(&rows), ["cancelled", "running", "ended"]);
    assert_eq!((code.unwrap(), changes), (1, vec!["canceljob".to_string()]));
    let (code, rows, _) = ended(Ending::Cancel, &which(&["*"], false), jobs(), ok);
    assert_eq!((code.unwrap(), outcomes(&rows)), (0, vec!["cancelled"]), "a pattern takes what waits");
}

#[test]
fn more_than_ten_need_a_yes() {
    let ok = |operation: &str, _: &Value| (operation == "terminatejob").then(|| (200, json!({})));
    let (code, _, changes) = ended(Ending::Terminate, &which(&["n*"], false), many(11), ok);
    let error = code.unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("11 jobs (11 RUNNABLE)"), "{error}");
    assert!(changes.is_empty());
    assert_eq!(ended(Ending::Terminate, &which(&["n*"], false), many(10), ok).0.unwrap(), 0);
    assert_eq!(ended(Ending::Terminate, &which(&["n*"], true), many(11), ok).0.unwrap(), 0);
}
