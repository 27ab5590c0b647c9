//! What texts, limits and lists of a container may be, before any of it reaches a host (spec jobs §6.2).
//!
//! Never here: vCPUs and memory (`requirements`), what this version can't do (`unbuilt`).

use crate::api::input::required;
use crate::error::ApiError;
use batchyard_model::batch::*;
use batchyard_model::limits::MAX_IMAGE_NAME;

/// The names of `ulimits` (spec jobs §6.2).
const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];
/// Most characters of a part of `user`, as AWS's own pattern has it (spec jobs §2.5).
const USER_PART_MAX: usize = 31;

/// Checks what a definition's container holds apart from sizes and volumes. `at` is what the container is called to
/// its sender, such as `containerProperties`.
pub fn check(container: &ContainerProperties, at: &str) -> Result<(), ApiError> {
    check_image(required(&container.image, &format!("{at}.image"))?, at)?;
    check_command(container.command.as_deref().unwrap_or_default(), &format!("{at}.command"))?;
    check_paths(container, at)?;
    check_environment(container.environment.as_deref().unwrap_or_default())?;
    let list = container.resource_requirements.as_deref().unwrap_or_default();
    check_types(list, &format!("{at}.resourceRequirements"))?;
    check_ulimits(container.ulimits.as_deref().unwrap_or_default())?;
    check_user(container.user.as_deref().unwrap_or_default())
}

/// Letters, digits and what names, tags and digests of images are made of (spec jobs §6.2).
fn check_image(image: &str, at: &str) -> Result<(), ApiError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_:./#@".contains(c);
    if !image.is_empty() && image.chars().count() <= MAX_IMAGE_NAME && image.chars().all(fits) {
        return Ok(());
    }
    Err(ApiError::wrapped(format!(
        "{at}.image must be 1 to {MAX_IMAGE_NAME} letters, digits and characters of -_:./#@, got {image:?}"
    )))
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

/// No empty words, and none with a NUL. `member` is what the command is called to its sender.
pub fn check_command(command: &[String], member: &str) -> Result<(), ApiError> {
    if command.iter().any(String::is_empty) {
        return Err(ApiError::wrapped("Command field cannot have empty strings"));
    }
    check_nul(command, member)
}

/// Arguments end at a NUL, so none may be in one.
pub fn check_nul(command: &[String], member: &str) -> Result<(), ApiError> {
    match command.iter().position(|word| word.contains('\0')) {
        Some(index) => Err(nul(&format!("{member}[{index}]"))),
        None => Ok(()),
    }
}

/// Each type at most once: which of two would count is not said.
pub fn check_types(list: &[ResourceRequirement], member: &str) -> Result<(), ApiError> {
    let twice =
        list.iter().enumerate().find(|(i, r)| list[..*i].iter().any(|earlier| earlier.r#type == r.r#type));
    match twice {
        Some((_, r)) => Err(ApiError::wrapped(format!(
            "{member} has the type {} twice",
            r.r#type.as_deref().unwrap_or_default()
        ))),
        None => Ok(()),
    }
}

fn nul(member: &str) -> ApiError {
    ApiError::wrapped(format!("{member} must not contain a NUL character"))
}

fn check_paths(container: &ContainerProperties, at: &str) -> Result<(), ApiError> {
    let has_nul = |path: Option<&String>| path.is_some_and(|p| p.contains('\0'));
    let linux = container.linux_parameters.as_ref();
    let tmpfs = linux.and_then(|l| l.tmpfs.as_deref()).unwrap_or_default();
    let devices = linux.and_then(|l| l.devices.as_deref()).unwrap_or_default();
    let mut volumes = container.volumes.iter().flatten();
    let mut mounts = container.mount_points.iter().flatten();
    let found = [
        (
            volumes.any(|v| has_nul(v.host.as_ref().and_then(|h| h.source_path.as_ref()))),
            "volumes.host.sourcePath",
        ),
        (mounts.any(|m| has_nul(m.container_path.as_ref())), "mountPoints.containerPath"),
        (tmpfs.iter().any(|t| has_nul(t.container_path.as_ref())), "linuxParameters.tmpfs.containerPath"),
        (devices.iter().any(|d| has_nul(d.host_path.as_ref())), "linuxParameters.devices.hostPath"),
        (devices.iter().any(|d| has_nul(d.container_path.as_ref())), "linuxParameters.devices.containerPath"),
    ];
    match found.iter().find(|(bad, _)| *bad) {
        Some((_, member)) => Err(nul(&format!("{at}.{member}"))),
        None => Ok(()),
    }
}

/// Each name at most once: which of two would count is not said.
fn check_ulimits(limits: &[Ulimit]) -> Result<(), ApiError> {
    for (i, limit) in limits.iter().enumerate() {
        if limits[..i].iter().any(|earlier| earlier.name == limit.name) {
            let name = limit.name.as_deref().unwrap_or_default();
            return Err(ApiError::wrapped(format!("ulimits: the limit {name} is given twice")));
        }
        check_ulimit(limit)?;
    }
    Ok(())
}

fn check_ulimit(limit: &Ulimit) -> Result<(), ApiError> {
    let name = limit.name.as_deref().unwrap_or_default();
    if !ULIMITS.contains(&name) {
        return Err(ApiError::wrapped(format!(
            "ulimits: {name:?} is no name of a limit; use one of {}",
            ULIMITS.join(", ")
        )));
    }
    let (soft, hard) = (limit.soft_limit.unwrap_or_default(), limit.hard_limit.unwrap_or_default());
    if soft < -1 || hard < -1 {
        return Err(ApiError::wrapped(format!(
            "ulimits: limits of {name} must be at least -1, which means unlimited, got softLimit {soft} and hardLimit {hard}"
        )));
    }
    if hard != -1 && (soft == -1 || soft > hard) {
        return Err(ApiError::wrapped(format!(
            "ulimits: softLimit of {name} must not be above its hardLimit, got {soft} and {hard}"
        )));
    }
    Ok(())
}

/// AWS's pattern for each part of `user[:group]`; ids match it too. Empty means the image's own.
fn check_user(user: &str) -> Result<(), ApiError> {
    let part = |part: &str| {
        let first = part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        first && part.len() <= USER_PART_MAX && part.bytes().all(rest)
    };
    let fits = user.split_once(':').map_or_else(|| part(user), |(user, group)| part(user) && part(group));
    if fits || user.is_empty() {
        return Ok(());
    }
    Err(ApiError::wrapped(format!("User '{user}' does not match regex")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use batchyard_engine::resource::Platform;

    /// What registration answers to a container that is fine but for this.
    fn text(change: impl FnOnce(&mut ContainerProperties)) -> String {
        let need = |kind: &str, value: &str| ResourceRequirement {
            r#type: Some(kind.into()),
            value: Some(value.into()),
        };
        let mut container = ContainerProperties {
            image: Some("tiny".into()),
            resource_requirements: Some(vec![need("VCPU", "1"), need("MEMORY", "64")]),
            volumes: Some(vec![Volume { name: Some("v".into()), ..Default::default() }]),
            mount_points: Some(vec![MountPoint {
                source_volume: Some("v".into()),
                container_path: Some("/v".into()),
                ..Default::default()
            }]),
            ..Default::default()
        };
        change(&mut container);
        let checked = super::super::definition::check(&container, Platform::Ec2);
        checked.map_or_else(|e| e.message, |()| "fine".to_string())
    }

    #[test]
    fn no_text_that_reaches_the_kernel_has_a_nul() {
        assert_eq!(text(|_| ()), "fine");
        let nul = |member: &str| format!("containerProperties.{member} must not contain a NUL character");
        let command = |c: &mut ContainerProperties| c.command = Some(vec!["a".into(), "b\0c".into()]);
        assert_eq!(text(command), nul("command[1]"));
        let source = |c: &mut ContainerProperties| {
            let host = Host { source_path: Some("/a\0".into()) };
            c.volumes.as_mut().unwrap()[0].host = Some(host);
        };
        assert_eq!(text(source), nul("volumes.host.sourcePath"));
        let mount = |c: &mut ContainerProperties| {
            c.mount_points.as_mut().unwrap()[0].container_path = Some("/v\0".into());
        };
        assert_eq!(text(mount), nul("mountPoints.containerPath"));
        let tmpfs = |c: &mut ContainerProperties| {
            let tmpfs = Tmpfs { container_path: Some("/t\0".into()), size: Some(1), ..Default::default() };
            c.linux_parameters = Some(LinuxParameters { tmpfs: Some(vec![tmpfs]), ..Default::default() });
        };
        assert_eq!(text(tmpfs), nul("linuxParameters.tmpfs.containerPath"));
    }

    #[test]
    fn a_type_counts_once() {
        let twice = |c: &mut ContainerProperties| {
            let list = c.resource_requirements.as_mut().unwrap();
            list.push(list[0].clone());
        };
        assert_eq!(text(twice), "containerProperties.resourceRequirements has the type VCPU twice");
    }

    #[test]
    fn limits_are_awss_and_in_order() {
        let limit = |name: &str, soft, hard| {
            let limit = Ulimit { name: Some(name.into()), soft_limit: Some(soft), hard_limit: Some(hard) };
            text(|c| c.ulimits = Some(vec![limit]))
        };
        for (soft, hard) in [(0, 0), (5, 5), (5, -1), (-1, -1), (5, i32::MAX)] {
            assert_eq!(limit("nofile", soft, hard), "fine", "{soft} {hard}");
        }
        for (soft, hard) in [(6, 5), (-1, 5), (-2, 5), (-2, -1), (0, -2)] {
            assert!(limit("stack", soft, hard).starts_with("ulimits: "), "{soft} {hard}");
        }
        for name in ["speed", "", "NOFILE"] {
            assert!(limit(name, 1, 1).contains("is no name of a limit"), "{name}");
        }
    }

    #[test]
    fn a_limit_counts_once() {
        let limit = Ulimit { name: Some("core".into()), soft_limit: Some(0), hard_limit: Some(0) };
        let twice = |c: &mut ContainerProperties| c.ulimits = Some(vec![limit.clone(), limit]);
        assert_eq!(text(twice), "ulimits: the limit core is given twice");
    }

    /// Spec jobs §2.5, §6.2: AWS's text and pattern, and the forms with a group that ECS takes.
    #[test]
    fn users_match_awss_pattern() {
        let user = |user: &str| text(|c| c.user = Some(user.into()));
        for good in ["1000:1000", "nobody", "_a-b", "0", "", "www-data:www-data", &"u".repeat(31)] {
            assert_eq!(user(good), "fine", "{good}");
        }
        for bad in ["Root", "a b", "a\0", "root\nuser", "-a", ":1", "1:", "1:2:3", "ü", &"u".repeat(32)] {
            assert_eq!(user(bad), format!("User '{bad}' does not match regex"));
        }
    }

    #[test]
    fn images_are_names() {
        let image = |image: &str| text(|c| c.image = Some(image.into()));
        let digest = format!("r.example:5000/a/b_c@sha256:{}", "0".repeat(64));
        for good in ["a", "r.example:5000/a/b_c:1.0", &digest, &"i".repeat(255)] {
            assert_eq!(image(good), "fine", "{good}");
        }
        for bad in ["", "a b", "ä", "a\nb", "a;b", &"i".repeat(256)] {
            assert!(image(bad).starts_with("containerProperties.image must be"), "{bad}");
        }
    }
}
