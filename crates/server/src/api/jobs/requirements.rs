//! What a container asks for in numbers: vCPUs, memory, GPUs, and on which platform (spec jobs §6.2). Never here: whether
//! there is room.

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
    match capabilities {
        [] => Ok(Platform::Ec2),
        [one] => match one.as_str() {
            "EC2" => Ok(Platform::Ec2),
            "FARGATE" => Ok(Platform::Fargate),
            "MANAGED_INSTANCES" => Ok(Platform::ManagedInstances),
            other => Err(ApiError::wrapped(format!("platformCapabilities: there is no capability {other}"))),
        },
        several => Err(ApiError::wrapped(format!(
            "platformCapabilities must name one capability, got {}",
            several.join(", ")
        ))),
    }
}

/// What an attempt needs, from `resourceRequirements` and the deprecated `vcpus` and `memory`.
pub fn needs(
    list: &[ResourceRequirement],
    vcpus: Option<i32>,
    memory: Option<i32>,
    platform: Platform,
) -> Result<Needs, ApiError> {
    on(platform, amounts(list, vcpus, memory, platform)?)
}

/// What the containers of one task need together; Fargate's sizes are those of tasks (spec jobs §6.2).
pub fn task_needs<'a>(
    containers: impl Iterator<Item = &'a [ResourceRequirement]>,
    platform: Platform,
) -> Result<Needs, ApiError> {
    let mut sum = Needs::default();
    for list in containers {
        let one = amounts(list, None, None, platform)?;
        let too_much = || ApiError::wrapped("resourceRequirements of all containers together are too large");
        sum.vcpus_milli = sum.vcpus_milli.checked_add(one.vcpus_milli).ok_or_else(too_much)?;
        sum.memory_mib = sum.memory_mib.checked_add(one.memory_mib).ok_or_else(too_much)?;
        sum.gpus = sum.gpus.checked_add(one.gpus).ok_or_else(too_much)?;
    }
    on(platform, sum)
}

/// What one container asks for.
fn amounts(
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
    if platform == Platform::Ec2 && vcpus_milli % 1000 != 0 {
        return Err(ApiError::wrapped(format!("VCPU must be a whole number for EC2, got {vcpu_text}")));
    }
    let memory_mib: i64 = whole(&memory_text)
        .ok_or_else(|| ApiError::wrapped(format!("MEMORY must be a whole number, got {memory_text}")))?;
    // Fargate's sizes say it for both numbers (spec jobs §6.2).
    if platform != Platform::Fargate && memory_mib < i64::from(MIN_MEMORY_MIB) {
        return Err(ApiError::wrapped(format!(
            "Memory must be at least {MIN_MEMORY_MIB} Mib, got {memory_mib} Mib."
        )));
    }
    let memory_mib = u32::try_from(memory_mib).map_err(|_| {
        ApiError::wrapped(format!("MEMORY must be below 4294967296 Mib, got {memory_mib} Mib."))
    })?;
    let gpus = find("GPU").map_or(Some(0), whole::<u16>);
    let gpus = gpus.ok_or_else(|| ApiError::wrapped("GPU must be a whole number"))?;
    Ok(Needs { vcpus_milli, memory_mib, gpus })
}

/// Fargate has few sizes.
fn on(platform: Platform, needs: Needs) -> Result<Needs, ApiError> {
    if platform == Platform::Fargate && !is_fargate_size(needs.vcpus_milli, needs.memory_mib) {
        return Err(ApiError::wrapped(format!(
            "Fargate resource requirements ({:.2} vCPU, {} MiB) not valid.",
            f64::from(needs.vcpus_milli) / 1000.0,
            needs.memory_mib
        )));
    }
    Ok(needs)
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

    /// Spec jobs §6.2: on Fargate the sum over a task's containers is a legal pair, not each.
    #[test]
    fn the_containers_of_a_task_are_added_up() {
        let (half, quarter) = (list("0.5", "1024"), list("0.25", "256"));
        let sum = |lists: &[&[ResourceRequirement]], platform| {
            task_needs(lists.iter().copied(), platform)
                .map_or_else(|e| e.message, |n| format!("{} {}", n.vcpus_milli, n.memory_mib))
        };
        assert_eq!(sum(&[&half, &half], Platform::Fargate), "1000 2048");
        assert!(sum(&[&half, &quarter], Platform::Fargate).contains("(0.75 vCPU, 1280 MiB) not valid"));
        assert!(sum(&[&half, &half], Platform::Ec2).starts_with("VCPU must be a whole number"));
        let huge = list("1", "4000000000");
        assert!(sum(&[&huge, &huge], Platform::Ec2).contains("too large"));
        assert!(text(&list("1", "4294967296"), Platform::Ec2).starts_with("MEMORY must be below"));
    }

    #[test]
    fn a_definition_has_one_platform() {
        let of = |list: &[&str]| platform(&list.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of(&[]), Ok(Platform::Ec2));
        assert_eq!(of(&["FARGATE"]), Ok(Platform::Fargate));
        assert!(of(&["EC2", "FARGATE"]).unwrap_err().message.contains("one capability"));
    }

    #[test]
    fn the_list_wins_over_the_deprecated_members() {
        let needs = needs(&list("1", "8"), Some(4), Some(512), Platform::Ec2).unwrap();
        assert_eq!((needs.vcpus_milli, needs.memory_mib), (1000, 8));
    }
}
