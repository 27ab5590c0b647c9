//! A task as the core hands it to a backend: the engine's order and everything of the job's body that a host needs.
//!
//! Plain facts in AWS's meaning, parameters substituted and overrides merged. Never here: how a backend does it.

use batchyard_engine::StartTask;
use batchyard_engine::resource::Platform;
use batchyard_supervisor::sink::SyslogFormat;

/// One attempt to run, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSpec {
    /// The engine's order.
    pub start: StartTask,
    /// `image` as the definition has it.
    pub image: String,
    /// `command`; empty means the image's own.
    pub command: Vec<String>,
    /// The job's own variables, definition and overrides merged, later ones winning.
    pub environment: Vec<(String, String)>,
    /// Name of the job queue, for `AWS_BATCH_JQ_NAME`.
    pub queue_name: String,
    /// Name of the compute environment, for `AWS_BATCH_CE_NAME`.
    pub environment_name: String,
    /// What the environment is; Fargate's vCPUs are a hard limit.
    pub platform: Platform,
    /// Region that this installation answers for; Fargate tasks see it as `AWS_REGION`.
    pub region: String,
    /// Children of the array that it is a child of.
    pub array_size: Option<u32>,
    /// vCPUs in thousandths.
    pub vcpus_milli: u32,
    /// Memory limit, MiB.
    pub memory_mib: u32,
    /// `user[:group]`; absent means the image's own.
    pub user: Option<String>,
    /// `privileged`.
    pub privileged: bool,
    /// `readonlyRootFilesystem`.
    pub readonly_root: bool,
    /// `linuxParameters.devices`.
    pub devices: Vec<DeviceSpec>,
    /// `linuxParameters.maxSwap`, MiB. Absent: no swap.
    pub max_swap_mib: Option<u32>,
    /// `linuxParameters.swappiness`, where there is swap.
    pub swappiness: Option<u32>,
    /// `ulimits`.
    pub ulimits: Vec<UlimitSpec>,
    /// `mountPoints`, each with its volume.
    pub mounts: Vec<MountSpec>,
    /// `linuxParameters.tmpfs`.
    pub tmpfs: Vec<TmpfsSpec>,
    /// `linuxParameters.sharedMemorySize`, MiB.
    pub shm_mib: Option<u32>,
    /// `linuxParameters.initProcessEnabled`.
    pub init: bool,
    /// `stopTimeout`, seconds. Absent: the backend's usual.
    pub stop_timeout_s: Option<u32>,
    /// `ephemeralStorage.sizeInGiB`.
    pub disk_gib: Option<u32>,
    /// `repositoryCredentials.credentialsParameter`: the ARN or name of the secret with the registry's login.
    pub registry_secret: Option<String>,
    /// Where output goes (driver `awslogs`).
    pub log: Option<LogTarget>,
    /// Where it goes with another log driver. Neither: output is thrown away.
    pub sink: Option<LogSink>,
}

/// A device of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSpec {
    /// `hostPath`.
    pub source: String,
    /// `containerPath`, by default `hostPath`.
    pub target: String,
    /// `permissions` holds READ.
    pub read: bool,
    /// … WRITE.
    pub write: bool,
    /// … MKNOD.
    pub mknod: bool,
}

/// A resource limit. Negative numbers mean unlimited, as Docker reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UlimitSpec {
    /// AWS's name.
    pub name: String,
    /// `softLimit`.
    pub soft: i64,
    /// `hardLimit`.
    pub hard: i64,
}

/// A mount point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountSpec {
    /// What is mounted.
    pub source: VolumeSource,
    /// `containerPath`.
    pub target: String,
    /// `readOnly`.
    pub readonly: bool,
}

/// What a volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeSource {
    /// `host.sourcePath`; made when missing.
    Host(String),
    /// The volume of this name without a path: empty, gone with the attempt.
    Anonymous(String),
}

/// A folder in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TmpfsSpec {
    /// `containerPath`.
    pub target: String,
    /// `size`, MiB.
    pub size_mib: u32,
    /// `mountOptions`.
    pub options: Vec<String>,
}

/// Where a container's output is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTarget {
    /// Log group.
    pub group: String,
    /// Log stream.
    pub stream: String,
    /// A pattern of the lines that begin an event. Absent: each line is one.
    pub first_line: Option<String>,
}

/// A log driver that is not CloudWatch's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogSink {
    /// `json-file`.
    JsonFile {
        /// `max-size`, bytes; 0: none.
        max_bytes: u64,
        /// `max-file`.
        files: u32,
    },
    /// `syslog`.
    Syslog {
        /// `syslog-address`, with its scheme.
        address: String,
        /// `syslog-facility`, its number.
        facility: u8,
        /// `syslog-format`.
        format: SyslogFormat,
        /// `tag`; by default the beginning of the task's id.
        tag: Option<String>,
    },
}

/// Host and port of a syslog's network address; its usual port when it has none.
pub fn host_of(place: &str) -> Option<(&str, u16)> {
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') && (!host.contains(':') || host.ends_with(']')) => {
            (host, port.parse().ok()?)
        }
        _ => (place, 514),
    };
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let fits = |b: u8| b.is_ascii_alphanumeric() || b".-_:%".contains(&b);
    (!host.is_empty() && port > 0 && host.len() < 254 && host.bytes().all(fits)).then_some((host, port))
}
