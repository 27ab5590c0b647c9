//! Source and flags together.

use super::super::script;
use super::*;
use crate::cli::testing::{client_at, serve};
use std::sync::{Arc, Mutex};

/// An endpoint with one definition of each kind.
fn endpoint() -> (Client, Arc<Mutex<Vec<String>>>) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let seen = log.clone();
    let url = serve(Arc::new(move |operation, body| {
        seen.lock().unwrap().push(operation.to_string());
        let task =
            |containers: Value| json!({"ecsProperties": {"taskProperties": [{"containers": containers}]}});
        let mut definition = match body["jobDefinitionName"].as_str() {
            Some("single") => json!({"containerProperties": {"image": "i"}}),
            Some("task") => task(json!([{"name": "main", "image": "i"}])),
            Some("pair") => task(json!([{"name": "a"}, {"name": "b"}])),
            Some("nodes") => json!({"nodeProperties": {"numNodes": 2}}),
            _ => return (200, json!({"jobDefinitions": []})),
        };
        definition["revision"] = 1.into();
        (200, json!({"jobDefinitions": [definition]}))
    }));
    (client_at(&url), log)
}

fn job(text: &str) -> Source {
    Source::Job(serde_json::from_str(text).unwrap())
}

fn built(source: Source, flags: JobFlags, words: &[&str]) -> Result<Request, CliError> {
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    build(source, "stem", flags, &words, &endpoint().0)
}

fn of_definition(name: &str, flags: JobFlags, words: &[&str]) -> Result<Value, CliError> {
    built(Source::Definition(name.into()), flags, words).map(|r| r.body)
}

fn flags() -> JobFlags {
    JobFlags { cpus: Some("2".into()), env: vec!["A=flag".into()], ..JobFlags::default() }
}

#[test]
fn flags_go_to_the_overrides_of_the_definitions_kind() {
    let over = json!({"command": ["x"], "environment": [{"name": "A", "value": "flag"}],
                      "resourceRequirements": [{"type": "VCPU", "value": "2"}]});
    let single = of_definition("single", flags(), &["x"]).unwrap();
    assert_eq!(
        single,
        json!({"jobName": "stem", "jobQueue": "default", "jobDefinition": "single", "containerOverrides": over})
    );
    let task = of_definition("task", flags(), &["x"]).unwrap();
    let container = &task["ecsPropertiesOverride"]["taskProperties"][0]["containers"][0];
    assert_eq!((container["name"].as_str(), &container["command"]), (Some("main"), &over["command"]));
    assert!(task.get("containerOverrides").is_none());
    for several in ["pair", "nodes"] {
        assert_eq!(of_definition(several, flags(), &[]).unwrap_err().exit_code(), 2, "{several}");
        assert!(of_definition(several, JobFlags::default(), &[]).is_ok());
    }
    // What is not there, the endpoint says better.
    assert!(of_definition("none", flags(), &[]).is_ok());
}

#[test]
fn without_overrides_nothing_is_asked() {
    let (client, log) = endpoint();
    build(Source::Definition("single:1".into()), "single", JobFlags::default(), &[], &client).unwrap();
    assert!(log.lock().unwrap().is_empty());
}

#[test]
fn flags_go_before_the_file() {
    let file = r#"{"jobName": "file", "jobQueue": "q", "jobDefinition": "single", "tags": {"a": "1", "b": "2"},
        "retryStrategy": {"attempts": 2, "evaluateOnExit": []}, "parameters": {"p": "file"},
        "containerOverrides": {"command": ["kept"], "environment": [{"name": "A", "value": "file"}, {"name": "B", "value": "file"}],
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]}}"#;
    let more = JobFlags {
        name: Some("flag".into()),
        tag: vec!["b=3".into()],
        retries: Some(4),
        timeout: Some(std::time::Duration::from_secs(90)),
        ..flags()
    };
    assert_eq!(
        built(job(file), more, &[]).unwrap().body,
        json!({"jobName": "flag", "jobQueue": "q", "jobDefinition": "single", "tags": {"a": "1", "b": "3"},
            "retryStrategy": {"attempts": 5, "evaluateOnExit": []}, "parameters": {"p": "file"},
            "timeout": {"attemptDurationSeconds": 90},
            "containerOverrides": {"command": ["kept"],
                "environment": [{"name": "B", "value": "file"}, {"name": "A", "value": "flag"}],
                "resourceRequirements": [{"type": "MEMORY", "value": "64"}, {"type": "VCPU", "value": "2"}]}})
    );
}

#[test]
fn a_definition_in_the_file_is_named_by_its_content_or_by_its_name() {
    let own = |text: &str| built(job(text), JobFlags::default(), &[]).unwrap();
    let first = own(r#"{"jobDefinition": {"containerProperties": {"image": "a"}}}"#);
    let name =
        |r: &Request| r.definition.as_ref().unwrap()["jobDefinitionName"].as_str().unwrap().to_string();
    assert!(first.reusable && name(&first).starts_with("batchyard-submit-"));
    assert_eq!(first.definition.as_ref().unwrap()["type"], "container");
    assert!(first.body.get("jobDefinition").is_none());
    let other = own(r#"{"jobDefinition": {"containerProperties": {"image": "b"}}}"#);
    assert_ne!(name(&first), name(&other));
    let named = own(r#"{"jobDefinition": {"jobDefinitionName": "mine", "nodeProperties": {}}}"#);
    assert_eq!((named.reusable, name(&named).as_str()), (false, "mine"));
    assert_eq!(named.definition.unwrap()["type"], "multinode");
}

#[test]
fn a_script_brings_flags_and_command() {
    let text = "#BATCH --image busybox --cpus 1 --name inside\n:\n";
    let script = || Source::Script(Box::new(script::read(text, "a.sh").unwrap()));
    let request = built(script(), flags(), &["arg"]).unwrap();
    let overrides = &request.body["containerOverrides"];
    assert_eq!(overrides["command"], json!(["/bin/sh", "-c", text, "a.sh", "arg"]));
    assert_eq!(overrides["resourceRequirements"], json!([{"type": "VCPU", "value": "2"}]));
    assert_eq!(request.body["jobName"], "inside");
    assert!(request.definition.unwrap()["jobDefinitionName"].as_str().unwrap().starts_with("batchyard-run-"));
}

#[test]
fn what_contradicts_itself_is_refused() {
    let image = || JobFlags { image: Some("i".into()), ..JobFlags::default() };
    assert!(of_definition("single", image(), &[]).unwrap_err().to_string().contains("leave --image out"));
    let user = JobFlags { user: Some("1000".into()), ..JobFlags::default() };
    assert_eq!(of_definition("single", user, &[]).unwrap_err().exit_code(), 2);
    let both = JobFlags { definition: Some("d".into()), ..image() };
    assert_eq!(built(job("{}"), both, &[]).unwrap_err().exit_code(), 2);
    let nothing = built(job("{}"), JobFlags::default(), &[]).unwrap_err();
    assert!(nothing.to_string().contains("--image"), "{nothing}");
    assert_eq!(built(job(r#"{"jobDefinition": 3}"#), JobFlags::default(), &[]).unwrap_err().exit_code(), 2);
    assert_eq!(
        built(job(r#"{"tags": []}"#), JobFlags { tag: vec!["a=1".into()], ..image() }, &[])
            .unwrap_err()
            .exit_code(),
        2
    );
}
