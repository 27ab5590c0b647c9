//! The one container of a job, whichever way its definition describes it. Never here: jobs of several containers, which
//! are refused at submit.

use super::ecs::UNNAMED;
use batchyard_model::batch::*;
use std::borrow::Cow;

/// A job's container, as hosts and logs need it.
#[derive(Debug)]
pub struct Single<'a> {
    /// Its name: part of the log stream's.
    pub name: &'a str,
    /// All that describes it, its task's part included.
    pub container: Cow<'a, ContainerDetail>,
    /// `stopTimeout`, seconds; only `ecsProperties` has it.
    pub stop_timeout: Option<i32>,
}

/// The container of a job; none when its body holds no container at all.
pub fn single(detail: &JobDetail) -> Option<Single<'_>> {
    if let Some(container) = &detail.container {
        return Some(Single { name: UNNAMED, container: Cow::Borrowed(container), stop_timeout: None });
    }
    let task = detail.ecs_properties.as_ref()?.task_properties.as_ref()?.first()?;
    let container = task.containers.as_ref()?.first()?;
    let name = container.name.as_deref().unwrap_or(UNNAMED);
    Some(Single {
        name,
        container: Cow::Owned(as_detail(task, container)),
        stop_timeout: container.stop_timeout,
    })
}

/// The container as `container` of a job would show it, with what its task has.
fn as_detail(task: &EcsTaskDetails, c: &TaskContainerDetails) -> ContainerDetail {
    ContainerDetail {
        command: c.command.clone(),
        enable_execute_command: task.enable_execute_command,
        environment: c.environment.clone(),
        ephemeral_storage: task.ephemeral_storage.clone(),
        execution_role_arn: task.execution_role_arn.clone(),
        image: c.image.clone(),
        job_role_arn: task.task_role_arn.clone(),
        linux_parameters: c.linux_parameters.clone(),
        log_configuration: c.log_configuration.clone(),
        mount_points: c.mount_points.clone(),
        network_configuration: task.network_configuration.clone(),
        privileged: c.privileged,
        readonly_root_filesystem: c.readonly_root_filesystem,
        repository_credentials: c.repository_credentials.clone(),
        resource_requirements: c.resource_requirements.clone(),
        runtime_platform: task.runtime_platform.clone(),
        secrets: c.secrets.clone(),
        ulimits: c.ulimits.clone(),
        user: c.user.clone(),
        volumes: task.volumes.clone(),
        ..ContainerDetail::default()
    }
}
