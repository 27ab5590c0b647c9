//! The edges of every range, and which strategy goes with which type.

use super::*;
use crate::api::compute_environments::tidy::tidy;

fn resources(json: &str) -> ComputeResource {
    let mut r: ComputeResource = serde_json::from_str(json).unwrap();
    tidy(&mut r);
    r
}

/// The members added to an environment of that type that is good without them.
fn judge(kind: &str, members: &str) -> Result<(), String> {
    let (on, name) = match kind {
        "EKS" => (true, "EC2"),
        "EKS SPOT" => (true, "SPOT"),
        name => (false, name),
    };
    let r = resources(&format!("{{\"type\":\"{name}\",\"maxvCpus\":8{members}}}"));
    check(Kind::of(name, on).unwrap(), &r).map_err(|e| e.message)
}

fn good(kind: &str, members: &str) {
    assert_eq!(judge(kind, members), Ok(()), "{kind} {members}");
}

fn bad(kind: &str, members: &str, says: &str) {
    let text = judge(kind, members).expect_err(members);
    assert!(text.contains(says), "{kind} {members}: {text}");
}

fn names(count: usize) -> String {
    (0..count).map(|n| format!("\"n-{n}\"")).collect::<Vec<_>>().join(",")
}

#[test]
fn vcpus_stand_in_their_order() {
    good("EC2", ",\"minvCpus\":0,\"desiredvCpus\":0");
    good("EC2", ",\"minvCpus\":8,\"desiredvCpus\":8");
    bad("EC2", ",\"minvCpus\":9", "minvCpus must be between 0 and maxvCpus, 8, got 9");
    bad("EC2", ",\"minvCpus\":-1", "minvCpus");
    bad(
        "EC2",
        ",\"minvCpus\":2,\"desiredvCpus\":1",
        "desiredvCpus must be between minvCpus, 2, and maxvCpus, 8, got 1",
    );
    bad("EC2", ",\"desiredvCpus\":9", "desiredvCpus");
    let max = check(Kind::Fargate, &resources("{\"type\":\"FARGATE\",\"maxvCpus\":-1}"));
    assert!(max.unwrap_err().message.contains("maxvCpus must be at least 0"));
}

#[test]
fn strategies_go_with_types() {
    let all = [
        ("BEST_FIT", ["EC2", "SPOT"].as_slice()),
        ("BEST_FIT_PROGRESSIVE", &["EC2", "SPOT", "EKS", "EKS SPOT"]),
        ("BEST_FIT_PROGRESSIVE_ORDERED", &["EC2", "EKS"]),
        ("SPOT_CAPACITY_OPTIMIZED", &["SPOT", "EKS SPOT"]),
        ("SPOT_PRICE_CAPACITY_OPTIMIZED", &["SPOT", "EKS SPOT"]),
        ("SPOT_CAPACITY_OPTIMIZED_PRIORITIZED", &["SPOT", "EKS SPOT"]),
    ];
    for (strategy, kinds) in all {
        for kind in ["EC2", "SPOT", "EKS", "EKS SPOT"] {
            let members = format!(",\"allocationStrategy\":\"{}\"", strategy.to_lowercase());
            if kinds.contains(&kind) {
                good(kind, &members);
            } else {
                bad(kind, &members, &format!("allocationStrategy {strategy} does not apply to"));
            }
        }
    }
}

#[test]
fn numbers_and_counts() {
    good("SPOT", ",\"bidPercentage\":1");
    good("SPOT", ",\"bidPercentage\":100");
    bad("SPOT", ",\"bidPercentage\":0", "bidPercentage must be between 1 and 100, got 0");
    bad("SPOT", ",\"bidPercentage\":101", "got 101");
    good("EC2", ",\"bidPercentage\":0"); // It means nothing there.
    for minutes in [0, 20, 10_080] {
        good("EC2", &format!(",\"scalingPolicy\":{{\"minScaleDownDelayMinutes\":{minutes}}}"));
    }
    for minutes in [-1, 1, 19, 10_081] {
        let members = format!(",\"scalingPolicy\":{{\"minScaleDownDelayMinutes\":{minutes}}}");
        bad("EC2", &members, "scalingPolicy.minScaleDownDelayMinutes must be between 20 and 10080");
    }
    let configuration = |count| vec!["{\"imageType\":\"ECS_AL2023\"}"; count].join(",");
    good("EC2", &format!(",\"ec2Configuration\":[{}]", configuration(2)));
    bad(
        "EC2",
        &format!(",\"ec2Configuration\":[{}]", configuration(3)),
        "ec2Configuration must have at most 2 items",
    );
    good("FARGATE", &format!(",\"subnets\":[{}],\"securityGroupIds\":[{}]", names(16), names(5)));
    bad("FARGATE", &format!(",\"subnets\":[{}]", names(17)), "subnets must have at most 16 items, got 17");
    bad("FARGATE", &format!(",\"securityGroupIds\":[{}]", names(6)), "securityGroupIds must have at most 5");
    good("EC2", &format!(",\"subnets\":[{}],\"securityGroupIds\":[{}]", names(17), names(6)));
    bad("EC2", &format!(",\"subnets\":[{}]", names(1001)), "subnets must have at most 1000 items, got 1001");
    let tags: Vec<String> = (0..51).map(|n| format!("\"{n}\":\"\"")).collect();
    bad("EC2", &format!(",\"tags\":{{{}}}", tags.join(",")), "tags must be at most 50, got 51");
    bad("EC2", ",\"subnets\":[\"\"]", "subnets [0] must not be empty");
    bad("ECS_MANAGED_INSTANCES", ",\"capacityTags\":{\"aws:x\":\"\"}", "reserved prefix");
}

#[test]
fn the_provider_of_managed_instances() {
    let provider = |more: &str, template: &str| {
        format!(
            ",\"managedInstancesProvider\":{{\"infrastructureRoleArn\":\"role\"{more},\"instanceLaunchTemplate\":{{\
             \"ec2InstanceProfileArn\":\"profile\",\"networkConfiguration\":{{\"subnets\":[\"s\"],\"securityGroups\":[\"g\"]}}{template}}}}}"
        )
    };
    const MI: &str = "ECS_MANAGED_INSTANCES";
    good(MI, &provider("", ""));
    for seconds in [-1, 0, 3600] {
        good(MI, &provider(&format!(",\"infrastructureOptimization\":{{\"scaleInAfter\":{seconds}}}"), ""));
    }
    for seconds in [-2, 3601] {
        let more = format!(",\"infrastructureOptimization\":{{\"scaleInAfter\":{seconds}}}");
        bad(MI, &provider(&more, ""), "infrastructureOptimization.scaleInAfter");
    }
    good(
        MI,
        &provider(
            ",\"propagateTags\":\"capacity_provider\"",
            ",\"capacityOptionType\":\"spot\",\"monitoring\":\"Detailed\"",
        ),
    );
    bad(
        MI,
        &provider(",\"propagateTags\":\"ALL\"", ""),
        "propagateTags must be one of CAPACITY_PROVIDER, NONE",
    );
    bad(MI, &provider("", ",\"capacityOptionType\":\"CHEAP\""), "capacityOptionType must be one of");
    bad(MI, &provider("", ",\"monitoring\":\"MUCH\""), "monitoring must be one of");
    bad(MI, &provider("", ",\"storageConfiguration\":{\"storageSizeGiB\":0}"), "storageSizeGiB");
    let reserved = |p: &str| format!(",\"capacityReservations\":{{\"reservationPreference\":\"{p}\"}}");
    good(MI, &provider("", &reserved("RESERVATIONS_FIRST")));
    bad(MI, &provider("", &reserved("NEVER")), "reservationPreference must be one of");
    bad(
        MI,
        &provider("", "").replace("[\"s\"]", "[]"),
        "networkConfiguration.subnets must name one at least",
    );
    bad(MI, &provider("", "").replace("\"role\"", "\"\""), "infrastructureRoleArn must not be empty");
}
