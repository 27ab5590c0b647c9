//! A definition's container as a whole: what the API forbids at registration (spec jobs §6.2, §6.5).
//!
//! Never here: single texts and lists (`container`), volumes (`volumes`), numbers (`requirements`), what this version
//! can't do (`unbuilt`).

use super::{container, fargate, requirements, volumes};
use crate::error::ApiError;
use batchyard_engine::resource::Platform;
use batchyard_model::batch::*;

/// `runtimePlatform.operatingSystemFamily` (spec jobs §6.2).
const FAMILIES: [&str; 5] = [
    "LINUX",
    "WINDOWS_SERVER_2019_CORE",
    "WINDOWS_SERVER_2019_FULL",
    "WINDOWS_SERVER_2022_CORE",
    "WINDOWS_SERVER_2022_FULL",
];
/// `runtimePlatform.cpuArchitecture`.
const ARCHITECTURES: [&str; 2] = ["X86_64", "ARM64"];
/// `ephemeralStorage.sizeInGiB`.
const EPHEMERAL_GIB: std::ops::RangeInclusive<i32> = 21..=200;

/// Checks `containerProperties` of a definition for that platform.
pub fn check(properties: &ContainerProperties, platform: Platform) -> Result<(), ApiError> {
    check_parts(properties, platform, "containerProperties")?;
    let list = properties.resource_requirements.as_deref().unwrap_or_default();
    requirements::needs(list, properties.vcpus, properties.memory, platform).map(drop)
}

/// Checks all but the sizes. `at` is what the container is called to its sender.
pub fn check_parts(properties: &ContainerProperties, platform: Platform, at: &str) -> Result<(), ApiError> {
    container::check(properties, at)?;
    volumes::check(properties)?;
    match platform {
        Platform::Fargate => fargate::check(properties)?,
        _ => check_not_fargate(properties)?,
    }
    check_linux(properties.linux_parameters.as_ref())?;
    check_runtime(properties)?;
    check_storage(properties.ephemeral_storage.as_ref())
}

/// What is Fargate's alone.
fn check_not_fargate(properties: &ContainerProperties) -> Result<(), ApiError> {
    let foreign = [
        (properties.network_configuration.is_some(), "networkConfiguration"),
        (properties.fargate_platform_configuration.is_some(), "fargatePlatformConfiguration"),
    ];
    match foreign.iter().find(|(given, _)| *given) {
        Some((_, what)) => Err(ApiError::wrapped(format!("{what} not applicable for EC2."))),
        None => Ok(()),
    }
}

fn check_linux(linux: Option<&LinuxParameters>) -> Result<(), ApiError> {
    let Some(linux) = linux else { return Ok(()) };
    let numbers = [
        ("sharedMemorySize", linux.shared_memory_size, 1, i32::MAX),
        ("maxSwap", linux.max_swap, 0, i32::MAX),
        ("swappiness", linux.swappiness, 0, 100),
    ];
    for (member, value, least, most) in numbers {
        if let Some(value) = value.filter(|v| !(least..=most).contains(v)) {
            let bounds =
                if most == i32::MAX { format!("at least {least} MiB") } else { format!("{least} to {most}") };
            return Err(ApiError::wrapped(format!("linuxParameters.{member} must be {bounds}, got {value}")));
        }
    }
    for device in linux.devices.iter().flatten() {
        let source = device.host_path.as_deref().unwrap_or_default();
        let target = device.container_path.as_deref().filter(|p| !p.is_empty()).unwrap_or(source);
        if !source.starts_with('/') || !target.starts_with('/') {
            return Err(ApiError::wrapped(format!(
                "linuxParameters.devices needs an absolute hostPath and containerPath, got {source:?} and {target:?}"
            )));
        }
        for permission in device.permissions.iter().flatten() {
            one_of(permission, &["READ", "WRITE", "MKNOD"], "linuxParameters.devices.permissions")?;
        }
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

/// Windows containers have nothing of Linux (spec jobs §6.2).
fn check_runtime(properties: &ContainerProperties) -> Result<(), ApiError> {
    let Some(runtime) = &properties.runtime_platform else { return Ok(()) };
    let family = runtime.operating_system_family.as_deref().unwrap_or("LINUX");
    let architecture = runtime.cpu_architecture.as_deref().unwrap_or("X86_64");
    one_of(family, &FAMILIES, "runtimePlatform.operatingSystemFamily")?;
    one_of(architecture, &ARCHITECTURES, "runtimePlatform.cpuArchitecture")?;
    if family == "LINUX" {
        return Ok(());
    }
    let efs = |v: &Volume| v.efs_volume_configuration.is_some();
    let forbidden = [
        (architecture != "X86_64", "runtimePlatform.cpuArchitecture ARM64"),
        (properties.linux_parameters.is_some(), "linuxParameters"),
        (properties.privileged == Some(true), "privileged"),
        (properties.user.as_ref().is_some_and(|u| !u.is_empty()), "user"),
        (properties.ulimits.as_ref().is_some_and(|u| !u.is_empty()), "ulimits"),
        (properties.readonly_root_filesystem == Some(true), "readonlyRootFilesystem"),
        (properties.volumes.iter().flatten().any(efs), "volumes.efsVolumeConfiguration"),
    ];
    match forbidden.iter().find(|(given, _)| *given) {
        Some((_, what)) => Err(ApiError::wrapped(format!("{what} is not applicable for Windows."))),
        None => Ok(()),
    }
}

fn check_storage(storage: Option<&EphemeralStorage>) -> Result<(), ApiError> {
    match storage.and_then(|s| s.size_in_gib).filter(|size| !EPHEMERAL_GIB.contains(size)) {
        Some(size) => Err(ApiError::wrapped(format!(
            "ephemeralStorage.sizeInGiB must be between 21 and 200, got {size}"
        ))),
        None => Ok(()),
    }
}

/// Holds a text to a list that the model does not have.
pub fn one_of(value: &str, allowed: &[&str], member: &str) -> Result<(), ApiError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(ApiError::wrapped(format!("{member} must be one of {}, got {value:?}", allowed.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut ContainerProperties);

    fn text(platform: Platform, change: Change) -> String {
        let need = |(kind, value): (&str, &str)| ResourceRequirement {
            r#type: Some(kind.into()),
            value: Some(value.into()),
        };
        let mut properties = ContainerProperties {
            image: Some("i".into()),
            execution_role_arn: (platform == Platform::Fargate).then(|| "arn:aws:iam::1:role/e".into()),
            resource_requirements: Some([("VCPU", "1"), ("MEMORY", "2048")].map(need).into()),
            ..Default::default()
        };
        change(&mut properties);
        check(&properties, platform).map_or_else(|e| e.message, |()| "fine".to_string())
    }

    fn windows(c: &mut ContainerProperties) {
        let family = Some("WINDOWS_SERVER_2022_CORE".into());
        c.runtime_platform = Some(RuntimePlatform { operating_system_family: family, ..Default::default() });
    }

    fn linux(c: &mut ContainerProperties) -> &mut LinuxParameters {
        c.linux_parameters.get_or_insert_default()
    }

    /// Spec jobs §6.2, AWS's texts where it has them.
    #[test]
    fn what_an_ec2_definition_may_hold() {
        let table: [(Change, &str); 9] = [
            (|_| (), "fine"),
            (
                |c| c.network_configuration = Some(NetworkConfiguration::default()),
                "networkConfiguration not applicable for EC2.",
            ),
            (
                |c| c.fargate_platform_configuration = Some(FargatePlatformConfiguration::default()),
                "fargatePlatformConfiguration not applicable for EC2.",
            ),
            (|c| linux(c).swappiness = Some(101), "linuxParameters.swappiness must be 0 to 100, got 101"),
            (|c| linux(c).max_swap = Some(-1), "linuxParameters.maxSwap must be at least 0 MiB, got -1"),
            (
                |c| linux(c).shared_memory_size = Some(0),
                "linuxParameters.sharedMemorySize must be at least 1 MiB, got 0",
            ),
            (
                |c| c.ephemeral_storage = Some(EphemeralStorage { size_in_gib: Some(20) }),
                "ephemeralStorage.sizeInGiB must be between 21 and 200, got 20",
            ),
            (windows, "fine"),
            (
                |c| {
                    windows(c);
                    c.user = Some("root".into());
                },
                "user is not applicable for Windows.",
            ),
        ];
        for (change, expected) in table {
            assert_eq!(text(Platform::Ec2, change), expected);
        }
    }

    /// Spec jobs §6.5.
    #[test]
    fn what_a_fargate_definition_may_hold() {
        let version = |v: &str| Some(FargatePlatformConfiguration { platform_version: Some(v.into()) });
        assert!(text(Platform::Fargate, |c| c.execution_role_arn = None).contains("executionRoleArn"));
        let forbidden: [(Change, &str); 8] = [
            (|c| c.privileged = Some(true), "privileged"),
            (|c| c.vcpus = Some(1), "vcpus"),
            (|c| c.memory = Some(2048), "memory"),
            (|c| c.instance_type = Some("m5.large".into()), "instanceType"),
            (|c| linux(c).swappiness = Some(1), "linuxParameters"),
            (
                |c| {
                    let limit =
                        Ulimit { name: Some("core".into()), soft_limit: Some(0), hard_limit: Some(0) };
                    c.ulimits = Some(vec![limit]);
                },
                "ulimits",
            ),
            (
                |c| {
                    let host = Some(Host { source_path: Some("/x".into()) });
                    c.volumes = Some(vec![Volume { name: Some("v".into()), host, ..Default::default() }]);
                },
                "volumes.host",
            ),
            (
                |c| {
                    let gpu = ResourceRequirement { r#type: Some("GPU".into()), value: Some("1".into()) };
                    c.resource_requirements.as_mut().unwrap().push(gpu);
                },
                "resourceRequirements of type GPU",
            ),
        ];
        for (change, what) in forbidden {
            assert_eq!(text(Platform::Fargate, change), format!("{what} is not applicable for Fargate."));
        }
        assert_eq!(text(Platform::Fargate, |c| linux(c).init_process_enabled = Some(true)), "fine");
        let mut properties = ContainerProperties::default();
        for (given, good) in [("LATEST", true), ("1.4.0", true), ("1.3.0", true), ("2.0", false)] {
            properties.fargate_platform_configuration = version(given);
            properties.execution_role_arn = Some("r".into());
            assert_eq!(fargate::check(&properties).is_ok(), good, "{given}");
        }
    }
}
