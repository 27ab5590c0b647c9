//! A task file out of a task: Docker's and the ECS agent's rules of what a container gets.
//!
//! Pure. Never here: writing it, finding the image.

use super::environment;
use super::folder::Folder;
use super::image::Image;
use super::plain;
use super::signal;
use super::users::Users;
use crate::compute::{DeviceSpec, MountSpec, Permitted, TaskSpec, VolumeSource};
use batchyard_engine::resource::Platform;
use batchyard_supervisor::sink::Sink;
use batchyard_supervisor::{Container, Device, Driver, Mount, MountKind, Rootless, Task, Ulimit};
use ipnet::IpNet;
use std::collections::HashMap;

/// The single container's name (spec jobs §1.4).
pub const CONTAINER: &str = "default";
/// Seconds between the stop signal and SIGKILL, ECS's default.
pub const STOP_GRACE_S: u64 = 30;
/// Size of /dev/shm unless the job says, Docker's default.
const SHM_BYTES: u64 = 64 << 20;
/// Open files, soft and hard, unless the job says: what the ECS-optimised machines give.
const NOFILE: (u64, u64) = (32_768, 65_536);

/// Docker's default capabilities, by their numbers: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP,
/// NET_BIND_SERVICE, NET_RAW, SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP.
const CAPABILITIES: [u32; 14] = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31];

/// What every task of this machine has in common.
#[derive(Debug, Clone, Default)]
pub struct Common {
    /// The cgroup that holds the attempts' cgroups.
    pub cgroup: String,
    /// Path of the wake socket.
    pub wake: String,
    /// This machine's name.
    pub hostname: String,
    /// The seccomp filter.
    pub seccomp: Vec<u8>,
    /// Most processes and threads of a job.
    pub pids_max: u64,
    /// Bytes of log after which lines are dropped; 0 means no cap.
    pub log_cap: u64,
    /// Free bytes on the log's disk under which lines are dropped.
    pub disk_floor: u64,
    /// The server's own hard limit of open files, which a container's cannot pass.
    pub nofile_hard: u64,
    /// Who gets a user namespace.
    pub users: Users,
    /// An ordinary user's server: what it does without.
    pub rootless: Option<Rootless>,
    /// What makes the containers.
    pub driver: Driver,
    /// What jobs may have of this machine.
    pub permitted: Permitted,
    /// What the administrator gives every job.
    pub defaults: JobDefaults,
    /// The cgroup that fences jobs off addresses.
    pub fence: Option<String>,
    /// Those addresses.
    pub blocked: Vec<IpNet>,
    /// The folders of volumes without a path that all jobs share, by their names.
    pub shared_volumes: HashMap<String, String>,
}

/// What every job of this machine gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobDefaults {
    /// Variables; those of image and job go before them.
    pub environment: Vec<(String, String)>,
    /// Folders of this machine, where they are mounted, and whether read-only. A mount point of the job goes before them.
    pub mounts: Vec<(String, String, bool)>,
}

impl JobDefaults {
    /// Out of the settings `job_environment` and `job_mounts`.
    ///
    /// # Errors
    /// A mount that is no pair of absolute paths.
    pub fn new(environment: &[(String, String)], mounts: &[(String, String)]) -> Result<Self, String> {
        let mount = |(source, target): &(String, String)| {
            let (path, readonly) = match target.strip_suffix(":ro") {
                Some(path) => (path, true),
                None => (target.strip_suffix(":rw").unwrap_or(target), false),
            };
            let taken = ["", "/proc", "/sys", "/dev"].contains(&trimmed(path));
            if source.starts_with('/') && path.starts_with('/') && !path.contains(':') && !taken {
                return Ok((source.clone(), path.to_string(), readonly));
            }
            Err(format!(
                "job_mounts: {source}={target} must be two absolute paths, such as /data=/data:ro, and no job's own /proc, \
                 /sys or /dev"
            ))
        };
        let mounts = mounts.iter().map(mount).collect::<Result<_, _>>()?;
        Ok(Self { environment: environment.to_vec(), mounts })
    }
}

/// The task file of a task. `log` is the log file's path, empty for none.
///
/// # Errors
/// The reason why it cannot be started, as the ECS agent words it.
pub fn build(
    spec: &TaskSpec,
    image: Image,
    common: &Common,
    folder: &Folder,
    log: String,
) -> Result<Task, String> {
    let (task, fargate) = (spec.start.task, spec.platform == Platform::Fargate);
    let stop_signal = signal::number(image.stop_signal.as_deref().unwrap_or("SIGTERM"));
    let mut container = Container {
        name: CONTAINER.to_string(),
        essential: true,
        env: environment::build(spec, &image, &common.hostname, &common.defaults.environment),
        files: Vec::new(),
        mounts: mounts(spec, &image, folder, common),
        argv: argv(spec, &image)?,
        cwd: image.working_dir.clone(),
        user: spec.user.clone().unwrap_or_else(|| image.user.clone()),
        layers: image.layers.iter().map(|layer| layer.to_string_lossy().into_owned()).collect(),
        scratch: folder.scratch().to_string_lossy().into_owned(),
        disk: None,
        readonly_root: spec.readonly_root,
        memory_bytes: Some(u64::from(spec.memory_mib) << 20),
        swap_bytes: spec.max_swap_mib.map(|mib| u64::from(mib) << 20),
        swappiness: spec.swappiness,
        cpu_shares: cpu_shares(spec),
        cpu_quota_milli: fargate.then_some(u64::from(spec.vcpus_milli)),
        pids_max: Some(common.pids_max),
        privileged: spec.privileged,
        capabilities: CAPABILITIES.iter().fold(0, |mask, number| mask | 1 << number),
        seccomp: common.seccomp.clone(),
        devices: devices(spec),
        ulimits: ulimits(spec, common.nofile_hard),
        shm_bytes: spec.shm_mib.map_or(SHM_BYTES, |mib| u64::from(mib) << 20),
        init: spec.init,
        stop_signal: stop_signal.ok_or_else(|| {
            super::image::cannot_pull(&format!("image {} has an unknown stop signal", spec.image))
        })?,
        log,
        sink: Sink::Own,
        first_line: None,
        log_cap: common.log_cap,
        disk_floor: common.disk_floor,
    };
    if common.driver == Driver::Process {
        plain::adapt(&mut container, spec, &image)?;
    }
    Ok(Task {
        task_id: task.to_string(),
        job_id: spec.start.name.to_string(),
        attempt: spec.start.attempt,
        cgroup: format!("{}/{task}", common.cgroup),
        timeout_s: spec.start.timeout_s.map(u64::from),
        stop_grace_s: spec.stop_timeout_s.map_or(STOP_GRACE_S, u64::from),
        wake: Some(common.wake.clone()),
        driver: common.driver.clone(),
        address: None,
        hostname: None,
        fence: common.fence.clone(),
        rootless: common.rootless,
        id_map: common.users.of(spec.platform, spec.privileged)?,
        containers: vec![container],
    })
}

/// The job's command replaces the image's, never its entry point, as ECS has it.
pub(in crate::compute) fn argv(spec: &TaskSpec, image: &Image) -> Result<Vec<String>, String> {
    let command = if spec.command.is_empty() { &image.cmd } else { &spec.command };
    let argv: Vec<String> = image.entrypoint.iter().chain(command).cloned().collect();
    if argv.is_empty() {
        return Err(
            "CannotCreateContainerError: Error response from daemon: No command specified".to_string()
        );
    }
    Ok(argv)
}

/// Masks, then what the job mounts, outer paths before what lies inside of them.
fn mounts(spec: &TaskSpec, image: &Image, folder: &Folder, common: &Common) -> Vec<Mount> {
    let mut named: Vec<&str> = Vec::new();
    let mut own: Vec<Mount> = Vec::new();
    for mount in &spec.mounts {
        own.push(bind(mount, folder, common, &mut named));
    }
    for tmpfs in &spec.tmpfs {
        let kind = MountKind::Tmpfs(u64::from(tmpfs.size_mib) << 20, tmpfs.options.clone());
        let said = tmpfs.options.iter().rev().find(|o| *o == "ro" || *o == "rw");
        let readonly = said.is_some_and(|o| o == "ro");
        own.push(Mount { kind, target: tmpfs.target.clone(), readonly });
    }
    for (source, target, readonly) in &common.defaults.mounts {
        if own.iter().all(|mount| trimmed(&mount.target) != trimmed(target)) {
            let kind = MountKind::Bind(source.clone());
            own.push(Mount { kind, target: target.clone(), readonly: *readonly });
        }
    }
    // With a writable root the image's volumes are as good as they are: both go with the attempt.
    for (index, target) in image.volumes.iter().enumerate().filter(|_| spec.readonly_root) {
        if own.iter().all(|mount| trimmed(&mount.target) != trimmed(target)) {
            let source = folder.volume(spec.mounts.len() + index).to_string_lossy().into_owned();
            own.push(Mount { kind: MountKind::Bind(source), target: target.clone(), readonly: false });
        }
    }
    own.sort_by_key(|mount| trimmed(&mount.target).matches('/').count());
    image.masks.iter().cloned().chain(own).collect()
}

fn bind<'s>(mount: &'s MountSpec, folder: &Folder, common: &Common, named: &mut Vec<&'s str>) -> Mount {
    let kind = match &mount.source {
        VolumeSource::Host(path) => match common.permitted.root_of(path) {
            None | Some("/") => MountKind::Bind(path.clone()),
            Some(root) => MountKind::BindWithin(root.to_string(), path.clone()),
        },
        VolumeSource::Anonymous(name) if common.shared_volumes.contains_key(name) => {
            MountKind::Bind(common.shared_volumes[name].clone())
        }
        VolumeSource::Anonymous(name) => {
            MountKind::Bind(folder.volume(volume_number(named, name)).to_string_lossy().into_owned())
        }
    };
    Mount { kind, target: mount.target.clone(), readonly: mount.readonly }
}

/// The number of a volume without a path among the task's, by the order in which they are first mounted.
pub(in crate::compute) fn volume_number<'s>(named: &mut Vec<&'s str>, name: &'s str) -> usize {
    named.iter().position(|known| *known == name).unwrap_or_else(|| {
        named.push(name);
        named.len() - 1
    })
}

/// A mount's target, of which two are one when they differ in their last slashes only.
pub(in crate::compute) fn trimmed(path: &str) -> &str {
    path.trim_end_matches('/')
}

fn devices(spec: &TaskSpec) -> Vec<Device> {
    let device = |d: &DeviceSpec| Device {
        source: d.source.clone(),
        target: d.target.clone(),
        read: d.read,
        write: d.write,
        mknod: d.mknod,
    };
    spec.devices.iter().map(device).collect()
}

/// The weight of the task's vCPUs, 1024 for one, as ECS has it.
pub(in crate::compute) fn cpu_shares(spec: &TaskSpec) -> u64 {
    (u64::from(spec.vcpus_milli) * 1024 / 1000).max(2)
}

pub(in crate::compute) fn ulimits(spec: &TaskSpec, nofile_hard: u64) -> Vec<Ulimit> {
    let number = |n: i64| u64::try_from(n).unwrap_or(u64::MAX);
    let mut limits: Vec<Ulimit> = spec
        .ulimits
        .iter()
        .map(|u| Ulimit { name: u.name.clone(), soft: number(u.soft), hard: number(u.hard) })
        .collect();
    if limits.iter().all(|limit| limit.name != "nofile") {
        let hard = NOFILE.1.min(nofile_hard);
        limits.push(Ulimit { name: "nofile".to_string(), soft: NOFILE.0.min(hard), hard });
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::machine::testing::spec;
    use crate::compute::{TmpfsSpec, UlimitSpec};
    use std::path::Path;

    fn image() -> Image {
        Image {
            entrypoint: vec!["/entry".into()],
            cmd: vec!["default".into()],
            user: "app".into(),
            ..Image::default()
        }
    }

    fn built(spec: &TaskSpec, image: Image) -> Container {
        let folder = Folder::of(Path::new("/a"), spec.start.task);
        let common = Common { nofile_hard: 4096, ..Common::default() };
        let mut task = build(spec, image, &common, &folder, String::new()).expect("a task");
        task.containers.remove(0)
    }

    #[test]
    fn a_command_replaces_the_images_command_and_not_its_entry_point() {
        let mut spec = spec();
        spec.command.clear();
        assert_eq!(built(&spec, image()).argv, ["/entry", "default"]);
        spec.command = vec!["mine".into(), "1".into()];
        assert_eq!(built(&spec, image()).argv, ["/entry", "mine", "1"]);
        spec.command.clear();
        let folder = Folder::of(Path::new("/a"), spec.start.task);
        let refused = build(&spec, Image::default(), &Common::default(), &folder, String::new());
        assert!(refused.expect_err("refused").contains("No command specified"));
    }

    #[test]
    fn only_fargates_vcpus_are_a_hard_limit() {
        let mut spec = spec();
        spec.vcpus_milli = 2500;
        let container = built(&spec, image());
        assert_eq!((container.cpu_shares, container.cpu_quota_milli), (2560, None));
        spec.platform = Platform::Fargate;
        assert_eq!(built(&spec, image()).cpu_quota_milli, Some(2500));
    }

    #[test]
    fn the_jobs_user_wins_and_unlimited_stays_unlimited() {
        let mut spec = spec();
        assert_eq!(built(&spec, image()).user, "app");
        spec.user = Some("0:0".into());
        spec.ulimits = vec![UlimitSpec { name: "core".into(), soft: 0, hard: -1 }];
        let container = built(&spec, image());
        assert_eq!(container.user, "0:0");
        let limit = |n: &str, soft, hard| Ulimit { name: n.into(), soft, hard };
        assert_eq!(container.ulimits, [limit("core", 0, u64::MAX), limit("nofile", 4096, 4096)]);
    }

    #[test]
    fn outer_mounts_come_first_and_masks_before_all() {
        let mut spec = spec();
        let mount = |source, target: &str| MountSpec { source, target: target.into(), readonly: false };
        spec.mounts = vec![
            mount(VolumeSource::Anonymous("v".into()), "/data/in/deep"),
            mount(VolumeSource::Host("/srv".into()), "/data/"),
            mount(VolumeSource::Anonymous("v".into()), "/other"),
        ];
        spec.tmpfs = vec![TmpfsSpec { target: "/data/in".into(), size_mib: 3, options: vec!["ro".into()] }];
        spec.readonly_root = true;
        let mask = Mount { kind: MountKind::Mask, target: "/x/y/z/etc".into(), readonly: true };
        let image = Image { masks: vec![mask], volumes: vec!["/data".into(), "/var/lib".into()], ..image() };
        let mounts = built(&spec, image).mounts;
        let targets: Vec<&str> = mounts.iter().map(|m| m.target.as_str()).collect();
        assert_eq!(targets, ["/x/y/z/etc", "/data/", "/other", "/data/in", "/var/lib", "/data/in/deep"]);
        assert_eq!(mounts[3].kind, MountKind::Tmpfs(3 << 20, vec!["ro".into()]));
        assert_eq!(mounts[2].kind, mounts[5].kind, "one volume mounted twice");
        assert_ne!(mounts[4].kind, mounts[5].kind);
    }

    #[test]
    fn what_the_administrator_gives_every_job_is_there_unless_the_job_has_it() {
        let mounts = [("/cache".to_string(), "/cache:ro".to_string()), ("/srv".into(), "/data".into())];
        let defaults = JobDefaults::new(&[("PROXY".into(), "here".into())], &mounts).expect("defaults");
        let common = Common { defaults, ..Common::default() };
        let mut spec = spec();
        spec.mounts = vec![MountSpec {
            source: VolumeSource::Host("/mine".into()),
            target: "/data/".into(),
            readonly: false,
        }];
        let folder = Folder::of(Path::new("/a"), spec.start.task);
        let task = build(&spec, image(), &common, &folder, String::new()).expect("a task");
        let container = &task.containers[0];
        assert!(container.env.contains(&"PROXY=here".to_string()));
        let mounts: Vec<_> = container.mounts.iter().map(|m| (m.target.as_str(), m.readonly)).collect();
        assert_eq!(mounts, [("/data/", false), ("/cache", true)]);
        for bad in ["relative", ":ro", "", "/", "/proc/", "/a:ro:ro"] {
            assert!(JobDefaults::new(&[], &[("/a".into(), bad.into())]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_folder_below_a_permitted_one_is_bound_within_it() {
        let permitted = Permitted { volume_roots: vec!["/data".into()], ..Permitted::default() };
        let common = Common { permitted, ..Common::default() };
        let mut spec = spec();
        let source = VolumeSource::Host("/data/a".into());
        spec.mounts = vec![MountSpec { source, target: "/x".into(), readonly: false }];
        let folder = Folder::of(Path::new("/a"), spec.start.task);
        let task = build(&spec, image(), &common, &folder, String::new()).expect("a task");
        let kind = MountKind::BindWithin("/data".into(), "/data/a".into());
        assert_eq!(task.containers[0].mounts[0].kind, kind);
    }

    #[test]
    fn the_capability_mask_is_dockers() {
        assert_eq!(built(&spec(), image()).capabilities, 0xa804_25fb);
    }
}
