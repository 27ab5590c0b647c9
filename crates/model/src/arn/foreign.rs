//! ARNs of other services' resources, which Batch's answers mention. They are only ever made here, not taken apart.

use super::PARTITION;
use crate::ids::TaskId;

/// An ECS cluster (spec jobs §1.4).
pub fn ecs_cluster(region: &str, account: &str, cluster: &str) -> String {
    format!("arn:{PARTITION}:ecs:{region}:{account}:cluster/{cluster}")
}

/// An ECS task: one attempt of a job (spec jobs §1.4).
pub fn ecs_task(region: &str, account: &str, cluster: &str, task: TaskId) -> String {
    format!("arn:{PARTITION}:ecs:{region}:{account}:task/{cluster}/{task}")
}

/// A host that joined an ECS cluster (spec jobs §1.4).
pub fn ecs_container_instance(region: &str, account: &str, cluster: &str, instance: TaskId) -> String {
    format!("arn:{PARTITION}:ecs:{region}:{account}:container-instance/{cluster}/{instance}")
}

/// The root principal of an account.
pub fn iam_root(account: &str) -> String {
    format!("arn:{PARTITION}:iam::{account}:root")
}

/// A user of an account.
pub fn iam_user(account: &str, name: &str) -> String {
    format!("arn:{PARTITION}:iam::{account}:user/{name}")
}

/// A log group, as policies and most calls write it.
pub fn log_group(region: &str, account: &str, group: &str) -> String {
    format!("arn:{PARTITION}:logs:{region}:{account}:log-group:{group}")
}

/// A log group, as the member `arn` of DescribeLogGroups writes it: with all of its streams.
pub fn log_group_for_listing(region: &str, account: &str, group: &str) -> String {
    format!("arn:{PARTITION}:logs:{region}:{account}:log-group:{group}:*")
}

/// A stream of a log group.
pub fn log_stream(region: &str, account: &str, group: &str, stream: &str) -> String {
    format!("arn:{PARTITION}:logs:{region}:{account}:log-group:{group}:log-stream:{stream}")
}

/// A role of an account; `name` with its path, if it has one.
pub fn iam_role(account: &str, name: &str) -> String {
    format!("arn:{PARTITION}:iam::{account}:role/{name}")
}

/// The role that Batch itself has in an account (spec infrastructure §1.3).
pub fn service_linked_role(account: &str) -> String {
    iam_role(account, "aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch")
}
