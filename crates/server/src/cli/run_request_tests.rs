//! What `run` asks for.

use super::*;
use crate::cli::testing::{TempDir, client_at, serve};
use clap::Parser;
use std::sync::{Arc, Mutex};

type Calls = Arc<Mutex<Vec<(String, Value)>>>;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: RunArgs,
}

fn args(words: &[&str]) -> RunArgs {
    Line::try_parse_from(["run"].iter().chain(words)).unwrap().args
}

/// An endpoint that remembers what was registered and what was submitted.
fn endpoint() -> (String, Calls) {
    let calls = Calls::default();
    let seen = calls.clone();
    let url = serve(Arc::new(move |operation, body| {
        let mut calls = seen.lock().unwrap();
        let registered = calls.iter().filter(|(op, _): &&(String, Value)| op == "registerjobdefinition");
        let of_name = registered.filter(|(_, b)| b["jobDefinitionName"] == body["jobDefinitionName"]);
        let known: Vec<Value> = of_name
            .map(|(_, b)| {
                json!({"jobDefinitionArn": format!("arn:{}:1", b["jobDefinitionName"].as_str().unwrap()),
                       "revision": 1, "containerProperties": b["containerProperties"]})
            })
            .collect();
        calls.push((operation.to_string(), body.clone()));
        match operation {
            "describejobdefinitions" => (200, json!({ "jobDefinitions": known })),
            "registerjobdefinition" => (
                200,
                json!({"jobDefinitionArn": format!("arn:{}:1", body["jobDefinitionName"].as_str().unwrap())}),
            ),
            _ => (200, json!({"jobId": "the-id"})),
        }
    }));
    (url, calls)
}

#[test]
fn running_the_same_image_again_registers_nothing() {
    let (url, calls) = endpoint();
    let client = client_at(&url);
    let first = args(&["-e", "A=1", "busybox", "--", "true"]);
    let second = args(&["--memory", "2g", "--attempts", "3", "--timeout", "2m", "busybox", "--", "false"]);
    let other = args(&["-u", "1000", "busybox"]);
    for args in [&first, &second, &other] {
        assert_eq!(submit(args, &client).unwrap(), "the-id");
    }
    let calls = calls.lock().unwrap();
    let of = |name: &str| calls.iter().filter(|(op, _)| op == name).map(|(_, b)| b).collect::<Vec<_>>();
    assert_eq!(of("registerjobdefinition").len(), 2);
    let submitted = of("submitjob");
    assert_eq!(submitted[0]["jobDefinition"], submitted[1]["jobDefinition"]);
    assert_ne!(submitted[0]["jobDefinition"], submitted[2]["jobDefinition"]);
    assert_eq!(submitted[0]["containerOverrides"]["environment"], json!([{"name": "A", "value": "1"}]));
    assert_eq!(submitted[1]["containerOverrides"]["command"], json!(["false"]));
    assert_eq!(submitted[1]["containerOverrides"]["resourceRequirements"][1]["value"], "2048");
    assert_eq!(submitted[1]["retryStrategy"]["attempts"], 3);
    assert_eq!(submitted[1]["timeout"]["attemptDurationSeconds"], 120);
    assert!(submitted[2]["containerOverrides"].get("command").is_none(), "the image's own command");
    assert!(of("registerjobdefinition")[0]["containerProperties"].get("environment").is_none());
}

#[test]
fn mounts() {
    assert_eq!(
        mount("/a:/b:ro").unwrap(),
        Mount { source: "/a".into(), target: "/b".into(), read_only: true }
    );
    let here = env::current_dir().unwrap().canonicalize().unwrap();
    assert_eq!(mount(".:/b").unwrap().source, here.to_str().unwrap());
    for bad in ["", "/a", "/a:b", ":/b", "/a:/b:x", "/a:/b:ro:z", "./not-there:/b"] {
        assert!(matches!(mount(bad), Err(CliError::Usage(_))), "{bad}");
    }
}

#[test]
fn flags_go_before_files() {
    let dir = TempDir::new();
    let file = dir.path().join("env");
    fs::write(&file, "# comment\nA=1\n\nB=x=y\n").unwrap();
    let args = args(&["--env-file", file.to_str().unwrap(), "-e", "A=2", "i"]);
    assert_eq!(
        environment(&args.env, &args.env_file).unwrap(),
        [("B".into(), "x=y".into()), ("A".into(), "2".into())]
    );
    assert!(matches!(variable("BATCHYARD_SURELY_NOT_SET"), Err(CliError::Usage(_))));
    assert!(matches!(variable("=x"), Err(CliError::Usage(_))));
}

#[test]
fn names() {
    let name = |words: &[&str]| job_name(&args(words));
    assert_eq!(name(&["r.example:5000/x/tools.v2:1.2"]).unwrap(), "tools-v2");
    assert_eq!(name(&["@"]).unwrap(), "run");
    assert_eq!(name(&["--name", "my_job-1", "i"]).unwrap(), "my_job-1");
    assert!(name(&["--name=-x", "i"]).is_err() && name(&["--name", "a b", "i"]).is_err());
}

#[test]
fn retries_are_attempts_less_one_and_exclude_them() {
    let (url, calls) = endpoint();
    submit(&args(&["--retries", "2", "i"]), &client_at(&url)).unwrap();
    assert_eq!(calls.lock().unwrap().last().unwrap().1["retryStrategy"]["attempts"], 3);
    assert!(Line::try_parse_from(["run", "--retries", "1", "--attempts", "2", "i"]).is_err());
}
