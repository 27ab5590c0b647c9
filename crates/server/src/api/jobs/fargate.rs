//! What a definition for Fargate must and must not hold (spec jobs §6.2, §6.5). Never here: its sizes (`requirements`).

use super::definition::one_of;
use crate::error::ApiError;
use batchyard_model::batch::*;

/// `platformVersion`; LATEST when unset.
pub const LATEST: &str = "LATEST";
const VERSIONS: [&str; 3] = ["1.3.0", "1.4.0", LATEST];
/// Log drivers of Fargate; awsfirelens only beside another container.
const LOG_DRIVERS: [&str; 3] = ["awslogs", "splunk", "awsfirelens"];

/// Checks a container for Fargate.
pub fn check(container: &ContainerProperties) -> Result<(), ApiError> {
    if container.execution_role_arn.as_deref().unwrap_or_default().is_empty() {
        return Err(ApiError::wrapped("executionRoleArn must be provided for Fargate."));
    }
    if let Some((_, what)) = forbidden(container).iter().find(|(given, _)| *given) {
        return Err(ApiError::wrapped(format!("{what} is not applicable for Fargate.")));
    }
    if let Some(driver) = container.log_configuration.as_ref().and_then(|l| l.log_driver.as_deref())
        && !LOG_DRIVERS.contains(&driver)
    {
        return Err(ApiError::wrapped(format!("The log driver {driver} is not applicable for Fargate.")));
    }
    let version =
        container.fargate_platform_configuration.as_ref().and_then(|f| f.platform_version.as_deref());
    let version = version.unwrap_or(LATEST);
    one_of(version, &VERSIONS, "platformVersion")?;
    let efs = container.volumes.iter().flatten().any(|v| v.efs_volume_configuration.is_some());
    if efs && version == "1.3.0" {
        return Err(ApiError::wrapped("EFS is supported for Fargate platform version 1.4.0."));
    }
    Ok(())
}

fn forbidden(container: &ContainerProperties) -> [(bool, &'static str); 9] {
    let linux = container.linux_parameters.clone().unwrap_or_default();
    let linux = LinuxParameters { init_process_enabled: None, ..linux };
    let lists = [linux.devices.as_ref().map(Vec::len), linux.tmpfs.as_ref().map(Vec::len)];
    let path =
        |v: &Volume| v.host.as_ref().and_then(|h| h.source_path.as_deref()).is_some_and(|p| !p.is_empty());
    let gpu = |r: &ResourceRequirement| r.r#type.as_deref() == Some("GPU");
    [
        (container.privileged == Some(true), "privileged"),
        (container.ulimits.as_ref().is_some_and(|u| !u.is_empty()), "ulimits"),
        (container.instance_type.is_some(), "instanceType"),
        (container.vcpus.is_some(), "vcpus"),
        (container.memory.is_some(), "memory"),
        (container.resource_requirements.iter().flatten().any(gpu), "resourceRequirements of type GPU"),
        (container.volumes.iter().flatten().any(path), "volumes.host"),
        (lists.iter().flatten().any(|n| *n > 0), "linuxParameters"),
        (linux.max_swap.or(linux.swappiness).or(linux.shared_memory_size).is_some(), "linuxParameters"),
    ]
}
