//! UpdateComputeEnvironment: which kind of update it is, and whether this environment can have it (spec infrastructure
//! §1.7).
//!
//! What counts is what would change, not what was sent: who sends a value again changes nothing. Here no instance is
//! ever replaced; an infrastructure update decides only whether running jobs are ended. Never here: the change of one
//! member (`change`).

use super::change;
use super::create::{check_unmanaged_vcpus, ecs_settings, max_vcpus_milli};
use super::detail::update_policy;
use super::matrix::{self, Kind};
use super::tidy::tidy;
use super::{body, eks, roles, text, values};
use crate::api::input::state;
use crate::error::ApiError;
use batchyard_engine::EnvironmentUpdate;
use batchyard_engine::resource::{ComputeEnvironment, Platform, State};
use batchyard_model::batch::*;

/// The row as the update leaves it.
///
/// # Errors
/// The environment can't be changed so.
pub(super) fn updated(
    account: &str,
    row: ComputeEnvironment,
    input: &UpdateComputeEnvironmentRequest,
) -> Result<EnvironmentUpdate, ApiError> {
    let mut detail = body(&row)?;
    update_top(&row, &mut detail, input)?;
    let service_linked = update_role(account, &row, &mut detail, input.service_role.as_deref())?;
    let mut replaces_instances = false;
    if let Some(change) = &input.compute_resources {
        let Some(resources) = &mut detail.compute_resources else {
            return Err(ApiError::wrapped(
                "computeResources must not be provided for an UNMANAGED compute environment",
            ));
        };
        let eks = row.platform == Platform::Eks;
        replaces_instances = update_resources(resources, change, eks, service_linked)?;
    }
    let next = if input.state.is_some() { state(&input.state) } else { row.state };
    if next == State::Disabled {
        scale_in(detail.compute_resources.as_mut());
    }
    let ends = update_policy(detail.update_policy.as_ref()).terminate_jobs_on_update == Some(true);
    let max_vcpus_milli = max_vcpus_milli(detail.compute_resources.as_ref());
    let row = ComputeEnvironment { state: next, max_vcpus_milli, body: text(&detail), ..row };
    Ok(EnvironmentUpdate { row, end_jobs: replaces_instances && ends })
}

/// The members beside computeResources, state and serviceRole.
fn update_top(
    row: &ComputeEnvironment,
    detail: &mut ComputeEnvironmentDetail,
    input: &UpdateComputeEnvironmentRequest,
) -> Result<(), ApiError> {
    check_unmanaged_vcpus(input.unmanaged_vcpus, row.managed)?;
    detail.unmanaged_vcpus = input.unmanaged_vcpus.or(detail.unmanaged_vcpus);
    if let Some(context) = &input.context {
        detail.context = Some(context.clone()).filter(|c| !c.is_empty());
    }
    if let Some(settings) = input.ecs_settings.clone().and_then(ecs_settings) {
        if row.platform == Platform::Eks {
            return Err(ApiError::wrapped("ecsSettings is not applicable for EKS: leave it out"));
        }
        detail.ecs_settings = Some(settings);
    }
    if let Some(change) = &input.eks_configuration {
        let Some(configuration) = &mut detail.eks_configuration else {
            return Err(ApiError::wrapped("eksConfiguration is applicable only for EKS: leave it out"));
        };
        if let Some(entry) = &change.access_entry {
            configuration.access_entry = Some(eks::access_entry(entry.clone()));
        }
    }
    if let Some(policy) = &input.update_policy {
        if !row.managed {
            return Err(ApiError::wrapped(
                "updatePolicy is not applicable for an UNMANAGED compute environment: leave it out",
            ));
        }
        let old = update_policy(detail.update_policy.as_ref());
        detail.update_policy = Some(UpdatePolicy {
            job_execution_timeout_minutes: policy
                .job_execution_timeout_minutes
                .or(old.job_execution_timeout_minutes),
            terminate_jobs_on_update: policy.terminate_jobs_on_update.or(old.terminate_jobs_on_update),
        });
    }
    Ok(())
}

/// True when the role is the service-linked one. That and an ordinary role can't take each other's place.
fn update_role(
    account: &str,
    row: &ComputeEnvironment,
    detail: &mut ComputeEnvironmentDetail,
    wanted: Option<&str>,
) -> Result<bool, ApiError> {
    let before = roles::service_role(account, detail.service_role.as_deref(), row.managed);
    let linked = |role: &Option<String>| role.as_deref().is_some_and(roles::is_service_linked);
    let Some(wanted) = wanted.filter(|role| !role.is_empty()) else { return Ok(linked(&before)) };
    let after = roles::service_role(account, Some(wanted), row.managed);
    if before.is_some() && linked(&before) != linked(&after) {
        return Err(ApiError::client(format!(
            "serviceRole of compute environment {} cannot change between AWSServiceRoleForBatch and another role, create another compute environment",
            row.name
        )));
    }
    if row.platform == Platform::Eks && !linked(&after) {
        return Err(ApiError::wrapped(
            "serviceRole is not applicable for EKS, which uses AWSServiceRoleForBatch: leave it out",
        ));
    }
    let is_linked = linked(&after);
    detail.service_role = after;
    Ok(is_linked)
}

/// True when AWS would replace the instances: an infrastructure update.
fn update_resources(
    resources: &mut ComputeResource,
    change: &ComputeResourceUpdate,
    eks: bool,
    service_linked: bool,
) -> Result<bool, ApiError> {
    let mut old = resources.clone();
    tidy(&mut old);
    let kind = Kind::of(old.r#type.as_deref().unwrap_or_default(), eks)?;
    let touched = change::touched(change);
    check_type(&old, &touched)?;
    let new = change::merged(kind, &old, change);
    // EC2 and SPOT may have changed places.
    let kind = Kind::of(new.r#type.as_deref().unwrap_or_default(), eks)?;
    matrix::check_absent(kind, &touched)?;
    check_desired(kind, &old, change)?;
    let images = change.update_to_latest_image_version == Some(true);
    if images && matches!(kind, Kind::Fargate | Kind::ManagedInstances) {
        return Err(matrix::not_applicable(kind, "updateToLatestImageVersion"));
    }
    let (before, after) = (matrix::given(&old), matrix::given(&new));
    let differs = |member: &&str| before.get(*member) != after.get(*member);
    let changed: Vec<&str> = matrix::TABLE.iter().map(|(member, _)| *member).filter(differs).collect();
    for member in &changed {
        let emptied = !after.contains_key(*member);
        // Subnets and security groups may be cleared (§1.7): a launch template may have them.
        if emptied && !matches!(*member, "subnets" | "securityGroupIds") {
            matrix::check_required(kind, &new, member)?;
        }
    }
    if !changed.is_empty() {
        values::check(kind, &new)?;
    }
    let infrastructure = changed.iter().copied().find(|member| !is_scaling(kind, member));
    let infrastructure = infrastructure.or(images.then_some("updateToLatestImageVersion"));
    if let Some(member) = infrastructure {
        check_infrastructure(kind, member, &old, &new, service_linked)?;
    }
    *resources = new;
    Ok(infrastructure.is_some())
}

/// What is changed in place, whatever the role and the strategy.
fn is_scaling(kind: Kind, member: &str) -> bool {
    match member {
        "minvCpus" | "maxvCpus" | "desiredvCpus" | "scalingPolicy" => true,
        "subnets" | "securityGroupIds" => kind == Kind::Fargate,
        _ => false,
    }
}

/// Only EC2 and SPOT take each other's place.
fn check_type(old: &ComputeResource, touched: &ComputeResource) -> Result<(), ApiError> {
    let (Some(old), Some(new)) = (&old.r#type, &touched.r#type) else { return Ok(()) };
    let on_ec2 = |t: &str| matches!(t, "EC2" | "SPOT");
    if old == new || (on_ec2(old) && on_ec2(new)) {
        return Ok(());
    }
    Err(ApiError::client(format!(
        "computeResources.type cannot change from {old} to {new}, create another compute environment"
    )))
}

/// AWS's text, letter for letter (spec infrastructure §1.4).
fn check_desired(kind: Kind, old: &ComputeResource, change: &ComputeResourceUpdate) -> Result<(), ApiError> {
    match (change.desired_vcpus, old.desired_vcpus) {
        (Some(new), Some(old)) if new < old => Err(ApiError::client(
            "Manually scaling down compute environment is not supported. Disconnecting job queues from compute environment will cause it to scale-down to minvCpus.",
        )),
        (Some(new), old) if kind == Kind::Eks && old != Some(new) => {
            Err(matrix::not_applicable(kind, "desiredvCpus"))
        }
        _ => Ok(()),
    }
}

/// Infrastructure updates are for the service-linked role and strategies other than BEST_FIT, before and after.
fn check_infrastructure(
    kind: Kind,
    member: &str,
    old: &ComputeResource,
    new: &ComputeResource,
    service_linked: bool,
) -> Result<(), ApiError> {
    let why = if !service_linked {
        "its service role is not AWSServiceRoleForBatch"
    } else if kind != Kind::ManagedInstances && matrix::is_best_fit(old) {
        "its allocation strategy is BEST_FIT"
    } else if kind != Kind::ManagedInstances && matrix::is_best_fit(new) {
        "its allocation strategy would be BEST_FIT"
    } else {
        return Ok(());
    };
    Err(ApiError::client(format!(
        "computeResources.{member} cannot be updated, {why}: create another compute environment"
    )))
}

/// A disabled environment goes down to its minimum (spec infrastructure §1.2).
fn scale_in(resources: Option<&mut ComputeResource>) {
    if let Some(r) = resources
        && r.desired_vcpus.is_some()
    {
        r.desired_vcpus = r.min_vcpus.or(Some(0));
    }
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
