//! The task: everything a supervisor needs to run one attempt on this host, resolved, so that it asks nobody.
//!
//! An attempt is a list of 1…n named containers of one node (this version's supervisor runs exactly one and ends any
//! other number as a failed start). Never here: what AWS calls these things; the server translates.

use crate::disk::Disk;
use crate::format::{FormatError, Writer, escape_part, from_hex, parse, read, to_hex, unescape_part};
use crate::rootless::Rootless;
use crate::sink::Sink;
use std::net::Ipv4Addr;

/// One attempt of one job on this host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Task {
    /// 32 hexadecimal digits; also the name of the attempt folder and the last part of the cgroup.
    pub task_id: String,
    /// The job, for people who read the file.
    pub job_id: String,
    /// From 1.
    pub attempt: u32,
    /// The attempt's cgroup below the root of every hierarchy, without a leading slash.
    pub cgroup: String,
    /// Seconds from the container's start after which it is ended and the exit says `timeout`. Absent: never.
    pub timeout_s: Option<u64>,
    /// Seconds between SIGTERM (or the stop signal) and SIGKILL, for the timeout and when a stop names none.
    pub stop_grace_s: u64,
    /// Unix datagram socket of the server; the supervisor sends it the task id when `started` or `exit` is there.
    pub wake: Option<String>,
    /// What makes the containers.
    pub driver: Driver,
    /// The containers' own address: the supervisor's standard output is the network namespace that has it, ready made.
    /// Absent: they have the host's network.
    pub address: Option<Ipv4Addr>,
    /// The containers' host name. Absent: this host's.
    pub hostname: Option<String>,
    /// Folder of the cgroup of version 2 that fences all jobs of a server off addresses. Joined where the attempt has no
    /// group of version 2 of its own below it. Absent: there is no fence.
    pub fence: Option<String>,
    /// Host ids of the containers' users and groups. Absent: they are the host's own.
    pub id_map: Option<IdMap>,
    /// The supervisor is root of an ordinary user's user namespace and of nothing else. Absent: of the host.
    pub rootless: Option<Rootless>,
    /// The containers.
    pub containers: Vec<Container>,
}

/// What makes the containers of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Driver {
    /// The supervisor itself.
    #[default]
    Native,
    /// The OCI runtime at this path (runc, crun, youki).
    Oci(String),
    /// Nothing: the program runs as a plain process of this host, isolated from nothing.
    Process,
}

/// A range of the host's user and group ids, which are 0, 1, … in the containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdMap {
    /// The host's id of root inside.
    pub first: u32,
    /// How many there are.
    pub count: u32,
}

/// A device of the host in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Path on the host.
    pub source: String,
    /// Path inside the container.
    pub target: String,
    /// It may be read.
    pub read: bool,
    /// It may be written.
    pub write: bool,
    /// The container may make device files of it.
    pub mknod: bool,
}

/// One container of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// `default` for the single container of a `containerProperties` job.
    pub name: String,
    /// Its end ends the attempt.
    pub essential: bool,
    /// What to execute, after entry point and command are joined; looked up in the container's PATH.
    pub argv: Vec<String>,
    /// `NAME=value`, complete.
    pub env: Vec<String>,
    /// Working folder inside the container, made when missing. Empty: `/`.
    pub cwd: String,
    /// `user[:group]`, names or numbers, resolved in the container's own passwd and group. Empty: root.
    pub user: String,
    /// Layer folders of the root, lowest first. A single `/` means this host's own root as the lower layer.
    pub layers: Vec<String>,
    /// Folder on disk for the writable layer; the supervisor makes and removes what is in it.
    pub scratch: String,
    /// A limit of the folder that holds the writable layer. Absent: the host's disk is the limit.
    pub disk: Option<Disk>,
    /// The root file system may not be written.
    pub readonly_root: bool,
    /// Files of the container's own over those of the image, in place of the host's `/etc/hosts` and the like.
    pub files: Vec<OwnFile>,
    /// Mounts on top of the root, in this order.
    pub mounts: Vec<Mount>,
    /// Memory limit in bytes; reaching it kills. Absent: none.
    pub memory_bytes: Option<u64>,
    /// Bytes of swap beyond the memory limit. Absent: none.
    pub swap_bytes: Option<u64>,
    /// How eagerly the kernel swaps, 0–100. Absent: the host's.
    pub swappiness: Option<u32>,
    /// CPU weight in Docker's shares, 1024 for a vCPU.
    pub cpu_shares: u64,
    /// Hard CPU limit in thousandths of a vCPU (Fargate shapes). Absent: may use idle CPUs.
    pub cpu_quota_milli: Option<u64>,
    /// Most processes and threads at once. Absent: none.
    pub pids_max: Option<u64>,
    /// All capabilities of the host's bounding set, no seccomp, no masked paths, no `no_new_privs`.
    pub privileged: bool,
    /// Capabilities to keep, as a bit mask. Not read when privileged.
    pub capabilities: u64,
    /// The seccomp filter: an array of the kernel's 8-byte `sock_filter`, host byte order. Empty: none.
    pub seccomp: Vec<u8>,
    /// Devices besides those that every container has.
    pub devices: Vec<Device>,
    /// Resource limits.
    pub ulimits: Vec<Ulimit>,
    /// Size of /dev/shm in bytes.
    pub shm_bytes: u64,
    /// Run a tiny init as the first process that forwards signals and reaps.
    pub init: bool,
    /// Signal that asks it to stop (15 = SIGTERM).
    pub stop_signal: i32,
    /// The log file to append to, see `log_file`. Empty: output is thrown away.
    pub log: String,
    /// Where output goes, `log` being the path where that is a file.
    pub sink: Sink,
    /// A pattern of the lines that begin an event, see `multiline`. Absent: each line is one.
    pub first_line: Option<String>,
    /// Bytes after which lines are dropped and counted. 0: no cap.
    pub log_cap: u64,
    /// Free bytes on the log's disk under which lines are dropped and counted.
    pub disk_floor: u64,
}

/// A file of a container's own: writable, gone with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnFile {
    /// Path inside the container.
    pub path: String,
    /// What is in it at the start.
    pub text: String,
}

/// A mount on top of a container's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What it is.
    pub kind: MountKind,
    /// Path inside the container, resolved inside the root, made when missing.
    pub target: String,
    /// May not be written.
    pub readonly: bool,
}

/// The kinds of mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountKind {
    /// A folder or file of this host; a missing folder is made.
    Bind(String),
    /// The same below a folder of this host, out of which no symbolic link leads: the folder, and the path as a job
    /// names it, which begins with the folder's.
    BindWithin(String, String),
    /// An empty folder in memory of at most so many bytes (0: the kernel's default), with mount options, see `tmpfs`.
    Tmpfs(u64, Vec<String>),
    /// An empty read-only file over the target, skipped when the target does not exist (masks secrets).
    Mask,
}

/// A resource limit, `u64::MAX` for unlimited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ulimit {
    /// AWS's name: `nofile`, `memlock`, …
    pub name: String,
    /// The soft limit.
    pub soft: u64,
    /// The hard limit.
    pub hard: u64,
}

impl Task {
    /// The task file's text. `container` opens each container; the lines after it are that container's.
    pub fn encode(&self) -> String {
        let mut w = Writer::new("task");
        w.put("task_id", &self.task_id);
        w.put("job_id", &self.job_id);
        w.put("attempt", self.attempt);
        w.put("cgroup", &self.cgroup);
        w.put_some("timeout_s", self.timeout_s);
        w.put("stop_grace_s", self.stop_grace_s);
        w.put_some("wake", self.wake.as_ref());
        w.put("driver", self.driver.encode());
        w.put_some("address", self.address);
        w.put_some("hostname", self.hostname.as_ref());
        w.put_some("fence", self.fence.as_ref());
        w.put_some("id_map", self.id_map.map(|m| format!("{} {}", m.first, m.count)));
        w.put_some("rootless", self.rootless.map(Rootless::encode));
        for c in &self.containers {
            c.encode(&mut w);
        }
        w.finish()
    }

    /// Reads a task file. Errors: see [`FormatError`].
    pub fn decode(text: &str) -> Result<Self, FormatError> {
        let mut task = Self { stop_grace_s: 30, ..Self::default() };
        for (key, value) in read("task", text)? {
            match (key.as_str(), task.containers.last_mut()) {
                ("container", _) => {
                    task.containers.push(Container {
                        name: value,
                        essential: true,
                        stop_signal: 15,
                        ..Container::default()
                    });
                }
                ("task_id", None) => task.task_id = value,
                ("job_id", None) => task.job_id = value,
                ("attempt", None) => task.attempt = parse(&key, &value)?,
                ("cgroup", None) => task.cgroup = value,
                ("timeout_s", None) => task.timeout_s = Some(parse(&key, &value)?),
                ("stop_grace_s", None) => task.stop_grace_s = parse(&key, &value)?,
                ("wake", None) => task.wake = Some(value),
                ("driver", None) => task.driver = Driver::decode(&value)?,
                ("address", None) => task.address = Some(parse("address", &value)?),
                ("hostname", None) => task.hostname = Some(value),
                ("fence", None) => task.fence = Some(value),
                ("id_map", None) => task.id_map = Some(IdMap::decode(&value)?),
                ("rootless", None) => task.rootless = Some(Rootless::decode(&value)?),
                (_, Some(container)) => container.read_line(&key, value)?,
                _ => {}
            }
        }
        if task.task_id.is_empty() {
            return Err(FormatError::Missing { key: "task_id" });
        }
        Ok(task)
    }
}

impl Container {
    fn encode(&self, w: &mut Writer) {
        w.put("container", &self.name);
        w.put("essential", u8::from(self.essential));
        self.argv.iter().for_each(|v| w.put("arg", v));
        self.env.iter().for_each(|v| w.put("env", v));
        w.put("cwd", &self.cwd);
        w.put("user", &self.user);
        self.layers.iter().for_each(|v| w.put("layer", v));
        w.put("scratch", &self.scratch);
        w.put_some("disk", self.disk.as_ref().map(Disk::encode));
        w.put("readonly_root", u8::from(self.readonly_root));
        self.files.iter().for_each(|f| w.put("file", f.encode()));
        self.mounts.iter().for_each(|m| w.put("mount", m.encode()));
        w.put_some("memory_bytes", self.memory_bytes);
        w.put_some("swap_bytes", self.swap_bytes);
        w.put_some("swappiness", self.swappiness);
        w.put("cpu_shares", self.cpu_shares);
        w.put_some("cpu_quota_milli", self.cpu_quota_milli);
        w.put_some("pids_max", self.pids_max);
        w.put("privileged", u8::from(self.privileged));
        w.put("capabilities", self.capabilities);
        w.put("seccomp", to_hex(&self.seccomp));
        self.devices.iter().for_each(|d| w.put("device", d.encode()));
        self.ulimits.iter().for_each(|u| w.put("ulimit", format!("{} {} {}", u.name, u.soft, u.hard)));
        w.put("shm_bytes", self.shm_bytes);
        w.put("init", u8::from(self.init));
        w.put("stop_signal", self.stop_signal);
        w.put("log", &self.log);
        w.put_some("sink", self.sink.encode());
        w.put_some("first_line", self.first_line.as_ref());
        w.put("log_cap", self.log_cap);
        w.put("disk_floor", self.disk_floor);
    }

    fn read_line(&mut self, key: &str, value: String) -> Result<(), FormatError> {
        match key {
            "essential" => self.essential = value == "1",
            "arg" => self.argv.push(value),
            "env" => self.env.push(value),
            "cwd" => self.cwd = value,
            "user" => self.user = value,
            "layer" => self.layers.push(value),
            "scratch" => self.scratch = value,
            "disk" => self.disk = Some(Disk::decode(&value)?),
            "readonly_root" => self.readonly_root = value == "1",
            "file" => self.files.push(OwnFile::decode(&value)?),
            "mount" => self.mounts.push(Mount::decode(&value)?),
            "memory_bytes" => self.memory_bytes = Some(parse(key, &value)?),
            "swap_bytes" => self.swap_bytes = Some(parse(key, &value)?),
            "swappiness" => self.swappiness = Some(parse(key, &value)?),
            "cpu_shares" => self.cpu_shares = parse(key, &value)?,
            "cpu_quota_milli" => self.cpu_quota_milli = Some(parse(key, &value)?),
            "pids_max" => self.pids_max = Some(parse(key, &value)?),
            "privileged" => self.privileged = value == "1",
            "capabilities" => self.capabilities = parse(key, &value)?,
            "seccomp" => self.seccomp = from_hex(key, &value)?,
            "device" => self.devices.push(Device::decode(&value)?),
            "ulimit" => self.ulimits.push(Ulimit::decode(&value)?),
            "shm_bytes" => self.shm_bytes = parse(key, &value)?,
            "init" => self.init = value == "1",
            "stop_signal" => self.stop_signal = parse(key, &value)?,
            "log" => self.log = value,
            "sink" => self.sink = Sink::decode(&value)?,
            "first_line" => self.first_line = Some(value),
            "log_cap" => self.log_cap = parse(key, &value)?,
            "disk_floor" => self.disk_floor = parse(key, &value)?,
            _ => {}
        }
        Ok(())
    }
}

impl Driver {
    fn encode(&self) -> String {
        match self {
            Self::Native => "native".to_string(),
            Self::Oci(runtime) => format!("oci {runtime}"),
            Self::Process => "process".to_string(),
        }
    }

    fn decode(value: &str) -> Result<Self, FormatError> {
        match value.split_once(' ') {
            None if value == "native" => Ok(Self::Native),
            None if value == "process" => Ok(Self::Process),
            Some(("oci", runtime)) => Ok(Self::Oci(runtime.to_string())),
            _ => Err(FormatError::Value { key: "driver".to_string() }),
        }
    }
}

impl IdMap {
    fn decode(value: &str) -> Result<Self, FormatError> {
        let (first, count) =
            value.split_once(' ').ok_or_else(|| FormatError::Value { key: "id_map".to_string() })?;
        Ok(Self { first: parse("id_map", first)?, count: parse("id_map", count)? })
    }
}

impl Device {
    /// Permissions (some of `rwm`) TAB target TAB source.
    fn encode(&self) -> String {
        let may = [(self.read, 'r'), (self.write, 'w'), (self.mknod, 'm')];
        let may: String = may.into_iter().filter(|(given, _)| *given).map(|(_, letter)| letter).collect();
        let target = escape_part(&self.target);
        format!("{may}\t{target}\t{}", self.source)
    }

    fn decode(value: &str) -> Result<Self, FormatError> {
        let bad = || FormatError::Value { key: "device".to_string() };
        let mut parts = value.splitn(3, '\t');
        let mut next = || parts.next().ok_or_else(bad);
        let (may, target, source) = (next()?, next()?, next()?);
        Ok(Self {
            source: source.to_string(),
            target: unescape_part(target),
            read: may.contains('r'),
            write: may.contains('w'),
            mknod: may.contains('m'),
        })
    }
}

impl OwnFile {
    /// Path TAB text.
    fn encode(&self) -> String {
        format!("{}\t{}", escape_part(&self.path), self.text)
    }

    fn decode(value: &str) -> Result<Self, FormatError> {
        let (path, text) =
            value.split_once('\t').ok_or_else(|| FormatError::Value { key: "file".to_string() })?;
        Ok(Self { path: unescape_part(path), text: text.to_string() })
    }
}

impl Mount {
    /// `ro|rw` TAB kind TAB target TAB source, the source of a tmpfs being its size and, after a space, its
    /// options with commas between them.
    fn encode(&self) -> String {
        let (kind, source) = match &self.kind {
            MountKind::Bind(source) => ("bind", source.clone()),
            MountKind::BindWithin(root, source) => {
                ("bind_within", format!("{}\t{source}", escape_part(root)))
            }
            MountKind::Tmpfs(size, options) if options.is_empty() => ("tmpfs", size.to_string()),
            MountKind::Tmpfs(size, options) => ("tmpfs", format!("{size} {}", options.join(","))),
            MountKind::Mask => ("mask", String::new()),
        };
        let mode = if self.readonly { "ro" } else { "rw" };
        let target = escape_part(&self.target);
        format!("{mode}\t{kind}\t{target}\t{source}")
    }

    fn decode(value: &str) -> Result<Self, FormatError> {
        let bad = || FormatError::Value { key: "mount".to_string() };
        let mut parts = value.splitn(4, '\t');
        let mut next = || parts.next().ok_or_else(bad);
        let (mode, kind, target, source) = (next()?, next()?, next()?, next()?);
        let kind = match kind {
            "bind" => MountKind::Bind(source.to_string()),
            "bind_within" => {
                let (root, source) = source.split_once('\t').ok_or_else(bad)?;
                MountKind::BindWithin(unescape_part(root), source.to_string())
            }
            "tmpfs" => {
                let (size, options) = source.split_once(' ').unwrap_or((source, ""));
                let options = options.split(',').filter(|o| !o.is_empty()).map(str::to_string).collect();
                MountKind::Tmpfs(parse("mount", size)?, options)
            }
            "mask" => MountKind::Mask,
            _ => return Err(bad()),
        };
        let target = unescape_part(target);
        Ok(Self { kind, target, readonly: mode == "ro" })
    }
}

impl Ulimit {
    fn decode(value: &str) -> Result<Self, FormatError> {
        let bad = || FormatError::Value { key: "ulimit".to_string() };
        let mut parts = value.split(' ');
        let mut next = || parts.next().ok_or_else(bad);
        Ok(Self {
            name: next()?.to_string(),
            soft: parse("ulimit", next()?)?,
            hard: parse("ulimit", next()?)?,
        })
    }
}
