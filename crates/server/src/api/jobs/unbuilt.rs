//! What a job can ask for and this version can't do: refused at submit, by name, so that nothing is ignored silently.
//!
//! A line here goes when the thing is built. Never here: what the API itself forbids (`requirements`).

use crate::error::ApiError;
use batchyard_engine::resource::Needs;
use batchyard_model::batch::*;

/// Options of the log driver `awslogs` that are honoured. A group is always made when it is missing.
const LOG_OPTIONS: [&str; 4] =
    ["awslogs-group", "awslogs-stream-prefix", "awslogs-create-group", "awslogs-region"];
/// What every tmpfs is here, and whether it may be written.
const TMPFS_OPTIONS: [&str; 6] = ["ro", "rw", "nosuid", "nodev", "noexec", "defaults"];

/// Names the first thing that this version can't do.
pub fn refuse(container: &ContainerDetail, needs: Needs) -> Result<(), ApiError> {
    let unbuilt = resources(container, needs)
        .or_else(|| linux(container.linux_parameters.as_ref()?))
        .or_else(|| logs(container.log_configuration.as_ref()?))
        .or_else(|| platform(container.runtime_platform.as_ref()?));
    match unbuilt {
        Some(what) => Err(ApiError::client(format!("{what} does not work in this version of Batchyard"))),
        None => Ok(()),
    }
}

fn resources(container: &ContainerDetail, needs: Needs) -> Option<String> {
    let volumes = container.volumes.as_deref().unwrap_or_default();
    let unbuilt = [
        (needs.gpus > 0, "resourceRequirements of type GPU"),
        (container.secrets.as_ref().is_some_and(|s| !s.is_empty()), "secrets"),
        (container.repository_credentials.is_some(), "repositoryCredentials"),
        (container.ephemeral_storage.is_some(), "ephemeralStorage"),
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
    let options = linux.tmpfs.iter().flatten().filter_map(|t| t.mount_options.as_ref()).flatten();
    let strange = options.into_iter().find(|o| !TMPFS_OPTIONS.contains(&o.as_str()));
    let unbuilt = [
        (linux.devices.as_ref().is_some_and(|d| !d.is_empty()), "linuxParameters.devices"),
        (linux.max_swap.is_some(), "linuxParameters.maxSwap"),
        (linux.swappiness.is_some(), "linuxParameters.swappiness"),
    ];
    first(&unbuilt).or_else(|| Some(format!("the tmpfs mount option {}", strange?)))
}

fn logs(log: &LogConfiguration) -> Option<String> {
    let driver = log.log_driver.as_deref().unwrap_or_default();
    if driver != "awslogs" {
        return Some(format!("the log driver {driver}"));
    }
    if log.secret_options.as_ref().is_some_and(|s| !s.is_empty()) {
        return Some("logConfiguration.secretOptions".to_string());
    }
    let options = log.options.as_ref()?;
    let strange = options.keys().find(|k| !LOG_OPTIONS.contains(&k.as_str()))?;
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
    fn what_is_not_built_is_named() {
        assert_eq!(text(ContainerDetail::default()), "fine");
        let log = |driver: &str, option: &str| LogConfiguration {
            log_driver: Some(driver.into()),
            options: Some([(option.to_string(), "x".to_string())].into()),
            ..Default::default()
        };
        let with = |log| ContainerDetail { log_configuration: Some(log), ..Default::default() };
        assert_eq!(text(with(log("awslogs", "awslogs-group"))), "fine");
        assert!(text(with(log("awslogs", "mode"))).starts_with("the log option mode does not work"));
        assert!(text(with(log("json-file", "max-size"))).starts_with("the log driver json-file"));
        let windows = RuntimePlatform {
            operating_system_family: Some("WINDOWS_SERVER_2022_CORE".into()),
            ..Default::default()
        };
        let container = ContainerDetail { runtime_platform: Some(windows), ..Default::default() };
        assert!(text(container).contains("WINDOWS_SERVER_2022_CORE"));
    }
}
