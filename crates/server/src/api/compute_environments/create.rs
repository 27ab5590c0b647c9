//! CreateComputeEnvironment's input as a row: what a type of environment takes, and what it has by default (spec
//! infrastructure §1.1 to §1.4). Never here: whether the name is free and there is room for one more; the engine knows.

use super::matrix::Kind;
use super::tidy::{spell, tidy, unset_texts};
use super::{eks, matrix, roles, text, values};
use crate::api::input::{check_tags, new_name, state};
use crate::error::ApiError;
use batchyard_engine::ids::ComputeEnvironmentId;
use batchyard_engine::resource::{ComputeEnvironment, Platform, Status};
use batchyard_model::batch::*;
use uuid::Uuid;

/// The row of a new environment.
///
/// # Errors
/// The input is not one that AWS takes.
pub(super) fn new_row(
    account: &str,
    mut input: CreateComputeEnvironmentRequest,
) -> Result<ComputeEnvironment, ApiError> {
    let name = new_name(&input.compute_environment_name, "computeEnvironmentName")?.to_string();
    check_tags(&input.tags)?;
    spell(&mut input.r#type, enums::CE_TYPE);
    let managed = input.r#type.as_deref() == Some("MANAGED");
    check_top(&input, managed)?;
    let eks = input.eks_configuration.is_some();
    let eks_configuration = input.eks_configuration.map(eks::checked).transpose()?;
    let ecs_settings = input.ecs_settings.and_then(ecs_settings);
    let (resources, kind) = match input.compute_resources {
        Some(resources) => {
            let (resources, kind) = new_resources(resources, eks)?;
            (Some(resources), Some(kind))
        }
        None => (None, None),
    };
    if eks {
        refuse_on_eks(&ecs_settings, input.service_role.as_deref())?;
    }
    unset_texts([&mut input.context]);
    let max = max_vcpus_milli(resources.as_ref());
    let detail = ComputeEnvironmentDetail {
        compute_resources: resources,
        container_orchestration_type: Some(if eks { "EKS" } else { "ECS" }.to_string()),
        context: input.context,
        ecs_settings,
        eks_configuration,
        service_role: roles::service_role(account, input.service_role.as_deref(), managed),
        tags: Some(input.tags.unwrap_or_default()),
        r#type: input.r#type,
        unmanaged_vcpus: input.unmanaged_vcpus,
        uuid: Some(Uuid::new_v4().to_string()),
        ..ComputeEnvironmentDetail::default()
    };
    Ok(ComputeEnvironment {
        id: ComputeEnvironmentId(0),
        name: name.into(),
        state: state(&input.state),
        status: Status::Creating,
        status_reason: "".into(),
        platform: platform(kind, eks),
        managed,
        max_vcpus_milli: max,
        version: 1,
        body: text(&detail),
    })
}

/// What MANAGED and UNMANAGED take (spec infrastructure §1.3).
fn check_top(input: &CreateComputeEnvironmentRequest, managed: bool) -> Result<(), ApiError> {
    let wrong = |text: &str| Err(ApiError::wrapped(text));
    match (&input.compute_resources, managed) {
        (None, true) => return wrong("computeResources must be provided for a MANAGED compute environment"),
        (Some(_), false) => {
            return wrong("computeResources must not be provided for an UNMANAGED compute environment");
        }
        _ => {}
    }
    check_unmanaged_vcpus(input.unmanaged_vcpus, managed)
}

/// `unmanagedvCpus` says how much an environment has that Batch does not scale.
pub(super) fn check_unmanaged_vcpus(vcpus: Option<i32>, managed: bool) -> Result<(), ApiError> {
    match vcpus {
        Some(_) if managed => Err(ApiError::wrapped(
            "unmanagedvCpus is not applicable for a MANAGED compute environment: leave it out",
        )),
        Some(n) if n < 0 => Err(ApiError::wrapped(format!("unmanagedvCpus must be at least 0, got {n}"))),
        _ => Ok(()),
    }
}

fn refuse_on_eks(settings: &Option<EcsSettings>, role: Option<&str>) -> Result<(), ApiError> {
    if settings.is_some() {
        return Err(ApiError::wrapped("ecsSettings is not applicable for EKS: leave it out"));
    }
    match roles::service_role("", role, true) {
        Some(role) if !roles::is_service_linked(&role) => Err(ApiError::wrapped(
            "serviceRole is not applicable for EKS, which uses AWSServiceRoleForBatch: leave it out",
        )),
        _ => Ok(()),
    }
}

/// `ecsSettings` in AWS's letters; an empty one is none.
pub(super) fn ecs_settings(mut settings: EcsSettings) -> Option<EcsSettings> {
    spell(&mut settings.container_insights, enums::CONTAINER_INSIGHTS);
    settings.container_insights.is_some().then_some(settings)
}

/// Tidied, held to the rules, with the vCPU counts that are not given.
fn new_resources(mut r: ComputeResource, eks: bool) -> Result<(ComputeResource, Kind), ApiError> {
    tidy(&mut r);
    let kind = Kind::of(r.r#type.as_deref().unwrap_or_default(), eks)?;
    matrix::check(kind, &r)?;
    if !matches!(kind, Kind::Fargate | Kind::ManagedInstances) {
        let min = *r.min_vcpus.get_or_insert(0);
        r.desired_vcpus.get_or_insert(min);
    }
    values::check(kind, &r)?;
    Ok((r, kind))
}

fn platform(kind: Option<Kind>, eks: bool) -> Platform {
    match kind {
        _ if eks => Platform::Eks,
        Some(Kind::Fargate) => Platform::Fargate,
        Some(Kind::ManagedInstances) => Platform::ManagedInstances,
        _ => Platform::Ec2,
    }
}

/// `maxvCpus` as the engine counts, in thousandths of a vCPU.
pub(super) fn max_vcpus_milli(resources: Option<&ComputeResource>) -> Option<u64> {
    resources.and_then(|r| r.max_vcpus).and_then(|max| u64::try_from(max).ok()).map(|max| max * 1000)
}
