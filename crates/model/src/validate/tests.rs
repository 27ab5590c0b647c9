//! Each kind of rule, through generated checks where a shape has such a rule.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Check, Rule, Validate, canonical};
use crate::limits::{CASE_INSENSITIVE, MAY_BE_EMPTY};
use crate::{batch, logs};

/// What is wrong with `input`, one sentence each.
fn wrong<T: Validate + DeserializeOwned>(input: Value) -> Vec<String> {
    let input: T = serde_json::from_value(input).expect("the input has the right types");
    match input.check() {
        Ok(()) => Vec::new(),
        Err(violations) => violations.iter().map(ToString::to_string).collect(),
    }
}

fn submit(more: Value) -> Value {
    let mut input = json!({"jobName": "n", "jobQueue": "q", "jobDefinition": "d"});
    let (Some(input_map), Value::Object(more)) = (input.as_object_mut(), more) else { panic!("not objects") };
    input_map.extend(more);
    input
}

#[test]
fn a_good_input_passes() {
    let input = submit(json!({
        "containerOverrides": {"environment": [{"name": "A", "value": "1"}],
                               "resourceRequirements": [{"type": "VCPU", "value": "1"}]},
        "dependsOn": [{"jobId": "a", "type": "N_TO_N"}],
        "tags": {"owner": "me"},
        "unknownMember": 1,
    }));
    assert_eq!(wrong::<batch::SubmitJobRequest>(input), Vec::<String>::new());
}

#[test]
fn missing_members_are_named_all_at_once() {
    let sentences = ["jobDefinition is required", "jobName is required", "jobQueue is required"];
    assert_eq!(wrong::<batch::SubmitJobRequest>(json!({"jobName": null})), sentences);
}

#[test]
fn required_inside_a_list_carries_the_index() {
    let input = submit(json!({"containerOverrides": {"resourceRequirements": [
        {"type": "VCPU", "value": "1"}, {"type": "GPU"}]}}));
    let sentence = "containerOverrides.resourceRequirements[1].value is required";
    assert_eq!(wrong::<batch::SubmitJobRequest>(input), [sentence]);
}

#[test]
fn an_enum_is_exact() {
    let input = submit(json!({"dependsOn": [{"jobId": "a"}, {"jobId": "a", "type": "n_to_n"}]}));
    let sentence = r#"dependsOn[1].type must be one of N_TO_N, SEQUENTIAL, got "n_to_n""#;
    assert_eq!(wrong::<batch::SubmitJobRequest>(input), [sentence]);
}

#[test]
fn some_enums_are_taken_in_any_case() {
    let action = |action: &str| submit(json!({"retryStrategy": {"evaluateOnExit": [{"action": action}]}}));
    assert_eq!(wrong::<batch::SubmitJobRequest>(action("eXit")), Vec::<String>::new());
    let sentence = r#"retryStrategy.evaluateOnExit[0].action must be one of RETRY, EXIT, got "stop""#;
    assert_eq!(wrong::<batch::SubmitJobRequest>(action("stop")), [sentence]);
    assert_eq!(canonical(batch::enums::RETRY_ACTION, "exit"), Some("EXIT"));
}

#[test]
fn a_number_has_a_range() {
    let minutes = |minutes: i64| json!({"computeEnvironment": "c", "updatePolicy": {"jobExecutionTimeoutMinutes": minutes}});
    assert_eq!(wrong::<batch::UpdateComputeEnvironmentRequest>(minutes(7200)), Vec::<String>::new());
    for wrong_minutes in [0, 7201] {
        let sentence = format!(
            "updatePolicy.jobExecutionTimeoutMinutes must be between 1 and 7200, got {wrong_minutes}"
        );
        assert_eq!(wrong::<batch::UpdateComputeEnvironmentRequest>(minutes(wrong_minutes)), [sentence]);
    }
}

#[test]
fn a_number_may_be_zero_at_least() {
    let from = |start: i64| json!({"logGroupName": "g", "startTime": start});
    assert_eq!(wrong::<logs::FilterLogEventsRequest>(from(0)), Vec::<String>::new());
    assert_eq!(wrong::<logs::FilterLogEventsRequest>(from(-1)), ["startTime must be at least 0, got -1"]);
}

#[test]
fn lengths_count_characters() {
    let tags = |key: String, value: String| submit(json!({"tags": {key: value}}));
    assert_eq!(
        wrong::<batch::SubmitJobRequest>(tags("é".repeat(128), "漢".repeat(256))),
        Vec::<String>::new()
    );

    let found = wrong::<batch::SubmitJobRequest>(tags("é".repeat(129), "漢".repeat(257)));
    let key = format!("\"{}…\"", "é".repeat(60));
    let sentences = [
        format!("tags key {key} must have 1 to 128 characters, got 129"),
        format!("tags[{key}] must have at most 256 characters, got 257"),
    ];
    assert_eq!(found, sentences);
}

#[test]
fn lists_and_maps_have_sizes() {
    let tags: serde_json::Map<_, _> = (0..51).map(|n| (format!("k{n}"), json!("v"))).collect();
    let sentence = "tags must have 1 to 50 entries, got 51";
    assert_eq!(wrong::<batch::SubmitJobRequest>(submit(json!({"tags": tags}))), [sentence]);
    assert_eq!(wrong::<batch::SubmitJobRequest>(submit(json!({"tags": {}}))), Vec::<String>::new());

    let events = json!({"logGroupName": "g", "logStreamName": "s", "logEvents": []});
    let sentence = "logEvents must have 1 to 10000 entries, got 0";
    assert_eq!(wrong::<logs::PutLogEventsRequest>(events), [sentence]);
}

#[test]
fn a_pattern_holds_from_end_to_end() {
    let group = |name: &str| json!({"logGroupName": name});
    assert_eq!(wrong::<logs::DescribeLogStreamsRequest>(group("/aws/batch/job")), Vec::<String>::new());
    for bad in ["a b", "a\n"] {
        let sentence = format!(r"logGroupName must match [\.\-_/#A-Za-z0-9]+, got {bad:?}");
        assert_eq!(wrong::<logs::DescribeLogStreamsRequest>(group(bad)), [sentence]);
    }
    let tagged = json!({"logGroupName": "g", "tags": {"zuständig": "Größe 1"}});
    assert_eq!(wrong::<logs::CreateLogGroupRequest>(tagged), Vec::<String>::new());
}

#[test]
fn only_the_first_few_are_told() {
    let dependency = json!({"type": "X"});
    let found = wrong::<batch::SubmitJobRequest>(submit(json!({"dependsOn": vec![dependency; 100]})));
    assert_eq!(found.len(), 5);
    assert!(found[4].starts_with("dependsOn[4].type"), "{found:?}");
}

#[test]
fn handlers_add_rules_of_their_own() {
    let mut check = Check::default();
    check.member("containerProperties", &Some(1), |check, memory| {
        check.member("memory", &Some(*memory), |check, memory| check.range(*memory, Some(4), None));
        check.report(Rule::Other("must not be given with ecsProperties".to_owned()), "");
    });
    let text = check.finish().map_err(|violations| violations.to_string());
    let expected = "containerProperties.memory must be at least 4, got 1; \
                    containerProperties must not be given with ecsProperties";
    assert_eq!(text, Err(expected.to_owned()));
}

#[test]
fn every_generated_pattern_compiles() {
    for pattern in logs::PATTERNS {
        assert!(pattern.compiled().is_some(), "{}", pattern.text());
    }
}

#[test]
fn the_overlays_name_shapes_of_the_model() {
    let model: Value =
        serde_json::from_str(include_str!("../../../../data/batch.json")).expect("data is JSON");
    for name in CASE_INSENSITIVE {
        assert!(model["shapes"][name]["enum"].is_array(), "{name}");
    }
    for name in MAY_BE_EMPTY {
        assert_eq!(model["shapes"][name]["min"], 1, "{name}");
    }
}
