//! Carrying out what the engine asks for, after its commit.
//!
//! Start reads the job's body and hands the backend one complete task; everything else is passed on. Never here: what
//! is asked for (the engine), how it is done (the backends).

use crate::api::Service;
use crate::api::jobs::{log_options, log_target, needs, single, stream_name};
use crate::clock;
use crate::compute::{
    Compute, DeviceSpec, LogTarget, MountSpec, TaskSpec, TmpfsSpec, UlimitSpec, VolumeSource,
};
use crate::error::ApiError;
use batchyard_engine::input::{ContainerExit, TaskExit, Why};
use batchyard_engine::{Effect, Report, StartTask};
use batchyard_model::batch::{ContainerDetail, JobDetail, LinuxParameters};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

/// Carries effects out until the core ends.
pub async fn run(mut effects: UnboundedReceiver<Effect>, service: Arc<Service>, compute: Arc<dyn Compute>) {
    while let Some(effect) = effects.recv().await {
        match effect {
            Effect::Start(start) => begin(&service, &*compute, start).await,
            Effect::Stop { task, grace_s, .. } => compute.stop(task, grace_s),
            Effect::Forget { task, .. } => compute.forget(task),
            Effect::Wake(at_ms) => wake(&service, at_ms),
        }
    }
}

fn wake(service: &Arc<Service>, at_ms: u64) {
    let service = service.clone();
    let wait = Duration::from_millis(at_ms.saturating_sub(clock::now().mono_ms));
    tokio::spawn(async move {
        tokio::time::sleep(wait).await;
        service.core.tick().await;
    });
}

async fn begin(service: &Arc<Service>, compute: &dyn Compute, start: StartTask) {
    let task = start.task;
    let text = match spec(service, start).await {
        // Settings may have changed since the job was submitted.
        Ok(spec) => match service.permitted.starting(&spec) {
            Ok(()) => return compute.start(spec),
            Err(text) => format!("CannotCreateContainerError: {text}"),
        },
        Err(Unready::NoLogGroup) => NO_LOG_GROUP.to_string(),
        Err(Unready::Other(error)) => {
            tracing::error!(%error, %task, "a task can't be made from its job");
            "CannotStartContainerError: the server could not read the job; its log says why".to_string()
        }
    };
    let default = ContainerExit { name: "default".into(), code: None, oom: false, disk_full: None };
    let exit = TaskExit {
        why: Why::StartFailed(text.into()),
        started_ms: None,
        stopped_ms: clock::wall_ms(),
        containers: vec![default],
    };
    service.core.report(Report::Exited { task, exit }, Vec::new()).await;
}

/// Said when a job wants an existing log group, in the words of the ECS agent (spec jobs §1.5).
const NO_LOG_GROUP: &str = "CannotStartContainerError: Error response from daemon: failed to initialize logging driver: \
     failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist.";

/// Why there is no task.
enum Unready {
    /// `awslogs-create-group` is false and the group is missing.
    NoLogGroup,
    /// Something that the log of the server tells.
    Other(ApiError),
}

impl From<ApiError> for Unready {
    fn from(error: ApiError) -> Self {
        Self::Other(error)
    }
}

/// The whole task, from the order and the job's row.
async fn spec(service: &Arc<Service>, start: StartTask) -> Result<TaskSpec, Unready> {
    let job = start.job;
    let record = service.readers.read(move |r| r.job_by_id(job)).await?.ok_or_else(ApiError::server)?;
    let detail: JobDetail = serde_json::from_str(&record.body).map_err(|_| ApiError::server())?;
    let queue_name = service.queue_name(record.queue).await?.to_string();
    let environment_name = service.environment_name(start.environment).await?.name.to_string();
    let (group, prefix) = log_target(&detail);
    let single = single(&detail).ok_or_else(ApiError::server)?;
    let container = &*single.container;
    let platforms = detail.platform_capabilities.as_deref().unwrap_or_default();
    let platform = crate::api::jobs::requirements::platform(platforms)?;
    let needs = needs(&detail, platform)?;
    let linux = container.linux_parameters.clone().unwrap_or_default();
    let options = log_options::read(container.log_configuration.as_ref())?;
    if !options.create_group && !service.has_log_group(&group).await? {
        return Err(Unready::NoLogGroup);
    }
    let (stream, first_line) = (stream_name(&prefix, single.name, &start.task), options.first_line);
    let log = options.sink.is_none().then_some(LogTarget { group, stream, first_line });
    Ok(TaskSpec {
        image: container.image.clone().unwrap_or_default(),
        command: container.command.clone().unwrap_or_default(),
        environment: environment(container),
        queue_name,
        environment_name,
        platform,
        region: service.region.clone(),
        array_size: detail
            .array_properties
            .as_ref()
            .and_then(|a| a.size.and_then(|size| u32::try_from(size).ok())),
        vcpus_milli: needs.vcpus_milli,
        memory_mib: needs.memory_mib,
        user: container.user.clone().filter(|u| !u.is_empty()),
        privileged: container.privileged == Some(true),
        readonly_root: container.readonly_root_filesystem == Some(true),
        devices: devices(&linux),
        max_swap_mib: number(linux.max_swap),
        // Without swap it means nothing, as at AWS.
        swappiness: number(linux.swappiness).filter(|_| linux.max_swap.is_some_and(|mib| mib > 0)),
        ulimits: ulimits(container),
        mounts: mounts(container),
        tmpfs: tmpfs(&linux),
        shm_mib: linux.shared_memory_size.and_then(|s| u32::try_from(s).ok()).filter(|s| *s > 0),
        stop_timeout_s: single.stop_timeout.and_then(|s| u32::try_from(s).ok()),
        disk_gib: number(container.ephemeral_storage.as_ref().and_then(|e| e.size_in_gib)),
        registry_secret: container
            .repository_credentials
            .as_ref()
            .and_then(|r| r.credentials_parameter.clone()),
        init: linux.init_process_enabled == Some(true),
        log,
        sink: options.sink,
        start,
    })
}

fn environment(container: &ContainerDetail) -> Vec<(String, String)> {
    let pairs = container.environment.iter().flatten();
    pairs.map(|p| (p.name.clone().unwrap_or_default(), p.value.clone().unwrap_or_default())).collect()
}

fn number(wire: Option<i32>) -> Option<u32> {
    wire.and_then(|n| u32::try_from(n).ok())
}

/// A device without permissions has all (spec jobs §6.2).
fn devices(linux: &LinuxParameters) -> Vec<DeviceSpec> {
    let wire = linux.devices.iter().flatten();
    wire.map(|d| {
        let source = d.host_path.clone().unwrap_or_default();
        let given = d.permissions.as_deref().unwrap_or_default();
        let may = |what: &str| given.is_empty() || given.iter().any(|p| p == what);
        DeviceSpec {
            target: d.container_path.clone().filter(|p| !p.is_empty()).unwrap_or_else(|| source.clone()),
            source,
            read: may("READ"),
            write: may("WRITE"),
            mknod: may("MKNOD"),
        }
    })
    .collect()
}

fn ulimits(container: &ContainerDetail) -> Vec<UlimitSpec> {
    let wire = container.ulimits.iter().flatten();
    wire.map(|u| UlimitSpec {
        name: u.name.clone().unwrap_or_default(),
        soft: u.soft_limit.unwrap_or_default().into(),
        hard: u.hard_limit.unwrap_or_default().into(),
    })
    .collect()
}

fn mounts(container: &ContainerDetail) -> Vec<MountSpec> {
    let volumes = container.volumes.as_deref().unwrap_or_default();
    let source = |name: &str| {
        let volume = volumes.iter().find(|v| v.name.as_deref() == Some(name));
        let path = volume
            .and_then(|v| v.host.as_ref())
            .and_then(|h| h.source_path.clone())
            .filter(|p| !p.is_empty());
        path.map_or_else(|| VolumeSource::Anonymous(name.to_string()), VolumeSource::Host)
    };
    let wire = container.mount_points.iter().flatten();
    wire.map(|m| MountSpec {
        source: source(m.source_volume.as_deref().unwrap_or_default()),
        target: m.container_path.clone().unwrap_or_default(),
        readonly: m.read_only == Some(true),
    })
    .collect()
}

fn tmpfs(linux: &LinuxParameters) -> Vec<TmpfsSpec> {
    let wire = linux.tmpfs.iter().flatten();
    wire.map(|t| TmpfsSpec {
        target: t.container_path.clone().unwrap_or_default(),
        size_mib: t.size.and_then(|s| u32::try_from(s).ok()).unwrap_or_default(),
        options: t.mount_options.clone().unwrap_or_default(),
    })
    .collect()
}
