//! What a fresh server has, so that the first job needs no set-up: compute environments `default` (EC2 shape) and
//! `default-fargate`, with job queues of the same names.
//!
//! Made through the API's own handlers. Never here: what they may do.

use crate::api::Service;
use crate::error::ApiError;
use batchyard_model::batch::{
    ComputeEnvironmentOrder, ComputeResource, CreateComputeEnvironmentRequest, CreateJobQueueRequest,
};

/// vCPUs that the default environments allow at once; what is really there is the machine's.
const MAX_VCPUS: i32 = 4096;
/// What AWS asks of every environment (spec infrastructure §1.3) and nothing here uses.
const SUBNET: &str = "subnet-default";
const SECURITY_GROUP: &str = "sg-default";
const INSTANCE_ROLE: &str = "ecsInstanceRole";
/// With AWS's default, BEST_FIT, little of an environment could be updated (§1.7).
const STRATEGY: &str = "BEST_FIT_PROGRESSIVE";

/// Makes them, unless a queue was ever made here: they come before all others, and who deletes them wants them gone.
/// A start that was killed half-way is made up for.
pub async fn make(service: &Service) -> anyhow::Result<()> {
    if service.readers.read(|r| r.last_job_queue()).await? >= 2 {
        return Ok(());
    }
    let ec2 = ComputeResource {
        allocation_strategy: Some(STRATEGY.to_string()),
        instance_role: Some(INSTANCE_ROLE.to_string()),
        instance_types: Some(vec!["optimal".to_string()]),
        ..resources("EC2")
    };
    pair(service, "default", ec2).await?;
    pair(service, "default-fargate", resources("FARGATE")).await
}

fn resources(kind: &str) -> ComputeResource {
    ComputeResource {
        r#type: Some(kind.to_string()),
        max_vcpus: Some(MAX_VCPUS),
        security_group_ids: Some(vec![SECURITY_GROUP.to_string()]),
        subnets: Some(vec![SUBNET.to_string()]),
        ..ComputeResource::default()
    }
}

async fn pair(service: &Service, name: &str, resources: ComputeResource) -> anyhow::Result<()> {
    let environment = CreateComputeEnvironmentRequest {
        compute_environment_name: Some(name.to_string()),
        compute_resources: Some(resources),
        r#type: Some("MANAGED".to_string()),
        ..CreateComputeEnvironmentRequest::default()
    };
    unless_there(service.create_compute_environment(environment).await)?;
    let order = ComputeEnvironmentOrder { compute_environment: Some(name.to_string()), order: Some(1) };
    let queue = CreateJobQueueRequest {
        job_queue_name: Some(name.to_string()),
        priority: Some(1),
        compute_environment_order: Some(vec![order]),
        ..CreateJobQueueRequest::default()
    };
    unless_there(service.create_job_queue(queue).await)
}

fn unless_there<T>(made: Result<T, ApiError>) -> anyhow::Result<()> {
    match made {
        Err(error) if error.message != "Object already exists" => Err(error.into()),
        _ => Ok(()),
    }
}
