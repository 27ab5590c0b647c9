//! What the administrator lets jobs have of this machine. Asked at submit, and again when a job starts, since settings
//! change while jobs wait.
//!
//! Pure, and lexical: that no symbolic link leads out of a permitted folder is for whoever mounts it. Never here: what
//! the API forbids.

use super::{LogSink, TaskSpec, VolumeSource};
use batchyard_model::batch::ContainerDetail;

/// The permissions, out of the settings of the same names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permitted {
    /// `allow_privileged`.
    pub privileged: bool,
    /// `host_volume_roots`: absolute folders.
    pub volume_roots: Vec<String>,
    /// `allowed_devices`: paths, a `*` at the end standing for anything.
    pub devices: Vec<String>,
    /// `max_array_size`: children of an array job.
    pub array_size: u32,
}

/// Everything, as at AWS.
impl Default for Permitted {
    fn default() -> Self {
        Self {
            privileged: true,
            volume_roots: vec!["/".into()],
            devices: vec!["*".into()],
            array_size: 10_000,
        }
    }
}

impl Permitted {
    /// Looks at a container as it was submitted.
    ///
    /// # Errors
    /// What it may not have, and the setting that says so.
    pub fn submitted(&self, container: &ContainerDetail) -> Result<(), String> {
        let volumes = container.volumes.iter().flatten();
        let volumes =
            volumes.filter_map(|v| v.host.as_ref()?.source_path.as_deref()).filter(|p| !p.is_empty());
        let linux = container.linux_parameters.iter().flat_map(|l| l.devices.iter().flatten());
        let devices = linux.filter_map(|d| d.host_path.as_deref());
        self.check(container.privileged == Some(true), volumes, devices)?;
        let options = container.log_configuration.as_ref().and_then(|l| l.options.as_ref());
        self.check_syslog(options.and_then(|o| o.get("syslog-address")).map(String::as_str))
    }

    /// Looks at a task that is to start.
    ///
    /// # Errors
    /// As [`Self::submitted`].
    pub fn starting(&self, spec: &TaskSpec) -> Result<(), String> {
        let volumes = spec.mounts.iter().filter_map(|mount| match &mount.source {
            VolumeSource::Host(path) => Some(path.as_str()),
            VolumeSource::Anonymous(_) => None,
        });
        self.check(spec.privileged, volumes, spec.devices.iter().map(|d| d.source.as_str()))?;
        self.check_syslog(match &spec.sink {
            Some(LogSink::Syslog { address, .. }) => Some(address),
            _ => None,
        })
    }

    /// It is this machine that speaks to a syslog, as root: a socket that is none is as good as its folder mounted.
    fn check_syslog(&self, address: Option<&str>) -> Result<(), String> {
        let path =
            address.and_then(|a| a.strip_prefix("unix").and_then(|a| a.split_once("://"))).map(|(_, p)| p);
        match path.filter(|path| *path != "/dev/log" && self.root_of("/").is_none()) {
            Some(path) => Err(format!(
                "a syslog at {path} may not be spoken to on this machine, only at /dev/log; all of its folders would have \
                 to be allowed (host_volume_roots)"
            )),
            None => Ok(()),
        }
    }

    fn check<'a>(
        &self,
        privileged: bool,
        mut volumes: impl Iterator<Item = &'a str>,
        mut devices: impl Iterator<Item = &'a str>,
    ) -> Result<(), String> {
        if privileged && !self.privileged {
            return Err("privileged containers are not allowed on this machine (allow_privileged)".into());
        }
        if let Some(path) = volumes.find(|path| self.root_of(path).is_none()) {
            return Err(format!(
                "the host folder {path} may not be mounted on this machine; allowed are {} (host_volume_roots)",
                listed(&self.volume_roots)
            ));
        }
        if let Some(path) = devices.find(|path| !self.has_device(path)) {
            return Err(format!(
                "the device {path} may not be used on this machine; allowed are {} (allowed_devices)",
                listed(&self.devices)
            ));
        }
        Ok(())
    }

    /// The folder of `volume_roots` that a host path is in; the longest if there are several. Paths that go up are in
    /// none but `/`.
    pub fn root_of(&self, path: &str) -> Option<&str> {
        let inside = |root: &&String| {
            let root = root.trim_end_matches('/');
            root.is_empty()
                || (!goes_up(path)
                    && path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
        };
        self.volume_roots.iter().filter(inside).max_by_key(|root| root.len()).map(String::as_str)
    }

    fn has_device(&self, path: &str) -> bool {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some("") => true,
            Some(start) => !goes_up(path) && path.starts_with(start),
            None => path == pattern,
        };
        self.devices.iter().any(fits)
    }
}

fn goes_up(path: &str) -> bool {
    path.split('/').any(|step| step == "..")
}

fn listed(paths: &[String]) -> String {
    if paths.is_empty() { "none".into() } else { paths.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::machine::testing::spec;
    use crate::compute::{DeviceSpec, MountSpec};

    fn some() -> Permitted {
        Permitted {
            privileged: false,
            volume_roots: vec!["/data".into(), "/data/fast/".into(), "/scratch".into()],
            devices: vec!["/dev/fuse".into(), "/dev/nvidia*".into()],
            array_size: 10_000,
        }
    }

    #[test]
    fn folders_are_inside_by_whole_names() {
        let permitted = some();
        assert_eq!(permitted.root_of("/data"), Some("/data"));
        assert_eq!(permitted.root_of("/data/fast/x"), Some("/data/fast/"));
        assert_eq!(permitted.root_of("/data//fastest"), Some("/data"));
        for outside in ["/", "/database", "/etc", "/data/../etc", "data", "/scratch/..", ""] {
            assert_eq!(permitted.root_of(outside), None, "{outside}");
        }
        assert_eq!(Permitted::default().root_of("/any/../where"), Some("/"));
        assert_eq!(Permitted { volume_roots: Vec::new(), ..some() }.root_of("/data"), None);
    }

    #[test]
    fn what_is_not_allowed_is_named_with_its_setting() {
        let said = |change: &dyn Fn(&mut TaskSpec)| {
            let mut spec = spec();
            change(&mut spec);
            assert_eq!(Permitted::default().starting(&spec), Ok(()));
            some().starting(&spec).err().unwrap_or_default()
        };
        assert_eq!(said(&|_| ()), "");
        assert!(said(&|s| s.privileged = true).contains("allow_privileged"));
        let mount = |path: &str| MountSpec {
            source: VolumeSource::Host(path.into()),
            target: "/x".into(),
            readonly: false,
        };
        assert_eq!(said(&|s| s.mounts = vec![mount("/scratch/a")]), "");
        assert!(said(&|s| s.mounts = vec![mount("/scratch"), mount("/etc")]).contains("/etc may not"));
        let device = |path: &str| DeviceSpec {
            source: path.into(),
            target: path.into(),
            read: true,
            write: true,
            mknod: true,
        };
        assert_eq!(said(&|s| s.devices = vec![device("/dev/nvidia0"), device("/dev/fuse")]), "");
        let syslog = |path: &str| LogSink::Syslog {
            address: format!("unix://{path}"),
            facility: 3,
            format: batchyard_supervisor::sink::SyslogFormat::Local,
            tag: None,
        };
        assert_eq!(said(&|s| s.sink = Some(syslog("/dev/log"))), "");
        assert!(said(&|s| s.sink = Some(syslog("/data/log"))).contains("host_volume_roots"));
        for path in ["/dev/sda", "/dev/fuse2", "/dev/nvidia/../sda"] {
            assert!(said(&|s| s.devices = vec![device(path)]).contains("allowed_devices"), "{path}");
        }
    }
}
