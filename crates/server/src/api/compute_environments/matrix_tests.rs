//! Every cell of the table: a member that is given where it may not be, or missing where it must be given, is refused
//! by name; all else passes.

use super::*;
use batchyard_model::batch::*;

const KINDS: [Kind; 5] = [Kind::Ec2, Kind::Spot, Kind::Fargate, Kind::ManagedInstances, Kind::Eks];

/// All members at once, whoever they belong to.
fn everything() -> ComputeResource {
    let text = |t: &str| Some(t.to_string());
    let list = |t: &str| Some(vec![t.to_string()]);
    let tags = || Some([("a".to_string(), "b".to_string())].into());
    ComputeResource {
        allocation_strategy: text("BEST_FIT_PROGRESSIVE"),
        bid_percentage: Some(50),
        capacity_tags: tags(),
        desired_vcpus: Some(1),
        ec2_configuration: Some(vec![Ec2Configuration::default()]),
        ec2_key_pair: text("key"),
        image_id: text("ami-1"),
        instance_role: text("role"),
        instance_types: list("optimal"),
        launch_template: Some(LaunchTemplateSpecification::default()),
        managed_instances_provider: Some(ManagedInstancesProvider::default()),
        max_vcpus: Some(4),
        min_vcpus: Some(1),
        placement_group: text("group"),
        scaling_policy: Some(ComputeScalingPolicy::default()),
        security_group_ids: list("sg-1"),
        spot_iam_fleet_role: text("fleet"),
        subnets: list("subnet-1"),
        tags: tags(),
        r#type: text("EC2"),
    }
}

/// The resources that have just these members of [`everything`].
fn only(wanted: impl Fn(&str) -> bool) -> ComputeResource {
    let members: serde_json::Map<_, _> =
        given(&everything()).into_iter().filter(|(m, _)| wanted(m)).collect();
    serde_json::from_value(members.into()).unwrap()
}

fn rule(kind: Kind, member: &str) -> Rule {
    TABLE.iter().find(|(m, _)| *m == member).unwrap().1[kind as usize]
}

#[test]
fn the_table_has_every_member_of_the_model() {
    let mut named: Vec<&str> = TABLE.iter().map(|(member, _)| *member).collect();
    named.sort_unstable();
    let members = given(&everything());
    assert_eq!(named, members.keys().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn what_a_kind_allows_passes() {
    for kind in KINDS {
        assert_eq!(check(kind, &only(|m| rule(kind, m) != X)), Ok(()), "{kind:?}: all of them");
        let least =
            only(|m| matches!(rule(kind, m), R | T | B) || (m == "launchTemplate" && rule(kind, m) == T));
        assert_eq!(check(kind, &least), Ok(()), "{kind:?}: as few as possible");
    }
}

#[test]
fn each_cell() {
    for kind in KINDS {
        for (member, rules) in TABLE {
            let all = |m: &str| rule(kind, m) != X;
            let bare = |m: &str| all(m) && m != "launchTemplate" && m != "allocationStrategy";
            let without = |wanted: &dyn Fn(&str) -> bool| check(kind, &only(|m| wanted(m) && m != *member));
            let with = check(kind, &only(|m| all(m) || m == *member));
            let at = format!("{member} on {kind:?}");
            match rules[kind as usize] {
                X => {
                    let text = with.unwrap_err().message;
                    assert!(text.starts_with(&format!("{member} is not applicable for ")), "{at}: {text}");
                }
                R => {
                    assert!(with.is_ok(), "{at}");
                    let text = without(&all).unwrap_err().message;
                    let aws = *member == "instanceRole" && text == "Instance role is required.";
                    assert!(aws || text.contains(*member), "{at}: {text}");
                }
                T => {
                    assert_eq!(without(&all), Ok(()), "{at}: the template may have it");
                    let no_template = |m: &str| all(m) && m != "launchTemplate";
                    assert!(without(&no_template).unwrap_err().message.contains(*member), "{at}");
                }
                B => {
                    assert_eq!(without(&all), Ok(()), "{at}: with another strategy");
                    assert!(
                        without(&bare).unwrap_err().message.contains(*member),
                        "{at}: without a strategy"
                    );
                }
                O | I => {
                    assert!(with.is_ok(), "{at}");
                    assert_eq!(without(&all), Ok(()), "{at}");
                }
            }
        }
    }
}

#[test]
fn the_texts_of_aws() {
    let tags = check_absent(Kind::Fargate, &only(|m| m == "tags")).unwrap_err();
    assert_eq!(tags, ApiError::wrapped("tags is not applicable for Fargate."));
    let role = check(Kind::Ec2, &only(|m| m != "instanceRole" && rule(Kind::Ec2, m) != X)).unwrap_err();
    assert_eq!(role, ApiError::wrapped("Instance role is required."));
}

#[test]
fn kinds_of_types() {
    for (name, kind) in [
        ("EC2", Kind::Ec2),
        ("SPOT", Kind::Spot),
        ("FARGATE", Kind::Fargate),
        ("FARGATE_SPOT", Kind::Fargate),
        ("ECS_MANAGED_INSTANCES", Kind::ManagedInstances),
    ] {
        assert_eq!(Kind::of(name, false), Ok(kind));
        let on_eks = Kind::of(name, true);
        if matches!(kind, Kind::Ec2 | Kind::Spot) {
            assert_eq!(on_eks, Ok(Kind::Eks));
        } else {
            assert!(on_eks.unwrap_err().message.contains("must be EC2 or SPOT"));
        }
    }
}
