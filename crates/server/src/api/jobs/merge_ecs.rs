//! A definition's `ecsProperties` and a submission become the job's (spec jobs §2.2, §6.3). Pure.
//!
//! Never here: what both kinds of definition share (`merge`).

use super::ecs::UNNAMED;
use super::merge::{Overrides, shown_linux, shown_log};
use crate::error::ApiError;
use batchyard_model::batch::*;
use std::collections::BTreeMap;

const AT: &str = "ecsPropertiesOverride.taskProperties[0].containers";

/// The task of a job: the definition's with the submission's overrides, by the names of containers.
pub fn task(
    definition: &EcsProperties,
    overrides: Option<&EcsPropertiesOverride>,
    parameters: &BTreeMap<String, String>,
) -> Result<EcsPropertiesDetail, ApiError> {
    let over = override_of(overrides)?;
    let tasks = definition.task_properties.as_deref().unwrap_or_default();
    let task = tasks.first().ok_or_else(ApiError::server)?;
    let containers = task.containers.as_deref().unwrap_or_default();
    check_targets(over, containers)?;
    let merged = containers.iter().map(|container| merged(container, over, parameters));
    let merged = merged.collect::<Result<Vec<_>, _>>()?;
    let t = task.clone();
    let detail = EcsTaskDetails {
        containers: Some(merged),
        enable_execute_command: t.enable_execute_command,
        ephemeral_storage: t.ephemeral_storage,
        execution_role_arn: t.execution_role_arn,
        ipc_mode: t.ipc_mode,
        network_configuration: t.network_configuration,
        network_mode: t.network_mode,
        pid_mode: t.pid_mode,
        platform_version: t.platform_version,
        runtime_platform: t.runtime_platform,
        task_role_arn: t.task_role_arn,
        volumes: Some(t.volumes.unwrap_or_default()),
        ..EcsTaskDetails::default()
    };
    Ok(EcsPropertiesDetail { task_properties: Some(vec![detail]) })
}

/// The overrides of the one task.
fn override_of(overrides: Option<&EcsPropertiesOverride>) -> Result<&[TaskContainerOverrides], ApiError> {
    match overrides.and_then(|o| o.task_properties.as_deref()).unwrap_or_default() {
        [] => Ok(&[]),
        [task] => Ok(task.containers.as_deref().unwrap_or_default()),
        several => Err(ApiError::wrapped(format!(
            "ecsPropertiesOverride.taskProperties must have at most one element, got {}",
            several.len()
        ))),
    }
}

/// Each override names a container that there is, and none is named twice.
fn check_targets(
    overrides: &[TaskContainerOverrides],
    containers: &[TaskContainerProperties],
) -> Result<(), ApiError> {
    let names = || containers.iter().map(|c| c.name.as_deref().unwrap_or(UNNAMED));
    for (i, over) in overrides.iter().enumerate() {
        let name = target(over);
        if !names().any(|known| known == name) {
            let known = names().collect::<Vec<_>>().join(", ");
            return Err(ApiError::client(format!(
                "{AT}[{i}].name {name} is no container of the job definition, which has {known}"
            )));
        }
        if overrides[..i].iter().any(|earlier| target(earlier) == name) {
            return Err(ApiError::client(format!("{AT} names the container {name} twice")));
        }
    }
    Ok(())
}

fn target(over: &TaskContainerOverrides) -> &str {
    over.name.as_deref().unwrap_or(UNNAMED)
}

fn merged(
    definition: &TaskContainerProperties,
    overrides: &[TaskContainerOverrides],
    parameters: &BTreeMap<String, String>,
) -> Result<TaskContainerDetails, ApiError> {
    let name = definition.name.as_deref().unwrap_or(UNNAMED);
    let none = TaskContainerOverrides::default();
    let found = overrides.iter().enumerate().find(|(_, over)| target(over) == name);
    let (index, over) = found.unwrap_or((0, &none));
    let merged = Overrides {
        command: over.command.as_deref().unwrap_or_default(),
        environment: over.environment.as_deref().unwrap_or_default(),
        requirements: over.resource_requirements.as_deref().unwrap_or_default(),
        at: &format!("{AT}[{index}]"),
    }
    .over(
        definition.command.as_deref(),
        definition.environment.as_deref(),
        definition.resource_requirements.as_deref(),
        parameters,
    )?;
    let d = definition.clone();
    Ok(TaskContainerDetails {
        command: Some(merged.command),
        depends_on: Some(d.depends_on.unwrap_or_default()),
        environment: Some(merged.environment),
        essential: d.essential,
        firelens_configuration: d.firelens_configuration,
        image: d.image,
        linux_parameters: d.linux_parameters.map(shown_linux),
        log_configuration: d.log_configuration.map(shown_log),
        mount_points: Some(d.mount_points.unwrap_or_default()),
        name: Some(name.to_string()),
        network_interfaces: Some(Vec::new()),
        privileged: d.privileged,
        readonly_root_filesystem: d.readonly_root_filesystem,
        repository_credentials: d.repository_credentials,
        resource_requirements: Some(merged.requirements),
        secrets: Some(d.secrets.unwrap_or_default()),
        start_timeout: d.start_timeout,
        stop_timeout: d.stop_timeout,
        ulimits: Some(d.ulimits.unwrap_or_default()),
        user: d.user,
        ..TaskContainerDetails::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn merge(containers: Value, over: Value) -> Result<Value, String> {
        let definition = serde_json::from_value(json!({"taskProperties": [{"containers": containers}]}));
        let over: EcsPropertiesOverride = serde_json::from_value(over).unwrap();
        let parameters = BTreeMap::from([("p".to_string(), "x".to_string())]);
        let job = task(&definition.unwrap(), Some(&over), &parameters).map_err(|e| e.message)?;
        let job = serde_json::to_value(job).unwrap();
        Ok(job["taskProperties"][0]["containers"].clone())
    }

    fn over(containers: Value) -> Value {
        json!({"taskProperties": [{"containers": containers}]})
    }

    #[test]
    fn overrides_go_by_the_containers_name() {
        let two = json!([
            {"image": "i", "name": "a", "command": ["Ref::p"], "environment": [{"name": "E", "value": "1"}]},
            {"image": "i", "name": "b", "command": ["b"]},
        ]);
        let change = json!([{"name": "b", "command": ["c", "Ref::p"], "environment": [{"name": "E", "value": "2"}],
            "resourceRequirements": [{"type": "VCPU", "value": "2"}]}]);
        let job = merge(two, over(change)).unwrap();
        assert_eq!(job[0]["command"], json!(["x"]));
        assert_eq!(job[0]["environment"], json!([{"name": "E", "value": "1"}]));
        assert_eq!(job[1]["command"], json!(["c", "x"]));
        assert_eq!(job[1]["resourceRequirements"], json!([{"type": "VCPU", "value": "2"}]));
        assert_eq!(job[1]["dependsOn"], json!([]));
    }

    #[test]
    fn a_container_without_a_name_is_called_default() {
        let one = json!([{"image": "i"}]);
        for target in [json!({"command": ["c"]}), json!({"name": "default", "command": ["c"]})] {
            let job = merge(one.clone(), over(json!([target]))).unwrap();
            assert_eq!((&job[0]["command"], &job[0]["name"]), (&json!(["c"]), &json!("default")));
        }
    }

    #[test]
    fn what_an_override_must_not_be() {
        let refused = |change: Value| merge(json!([{"image": "i", "name": "a"}]), change).unwrap_err();
        assert!(
            refused(over(json!([{"name": "x"}])))
                .contains("name x is no container of the job definition, which has a")
        );
        assert!(refused(over(json!([{"command": ["c"]}]))).contains("name default is no container"));
        assert!(refused(over(json!([{"name": "a"}, {"name": "a"}]))).contains("names the container a twice"));
        assert!(refused(json!({"taskProperties": [{}, {}]})).contains("at most one element"));
        assert_eq!(
            refused(over(json!([{"name": "a", "command": [""]}]))),
            "Command field cannot have empty strings"
        );
        let reserved = json!([{"name": "a", "environment": [{"name": "AWS_BATCH_X", "value": "1"}]}]);
        assert!(refused(over(reserved)).contains("AWS_BATCH_X is reserved"));
        assert!(
            refused(over(json!([{"name": "a", "command": ["Ref::q"]}])))
                .contains("No parameter found for reference q")
        );
    }
}
