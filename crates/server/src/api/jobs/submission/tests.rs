//! Tables of what submissions are refused for, and of what a job takes from its definition.

use super::*;
use serde_json::{Value, json};

fn extended(mut base: Value, more: &Value) -> Value {
    base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    base
}

fn request(more: Value) -> SubmitJobRequest {
    let base = json!({"jobName": "j", "jobQueue": "q", "jobDefinition": "d"});
    serde_json::from_value(extended(base, &more)).unwrap()
}

fn definition(more: Value) -> Definition {
    let definition: JobDefinition = serde_json::from_value(more).unwrap();
    Definition { id: DefinitionId(1), active: true, definition, arn: "arn:d:1".into() }
}

fn container(more: Value) -> Value {
    let needs = json!([{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]);
    extended(json!({"image": "i", "resourceRequirements": needs}), &more)
}

fn plain(more: Value) -> Definition {
    definition(extended(json!({"type": "container", "containerProperties": container(json!({}))}), &more))
}

/// What one of a table is answered.
fn checked(more: Value) -> String {
    let request = request(more);
    check(&request)
        .and_then(|()| check_array_size(&request, 10_000))
        .map_or_else(|e| e.message, |()| "fine".to_string())
}

/// Spec jobs §2.1, §2.5: shape and range, before anything is looked up.
#[test]
fn submissions_are_checked_before_anything_is_read() {
    let many: Vec<Value> = vec![json!({"jobId": "x"}); 21];
    let table = [
        (json!({}), "fine"),
        (json!({"jobName": "a"}), "fine"),
        (json!({"jobName": "a.b"}), "Job name should match valid pattern"),
        (json!({"jobName": ""}), "Job name should match valid pattern"),
        (json!({"jobName": "_a"}), "Job name should match valid pattern"),
        (json!({"jobName": "a".repeat(129)}), "Job name should match valid pattern"),
        (json!({"dependsOn": many}), "Job cannot have more than 20 dependencies"),
        (json!({"dependsOn": []}), "fine"),
        (json!({"dependsOn": [{"jobId": "x"}, {"jobId": "x", "type": "N_TO_N"}]}), "fine"),
        (json!({"dependsOn": [{"jobId": ""}]}), "dependsOn: jobId is missing; name the job to wait for"),
        (json!({"dependsOn": [{"type": "N_TO_N"}]}), "dependsOn: jobId is missing; name the job to wait for"),
        (
            json!({"dependsOn": [{"type": "SEQUENTIAL"}]}),
            "dependsOn: SEQUENTIAL without a jobId is for array jobs; name the job to wait for",
        ),
        (json!({"arrayProperties": {}}), "fine"),
        (json!({"arrayProperties": {"size": 1}}), "arrayProperties.size must be between 2 and 10000, got 1"),
        (
            json!({"arrayProperties": {"size": 10001}}),
            "arrayProperties.size must be between 2 and 10000, got 10001",
        ),
        (json!({"arrayProperties": {"size": 2}}), "fine"),
        (json!({"arrayProperties": {"size": 2}, "dependsOn": [{"type": "SEQUENTIAL"}]}), "fine"),
        (json!({"shareIdentifier": "aB9*"}), "fine"),
        (json!({"shareIdentifier": "a".repeat(255)}), "fine"),
        (json!({"schedulingPriorityOverride": 9999}), "fine"),
        (
            json!({"schedulingPriorityOverride": 10000}),
            "schedulingPriorityOverride must be between 0 and 9999, got 10000",
        ),
        (
            json!({"timeout": {"attemptDurationSeconds": 59}}),
            "timeout.attemptDurationSeconds must be at least 60, got 59",
        ),
        (json!({"timeout": {}}), "fine"),
        (json!({"retryStrategy": {}}), "RetryAttempts must be provided with retry strategy"),
        (json!({"retryStrategy": {"attempts": 0}}), "retryStrategy.attempts must be between 1 and 10, got 0"),
        (json!({"nodeOverrides": {}}), "nodeOverrides does not work in this version of Batchyard"),
    ];
    for (more, expected) in table {
        assert_eq!(checked(more.clone()), expected, "{more}");
    }
    for share in ["", "*", "a_b", "a*b", "ä", &"a".repeat(256)] {
        assert!(checked(json!({"shareIdentifier": share})).starts_with("shareIdentifier must be"), "{share}");
    }
}

/// Spec jobs §2.2: what the submission says replaces whole objects of the definition.
#[test]
fn the_submission_replaces_the_definitions_objects() {
    let d = plain(json!({
        "parameters": {"a": "1", "b": "2"}, "retryStrategy": {"attempts": 2}, "schedulingPriority": 7,
        "timeout": {"attemptDurationSeconds": 60}, "propagateTags": true, "tags": {"d": "d"},
        "platformCapabilities": ["EC2"],
    }));
    let detail = merged(&request(json!({})), &d).unwrap().detail;
    assert_eq!(detail.retry_strategy.unwrap().attempts, Some(2));
    assert_eq!((detail.scheduling_priority, detail.propagate_tags), (Some(7), Some(true)));
    assert_eq!(detail.timeout.unwrap().attempt_duration_seconds, Some(60));
    assert_eq!(detail.tags, Some(BTreeMap::new()));
    let input = request(json!({
        "parameters": {"b": "3"}, "retryStrategy": {"attempts": 5}, "schedulingPriorityOverride": 0,
        "timeout": {"attemptDurationSeconds": 90}, "propagateTags": false, "shareIdentifier": "s",
    }));
    let merged = merged(&input, &d).unwrap();
    let ids = (QueueId(1), DefinitionId(1), JobUuid([1; 16]));
    let submission = submission(&input, &merged, &Principal::root("123456789012", "AK"), ids);
    assert_eq!((submission.retry.attempts, submission.timeout_s, submission.priority), (5, Some(90), 0));
    assert!(submission.overrides_priority);
    let detail = merged.detail;
    assert_eq!(
        detail.parameters.unwrap(),
        [("a", "1"), ("b", "3")].map(|(k, v)| (k.into(), v.into())).into()
    );
    assert_eq!((detail.propagate_tags, detail.share_identifier.as_deref()), (Some(false), Some("s")));
}

#[test]
fn overrides_fit_the_kind_of_definition() {
    let text =
        |d: &Definition, more| merged(&request(more), d).map_or_else(|e| e.message, |_| "fine".to_string());
    let ecs = definition(json!({"type": "container",
        "ecsProperties": {"taskProperties": [{"containers": [container(json!({"name": "main"}))]}]}}));
    let plain = plain(json!({}));
    assert_eq!(text(&plain, json!({"containerOverrides": {"command": ["a"]}})), "fine");
    assert_eq!(text(&ecs, json!({"containerOverrides": {}})), "fine");
    assert!(text(&ecs, json!({"containerOverrides": {"vcpus": 2}})).contains("use ecsPropertiesOverride"));
    assert!(text(&plain, json!({"ecsPropertiesOverride": {}})).contains("use containerOverrides"));
    let change = json!([{"name": "main", "resourceRequirements": [{"type": "VCPU", "value": "2"}]}]);
    let input = request(json!({"ecsPropertiesOverride": {"taskProperties": [{"containers": change}]}}));
    let job = merged(&input, &ecs).unwrap();
    assert_eq!((job.needs.vcpus_milli, job.needs.memory_mib), (2000, 64));
    assert!(job.detail.container.is_none());
    assert_eq!(single(&job.detail).unwrap().name, "main");
}

#[test]
fn kinds_that_cannot_run_here_are_named() {
    let text = |more| merged(&request(json!({})), &definition(more)).unwrap_err().message;
    assert!(text(json!({"type": "multinode", "nodeProperties": {}})).starts_with("nodeProperties"));
    assert!(text(json!({"type": "container", "eksProperties": {}})).starts_with("eksProperties"));
    let two = [container(json!({"name": "a"})), container(json!({"name": "b"}))];
    let several = json!({"type": "container", "ecsProperties": {"taskProperties": [{"containers": two}]}});
    assert!(text(several).starts_with("ecsProperties with several containers"));
    let gpu = json!([{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}, {"type": "GPU", "value": "1"}]);
    let gpu =
        json!({"type": "container", "containerProperties": {"image": "i", "resourceRequirements": gpu}});
    assert!(text(gpu).starts_with("resourceRequirements of type GPU"));
    let licences = json!({"consumableResourceList": [{"consumableResource": "l", "quantity": 1}]});
    let licensed = json!({"type": "container", "consumableResourceProperties": licences});
    assert!(text(licensed).starts_with("consumableResourceProperties"));
}

/// Spec jobs §2.4: a key that both have counts once.
#[test]
fn tags_of_both_are_counted_together() {
    let tags = |n: usize, from: usize| (from..from + n).map(|i| (format!("k{i}"), String::new())).collect();
    let own = |n| SubmitJobRequest { tags: Some(tags(n, 0)), ..Default::default() };
    assert_eq!(too_many_tags(&own(30), &tags(30, 20)), None);
    assert!(too_many_tags(&own(30), &tags(30, 21)).unwrap().contains("have 51 tags"));
    assert_eq!(too_many_tags(&SubmitJobRequest::default(), &tags(50, 0)), None);
}
