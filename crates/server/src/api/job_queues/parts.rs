//! What a job queue is put together from: its environments in their order, the type that follows from them, its
//! scheduling policy (spec infrastructure §3.1). Never here: whether they are VALID and of one kind; the engine decides
//! that.

use crate::api::input::{clip, name_here, required};
use crate::api::scheduling_policies;
use crate::api::service::Service;
use crate::error::ApiError;
use batchyard_engine::ids::{ComputeEnvironmentId, PolicyId};
use batchyard_engine::resource::{ComputeEnvironment, Platform, PolicyKind};
use batchyard_model::arn::ArnKind;
use batchyard_model::batch::{ComputeEnvironmentDetail, ComputeEnvironmentOrder, ServiceEnvironmentOrder};
use batchyard_model::limits::MAX_ENVIRONMENTS_PER_QUEUE;

/// Environments in the order in which they are tried.
pub(super) struct Environments {
    /// Their rows.
    pub ids: Vec<ComputeEnvironmentId>,
    /// As Describe shows them, with ARNs.
    pub order: Vec<ComputeEnvironmentOrder>,
    /// The `jobQueueType` of the first one.
    pub queue_type: &'static str,
}

impl Service {
    /// The environments that `computeEnvironmentOrder` names.
    pub(super) async fn environments_of(
        &self,
        mut order: Vec<ComputeEnvironmentOrder>,
    ) -> Result<Environments, ApiError> {
        check_order(&order)?;
        order.sort_by_key(|entry| entry.order);
        let mut rows: Vec<ComputeEnvironment> = Vec::with_capacity(order.len());
        for entry in &mut order {
            let row = self.environment_of(entry).await?;
            if rows.iter().any(|other| other.id == row.id) {
                return Err(ApiError::wrapped(format!("computeEnvironmentOrder names {} twice", row.name)));
            }
            rows.push(row);
        }
        on_demand_first(&rows)?;
        let queue_type = rows.first().map_or("ECS", |row| queue_type(row.platform));
        Ok(Environments { ids: rows.iter().map(|row| row.id).collect(), order, queue_type })
    }

    async fn environment_of(
        &self,
        entry: &mut ComputeEnvironmentOrder,
    ) -> Result<ComputeEnvironment, ApiError> {
        const MEMBER: &str = "computeEnvironmentOrder.computeEnvironment";
        let text = required(&entry.compute_environment, MEMBER)?.clone();
        let row = match name_here(self, ArnKind::ComputeEnvironment, MEMBER, &text)? {
            Some(name) => self.readers.read(move |r| r.compute_environment(&name)).await?,
            None => None,
        };
        let row = row
            .ok_or_else(|| ApiError::client(format!("ComputeEnvironment {} does not exist", clip(&text))))?;
        entry.compute_environment = Some(self.environment_arn(&row.name));
        Ok(row)
    }

    /// The policy of a `schedulingPolicyArn`; an empty one is none.
    pub(super) async fn policy_of(
        &self,
        arn: Option<&String>,
    ) -> Result<(Option<PolicyId>, Option<String>), ApiError> {
        let Some(arn) = arn.filter(|arn| !arn.is_empty()) else { return Ok((None, None)) };
        let name = self.policy_name("schedulingPolicyArn", arn)?;
        let row = self.policy_row(name.as_deref()).await?;
        let row = row.ok_or_else(|| scheduling_policies::missing(arn))?;
        if row.kind == PolicyKind::QuotaShare {
            return Err(ApiError::client(format!(
                "SchedulingPolicy {arn} has a quotaSharePolicy, which is for job queues with a service environment; \
                 those do not work in this version of Batchyard"
            )));
        }
        Ok((Some(row.id), Some(arn.clone())))
    }
}

fn check_order(order: &[ComputeEnvironmentOrder]) -> Result<(), ApiError> {
    if order.is_empty() || order.len() > MAX_ENVIRONMENTS_PER_QUEUE {
        return Err(ApiError::wrapped(format!(
            "computeEnvironmentOrder must have 1 to {MAX_ENVIRONMENTS_PER_QUEUE} entries, got {}",
            order.len()
        )));
    }
    let mut numbers: Vec<i32> = order.iter().filter_map(|entry| entry.order).collect();
    numbers.sort_unstable();
    match numbers.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            let order = pair[0];
            Err(ApiError::wrapped(format!("computeEnvironmentOrder has two entries of the order {order}")))
        }
        None => Ok(()),
    }
}

/// The type that a queue of such environments has.
pub(super) fn queue_type(platform: Platform) -> &'static str {
    match platform {
        Platform::Ec2 => "ECS",
        Platform::Fargate => "ECS_FARGATE",
        Platform::ManagedInstances => "ECS_MANAGED_INSTANCES",
        Platform::Eks => "EKS",
    }
}

/// Of managed instances, On-Demand comes before Spot.
fn on_demand_first(rows: &[ComputeEnvironment]) -> Result<(), ApiError> {
    let managed = rows.iter().filter(|row| row.platform == Platform::ManagedInstances);
    let mut spot = None;
    for row in managed {
        match (is_spot(row), spot) {
            (true, _) => spot = Some(&row.name),
            (false, Some(before)) => {
                return Err(ApiError::client(format!(
                    "Compute environment {} is On-Demand and must come before {before}, which is Spot",
                    row.name
                )));
            }
            (false, None) => {}
        }
    }
    Ok(())
}

fn is_spot(row: &ComputeEnvironment) -> bool {
    let detail: ComputeEnvironmentDetail = serde_json::from_str(&row.body).unwrap_or_default();
    let provider = detail.compute_resources.as_ref().and_then(|r| r.managed_instances_provider.as_ref());
    let template = provider.and_then(|p| p.instance_launch_template.as_ref());
    template.and_then(|t| t.capacity_option_type.as_deref()).is_some_and(|t| t.eq_ignore_ascii_case("SPOT"))
}

/// There are no service environments yet.
pub(super) fn refuse_services(
    order: &Option<Vec<ServiceEnvironmentOrder>>,
    queue_type: Option<&str>,
) -> Result<(), ApiError> {
    let what = if queue_type == Some("SAGEMAKER_TRAINING") {
        "jobQueueType SAGEMAKER_TRAINING"
    } else if order.as_ref().is_some_and(|order| !order.is_empty()) {
        "serviceEnvironmentOrder"
    } else {
        return Ok(());
    };
    Err(ApiError::client(format!(
        "{what} does not work in this version of Batchyard, which has no service environments; use computeEnvironmentOrder"
    )))
}

/// A type that was asked for must be that of the environments.
pub(super) fn check_type(asked: Option<&str>, environments: &Environments) -> Result<(), ApiError> {
    let found = environments.queue_type;
    match asked.filter(|asked| *asked != found) {
        Some(asked) => Err(ApiError::client(format!(
            "jobQueueType {asked} does not fit the compute environments of computeEnvironmentOrder, which make a queue of \
             the type {found}"
        ))),
        None => Ok(()),
    }
}
