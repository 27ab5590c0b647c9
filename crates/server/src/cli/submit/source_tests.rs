//! Telling sources apart, and reading job files.

use super::*;
use crate::cli::testing::TempDir;
use serde_json::json;

fn read_file(name: &str, text: &str) -> Result<(Source, String), CliError> {
    let dir = TempDir::new();
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    read(path.to_str().unwrap())
}

fn job_of(text: &str) -> Value {
    job(text, "job.yaml").unwrap().into()
}

#[test]
fn a_word_without_dot_and_slash_is_a_definition() {
    for (word, name) in [
        ("nightly", "nightly"),
        ("nightly:3", "nightly"),
        ("arn:aws:batch:us-east-1:1:job-definition/nightly:3", "nightly"),
    ] {
        assert_eq!(read(word).unwrap(), (Source::Definition(word.into()), name.into()));
    }
    assert_eq!(read("./nightly").unwrap_err().exit_code(), 3);
    assert_eq!(read("nightly.sh").unwrap_err().exit_code(), 3);
}

#[test]
fn files_are_told_by_their_ending_or_their_lines() {
    let kind = |name: &str, text: &str| match read_file(name, text) {
        Ok((Source::Script(_), stem)) => format!("script {stem}"),
        Ok((Source::Job(_), stem)) => format!("job {stem}"),
        Ok((Source::Definition(_), _)) => "definition".into(),
        Err(error) => error.exit_code().to_string(),
    };
    assert_eq!(kind("train.sh", "echo\n"), "script train");
    assert_eq!(kind("train", "#!/bin/sh\n"), "script train");
    assert_eq!(kind("train.py", "#BATCH --cpus 2\n"), "script train");
    assert_eq!(kind("a.yml", "jobName: x\n"), "job a");
    assert_eq!(kind("a.json", "{}"), "job a");
    assert_eq!(kind("train", "echo\n"), "2");
    assert_eq!(kind("a.json", "[]"), "2");
    assert_eq!(kind("a.json", "{"), "2");
    assert_eq!(kind("a.yaml", "a: [\n"), "2");
}

#[test]
fn members_are_those_of_the_model() {
    let model: Value = serde_json::from_str(include_str!("../../../../../data/batch.json")).unwrap();
    for (shape, members) in [("SubmitJobRequest", SUBMIT), ("RegisterJobDefinitionRequest", REGISTER)] {
        let mut of_model: Vec<&str> =
            model["shapes"][shape]["members"].as_object().unwrap().keys().map(String::as_str).collect();
        of_model.sort_unstable();
        assert_eq!(members, of_model, "{shape}");
    }
}

#[test]
fn a_wrong_member_is_named() {
    let error = |text: &str| job(text, "job.yaml").unwrap_err().to_string();
    assert!(error("JobName: x\n").contains("JobName is no member; AWS writes jobName"));
    assert!(error("nothing: x\n").contains("known are arrayProperties, "));
    assert!(error("jobDefinition: {image: x}\n").contains("jobDefinition.image is no member"));
    assert!(error("jobDefinition: a\ncontainerProperties: {image: x}\n").contains("leave one out"));
}

#[test]
fn a_container_at_the_top_is_a_definition_of_its_own() {
    assert_eq!(
        job_of("jobName: a\ncontainerProperties: {image: busybox, user: null}\n"),
        json!({"jobName": "a", "jobDefinition": {"containerProperties": {"image": "busybox"}}})
    );
}

#[test]
fn numbers_become_text_where_aws_has_text() {
    assert_eq!(
        job_of(
            "containerOverrides:\n  environment: [{name: A, value: 8080}, {name: B, value: no}]\n  \
             resourceRequirements: [{type: VCPU, value: 0.25}]\ntags: {a: 1, b: true, c: 007}\nparameters: {n: 3}\n\
             retryStrategy: {attempts: 3}\n"
        ),
        json!({"containerOverrides": {
                 "environment": [{"name": "A", "value": "8080"}, {"name": "B", "value": "no"}],
                 "resourceRequirements": [{"type": "VCPU", "value": "0.25"}]},
               "tags": {"a": "1", "b": "true", "c": "007"}, "parameters": {"n": "3"}, "retryStrategy": {"attempts": 3}})
    );
    let error = job("tags: {version: 1.10}\n", "j").unwrap_err().to_string();
    assert!(error.contains("tags.version is text to AWS"), "{error}");
}

#[test]
fn a_member_that_aws_does_not_have_is_an_error_at_any_depth() {
    let said = |text: &str| job(text, "f").unwrap_err().to_string();
    let text = said(r#"{"jobDefinition": "d", "containerOverrides": {"enviroment": []}}"#);
    assert!(text.contains("containerOverrides.enviroment is no member"), "{text}");
    let text = said("image: x\ncontainerProperties: {image: busybox, linuxParameters: {tmpfs: [{sise: 1}]}}");
    assert!(text.contains("image"), "{text}");
    let text = said("containerProperties: {image: busybox, linuxParameters: {tmpfs: [{sise: 1}]}}");
    assert!(text.contains("jobDefinition.containerProperties.linuxParameters.tmpfs[0].sise"), "{text}");
    let good = r#"{"jobDefinition": "d", "parameters": {"any": "x"}, "tags": {"k": "v"}, "retryStrategy": {"attempts": 2}}"#;
    assert!(job(good, "f").is_ok());
}
