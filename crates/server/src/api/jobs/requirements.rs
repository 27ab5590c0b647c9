//! What a container asks for: vCPUs, memory, platform, and what the API forbids of the rest. Never here: what this
//! version can't do (`unbuilt`), whether there is room.

use crate::api::input::required;
use crate::error::ApiError;
use batchyard_engine::resource::{Needs, Platform};
use batchyard_model::batch::*;
use batchyard_model::limits::MIN_MEMORY_MIB;

/// Legal Fargate sizes: thousandths of a vCPU, least and most memory in MiB, step in MiB (spec jobs §6.2). The
/// smallest and the largest size have lists of their own.
const FARGATE: [(u32, u32, u32, u32); 6] = [
    (500, 1024, 4096, 1024),
    (1000, 2048, 8192, 1024),
    (2000, 4096, 16384, 1024),
    (4000, 8192, 30720, 1024),
    (8000, 16384, 61440, 4096),
    (16000, 32768, 122_880, 8192),
];

/// The platform of a definition: EC2 when none is named.
pub fn platform(capabilities: &[String]) -> Result<Platform, ApiError> {
    match capabilities.first().map(String::as_str) {
        None | Some("EC2") => Ok(Platform::Ec2),
        Some("FARGATE") => Ok(Platform::Fargate),
        Some(other) => Err(ApiError::client(format!(
            "platform capability {other} does not work in this version of Batchyard"
        ))),
    }
}

/// Checks a definition's container (spec jobs §6.2, §6.5).
pub fn check_definition(container: &ContainerProperties, capabilities: &[String]) -> Result<(), ApiError> {
    let platform = platform(capabilities)?;
    let image = required(&container.image, "containerProperties.image")?;
    if image.is_empty() || image.chars().count() > 255 {
        return Err(ApiError::wrapped("containerProperties.image must have 1 to 255 characters"));
    }
    super::container::check(container)?;
    check_environment(container.environment.as_deref().unwrap_or_default())?;
    check_volumes(container)?;
    if platform != Platform::Fargate && container.network_configuration.is_some() {
        return Err(ApiError::wrapped("networkConfiguration not applicable for EC2."));
    }
    if platform == Platform::Fargate {
        check_fargate(container)?;
    }
    check_linux(container.linux_parameters.as_ref())?;
    let list = container.resource_requirements.as_deref().unwrap_or_default();
    needs(list, container.vcpus, container.memory, platform).map(drop)
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

/// Names beginning AWS_BATCH are Batch's own.
pub fn check_environment(environment: &[KeyValuePair]) -> Result<(), ApiError> {
    for pair in environment {
        let name = pair.name.as_deref().unwrap_or_default();
        if name.is_empty()
            || name.contains(['=', '\0'])
            || pair.value.as_deref().is_some_and(|v| v.contains('\0'))
        {
            return Err(ApiError::wrapped(format!("environment: {name:?} is no name of a variable")));
        }
        if name.starts_with("AWS_BATCH") {
            return Err(ApiError::wrapped(format!(
                "environment: {name} is reserved, names must not begin with AWS_BATCH"
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

/// What an attempt needs, from `resourceRequirements` and the deprecated `vcpus` and `memory`.
pub fn needs(
    list: &[ResourceRequirement],
    vcpus: Option<i32>,
    memory: Option<i32>,
    platform: Platform,
) -> Result<Needs, ApiError> {
    let find =
        |kind: &str| list.iter().find(|r| r.r#type.as_deref() == Some(kind)).and_then(|r| r.value.as_deref());
    let vcpu_text = find("VCPU").map(str::to_string).or_else(|| vcpus.map(|v| v.to_string()));
    let memory_text = find("MEMORY").map(str::to_string).or_else(|| memory.map(|m| m.to_string()));
    let vcpu_text = vcpu_text.ok_or_else(|| ApiError::wrapped("vCPU is not provided."))?;
    let memory_text = memory_text.ok_or_else(|| ApiError::wrapped("Memory is not provided."))?;
    let vcpus_milli = milli(&vcpu_text)
        .ok_or_else(|| ApiError::wrapped(format!("VCPU must be a positive number, got {vcpu_text}")))?;
    let memory_mib: i64 = whole(&memory_text)
        .ok_or_else(|| ApiError::wrapped(format!("MEMORY must be a whole number, got {memory_text}")))?;
    if memory_mib < i64::from(MIN_MEMORY_MIB) {
        return Err(ApiError::wrapped(format!(
            "Memory must be at least {MIN_MEMORY_MIB} Mib, got {memory_mib} Mib."
        )));
    }
    let memory_mib = u32::try_from(memory_mib)
        .map_err(|_| ApiError::wrapped(format!("MEMORY must be below 4194304 Mib, got {memory_mib} Mib.")))?;
    let gpus = find("GPU").map_or(Some(0), whole::<u16>);
    let gpus = gpus.ok_or_else(|| ApiError::wrapped("GPU must be a whole number"))?;
    match platform {
        Platform::Fargate if !is_fargate_size(vcpus_milli, memory_mib) => Err(ApiError::wrapped(format!(
            "Fargate resource requirements ({:.2} vCPU, {memory_mib} MiB) not valid.",
            f64::from(vcpus_milli) / 1000.0
        ))),
        Platform::Ec2 if vcpus_milli % 1000 != 0 => {
            Err(ApiError::wrapped(format!("VCPU must be a whole number for EC2, got {vcpu_text}")))
        }
        _ => Ok(Needs { vcpus_milli, memory_mib, gpus }),
    }
}

/// Rust takes a plus sign, AWS does not.
fn whole<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.parse().ok().filter(|_| !text.starts_with('+'))
}

/// A positive decimal number in thousandths; at most three decimals, at most 1,000,000 vCPUs.
fn milli(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty()
        || text.ends_with('.')
        || whole.len() > 6
        || part.len() > 3
        || !text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    {
        return None;
    }
    let thousandths: u32 = format!("{part:0<3}").parse().ok()?;
    Some(whole.parse::<u32>().ok()? * 1000 + thousandths).filter(|m| *m > 0)
}

fn is_fargate_size(vcpus_milli: u32, memory_mib: u32) -> bool {
    match vcpus_milli {
        250 => [512, 1024, 2048].contains(&memory_mib),
        32000 => [61440, 122_880, 249_856].contains(&memory_mib),
        _ => FARGATE.iter().any(|(vcpus, low, high, step)| {
            *vcpus == vcpus_milli
                && (*low..=*high).contains(&memory_mib)
                && (memory_mib - low).is_multiple_of(*step)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(vcpu: &str, memory: &str) -> Vec<ResourceRequirement> {
        [("VCPU", vcpu), ("MEMORY", memory)]
            .map(|(t, v)| ResourceRequirement { r#type: Some(t.into()), value: Some(v.into()) })
            .into()
    }

    fn text(list: &[ResourceRequirement], platform: Platform) -> String {
        needs(list, None, None, platform)
            .map_or_else(|e| e.message, |n| format!("{} {}", n.vcpus_milli, n.memory_mib))
    }

    /// Texts of spec jobs §6.2.
    #[test]
    fn sizes_are_checked_in_awss_words() {
        assert_eq!(text(&list("2", "64"), Platform::Ec2), "2000 64");
        assert_eq!(text(&list("2", "1"), Platform::Ec2), "Memory must be at least 4 Mib, got 1 Mib.");
        assert_eq!(text(&list("0.50", "1024"), Platform::Fargate), "500 1024");
        assert_eq!(
            text(&list("0.50", "4"), Platform::Fargate),
            "Fargate resource requirements (0.50 vCPU, 4 MiB) not valid."
        );
        assert_eq!(text(&list("16", "40960"), Platform::Fargate), "16000 40960");
        assert_eq!(text(&[], Platform::Ec2), "vCPU is not provided.");
        for bad in ["0", "-1", "x", "1.2345", "", "99999999", "1e3", "1.", ".5", ".", "+1", "1.2.3"] {
            assert!(text(&list(bad, "64"), Platform::Ec2).starts_with("VCPU must"), "{bad}");
        }
        for bad in ["+16", "", "16.0", "1e3", " 16"] {
            assert!(text(&list("1", bad), Platform::Ec2).starts_with("MEMORY must"), "{bad}");
        }
        assert!(text(&list("0.5", "64"), Platform::Ec2).starts_with("VCPU must be a whole number"));
    }

    #[test]
    fn the_list_wins_over_the_deprecated_members() {
        let needs = needs(&list("1", "8"), Some(4), Some(512), Platform::Ec2).unwrap();
        assert_eq!((needs.vcpus_milli, needs.memory_mib), (1000, 8));
    }
}
