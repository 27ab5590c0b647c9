//! Instance types and the launch templates over them (spec infrastructure §1.5). Names are not looked up.

use super::values::{MOST_NAMES, wrong};
use crate::error::ApiError;
use batchyard_model::batch::{ComputeResource, LaunchTemplateSpecificationOverride};

/// Names for a set of families that AWS chooses.
const BUNDLES: &[&str] = &["optimal", "default_x86_64", "default_arm64"];
const MOST_OVERRIDES: usize = 10;

/// Holds the launch template and its overrides to their rules.
///
/// # Errors
/// Names the member that breaks one.
pub(super) fn check(r: &ComputeResource) -> Result<(), ApiError> {
    let Some(template) = &r.launch_template else { return Ok(()) };
    const AT: &str = "launchTemplate";
    let overrides = template.overrides.as_deref().unwrap_or_default();
    let named = one_name(AT, &template.launch_template_id, &template.launch_template_name)?;
    if !named && overrides.is_empty() {
        return Err(wrong(AT, "must have a launchTemplateId or a launchTemplateName".to_string()));
    }
    check_version(AT, &template.version)?;
    if overrides.len() > MOST_OVERRIDES {
        return Err(wrong(
            &format!("{AT}.overrides"),
            format!("must have at most {MOST_OVERRIDES} items, got {}", overrides.len()),
        ));
    }
    let mut taken: Vec<&str> = Vec::new();
    for (index, one) in overrides.iter().enumerate() {
        let at = format!("{AT}.overrides[{index}]");
        check_override(&at, one)?;
        let types = r.instance_types.as_deref().unwrap_or_default();
        check_targets(&format!("{at}.targetInstanceTypes"), one, types, &mut taken)?;
    }
    Ok(())
}

fn check_override(at: &str, one: &LaunchTemplateSpecificationOverride) -> Result<(), ApiError> {
    if !one_name(at, &one.launch_template_id, &one.launch_template_name)? {
        return Err(wrong(at, "must have a launchTemplateId or a launchTemplateName".to_string()));
    }
    check_version(at, &one.version)
}

/// Targets are of the environment's instance types, no bundles, and none is hit twice.
fn check_targets<'a>(
    at: &str,
    one: &'a LaunchTemplateSpecificationOverride,
    types: &[String],
    taken: &mut Vec<&'a str>,
) -> Result<(), ApiError> {
    let targets = one.target_instance_types.as_deref().unwrap_or_default();
    if targets.is_empty() {
        return Err(wrong(at, "must name one at least".to_string()));
    }
    if taken.len() + targets.len() > MOST_NAMES {
        return Err(wrong(at, format!("must be at most {MOST_NAMES} over all overrides")));
    }
    for target in targets {
        if BUNDLES.contains(&target.as_str()) {
            return Err(wrong(at, format!("must be instance types or families, got {target}")));
        }
        let within = |t: &String| covers(t, target) || BUNDLES.contains(&t.as_str());
        if !types.iter().any(within) {
            return Err(wrong(at, format!("{target} is not among computeResources.instanceTypes")));
        }
        if let Some(other) = taken.iter().find(|other| covers(other, target) || covers(target, other)) {
            return Err(wrong(at, format!("{target} overlaps with {other}: target each instance type once")));
        }
        taken.push(target);
    }
    Ok(())
}

/// A family covers its sizes, a size itself.
fn covers(wide: &str, narrow: &str) -> bool {
    wide == narrow || family(narrow) == wide
}

fn family(instance_type: &str) -> &str {
    instance_type.split_once('.').map_or(instance_type, |(family, _)| family)
}

/// True when the template is named; both ways at once are refused.
fn one_name(at: &str, id: &Option<String>, name: &Option<String>) -> Result<bool, ApiError> {
    if id.is_some() && name.is_some() {
        return Err(wrong(at, "must have a launchTemplateId or a launchTemplateName, not both".to_string()));
    }
    Ok(id.is_some() || name.is_some())
}

fn check_version(at: &str, version: &Option<String>) -> Result<(), ApiError> {
    match version.as_deref() {
        None | Some("$Default" | "$Latest") => Ok(()),
        Some(number) if number.bytes().all(|b| b.is_ascii_digit()) => Ok(()),
        Some(other) => Err(wrong(
            &format!("{at}.version"),
            format!("must be a number, $Default or $Latest, got {other:?}"),
        )),
    }
}

/// One architecture per environment (spec infrastructure §1.3).
///
/// # Errors
/// Names one of each.
pub(super) fn check_architecture(types: &[String]) -> Result<(), ApiError> {
    let arm = types.iter().find(|t| is_arm(t));
    match (arm, types.iter().find(|t| !is_arm(t))) {
        (Some(arm), Some(other)) => Err(wrong(
            "instanceTypes",
            format!("must be of one architecture, got {arm} and {other}: make an environment for each"),
        )),
        _ => Ok(()),
    }
}

/// EC2's naming: letters of the line, its generation, then attributes, of which `g` is Graviton.
fn is_arm(instance_type: &str) -> bool {
    let family = family(instance_type);
    let line = family.trim_start_matches(|c: char| !c.is_ascii_digit());
    let attributes = line.trim_start_matches(|c: char| c.is_ascii_digit());
    instance_type == "default_arm64" || family == "a1" || attributes.contains('g')
}

#[cfg(test)]
#[path = "templates_tests.rs"]
mod tests;
