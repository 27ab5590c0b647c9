//! A definition's container as a whole: what the API forbids at registration (spec jobs §6.2, §6.5).
//!
//! Never here: single texts and lists (`container`), numbers (`requirements`), what this version can't do (`unbuilt`).

use super::requirements;
use crate::api::input::required;
use crate::error::ApiError;
use batchyard_engine::resource::Platform;
use batchyard_model::batch::*;

/// Checks a definition's container (spec jobs §6.2, §6.5).
pub fn check(container: &ContainerProperties, capabilities: &[String]) -> Result<(), ApiError> {
    let platform = requirements::platform(capabilities)?;
    let image = required(&container.image, "containerProperties.image")?;
    if image.is_empty() || image.chars().count() > 255 {
        return Err(ApiError::wrapped("containerProperties.image must have 1 to 255 characters"));
    }
    super::container::check(container)?;
    super::container::check_environment(container.environment.as_deref().unwrap_or_default())?;
    check_volumes(container)?;
    if platform != Platform::Fargate && container.network_configuration.is_some() {
        return Err(ApiError::wrapped("networkConfiguration not applicable for EC2."));
    }
    if platform == Platform::Fargate {
        check_fargate(container)?;
    }
    check_linux(container.linux_parameters.as_ref())?;
    let list = container.resource_requirements.as_deref().unwrap_or_default();
    requirements::needs(list, container.vcpus, container.memory, platform).map(drop)
}

/// What must be absent of a Fargate definition (spec jobs §6.2, §6.5).
fn check_fargate(container: &ContainerProperties) -> Result<(), ApiError> {
    let linux = container.linux_parameters.clone().unwrap_or_default();
    let linux = LinuxParameters { init_process_enabled: None, ..linux };
    let lists = [linux.devices.as_ref().map(Vec::len), linux.tmpfs.as_ref().map(Vec::len)];
    let path =
        |v: &Volume| v.host.as_ref().and_then(|h| h.source_path.as_deref()).is_some_and(|p| !p.is_empty());
    let forbidden = [
        (container.privileged == Some(true), "privileged"),
        (container.ulimits.as_ref().is_some_and(|u| !u.is_empty()), "ulimits"),
        (container.instance_type.is_some(), "instanceType"),
        (container.volumes.iter().flatten().any(path), "volumes.host"),
        (lists.iter().flatten().any(|n| *n > 0), "linuxParameters"),
        (linux.max_swap.or(linux.swappiness).or(linux.shared_memory_size).is_some(), "linuxParameters"),
    ];
    match forbidden.iter().find(|(given, _)| *given) {
        Some((_, what)) => Err(ApiError::wrapped(format!("{what} is not applicable for Fargate."))),
        None => Ok(()),
    }
}

fn check_linux(linux: Option<&LinuxParameters>) -> Result<(), ApiError> {
    let Some(linux) = linux else { return Ok(()) };
    if let Some(size) = linux.shared_memory_size.filter(|s| *s < 1) {
        return Err(ApiError::wrapped(format!(
            "linuxParameters.sharedMemorySize must be at least 1 MiB, got {size}"
        )));
    }
    for tmpfs in linux.tmpfs.iter().flatten() {
        let path = tmpfs.container_path.as_deref().unwrap_or_default();
        let size = tmpfs.size.unwrap_or_default();
        if !path.starts_with('/') || size < 1 {
            return Err(ApiError::wrapped(format!(
                "linuxParameters.tmpfs needs an absolute containerPath and a size of at least 1 MiB, got {path:?} and {size}"
            )));
        }
    }
    Ok(())
}

fn check_volumes(container: &ContainerProperties) -> Result<(), ApiError> {
    let volumes = container.volumes.as_deref().unwrap_or_default();
    for mount in container.mount_points.as_deref().unwrap_or_default() {
        let name = mount.source_volume.as_deref().unwrap_or_default();
        if !volumes.iter().any(|v| v.name.as_deref() == Some(name)) {
            return Err(ApiError::wrapped(format!("mountPoints: the volume {name:?} is not in volumes")));
        }
        if !mount.container_path.as_deref().is_some_and(|p| p.starts_with('/')) {
            return Err(ApiError::wrapped(format!(
                "mountPoints: containerPath of {name:?} must be an absolute path"
            )));
        }
    }
    let relative = |v: &&Volume| {
        v.host
            .as_ref()
            .and_then(|h| h.source_path.as_deref())
            .is_some_and(|p| !p.is_empty() && !p.starts_with('/'))
    };
    match volumes.iter().find(relative) {
        Some(v) => Err(ApiError::wrapped(format!(
            "volumes: sourcePath of {:?} must be an absolute path",
            v.name.as_deref().unwrap_or_default()
        ))),
        None => Ok(()),
    }
}
