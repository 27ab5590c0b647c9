//! `ecsProperties`: what the API forbids at registration (spec jobs §6.3), and its containers seen as those of
//! `containerProperties`, so that one set of rules checks both.
//!
//! Never here: what this version can't do (`unbuilt`), merging with a submission (`merge_ecs`).

use super::definition::{check_parts, one_of};
use super::requirements;
use crate::error::ApiError;
use batchyard_engine::resource::Platform;
use batchyard_model::batch::*;
use batchyard_model::limits::MAX_CONTAINERS;
use std::collections::HashSet;

/// What a container without a name is called, as the one of `containerProperties` is (spec jobs §1.4).
pub const UNNAMED: &str = "default";
/// Most characters of a container's name: ECS's limit.
const NAME_MAX: usize = 255;
/// Least seconds of `startTimeout` and `stopTimeout`, and the most on Fargate.
const TIMEOUT_MIN: i32 = 2;
const FARGATE_TIMEOUT_MAX: i32 = 120;

/// Checks `ecsProperties` of a definition for that platform.
pub fn check(ecs: &EcsProperties, platform: Platform) -> Result<(), ApiError> {
    let tasks = ecs.task_properties.as_deref().unwrap_or_default();
    let [task] = tasks else {
        return Err(bad(format!("must have exactly one element, got {}", tasks.len())));
    };
    check_modes(task, platform)?;
    let containers = task.containers.as_deref().unwrap_or_default();
    if containers.is_empty() || containers.len() > MAX_CONTAINERS {
        return Err(bad(format!("needs 1 to {MAX_CONTAINERS} containers, got {}", containers.len())));
    }
    check_names(containers)?;
    if containers.iter().all(|c| c.essential == Some(false)) {
        return Err(bad("needs at least one essential container".to_string()));
    }
    for (i, container) in containers.iter().enumerate() {
        let at = format!("ecsProperties.taskProperties[0].containers[{i}]");
        check_parts(&as_properties(task, container), platform, &at)?;
        check_timeouts(container, platform, &at)?;
        check_dependencies(container, containers, &at)?;
    }
    let lists = containers.iter().map(|c| c.resource_requirements.as_deref().unwrap_or_default());
    requirements::task_needs(lists, platform).map(drop)
}

/// The container as `containerProperties` would describe it, with what its task has.
pub fn as_properties(task: &EcsTaskProperties, c: &TaskContainerProperties) -> ContainerProperties {
    let version = task.platform_version.clone();
    ContainerProperties {
        command: c.command.clone(),
        enable_execute_command: task.enable_execute_command,
        environment: c.environment.clone(),
        ephemeral_storage: task.ephemeral_storage.clone(),
        execution_role_arn: task.execution_role_arn.clone(),
        fargate_platform_configuration: version
            .map(|v| FargatePlatformConfiguration { platform_version: Some(v) }),
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
        ..ContainerProperties::default()
    }
}

fn check_modes(task: &EcsTaskProperties, platform: Platform) -> Result<(), ApiError> {
    if let Some(mode) = &task.ipc_mode {
        if platform == Platform::Fargate {
            return Err(ApiError::wrapped("ipcMode is not applicable for Fargate."));
        }
        one_of(mode, &["host", "task", "none"], "ipcMode")?;
    }
    if let Some(mode) = &task.pid_mode {
        one_of(mode, &["host", "task"], "pidMode")?;
    }
    if let Some(mode) = &task.network_mode {
        one_of(mode, &["host"], "networkMode")?;
        if platform != Platform::ManagedInstances {
            return Err(ApiError::wrapped("networkMode is applicable for MANAGED_INSTANCES only."));
        }
    }
    Ok(())
}

fn check_names(containers: &[TaskContainerProperties]) -> Result<(), ApiError> {
    let mut seen = HashSet::new();
    for container in containers {
        let name = container.name.as_deref().unwrap_or(UNNAMED);
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(fits) {
            return Err(bad(format!(
                "a container's name must be 1 to {NAME_MAX} letters, digits, hyphens and underscores, got {name:?}"
            )));
        }
        if !seen.insert(name) {
            return Err(bad(format!("two containers are called {name:?}")));
        }
    }
    Ok(())
}

fn check_timeouts(c: &TaskContainerProperties, platform: Platform, at: &str) -> Result<(), ApiError> {
    for (member, value) in [("startTimeout", c.start_timeout), ("stopTimeout", c.stop_timeout)] {
        let Some(value) = value else { continue };
        if value < TIMEOUT_MIN {
            return Err(ApiError::wrapped(format!(
                "{at}.{member} must be at least {TIMEOUT_MIN} seconds, got {value}"
            )));
        }
        if platform == Platform::Fargate && value > FARGATE_TIMEOUT_MAX {
            return Err(ApiError::wrapped(format!(
                "{at}.{member} must be at most {FARGATE_TIMEOUT_MAX} seconds on Fargate, got {value}"
            )));
        }
    }
    Ok(())
}

/// Containers wait for others of their task. An essential one is never waited for to end, since the task ends with it.
fn check_dependencies(
    container: &TaskContainerProperties,
    all: &[TaskContainerProperties],
    at: &str,
) -> Result<(), ApiError> {
    let own = container.name.as_deref().unwrap_or(UNNAMED);
    for dependency in container.depends_on.iter().flatten() {
        let name = dependency.container_name.as_deref().unwrap_or_default();
        let target = all.iter().find(|c| c.name.as_deref().unwrap_or(UNNAMED) == name && name != own);
        let target = target.ok_or_else(|| {
            ApiError::wrapped(format!("{at}.dependsOn: {name:?} is no other container of this task"))
        })?;
        let condition = dependency.condition.as_deref().unwrap_or("START");
        one_of(condition, &["START", "COMPLETE", "SUCCESS"], &format!("{at}.dependsOn.condition"))?;
        if condition != "START" && target.essential != Some(false) {
            return Err(ApiError::wrapped(format!(
                "{at}.dependsOn: the condition {condition} can't be put on {name:?}, which is essential"
            )));
        }
    }
    Ok(())
}

fn bad(text: String) -> ApiError {
    ApiError::wrapped(format!("ecsProperties.taskProperties {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn container(more: Value) -> Value {
        let mut base = json!({"image": "i", "resourceRequirements":
            [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]});
        base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        base
    }

    fn text(task: Value, platform: Platform) -> String {
        let ecs: EcsProperties = serde_json::from_value(json!({"taskProperties": [task]})).unwrap();
        check(&ecs, platform).map_or_else(|e| e.message, |()| "fine".to_string())
    }

    #[test]
    fn there_is_one_task_with_some_essential_container() {
        let (one, side) = (container(json!({})), container(json!({"name": "side", "essential": false})));
        assert_eq!(text(json!({"containers": [one]}), Platform::Ec2), "fine");
        assert_eq!(text(json!({"containers": [one, side]}), Platform::Ec2), "fine");
        assert!(text(json!({"containers": [side]}), Platform::Ec2).contains("essential"));
        assert!(text(json!({"containers": []}), Platform::Ec2).contains("1 to 10 containers"));
        assert!(check(&EcsProperties::default(), Platform::Ec2).unwrap_err().message.contains("exactly one"));
    }

    #[test]
    fn names_and_dependencies_fit_together() {
        let task = |first: Value, second: Value| {
            text(json!({"containers": [container(first), container(second)]}), Platform::Ec2)
        };
        assert!(task(json!({"name": "a"}), json!({"name": "a"})).contains("two containers are called \"a\""));
        assert!(task(json!({}), json!({"name": "default"})).contains("two containers"));
        assert!(task(json!({"name": "a b"}), json!({})).contains("a container's name must be"));
        let on = |name: &str, condition: &str| {
            json!({"name": "b",
            "dependsOn": [{"containerName": name, "condition": condition}]})
        };
        assert_eq!(task(json!({"name": "a"}), on("a", "START")), "fine");
        assert!(task(json!({"name": "a"}), on("b", "START")).contains("no other container"));
        assert!(task(json!({"name": "a"}), on("c", "START")).contains("no other container"));
        assert!(task(json!({"name": "a"}), on("a", "SUCCESS")).contains("which is essential"));
        assert_eq!(task(json!({"name": "a", "essential": false}), on("a", "COMPLETE")), "fine");
        assert!(task(json!({"name": "a"}), on("a", "HEALTHY")).contains("must be one of"));
    }

    #[test]
    fn members_have_their_platform() {
        let task = |more: Value, platform| {
            let mut task = json!({"containers": [container(json!({}))]});
            task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            text(task, platform)
        };
        assert!(task(json!({}), Platform::Fargate).contains("executionRoleArn"));
        let role = json!({"executionRoleArn": "r", "platformVersion": "LATEST"});
        assert_eq!(task(role, Platform::Fargate), "fine");
        assert!(
            task(json!({"platformVersion": "LATEST"}), Platform::Ec2).contains("not applicable for EC2.")
        );
        assert!(task(json!({"ipcMode": "task"}), Platform::Fargate).contains("not applicable for Fargate."));
        assert!(task(json!({"pidMode": "none"}), Platform::Ec2).contains("must be one of"));
        assert!(task(json!({"networkMode": "host"}), Platform::Ec2).contains("MANAGED_INSTANCES"));
        let slow = json!({"containers": [container(json!({"stopTimeout": 1}))]});
        assert!(text(slow, Platform::Ec2).contains("containers[0].stopTimeout must be at least 2"));
    }
}
