//! What the daemon is asked to make: Docker's own members out of a task, by ECS's rules.
//!
//! Pure but for a look at where links lead. Never here: asking.

use super::{DockerSettings, OWNER, TASK};
use crate::compute::machine::task::{STOP_GRACE_S, argv, cpu_shares, trimmed, ulimits, volume_number};
use crate::compute::machine::{Image, environment, shared_volume};
use crate::compute::{DeviceSpec, MountSpec, TaskSpec, TmpfsSpec, VolumeSource};
use batchyard_engine::resource::Platform;
use bollard::models::{
    ContainerCreateBody, DeviceMapping, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig,
    ResourcesUlimits,
};
use std::collections::HashMap;
use std::path::Path;

/// Size of /dev/shm unless the job says, Docker's default.
const SHM_MIB: u32 = 64;
/// The daemon's own log may be so much larger than ours: it is JSON with a time in each line.
const JSON_FACTOR: u64 = 8;

/// The container of a task. `image` is what the daemon calls it, `found` what it says of it.
///
/// # Errors
/// The reason why it cannot be made, as the ECS agent words it.
pub fn build(
    spec: &TaskSpec,
    image: &str,
    found: &Image,
    settings: &DockerSettings,
    (owner, name): (&str, &str),
) -> Result<ContainerCreateBody, String> {
    let cannot = |why: String| format!("CannotCreateContainerError: {why}");
    settings.permitted.starting(spec).map_err(cannot)?;
    if spec.disk_gib.is_some() {
        return Err(cannot("ephemeralStorage: the driver docker limits no job's disk".into()));
    }
    if spec.sink.is_some() {
        return Err(cannot(
            "logConfiguration: the driver docker has no other log driver than awslogs".into(),
        ));
    }
    if spec.log.as_ref().is_some_and(|log| log.first_line.is_some()) {
        let why = "logConfiguration: the driver docker joins no lines to events (awslogs-multiline-pattern, \
                   awslogs-datetime-format)";
        return Err(cannot(why.into()));
    }
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let labels = [(OWNER, owner.to_string()), (TASK, spec.start.task.to_string())];
    Ok(ContainerCreateBody {
        image: Some(image.to_string()),
        // An empty entry point resets the image's: its words are in the command already.
        entrypoint: Some(Vec::new()),
        cmd: Some(argv(spec, found)?),
        env: Some(environment::build(spec, found, &hostname, &settings.defaults.environment)),
        user: spec.user.clone(),
        stop_timeout: Some(spec.stop_timeout_s.map_or(STOP_GRACE_S as i64, i64::from)),
        labels: Some(labels.map(|(key, value)| (key.to_string(), value)).into()),
        host_config: Some(host_config(spec, settings, name).map_err(cannot)?),
        ..Default::default()
    })
}

fn host_config(spec: &TaskSpec, settings: &DockerSettings, name: &str) -> Result<HostConfig, String> {
    let memory = i64::from(spec.memory_mib) << 20;
    let fargate = spec.platform == Platform::Fargate;
    Ok(HostConfig {
        memory: Some(memory),
        // Memory and swap together, as Docker counts.
        memory_swap: Some(memory + (i64::from(spec.max_swap_mib.unwrap_or(0)) << 20)),
        memory_swappiness: spec.swappiness.map(i64::from),
        cpu_shares: i64::try_from(cpu_shares(spec)).ok(),
        nano_cpus: fargate.then(|| i64::from(spec.vcpus_milli) * 1_000_000),
        pids_limit: Some(i64::try_from(settings.pids_max).unwrap_or(i64::MAX)),
        ulimits: Some(limits(spec)),
        binds: Some(binds(spec, settings, name)?),
        tmpfs: Some(tmpfs(spec)),
        devices: Some(spec.devices.iter().map(device).collect()),
        privileged: Some(spec.privileged),
        readonly_rootfs: Some(spec.readonly_root),
        security_opt: (!spec.privileged).then(|| vec!["no-new-privileges:true".to_string()]),
        shm_size: Some(i64::from(spec.shm_mib.unwrap_or(SHM_MIB)) << 20),
        init: Some(spec.init),
        network_mode: Some("host".to_string()),
        // Docker's own default with version 2 only.
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        log_config: Some(log_config(spec, settings.log_cap)),
        ..Default::default()
    })
}

fn log_config(spec: &TaskSpec, cap: u64) -> HostConfigLogConfig {
    let driver = |name: &str, config| HostConfigLogConfig { typ: Some(name.to_string()), config };
    if spec.log.is_none() {
        return driver("none", None);
    }
    let bounded = (cap > 0).then(|| {
        let size = cap.saturating_mul(JSON_FACTOR).max(1 << 20);
        HashMap::from([("max-size".to_string(), size.to_string()), ("max-file".to_string(), "1".to_string())])
    });
    driver("json-file", bounded)
}

fn limits(spec: &TaskSpec) -> Vec<ResourcesUlimits> {
    let number = |n: u64| i64::try_from(n).unwrap_or(-1);
    // Root of this machine may not raise the hard limit everywhere; the daemon is likely bound as this server is.
    let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let limits = ulimits(spec, hard).into_iter();
    limits
        .map(|limit| ResourcesUlimits {
            soft: Some(number(limit.soft)),
            hard: Some(number(limit.hard)),
            name: Some(limit.name),
        })
        .collect()
}

fn tmpfs(spec: &TaskSpec) -> HashMap<String, String> {
    let one = |t: &TmpfsSpec| {
        let size = format!("size={}m", t.size_mib);
        let options = std::iter::once(size).chain(t.options.iter().cloned());
        (t.target.clone(), options.collect::<Vec<_>>().join(","))
    };
    spec.tmpfs.iter().map(one).collect()
}

fn device(d: &DeviceSpec) -> DeviceMapping {
    let letters = [(d.read, 'r'), (d.write, 'w'), (d.mknod, 'm')];
    DeviceMapping {
        path_on_host: Some(d.source.clone()),
        path_in_container: Some(d.target.clone()),
        cgroup_permissions: Some(letters.iter().filter(|(on, _)| *on).map(|(_, letter)| *letter).collect()),
    }
}

/// `source:target[:options]`, the job's first, then the administrator's where the job has none.
fn binds(spec: &TaskSpec, settings: &DockerSettings, name: &str) -> Result<Vec<String>, String> {
    let mut named: Vec<&str> = Vec::new();
    let mut binds = Vec::new();
    for mount in &spec.mounts {
        binds.push(bind(mount, settings, name, &mut named)?);
    }
    for (source, target, readonly) in &settings.defaults.mounts {
        if own_targets(spec).all(|own| trimmed(own) != trimmed(target)) {
            binds.push(text(source, target, if *readonly { "ro" } else { "rw" })?);
        }
    }
    Ok(binds)
}

/// Where the job mounts something itself.
fn own_targets(spec: &TaskSpec) -> impl Iterator<Item = &str> {
    let tmpfs = spec.tmpfs.iter().map(|t| t.target.as_str());
    spec.mounts.iter().map(|mount| mount.target.as_str()).chain(tmpfs)
}

fn bind<'s>(
    mount: &'s MountSpec,
    settings: &DockerSettings,
    container: &str,
    named: &mut Vec<&'s str>,
) -> Result<String, String> {
    let mode = if mount.readonly { "ro" } else { "rw" };
    match &mount.source {
        VolumeSource::Host(path) => {
            stays_inside(path, settings)?;
            text(path, &mount.target, mode)
        }
        VolumeSource::Anonymous(name) if settings.shared_volumes.contains(name) => {
            text(&shared_volume(&settings.data, name), &mount.target, mode)
        }
        VolumeSource::Anonymous(name) => {
            let index = volume_number(named, name);
            // Empty at the start, as with the other drivers.
            text(&format!("{container}-{index}"), &mount.target, &format!("{mode},nocopy"))
        }
    }
}

fn text(source: &str, target: &str, mode: &str) -> Result<String, String> {
    if source.contains(':') || target.contains(':') {
        return Err(format!("the driver docker cannot mount {source} on {target}: a path with a colon"));
    }
    Ok(format!("{source}:{target}:{mode}"))
}

/// No link leads out of the permitted folder, as far as can be told before the daemon mounts it.
fn stays_inside(path: &str, settings: &DockerSettings) -> Result<(), String> {
    let Some(root) = settings.permitted.root_of(path).filter(|root| *root != "/") else { return Ok(()) };
    let (mut there, root_there) = (Path::new(path), Path::new(root).canonicalize());
    let real = loop {
        match there.canonicalize() {
            Ok(real) => break real,
            Err(_) => there = there.parent().ok_or_else(|| format!("{path} cannot be looked up"))?,
        }
    };
    match root_there {
        Ok(root) if real.starts_with(&root) => Ok(()),
        _ => Err(format!("{path} leads out of {root} (host_volume_roots)")),
    }
}
