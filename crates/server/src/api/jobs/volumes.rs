//! A container's volumes and where they are mounted (spec jobs §6.2). Never here: what a volume is on a host.

use crate::error::ApiError;
use batchyard_model::batch::*;

/// Most characters of a volume's name and of an EFS root directory.
const NAME_MAX: usize = 255;
const DIRECTORY_MAX: usize = 4096;

/// Checks volumes and mount points against each other.
pub fn check(container: &ContainerProperties) -> Result<(), ApiError> {
    let volumes = container.volumes.as_deref().unwrap_or_default();
    for (i, volume) in volumes.iter().enumerate() {
        let name = volume.name.as_deref().unwrap_or_default();
        if volumes[..i].iter().any(|earlier| earlier.name.as_deref().unwrap_or_default() == name) {
            return Err(bad(format!("the name {name:?} is given twice")));
        }
        check_volume(name, volume)?;
    }
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
    Ok(())
}

fn check_volume(name: &str, volume: &Volume) -> Result<(), ApiError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(fits) {
        return Err(bad(format!(
            "a name must be 1 to {NAME_MAX} letters, digits, hyphens and underscores, got {name:?}"
        )));
    }
    let path = volume.host.as_ref().and_then(|h| h.source_path.as_deref()).unwrap_or_default();
    if !path.is_empty() && !path.starts_with('/') {
        return Err(bad(format!("sourcePath of {name:?} must be an absolute path")));
    }
    let kinds = [
        !path.is_empty(),
        volume.efs_volume_configuration.is_some(),
        volume.s3files_volume_configuration.is_some(),
    ];
    if kinds.iter().filter(|given| **given).count() > 1 {
        return Err(bad(format!(
            "{name:?} must have one of host, efsVolumeConfiguration and s3filesVolumeConfiguration"
        )));
    }
    volume.efs_volume_configuration.as_ref().map_or(Ok(()), |efs| check_efs(name, efs))
}

/// IAM and access points need encryption; an access point has its own root (spec jobs §6.2).
fn check_efs(name: &str, efs: &EFSVolumeConfiguration) -> Result<(), ApiError> {
    let root = efs.root_directory.as_deref().unwrap_or_default();
    if root.chars().count() > DIRECTORY_MAX {
        return Err(bad(format!("rootDirectory of {name:?} must have at most {DIRECTORY_MAX} characters")));
    }
    if let Some(port) = efs.transit_encryption_port.filter(|p| !(0..=65535).contains(p)) {
        return Err(bad(format!(
            "transitEncryptionPort of {name:?} must be between 0 and 65535, got {port}"
        )));
    }
    let Some(authorization) = &efs.authorization_config else { return Ok(()) };
    let point = authorization.access_point_id.as_ref().is_some_and(|id| !id.is_empty());
    let iam = authorization.iam.as_deref() == Some("ENABLED");
    if (point || iam) && efs.transit_encryption.as_deref() != Some("ENABLED") {
        return Err(bad(format!(
            "transitEncryption of {name:?} must be ENABLED to use an access point or IAM authorization"
        )));
    }
    if point && !matches!(root, "" | "/") {
        return Err(bad(format!("rootDirectory of {name:?} must be left out or / with an access point")));
    }
    Ok(())
}

fn bad(text: String) -> ApiError {
    ApiError::wrapped(format!("volumes: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(volumes: Vec<Volume>) -> String {
        let container = ContainerProperties { volumes: Some(volumes), ..Default::default() };
        check(&container).map_or_else(|e| e.message, |()| "fine".to_string())
    }

    fn named(name: &str) -> Volume {
        Volume { name: Some(name.into()), ..Default::default() }
    }

    #[test]
    fn names_are_plain_and_differ() {
        assert_eq!(text(vec![named("a"), named("b-_1")]), "fine");
        assert_eq!(text(vec![named("a"), named("a")]), "volumes: the name \"a\" is given twice");
        for name in ["", "a b", "a/b", &"v".repeat(256)] {
            assert!(text(vec![named(name)]).starts_with("volumes: a name must be"), "{name}");
        }
    }

    #[test]
    fn file_systems_follow_their_rules() {
        let efs = |point: &str, encryption: Option<&str>, root: Option<&str>| {
            let point = Some(point.to_string()).filter(|p| !p.is_empty());
            let authorization = EFSAuthorizationConfig { access_point_id: point, ..Default::default() };
            let efs = EFSVolumeConfiguration {
                file_system_id: Some("fs-1".into()),
                authorization_config: Some(authorization),
                transit_encryption: encryption.map(Into::into),
                root_directory: root.map(Into::into),
                ..Default::default()
            };
            text(vec![Volume { efs_volume_configuration: Some(efs), ..named("v") }])
        };
        assert_eq!(efs("", None, Some("/data")), "fine");
        assert_eq!(efs("fsap-1", Some("ENABLED"), None), "fine");
        assert!(efs("fsap-1", None, None).contains("transitEncryption"));
        assert!(efs("fsap-1", Some("ENABLED"), Some("/data")).contains("rootDirectory"));
    }
}
