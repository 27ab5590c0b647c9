//! What DescribeComputeEnvironments shows of a row (spec infrastructure §1.1): lists that are empty, not scalars that
//! are unset, and the defaults of AWS. Never here: reading rows.

use super::matrix::Kind;
use super::{body, cluster_name, roles};
use crate::api::input::{state_name, status_name};
use crate::api::service::Service;
use crate::error::ApiError;
use batchyard_engine::resource::{ComputeEnvironment, Platform};
use batchyard_model::arn::{Arn, ecs_cluster};
use batchyard_model::batch::*;

/// Minutes that running jobs have on the way to new instances, unless a policy says other (spec infrastructure §1.7).
const JOB_EXECUTION_TIMEOUT_MINUTES: i64 = 30;

impl Service {
    /// The environment as AWS shows it.
    pub(super) fn environment_detail(
        &self,
        row: &ComputeEnvironment,
    ) -> Result<ComputeEnvironmentDetail, ApiError> {
        let mut detail = body(row)?;
        detail.compute_environment_name = Some(row.name.to_string());
        detail.compute_environment_arn = Some(self.environment_arn(&row.name));
        detail.state = Some(state_name(row.state));
        detail.status = Some(status_name(row.status));
        detail.status_reason = Some(row.status_reason.to_string()).filter(|r| !r.is_empty());
        // Rows of older versions have the role as it was given, and no defaults.
        detail.service_role = roles::service_role(&self.account, detail.service_role.as_deref(), row.managed);
        if row.managed {
            detail.update_policy = Some(update_policy(detail.update_policy.as_ref()));
        }
        if let Some(resources) = &mut detail.compute_resources {
            show_empty_lists(resources, row.platform == Platform::Eks);
        }
        if row.platform != Platform::Eks {
            detail.ecs_cluster_arn = Some(ecs_cluster(&self.region, &self.account, &cluster_name(row)));
        }
        Ok(detail)
    }

    pub(in crate::api) fn environment_arn(&self, name: &str) -> String {
        Arn::compute_environment(&self.region, &self.account, name).to_string()
    }
}

/// A policy with its defaults.
pub(super) fn update_policy(policy: Option<&UpdatePolicy>) -> UpdatePolicy {
    let minutes = policy.and_then(|p| p.job_execution_timeout_minutes);
    UpdatePolicy {
        job_execution_timeout_minutes: minutes.or(Some(JOB_EXECUTION_TIMEOUT_MINUTES)),
        terminate_jobs_on_update: policy.and_then(|p| p.terminate_jobs_on_update).or(Some(false)),
    }
}

fn show_empty_lists(r: &mut ComputeResource, eks: bool) {
    let kind = Kind::of(r.r#type.as_deref().unwrap_or_default(), eks);
    if kind == Ok(Kind::ManagedInstances) {
        return;
    }
    r.subnets.get_or_insert_default();
    r.security_group_ids.get_or_insert_default();
    if kind != Ok(Kind::Fargate) {
        r.instance_types.get_or_insert_default();
        r.tags.get_or_insert_default();
    }
}
