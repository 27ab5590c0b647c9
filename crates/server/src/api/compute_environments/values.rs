//! What the values of `computeResources` may be (spec infrastructure §1.3 to §1.6, §2.1). They come tidied.
//!
//! Names of roles, subnets, images, templates and instance types are kept and not looked up: there is no EC2 here to ask.
//! Never here: which members a kind has (`matrix`).

use super::matrix::Kind;
use super::templates;
use super::tidy::{CAPACITY_OPTION, MONITORING, PROPAGATE_TAGS, RESERVATION};
use crate::api::input::check_tags;
use crate::error::ApiError;
use batchyard_model::batch::*;
use std::ops::RangeInclusive;

const BID_PERCENT: RangeInclusive<i32> = 1..=100;
const SCALE_DOWN_DELAY_MINUTES: RangeInclusive<i32> = 20..=10_080;
const SCALE_IN_AFTER_S: RangeInclusive<i32> = -1..=3600;
const MOST_EC2_CONFIGURATIONS: usize = 2;
const MOST_FARGATE_SUBNETS: usize = 16;
const MOST_FARGATE_GROUPS: usize = 5;
/// Items of a list of names for which no limit of AWS is known; more than EC2 has instance types.
pub(super) const MOST_NAMES: usize = 1000;
/// EC2's limit on the tags of an instance.
const MOST_EC2_TAGS: usize = 50;

/// Holds all values to their rules.
///
/// # Errors
/// Names the first member that breaks one.
pub(super) fn check(kind: Kind, r: &ComputeResource) -> Result<(), ApiError> {
    check_vcpus(r)?;
    check_strategy(kind, r)?;
    if kind != Kind::Ec2 {
        in_range("bidPercentage", r.bid_percentage, &BID_PERCENT)?;
    }
    let delay = r.scaling_policy.as_ref().and_then(|p| p.min_scale_down_delay_minutes);
    in_range("scalingPolicy.minScaleDownDelayMinutes", delay, &SCALE_DOWN_DELAY_MINUTES)?;
    at_most("ec2Configuration", &r.ec2_configuration, MOST_EC2_CONFIGURATIONS)?;
    if kind == Kind::Fargate {
        at_most("subnets", &r.subnets, MOST_FARGATE_SUBNETS)?;
        at_most("securityGroupIds", &r.security_group_ids, MOST_FARGATE_GROUPS)?;
    }
    for (member, list) in [
        ("instanceTypes", &r.instance_types),
        ("subnets", &r.subnets),
        ("securityGroupIds", &r.security_group_ids),
    ] {
        at_most(member, list, MOST_NAMES)?;
        named(member, list)?;
    }
    if let Some(tags) = r.tags.as_ref().filter(|tags| tags.len() > MOST_EC2_TAGS) {
        return Err(wrong("tags", format!("must be at most {MOST_EC2_TAGS}, got {}", tags.len())));
    }
    templates::check_architecture(r.instance_types.as_deref().unwrap_or_default())?;
    templates::check(r)?;
    check_tags(&r.capacity_tags)?;
    r.managed_instances_provider.as_ref().map_or(Ok(()), check_provider)
}

/// 0 ≤ min ≤ desired ≤ max (spec infrastructure §1.4); Fargate and managed instances have only max.
fn check_vcpus(r: &ComputeResource) -> Result<(), ApiError> {
    let max = r.max_vcpus.unwrap_or(0);
    if max < 0 {
        return Err(wrong("maxvCpus", format!("must be at least 0, got {max}")));
    }
    let (min, desired) = (r.min_vcpus.unwrap_or(0), r.desired_vcpus);
    if min < 0 || min > max {
        return Err(wrong("minvCpus", format!("must be between 0 and maxvCpus, {max}, got {min}")));
    }
    match desired {
        Some(desired) if desired < min || desired > max => Err(wrong(
            "desiredvCpus",
            format!("must be between minvCpus, {min}, and maxvCpus, {max}, got {desired}"),
        )),
        _ => Ok(()),
    }
}

/// Which strategies a type has (spec infrastructure §2.1).
fn check_strategy(kind: Kind, r: &ComputeResource) -> Result<(), ApiError> {
    let Some(strategy) = r.allocation_strategy.as_deref() else { return Ok(()) };
    let spot = r.r#type.as_deref() == Some("SPOT");
    let fits = match strategy {
        "BEST_FIT" => kind != Kind::Eks,
        "BEST_FIT_PROGRESSIVE" => true,
        "BEST_FIT_PROGRESSIVE_ORDERED" => !spot,
        _ => spot,
    };
    if fits {
        return Ok(());
    }
    let on = r.r#type.as_deref().unwrap_or_default();
    let eks = if kind == Kind::Eks { " with eksConfiguration" } else { "" };
    Err(wrong("allocationStrategy", format!("{strategy} does not apply to {on}{eks}: choose another")))
}

fn check_provider(provider: &ManagedInstancesProvider) -> Result<(), ApiError> {
    const AT: &str = "managedInstancesProvider";
    not_empty(&format!("{AT}.infrastructureRoleArn"), &provider.infrastructure_role_arn)?;
    one_of(&format!("{AT}.propagateTags"), &provider.propagate_tags, PROPAGATE_TAGS)?;
    let after = provider.infrastructure_optimization.as_ref().and_then(|o| o.scale_in_after);
    in_range(&format!("{AT}.infrastructureOptimization.scaleInAfter"), after, &SCALE_IN_AFTER_S)?;
    let at = format!("{AT}.instanceLaunchTemplate");
    let Some(template) = &provider.instance_launch_template else { return Ok(()) };
    not_empty(&format!("{at}.ec2InstanceProfileArn"), &template.ec2_instance_profile_arn)?;
    one_of(&format!("{at}.capacityOptionType"), &template.capacity_option_type, CAPACITY_OPTION)?;
    one_of(&format!("{at}.monitoring"), &template.monitoring, MONITORING)?;
    let reservations = template.capacity_reservations.as_ref();
    let preference = reservations.and_then(|c| c.reservation_preference.clone());
    one_of(&format!("{at}.capacityReservations.reservationPreference"), &preference, RESERVATION)?;
    let size = template.storage_configuration.as_ref().and_then(|s| s.storage_size_gib);
    in_range(&format!("{at}.storageConfiguration.storageSizeGiB"), size, &(1..=i32::MAX))?;
    let network = template.network_configuration.as_ref();
    for (member, list) in
        [("subnets", network.map(|n| &n.subnets)), ("securityGroups", network.map(|n| &n.security_groups))]
    {
        let at = format!("{at}.networkConfiguration.{member}");
        if list.is_some_and(|l| l.as_ref().is_none_or(Vec::is_empty)) {
            return Err(wrong(&at, "must name one at least".to_string()));
        }
        at_most(&at, list.unwrap_or(&None), MOST_NAMES)?;
        named(&at, list.unwrap_or(&None))?;
    }
    Ok(())
}

/// A member of computeResources and what is wrong with it.
pub(super) fn wrong(member: &str, what: String) -> ApiError {
    ApiError::wrapped(format!("computeResources.{member} {what}"))
}

fn in_range(member: &str, value: Option<i32>, range: &RangeInclusive<i32>) -> Result<(), ApiError> {
    match value {
        Some(n) if !range.contains(&n) => {
            Err(wrong(member, format!("must be between {} and {}, got {n}", range.start(), range.end())))
        }
        _ => Ok(()),
    }
}

fn at_most<T>(member: &str, list: &Option<Vec<T>>, most: usize) -> Result<(), ApiError> {
    match list {
        Some(list) if list.len() > most => {
            Err(wrong(member, format!("must have at most {most} items, got {}", list.len())))
        }
        _ => Ok(()),
    }
}

fn named(member: &str, list: &Option<Vec<String>>) -> Result<(), ApiError> {
    match list.iter().flatten().position(String::is_empty) {
        Some(index) => Err(wrong(member, format!("[{index}] must not be empty"))),
        None => Ok(()),
    }
}

fn not_empty(member: &str, value: &Option<String>) -> Result<(), ApiError> {
    match value {
        Some(text) if text.is_empty() => Err(wrong(member, "must not be empty".to_string())),
        _ => Ok(()),
    }
}

fn one_of(member: &str, value: &Option<String>, words: &[&str]) -> Result<(), ApiError> {
    match value {
        Some(word) if !words.contains(&word.as_str()) => {
            Err(wrong(member, format!("must be one of {}, got {word:?}", words.join(", "))))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
