//! What a job can ask for and this version can't do: refused at submit, by name, so that nothing is ignored silently.
//!
//! A line here goes when the thing is built. Never here: what the API itself forbids (`requirements`).

use super::log_options;
use crate::api::job_definitions::has_consumables;
use crate::error::ApiError;
use batchyard_engine::resource::Needs;
use batchyard_model::batch::*;

/// Refuses a definition of a kind that this version keeps and can't run.
pub fn refuse_definition(definition: &JobDefinition) -> Result<(), ApiError> {
    let platforms = definition.platform_capabilities.as_deref().unwrap_or_default();
    let unbuilt = [
        (definition.node_properties.is_some(), "nodeProperties (multi-node parallel jobs)"),
        (definition.eks_properties.is_some(), "eksProperties"),
        (has_consumables(&definition.consumable_resource_properties), "consumableResourceProperties"),
        (platforms.iter().any(|p| p == "MANAGED_INSTANCES"), "the platform capability MANAGED_INSTANCES"),
    ];
    first(&unbuilt).map_or(Ok(()), |what| Err(refusal(&what)))
}

/// Refuses what is asked for at submission and can't be done.
pub fn refuse_submission(input: &SubmitJobRequest) -> Result<(), ApiError> {
    let unbuilt = [
        (input.eks_properties_override.is_some(), "eksPropertiesOverride"),
        (input.node_overrides.is_some(), "nodeOverrides"),
        (
            has_consumables(&input.consumable_resource_properties_override),
            "consumableResourcePropertiesOverride",
        ),
    ];
    first(&unbuilt).map_or(Ok(()), |what| Err(refusal(&what)))
}

/// Refuses what this version can't do of a task of `ecsProperties`, apart from what its container asks for.
pub fn refuse_task(task: &EcsTaskDetails) -> Result<(), ApiError> {
    let containers = task.containers.as_deref().unwrap_or_default();
    let shared = |mode: &Option<String>| mode.as_ref().is_some_and(|m| m != "task");
    let firelens = |c: &TaskContainerDetails| c.firelens_configuration.is_some();
    let unbuilt = [
        (containers.len() > 1, "ecsProperties with several containers"),
        // With one container its own namespace is its task's.
        (shared(&task.ipc_mode), "ipcMode other than task"),
        (shared(&task.pid_mode), "pidMode other than task"),
        (containers.iter().any(firelens), "firelensConfiguration"),
    ];
    first(&unbuilt).map_or(Ok(()), |what| Err(refusal(&what)))
}

/// Names the first thing that this version can't do.
pub fn refuse(container: &ContainerDetail, needs: Needs) -> Result<(), ApiError> {
    let unbuilt = resources(container, needs)
        .or_else(|| linux(container.linux_parameters.as_ref()?))
        .or_else(|| logs(container.log_configuration.as_ref()?))
        .or_else(|| platform(container.runtime_platform.as_ref()?));
    unbuilt.map_or(Ok(()), |what| Err(refusal(&what)))
}

fn refusal(what: &str) -> ApiError {
    ApiError::client(format!("{what} does not work in this version of Batchyard"))
}

fn resources(container: &ContainerDetail, needs: Needs) -> Option<String> {
    let volumes = container.volumes.as_deref().unwrap_or_default();
    let unbuilt = [
        (needs.gpus > 0, "resourceRequirements of type GPU"),
        (container.secrets.as_ref().is_some_and(|s| !s.is_empty()), "secrets"),
        (container.enable_execute_command == Some(true), "enableExecuteCommand"),
        (volumes.iter().any(|v| v.efs_volume_configuration.is_some()), "volumes.efsVolumeConfiguration"),
        (
            volumes.iter().any(|v| v.s3files_volume_configuration.is_some()),
            "volumes.s3filesVolumeConfiguration",
        ),
    ];
    first(&unbuilt)
}

fn linux(linux: &LinuxParameters) -> Option<String> {
    let mut options = linux.tmpfs.iter().flatten().filter_map(|t| t.mount_options.as_ref()).flatten();
    let why = options.find_map(|option| batchyard_supervisor::tmpfs::check(option).err())?;
    Some(format!("linuxParameters.tmpfs.mountOptions ({why})"))
}

fn logs(log: &LogConfiguration) -> Option<String> {
    let driver = log.log_driver.as_deref().unwrap_or_default();
    let Some(known) = log_options::known(driver) else {
        return Some(format!("the log driver {driver}"));
    };
    if log.secret_options.as_ref().is_some_and(|s| !s.is_empty()) {
        return Some("logConfiguration.secretOptions".to_string());
    }
    let options = log.options.as_ref()?;
    let strange = options.keys().find(|k| !known.contains(&k.as_str()))?;
    Some(format!("the log option {strange}"))
}

/// Jobs run as what this machine is.
fn platform(platform: &RuntimePlatform) -> Option<String> {
    let family = platform.operating_system_family.as_deref().unwrap_or("LINUX");
    if family != "LINUX" {
        return Some(format!("the operating system family {family}"));
    }
    let here = if cfg!(target_arch = "aarch64") { "ARM64" } else { "X86_64" };
    let wanted = platform.cpu_architecture.as_deref().unwrap_or(here);
    (wanted != here).then(|| format!("the CPU architecture {wanted} (this machine is {here})"))
}

fn first(unbuilt: &[(bool, &str)]) -> Option<String> {
    unbuilt.iter().find(|(asked, _)| *asked).map(|(_, what)| what.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(container: ContainerDetail) -> String {
        refuse(&container, Needs::default()).map_or_else(|e| e.message, |()| "fine".to_string())
    }

    #[test]
    fn tasks_run_alone() {
        let text = |task: serde_json::Value| {
            let task: EcsTaskDetails = serde_json::from_value(task).unwrap();
            refuse_task(&task).map_or_else(|e| e.message, |()| "fine".to_string())
        };
        let plain = serde_json::json!({"containers": [{"image": "i", "stopTimeout": 31, "startTimeout": 5}],
            "ipcMode": "task", "pidMode": "task"});
        assert_eq!(text(plain.clone()), "fine");
        let with = |member: &str, value: serde_json::Value| {
            let mut task = plain.clone();
            task[member] = value;
            text(task)
        };
        let one = |more: serde_json::Value| with("containers", serde_json::json!([more]));
        assert!(with("pidMode", "host".into()).starts_with("pidMode"));
        assert!(with("ipcMode", "none".into()).starts_with("ipcMode"));
        assert!(
            with("containers", serde_json::json!([{"image": "i"}, {"image": "i"}]))
                .contains("several containers")
        );
        let firelens = serde_json::json!({"image": "i", "firelensConfiguration": {"type": "fluentd"}});
        assert!(one(firelens).starts_with("firelensConfiguration"));
    }

    #[test]
    fn what_is_not_built_is_named() {
        assert_eq!(text(ContainerDetail::default()), "fine");
        let log = |driver: &str, option: &str| LogConfiguration {
            log_driver: Some(driver.into()),
            options: Some([(option.to_string(), "x".to_string())].into()),
            ..Default::default()
        };
        let with = |log| ContainerDetail { log_configuration: Some(log), ..Default::default() };
        assert_eq!(text(with(log("awslogs", "awslogs-group"))), "fine");
        assert_eq!(text(with(log("json-file", "max-size"))), "fine");
        assert!(text(with(log("json-file", "labels"))).starts_with("the log option labels does not work"));
        assert!(text(with(log("fluentd", "tag"))).starts_with("the log driver fluentd"));
        let windows = RuntimePlatform {
            operating_system_family: Some("WINDOWS_SERVER_2022_CORE".into()),
            ..Default::default()
        };
        let container = ContainerDetail { runtime_platform: Some(windows), ..Default::default() };
        assert!(text(container).contains("WINDOWS_SERVER_2022_CORE"));
    }
}
