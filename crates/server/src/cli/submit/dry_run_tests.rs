//! Whether a job fits.

use super::*;
use crate::cli::testing::{client_at, serve};
use std::sync::Arc;

fn request(body: Value) -> Request {
    let mut whole = json!({"jobName": "j", "jobQueue": "q", "jobDefinition": "d"});
    whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    Request { body: whole, definition: None, reusable: false }
}

/// The checks that are not ok, of a queue `q` with a small and a Fargate environment.
fn complaints(request: &Request, queue: Value) -> Vec<(String, Verdict, String)> {
    let url = serve(Arc::new(move |operation, body| match operation {
        "describejobdefinitions" if body["jobDefinitionName"] == "d" => (
            200,
            json!({"jobDefinitions": [{"jobDefinitionName": "d", "revision": 2, "status": "ACTIVE", "parameters": {"a": "1"},
                "containerProperties": {"image": "i", "command": ["Ref::a", "Ref::b"], "resourceRequirements": [
                    {"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "64"}]}}]}),
        ),
        "describejobdefinitions" => (200, json!({"jobDefinitions": []})),
        "describejobqueues" if body["jobQueues"][0] == "q" => {
            let mut whole = json!({"jobQueueName": "q", "state": "ENABLED", "status": "VALID", "computeEnvironmentOrder": [
                {"order": 2, "computeEnvironment": "arn:aws:batch:r:1:compute-environment/small"},
                {"order": 1, "computeEnvironment": "arn:aws:batch:r:1:compute-environment/fargate"}]});
            whole.as_object_mut().unwrap().extend(queue.as_object().unwrap().clone());
            (200, json!({ "jobQueues": [whole] }))
        }
        "describejobqueues" => (200, json!({"jobQueues": []})),
        _ => (
            200,
            json!({"computeEnvironments": [
                {"computeEnvironmentName": "small", "state": "ENABLED", "status": "VALID", "computeResources": {"type": "EC2", "maxvCpus": 4}},
                {"computeEnvironmentName": "fargate", "state": "ENABLED", "status": "VALID", "computeResources": {"type": "FARGATE", "maxvCpus": 99}}]}),
        ),
    }));
    let all = checks(&client_at(&url), request).unwrap();
    all.into_iter().filter(|c| c.state != Verdict::Ok).map(|c| (c.name, c.state, c.found)).collect()
}

fn names(complaints: &[(String, Verdict, String)]) -> Vec<(&str, Verdict)> {
    complaints.iter().map(|(name, state, _)| (name.as_str(), *state)).collect()
}

#[test]
fn while_one_environment_takes_it_the_other_is_a_warning() {
    let found = complaints(&request(json!({"parameters": {"b": "2"}})), json!({}));
    assert_eq!(names(&found), [("environment fargate", Verdict::Warn)]);
}

#[test]
fn a_job_that_no_environment_takes_does_not_fit() {
    let big = json!({"parameters": {"b": "2"},
        "containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": "5"}]}});
    let found = complaints(&request(big), json!({}));
    assert_eq!(names(&found), [("environment fargate", Verdict::Fail), ("environment small", Verdict::Fail)]);
    assert!(found[1].2.contains("at most 4"), "{found:?}");
}

#[test]
fn what_submit_job_refuses_does_not_fit() {
    let short = json!({"parameters": {"b": "2"}, "timeout": {"attemptDurationSeconds": 5}});
    let found = complaints(&request(short), json!({}));
    assert_eq!(names(&found)[0], ("rules", Verdict::Fail));
    assert!(found[0].2.contains("at least 60"), "{found:?}");
}

#[test]
fn parts_of_a_vcpu_are_fargates() {
    let half = json!({"parameters": {"b": "2"},
        "containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": "0.5"}]}});
    assert_eq!(names(&complaints(&request(half), json!({})))[0], ("needs", Verdict::Fail));
}

#[test]
fn every_reason_is_told() {
    let queue = json!({"state": "DISABLED", "schedulingPolicyArn": "arn:aws:batch:r:1:scheduling-policy/p",
        "computeEnvironmentOrder": []});
    let long = "x".repeat(MOST);
    let found = complaints(&request(json!({ "tags": { "a": long } })), queue);
    let what: Vec<&str> = found.iter().map(|(name, _, _)| name.as_str()).collect();
    assert_eq!(what, ["size", "parameters", "queue", "share", "environments"]);
    assert!(found[1].2.contains("-p b=VALUE") && found[3].2.contains("--share"), "{found:?}");
    let share = complaints(&request(json!({"shareIdentifier": "s", "parameters": {"b": ""}})), json!({}));
    assert_eq!(names(&share)[0], ("share", Verdict::Fail));
}

#[test]
fn what_is_not_there() {
    let none = json!({"jobQueue": "nope", "jobDefinition": "nope"});
    assert_eq!(
        names(&complaints(&request(none), json!({}))),
        [("definition", Verdict::Fail), ("queue", Verdict::Fail)]
    );
}
