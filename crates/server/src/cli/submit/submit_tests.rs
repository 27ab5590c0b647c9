//! The command as a whole, at an endpoint of canned answers.

use super::*;
use crate::cli::output::Shape;
use crate::cli::testing::{Captured, TempDir, client_at, job, jobs_of, serve};
use clap::Parser;
use std::fs;
use std::sync::{Arc, Mutex};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: SubmitArgs,
}

/// What a command line prints and asks, and its result.
fn submitted(
    words: &[&str],
    format: Option<Format>,
    shape: Shape,
) -> (Result<u8, CliError>, String, Vec<String>) {
    let args = Line::try_parse_from(["submit"].iter().chain(words)).unwrap().args;
    let mut ended = job("ab", "j", "FAILED");
    ended["container"] = json!({"exitCode": 7});
    let (jobs, log) = (jobs_of(vec![ended.clone()]), Arc::new(Mutex::new(Vec::new())));
    let seen = log.clone();
    let url = serve(Arc::new(move |operation, body| {
        seen.lock().unwrap().push(operation.to_string());
        match operation {
            "submitjob" if body["jobDefinition"] == "unknown" => (
                400,
                json!({"__type": "ClientException", "message": "JobDefinition name unknown does not exist"}),
            ),
            "submitjob" => (200, json!({"jobId": ended["jobId"], "jobArn": "arn", "jobName": "j"})),
            "registerjobdefinition" => {
                (200, json!({"jobDefinitionArn": "arn:aws:batch:r:1:job-definition/d:1"}))
            }
            "describejobdefinitions" => (200, json!({"jobDefinitions": []})),
            _ => jobs(operation, body),
        }
    }));
    let captured = Captured::new(format);
    let mut console = captured.console();
    console.shape = shape;
    let code = run(&args, &client_at(&url), &mut console);
    let log = log.lock().unwrap().clone();
    (code, captured.out(), log)
}

fn plain(words: &[&str]) -> (Result<u8, CliError>, String, Vec<String>) {
    submitted(words, None, Shape::default())
}

fn script(dir: &TempDir) -> String {
    let path = dir.path().join("s.sh");
    fs::write(&path, "#BATCH --image busybox\n:\n").unwrap();
    path.to_str().unwrap().to_string()
}

#[test]
fn the_id_is_all_that_is_printed() {
    let id = job("ab", "", "")["jobId"].as_str().unwrap().to_string();
    let (code, out, log) = plain(&["d"]);
    assert_eq!((code.unwrap(), out, log), (0, format!("{id}\n"), vec!["submitjob".to_string()]));
    let shape = Shape::new(Some("submitted[0].definition"), &[]).unwrap();
    assert_eq!(submitted(&["d"], Some(Format::Id), shape).1, "d\n");
}

#[test]
fn a_definition_is_registered_before_its_job() {
    let dir = TempDir::new();
    let (code, _, log) = plain(&[&script(&dir)]);
    assert_eq!(code.unwrap(), 0);
    assert_eq!(log, ["describejobdefinitions", "registerjobdefinition", "submitjob"]);
}

#[test]
fn waiting_ends_with_the_jobs_code() {
    let (code, out, _) = plain(&["--wait", "d"]);
    assert_eq!(code.unwrap(), 7);
    assert!(out.ends_with("j FAILED exit 7\n"), "{out}");
}

#[test]
fn a_dry_run_changes_nothing() {
    let dir = TempDir::new();
    let (code, out, log) = submitted(&["--dry-run", &script(&dir)], Some(Format::Json), Shape::default());
    assert_eq!(code.unwrap(), 1, "this endpoint's queue has no environments");
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&document["fits"], &document["request"]["jobName"]), (&json!(false), &json!("s")));
    assert!(!log.iter().any(|l| l == "submitjob" || l == "registerjobdefinition"), "{log:?}");
}

#[test]
fn a_job_that_is_too_large_is_refused_before_anything_is_registered() {
    let dir = TempDir::new();
    let path = dir.path().join("big.sh");
    fs::write(&path, format!("#BATCH --image busybox\n: {}\n", "x".repeat(31 * 1024))).unwrap();
    let (code, _, log) = plain(&[path.to_str().unwrap()]);
    let error = code.unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("30720"), "{error}");
    assert!(log.is_empty());
}

#[test]
fn an_unknown_definition_is_the_endpoints_word() {
    assert_eq!(plain(&["unknown"]).0.unwrap_err().exit_code(), 3);
}
