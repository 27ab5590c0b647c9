//! Compute environments: create, update, describe, delete (spec infrastructure §1).
//!
//! The body of the row is the ComputeEnvironmentDetail without what has a column of its own. Never here: whether a
//! deletion or update is allowed; the engine decides that.

use super::input::{check_tags, new_name, required, state, state_name, status_name};
use super::page::Page;
use super::service::Service;
use super::{STALE_TRIES, contended, refused, unexpected};
use crate::error::ApiError;
use batchyard_engine::ids::ComputeEnvironmentId;
use batchyard_engine::resource::{ComputeEnvironment, Platform, Status};
use batchyard_engine::{Command, EnvironmentUpdate, Reply};
use batchyard_model::arn::{Arn, ArnKind, ecs_cluster, name_or_arn};
use batchyard_model::batch::*;
use std::collections::BTreeMap;

impl Service {
    /// CreateComputeEnvironment; start-up makes the default ones through it too.
    ///
    /// # Errors
    /// As AWS words them.
    pub async fn create_compute_environment(
        &self,
        input: CreateComputeEnvironmentRequest,
    ) -> Result<CreateComputeEnvironmentResponse, ApiError> {
        let name = new_name(&input.compute_environment_name, "computeEnvironmentName")?.to_string();
        check_tags(&input.tags)?;
        let row = new_row(&name, input)?;
        match self.core.command(Command::CreateComputeEnvironment(row)).await? {
            Reply::ComputeEnvironment(_) => Ok(CreateComputeEnvironmentResponse {
                compute_environment_arn: Some(self.environment_arn(&name)),
                compute_environment_name: Some(name),
            }),
            Reply::Refused(refusal) => Err(refused(refusal)),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn update_compute_environment(
        &self,
        input: UpdateComputeEnvironmentRequest,
    ) -> Result<UpdateComputeEnvironmentResponse, ApiError> {
        let name = self.environment_reference(&input.compute_environment)?;
        for _ in 0..STALE_TRIES {
            let wanted = name.clone();
            let row = self.readers.read(move |r| r.compute_environment(&wanted)).await?;
            let row = row.ok_or_else(|| missing(&name))?;
            let row = updated_row(row, &input)?;
            match self
                .core
                .command(Command::UpdateComputeEnvironment(EnvironmentUpdate { row, end_jobs: false }))
                .await?
            {
                Reply::Done | Reply::ComputeEnvironment(_) => {
                    return Ok(UpdateComputeEnvironmentResponse {
                        compute_environment_arn: Some(self.environment_arn(&name)),
                        compute_environment_name: Some(name),
                    });
                }
                Reply::Stale => {}
                Reply::Refused(refusal) => return Err(refused(refusal)),
                other => return Err(unexpected(&other)),
            }
        }
        Err(contended())
    }

    pub(super) async fn delete_compute_environment(
        &self,
        input: DeleteComputeEnvironmentRequest,
    ) -> Result<DeleteComputeEnvironmentResponse, ApiError> {
        let name = self.environment_reference(&input.compute_environment)?;
        let row = self.readers.read(move |r| r.compute_environment(&name)).await?;
        // Deleting what is not there is done (spec infrastructure §1.8).
        let Some(row) = row else { return Ok(DeleteComputeEnvironmentResponse::default()) };
        match self.core.command(Command::DeleteComputeEnvironment(row.id)).await? {
            Reply::Refused(refusal) => Err(refused(refusal)),
            _ => Ok(DeleteComputeEnvironmentResponse::default()),
        }
    }

    pub(super) async fn describe_compute_environments(
        &self,
        input: DescribeComputeEnvironmentsRequest,
    ) -> Result<DescribeComputeEnvironmentsResponse, ApiError> {
        const NAME: &str = "DescribeComputeEnvironments";
        let page = Page::read(NAME, input.max_results, input.next_token.as_deref(), 100)?;
        let names = input.compute_environments.unwrap_or_default();
        let mut token = None;
        let rows = if names.is_empty() {
            let after = page.from.unwrap_or(0);
            let mut rows = self.readers.read(move |r| r.compute_environments(after, page.limit())).await?;
            token = page.cut(NAME, &mut rows, |r| r.id.0);
            rows
        } else {
            let names = references(ArnKind::ComputeEnvironment, &names, 100)?;
            let find = move |r: &crate::store::Reader| {
                names.iter().filter_map(|n| r.compute_environment(n).transpose()).collect()
            };
            self.readers.read(find).await?
        };
        let details: Result<Vec<_>, _> = rows.iter().map(|row| self.environment_detail(row)).collect();
        Ok(DescribeComputeEnvironmentsResponse { compute_environments: Some(details?), next_token: token })
    }

    fn environment_detail(&self, row: &ComputeEnvironment) -> Result<ComputeEnvironmentDetail, ApiError> {
        let mut detail = body(row)?;
        detail.compute_environment_name = Some(row.name.to_string());
        detail.compute_environment_arn = Some(self.environment_arn(&row.name));
        detail.state = Some(state_name(row.state));
        detail.status = Some(status_name(row.status));
        detail.status_reason = Some(row.status_reason.to_string()).filter(|r| !r.is_empty());
        if row.platform != Platform::Eks {
            let arn = ecs_cluster(&self.region, &self.account, &cluster_name(row));
            detail.ecs_cluster_arn = Some(arn);
        }
        Ok(detail)
    }

    pub(super) fn environment_arn(&self, name: &str) -> String {
        Arn::compute_environment(&self.region, &self.account, name).to_string()
    }

    fn environment_reference(&self, value: &Option<String>) -> Result<String, ApiError> {
        let text = required(value, "computeEnvironment")?;
        name_or_arn(ArnKind::ComputeEnvironment, text)
            .map(|r| r.name)
            .map_err(|e| ApiError::wrapped(e.to_string()))
    }
}

/// Names out of names and ARNs.
pub(super) fn references(kind: ArnKind, texts: &[String], most: usize) -> Result<Vec<String>, ApiError> {
    if texts.len() > most {
        return Err(ApiError::wrapped(format!(
            "at most {most} can be described at once, got {}",
            texts.len()
        )));
    }
    // What can't be a name is nowhere, which Describe shows as nothing.
    let mut names: Vec<String> =
        texts.iter().filter_map(|t| name_or_arn(kind, t).ok()).map(|r| r.name).collect();
    names.dedup();
    Ok(names)
}

/// The name of the ECS cluster of an environment (spec infrastructure §1.1).
pub(super) fn cluster_name(row: &ComputeEnvironment) -> String {
    let uuid = body(row).ok().and_then(|d| d.uuid).unwrap_or_default();
    format!("AWSBatch-{}-{uuid}", row.name)
}

fn missing(name: &str) -> ApiError {
    ApiError::client(format!("ComputeEnvironment {name} does not exist"))
}

fn body(row: &ComputeEnvironment) -> Result<ComputeEnvironmentDetail, ApiError> {
    serde_json::from_str(&row.body).map_err(|error| {
        tracing::error!(%error, name = %row.name, "the body of a compute environment can't be read");
        ApiError::server()
    })
}

fn text<T: serde::Serialize>(value: &T) -> std::sync::Arc<str> {
    serde_json::to_string(value).expect("wire types are plain").into()
}

fn new_row(name: &str, input: CreateComputeEnvironmentRequest) -> Result<ComputeEnvironment, ApiError> {
    let managed = input.r#type.as_deref() == Some("MANAGED");
    if managed && input.compute_resources.is_none() {
        return Err(ApiError::wrapped("computeResources must be provided for a MANAGED compute environment"));
    }
    if !managed && input.compute_resources.is_some() {
        return Err(ApiError::wrapped(
            "computeResources must not be provided for an UNMANAGED compute environment",
        ));
    }
    let eks = input.eks_configuration.is_some();
    let resources = input.compute_resources.map(with_defaults).transpose()?;
    let kind = resources.as_ref().and_then(|r| r.r#type.as_deref());
    let platform = platform(kind, eks);
    let max = resources.as_ref().and_then(|r| r.max_vcpus).and_then(|m| u64::try_from(m).ok());
    let detail = ComputeEnvironmentDetail {
        compute_resources: resources,
        container_orchestration_type: Some(if eks { "EKS" } else { "ECS" }.to_string()),
        context: input.context,
        ecs_settings: input.ecs_settings,
        eks_configuration: input.eks_configuration,
        service_role: input.service_role.filter(|r| !r.is_empty()),
        tags: Some(input.tags.unwrap_or_default()),
        r#type: input.r#type,
        unmanaged_vcpus: input.unmanaged_vcpus,
        uuid: Some(uuid::Uuid::new_v4().to_string()),
        ..ComputeEnvironmentDetail::default()
    };
    Ok(ComputeEnvironment {
        id: ComputeEnvironmentId(0),
        name: name.into(),
        state: state(&input.state),
        status: Status::Creating,
        status_reason: "".into(),
        platform,
        managed,
        max_vcpus_milli: max.map(|m| m * 1000),
        version: 1,
        body: text(&detail),
    })
}

fn platform(kind: Option<&str>, eks: bool) -> Platform {
    match kind {
        _ if eks => Platform::Eks,
        Some(k) if k.eq_ignore_ascii_case("FARGATE") || k.eq_ignore_ascii_case("FARGATE_SPOT") => {
            Platform::Fargate
        }
        Some(k) if k.eq_ignore_ascii_case("ECS_MANAGED_INSTANCES") => Platform::ManagedInstances,
        _ => Platform::Ec2,
    }
}

/// Lists are shown even when empty; vCPU counts have defaults (spec infrastructure §1.3, §1.4).
fn with_defaults(mut r: ComputeResource) -> Result<ComputeResource, ApiError> {
    let max = *required(&r.max_vcpus, "computeResources.maxvCpus")?;
    if max < 0 {
        return Err(ApiError::wrapped(format!("computeResources.maxvCpus must be at least 0, got {max}")));
    }
    if matches!(r.r#type.as_deref(), Some("EC2" | "SPOT")) {
        let min = *r.min_vcpus.get_or_insert(0);
        let desired = *r.desired_vcpus.get_or_insert(min);
        check_vcpus(min, desired, max)?;
        r.instance_types.get_or_insert_default();
        r.tags.get_or_insert_with(BTreeMap::new);
    }
    r.subnets.get_or_insert_default();
    r.security_group_ids.get_or_insert_default();
    Ok(r)
}

fn check_vcpus(min: i32, desired: i32, max: i32) -> Result<(), ApiError> {
    if min < 0 || desired < min || desired > max {
        return Err(ApiError::wrapped(format!(
            "computeResources must have 0 <= minvCpus <= desiredvCpus <= maxvCpus, got {min}, {desired}, {max}"
        )));
    }
    Ok(())
}

/// This version changes state, service role and the scaling fields; the other kinds of update are refused.
fn updated_row(
    row: ComputeEnvironment,
    input: &UpdateComputeEnvironmentRequest,
) -> Result<ComputeEnvironment, ApiError> {
    let mut detail = body(&row)?;
    if input.ecs_settings.is_some() || input.eks_configuration.is_some() || input.update_policy.is_some() {
        return Err(ApiError::client(
            "updating ecsSettings, eksConfiguration and updatePolicy does not work in this version of Batchyard",
        ));
    }
    if let Some(change) = &input.compute_resources {
        update_resources(&mut detail, change)?;
    }
    if let Some(role) = &input.service_role {
        detail.service_role = Some(role.clone()).filter(|r| !r.is_empty());
    }
    detail.unmanaged_vcpus = input.unmanaged_vcpus.or(detail.unmanaged_vcpus);
    detail.context = input.context.clone().or(detail.context);
    let max = detail.compute_resources.as_ref().and_then(|r| r.max_vcpus).and_then(|m| u64::try_from(m).ok());
    let next = if input.state.is_some() { state(&input.state) } else { row.state };
    Ok(ComputeEnvironment { state: next, max_vcpus_milli: max.map(|m| m * 1000), body: text(&detail), ..row })
}

fn update_resources(
    detail: &mut ComputeEnvironmentDetail,
    change: &ComputeResourceUpdate,
) -> Result<(), ApiError> {
    let Some(resources) = &mut detail.compute_resources else {
        return Err(ApiError::wrapped(
            "computeResources must not be provided for an UNMANAGED compute environment",
        ));
    };
    let scaling = ComputeResourceUpdate {
        min_vcpus: change.min_vcpus,
        max_vcpus: change.max_vcpus,
        desired_vcpus: change.desired_vcpus,
        ..ComputeResourceUpdate::default()
    };
    if scaling != *change {
        return Err(ApiError::client(
            "updating anything of computeResources but minvCpus, maxvCpus and desiredvCpus does not work in this version of Batchyard",
        ));
    }
    resources.min_vcpus = change.min_vcpus.or(resources.min_vcpus);
    resources.max_vcpus = change.max_vcpus.or(resources.max_vcpus);
    resources.desired_vcpus = change.desired_vcpus.or(resources.desired_vcpus);
    if let (Some(min), Some(max)) = (resources.min_vcpus, resources.max_vcpus) {
        let desired = resources.desired_vcpus.unwrap_or(min).clamp(min, max.max(min));
        resources.desired_vcpus = Some(desired);
        check_vcpus(min, desired, max)?;
    }
    Ok(())
}
