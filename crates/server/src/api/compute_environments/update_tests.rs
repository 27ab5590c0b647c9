//! The three kinds of update, and what empty values do.

use super::*;
use crate::api::compute_environments::create::new_row;

const ACCOUNT: &str = "111122223333";
const LINKED: &str =
    "arn:aws:iam::999999999999:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch";
const EC2: &str = r#""type":"EC2","maxvCpus":8,"instanceTypes":["m5"],"subnets":["s-1"],"securityGroupIds":["g-1"],
    "instanceRole":"role","allocationStrategy":"BEST_FIT_PROGRESSIVE""#;
const FARGATE: &str = r#""type":"FARGATE","maxvCpus":8,"subnets":["s-1"],"securityGroupIds":["g-1"]"#;

/// A managed environment with these resources; `more` is of the environment.
fn made(resources: &str, more: &str) -> ComputeEnvironment {
    let input = format!(
        "{{\"computeEnvironmentName\":\"e\",\"type\":\"MANAGED\",\"computeResources\":{{{resources}}}{more}}}"
    );
    new_row(ACCOUNT, serde_json::from_str(&input).unwrap()).unwrap()
}

fn update(row: &ComputeEnvironment, change: &str) -> Result<EnvironmentUpdate, String> {
    let input = format!("{{\"computeEnvironment\":\"e\",{change}}}");
    updated(ACCOUNT, row.clone(), &serde_json::from_str(&input).unwrap()).map_err(|e| e.message)
}

/// An update of computeResources that passes, and what the resources are then.
fn passes(row: &ComputeEnvironment, change: &str) -> ComputeResource {
    let update = update(row, &format!("\"computeResources\":{{{change}}}")).expect(change);
    body(&update.row).unwrap().compute_resources.unwrap()
}

fn fails(row: &ComputeEnvironment, change: &str, says: &str) {
    let text = update(row, &format!("\"computeResources\":{{{change}}}")).expect_err(change);
    assert!(text.contains(says), "{change}: {text}");
}

const INFRASTRUCTURE: &[&str] = &[
    r#""allocationStrategy":"BEST_FIT_PROGRESSIVE_ORDERED""#,
    r#""instanceTypes":["c5"]"#,
    r#""bidPercentage":50"#,
    r#""type":"SPOT""#,
    r#""imageId":"ami-2""#,
    r#""ec2Configuration":[{"imageType":"ECS_AL2023"}]"#,
    r#""launchTemplate":{"launchTemplateId":"lt-2"}"#,
    r#""ec2KeyPair":"key""#,
    r#""updateToLatestImageVersion":true"#,
    r#""subnets":["s-2"]"#,
    r#""securityGroupIds":["g-2"]"#,
    r#""placementGroup":"pg""#,
    r#""instanceRole":"other""#,
    r#""tags":{"a":"b"}"#,
];

#[test]
fn infrastructure_updates_need_the_linked_role_and_another_strategy() {
    let can = made(EC2, "");
    let role = made(EC2, ",\"serviceRole\":\"mine\"");
    let best = made(&EC2.replace("BEST_FIT_PROGRESSIVE", "BEST_FIT"), "");
    let unset = made(&EC2.replace(",\"allocationStrategy\":\"BEST_FIT_PROGRESSIVE\"", ""), "");
    for change in INFRASTRUCTURE {
        passes(&can, change);
        fails(&role, change, "its service role is not AWSServiceRoleForBatch");
        fails(&best, change, "its allocation strategy is BEST_FIT");
        fails(&unset, change, "its allocation strategy is BEST_FIT");
    }
    // Sent again they change nothing.
    let same =
        EC2.replace("\"type\":\"EC2\",", "").replace(",\"allocationStrategy\":\"BEST_FIT_PROGRESSIVE\"", "");
    passes(&role, &same);
    passes(
        &role,
        r#""type":"ec2","updateToLatestImageVersion":false,"tags":{},"imageId":"","ec2Configuration":[]"#,
    );
}

#[test]
fn scaling_updates_are_for_all() {
    for more in ["", ",\"serviceRole\":\"mine\""] {
        for resources in
            [EC2.to_string(), EC2.replace(",\"allocationStrategy\":\"BEST_FIT_PROGRESSIVE\"", "")]
        {
            let row = made(&resources, more);
            let now =
                passes(&row, r#""minvCpus":2,"maxvCpus":16,"scalingPolicy":{"minScaleDownDelayMinutes":20}"#);
            assert_eq!((now.min_vcpus, now.desired_vcpus, now.max_vcpus), (Some(2), Some(2), Some(16)));
            assert_eq!(now.scaling_policy.unwrap().min_scale_down_delay_minutes, Some(20));
        }
        let fargate = made(FARGATE, more);
        let now = passes(&fargate, r#""maxvCpus":9,"subnets":["s-2"],"securityGroupIds":[]"#);
        assert_eq!(
            (now.max_vcpus, now.subnets, now.security_group_ids),
            (Some(9), Some(vec!["s-2".into()]), Some(vec!["g-1".into()]))
        );
    }
    assert_eq!(
        update(&made(EC2, ""), r#""computeResources":{"maxvCpus":3}"#).unwrap().row.max_vcpus_milli,
        Some(3000)
    );
}

/// AWS's text (spec infrastructure §1.4), and the count going down by itself.
#[test]
fn desired_vcpus_only_rise() {
    let row = update(&made(EC2, ""), r#""computeResources":{"desiredvCpus":4}"#).unwrap().row;
    let text = "Manually scaling down compute environment is not supported. Disconnecting job queues from compute environment will cause it to scale-down to minvCpus.";
    assert_eq!(update(&row, r#""computeResources":{"desiredvCpus":3}"#), Err(text.to_string()));
    assert_eq!(passes(&row, r#""desiredvCpus":4,"maxvCpus":8"#).desired_vcpus, Some(4));
    fails(&row, r#""desiredvCpus":9"#, "desiredvCpus must be between");
    assert_eq!(passes(&row, r#""maxvCpus":2"#).desired_vcpus, Some(2));
    assert_eq!(passes(&row, r#""minvCpus":6"#).desired_vcpus, Some(6));
    let off = update(&row, r#""state":"DISABLED""#).unwrap().row;
    assert_eq!(body(&off).unwrap().compute_resources.unwrap().desired_vcpus, Some(0));
    let eks = made(EC2, r#","eksConfiguration":{"eksClusterArn":"arn","kubernetesNamespace":"ns"}"#);
    fails(&eks, r#""desiredvCpus":1"#, "desiredvCpus is not applicable for EKS");
    passes(&eks, r#""minvCpus":1"#);
}

#[test]
fn types_that_change_places() {
    let spot = passes(
        &made(EC2, ""),
        r#""type":"SPOT","allocationStrategy":"SPOT_CAPACITY_OPTIMIZED","bidPercentage":60"#,
    );
    assert_eq!(spot.r#type.as_deref(), Some("SPOT"));
    fails(&made(EC2, ""), r#""allocationStrategy":"SPOT_CAPACITY_OPTIMIZED""#, "does not apply to EC2");
    for (from, to) in
        [(EC2, "FARGATE"), (EC2, "ECS_MANAGED_INSTANCES"), (FARGATE, "EC2"), (FARGATE, "FARGATE_SPOT")]
    {
        fails(&made(from, ""), &format!("\"type\":\"{to}\""), "create another compute environment");
    }
}

#[test]
fn what_a_kind_has_not_is_not_updated() {
    for (member, change) in [
        ("minvCpus", "1"),
        ("instanceRole", "\"r\""),
        ("tags", "{\"a\":\"b\"}"),
        ("updateToLatestImageVersion", "true"),
    ] {
        fails(
            &made(FARGATE, ""),
            &format!("\"{member}\":{change}"),
            &format!("{member} is not applicable for Fargate."),
        );
    }
    passes(
        &made(FARGATE, ""),
        r#""maxvCpus":4,"tags":{},"instanceTypes":[],"imageId":"","launchTemplate":{"launchTemplateId":""}"#,
    );
    fails(&made(EC2, ""), r#""capacityTags":{"a":"b"}"#, "capacityTags is not applicable for EC2: use tags");
}

#[test]
fn empty_removes() {
    let template = r#","launchTemplate":{"launchTemplateName":"n","version":"3","overrides":[{"launchTemplateId":"lt-9","targetInstanceTypes":["m5.large"]}]}"#;
    let row = made(
        &format!("{EC2}{template},\"imageId\":\"ami-1\",\"ec2Configuration\":[{{\"imageType\":\"x\"}}]"),
        "",
    );
    let now = passes(&row, r#""imageId":"","ec2Configuration":[],"subnets":[],"securityGroupIds":[]"#);
    assert_eq!(
        (now.image_id, now.ec2_configuration, now.subnets, now.security_group_ids),
        (None, None, None, None)
    );
    for empty in [r#"{"launchTemplateId":""}"#, r#"{"launchTemplateName":""}"#] {
        assert_eq!(passes(&row, &format!("\"launchTemplate\":{empty}")).launch_template, None);
    }
    let kept = passes(&row, r#""launchTemplate":{"overrides":[]}"#).launch_template.unwrap();
    assert_eq!(
        (kept.launch_template_name.as_deref(), kept.version.as_deref(), kept.overrides),
        (Some("n"), Some("3"), None)
    );
    let other = passes(&row, r#""launchTemplate":{"launchTemplateId":"lt-1"}"#).launch_template.unwrap();
    assert_eq!(
        (other.launch_template_name, other.version, other.overrides.map(|o| o.len())),
        (None, None, Some(1))
    );
    let bid = update(&row, r#""computeResources":{"bidPercentage":40}"#).unwrap().row;
    assert_eq!(passes(&bid, r#""bidPercentage":0"#).bid_percentage, None);
    fails(&row, r#""instanceTypes":[]"#, "instanceTypes is required");
    fails(&row, r#""instanceRole":"""#, "Instance role is required.");
}

#[test]
fn roles_keep_their_kind() {
    let (linked, mine) = (made(EC2, ""), made(EC2, ",\"serviceRole\":\"mine\""));
    for same in ["", LINKED, "AWSServiceRoleForBatch"] {
        assert!(update(&linked, &format!("\"serviceRole\":\"{same}\"")).is_ok(), "{same}");
    }
    assert!(update(&linked, "\"serviceRole\":\"mine\"").unwrap_err().contains("cannot change between"));
    assert!(
        update(&mine, &format!("\"serviceRole\":\"{LINKED}\""))
            .unwrap_err()
            .contains("cannot change between")
    );
    let other = body(&update(&mine, "\"serviceRole\":\"path/other\"").unwrap().row).unwrap();
    assert_eq!(other.service_role.as_deref(), Some("arn:aws:iam::111122223333:role/path/other"));
}

/// Jobs end only by an infrastructure update under a policy that says so, this update's own included.
#[test]
fn who_ends_running_jobs() {
    let row = made(EC2, "");
    let ends = |row: &ComputeEnvironment, change: &str| update(row, change).expect(change).end_jobs;
    let infrastructure = r#""computeResources":{"imageId":"ami-2"}"#;
    let policy = r#""updatePolicy":{"terminateJobsOnUpdate":true}"#;
    assert!(!ends(&row, infrastructure));
    assert!(ends(&row, &format!("{infrastructure},{policy}")));
    assert!(!ends(&row, policy));
    let row = update(&row, policy).unwrap().row;
    assert!(ends(&row, infrastructure));
    assert!(!ends(&row, r#""computeResources":{"maxvCpus":9}"#));
    let shown =
        body(&update(&row, r#""updatePolicy":{"jobExecutionTimeoutMinutes":5}"#).unwrap().row).unwrap();
    let policy = shown.update_policy.unwrap();
    assert_eq!(
        (policy.job_execution_timeout_minutes, policy.terminate_jobs_on_update),
        (Some(5), Some(true))
    );
}

/// What a row of an older version may lack does not stand in the way of what the update is about.
#[test]
fn old_rows_can_be_updated() {
    let detail = r#"{"type":"MANAGED","uuid":"u","computeResources":{"type":"EC2","maxvCpus":8,"minvCpus":0,"desiredvCpus":0,
        "instanceTypes":["optimal"],"subnets":[],"securityGroupIds":[],"tags":{}}}"#;
    let row = ComputeEnvironment { body: detail.into(), ..made(EC2, "") };
    assert_eq!(passes(&row, r#""maxvCpus":9,"subnets":[]"#).max_vcpus, Some(9));
    assert!(update(&row, r#""state":"DISABLED""#).is_ok());
}
