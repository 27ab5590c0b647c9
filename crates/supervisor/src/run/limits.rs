//! The attempt's control groups: made with the container's limits, joined, asked what happened, removed.
//!
//! The only place of the program that knows the two versions apart. Memory that set-up uses is not the job's: the
//! limit is written, or the group joined, only when the container's program is about to run.
//! Never here: finding the hierarchies and killing (the library's `cgroup`).

use super::devices;
use super::fail::{During, Fail};
use super::sys::{self, Attachment};
use batchyard_supervisor::cgroup::{self, Hierarchies};
use batchyard_supervisor::{Container, Driver, Task};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Below this limit a container's set-up is kept out of its group, since it would be a good part of it.
const SMALL_MEMORY: u64 = 32 << 20;
/// Length of a CPU quota's period in microseconds, the kernel's default.
pub const PERIOD_US: u64 = 100_000;

/// The groups of one attempt.
pub struct Limits {
    v1: Vec<(&'static str, PathBuf)>,
    v2: Option<V2>,
    /// The group of all jobs that fences them off addresses, where no group of the attempt's own lies in it.
    fence: Option<Fence>,
    memory: Option<u64>,
    /// The attempt's group below the root of every hierarchy.
    path: String,
    /// A runtime puts the container into its groups, and the memory limit is written only when its program is about to
    /// run: the runtime's own set-up is larger than small limits.
    by_runtime: bool,
    /// Devices are fenced by the group, so that making device files does no harm.
    pub devices_fenced: bool,
}

struct Fence {
    folder: String,
    fd: OwnedFd,
    joined_by_clone: bool,
}

struct V2 {
    mount: PathBuf,
    folder: PathBuf,
    fd: OwnedFd,
    joined_by_clone: bool,
}

/// What the groups tell at the end.
pub struct Usage {
    /// The kernel killed for memory.
    pub oom: bool,
    /// Most memory used, in bytes.
    pub peak: Option<u64>,
}

impl Limits {
    /// Makes the groups and writes all limits but that of memory on version 2.
    pub fn make(task: &Task, c: &Container) -> Result<Self, Fail> {
        if task.cgroup.is_empty() || task.cgroup.split('/').any(|p| p.is_empty() || p == "." || p == "..") {
            return Err(Fail::runtime(format_args!("cgroup path {:?} is not usable", task.cgroup)));
        }
        let found = Hierarchies::read().during("read the table of mounts")?;
        let mut made = Self {
            path: task.cgroup.clone(),
            memory: c.memory_bytes,
            by_runtime: matches!(task.driver, Driver::Oci(_)),
            ..Self::none()
        };
        let result = made.make_v1(&found, task);
        let result = result
            .and_then(|()| made.make_v2(&found, task))
            .and_then(|()| made.write_limits(c))
            .and_then(|()| made.find_fence(task));
        if let Err(e) = result {
            made.remove();
            return Err(e);
        }
        Ok(made)
    }

    /// No group at all: nothing is limited.
    pub fn none() -> Self {
        Self {
            v1: Vec::new(),
            v2: None,
            fence: None,
            memory: None,
            path: String::new(),
            by_runtime: false,
            devices_fenced: false,
        }
    }

    /// The same for a container that was promised no limits. What it asks for by name is not silently left out.
    pub fn without(c: &Container) -> Result<Self, Fail> {
        if swap_bytes(c) == 0 {
            return Ok(Self::none());
        }
        Err(Fail::runtime(
            "a swap limit was asked for and this server's user has no control groups: delegate version 2 to the user, or \
             run the server as root",
        ))
    }

    fn make_v1(&mut self, found: &Hierarchies, task: &Task) -> Result<(), Fail> {
        for (name, mount) in &found.v1 {
            let folder = mount.join(&task.cgroup);
            std::fs::create_dir_all(&folder).during(format_args!("make cgroup {}", folder.display()))?;
            self.v1.push((name, folder));
        }
        Ok(())
    }

    fn make_v2(&mut self, found: &Hierarchies, task: &Task) -> Result<(), Fail> {
        let Some(mount) = &found.v2 else { return Ok(()) };
        let wanted = found.v2_controllers(mount);
        if wanted.is_empty() {
            return Ok(());
        }
        let mut last = None;
        for base in found.v2_bases(mount) {
            match cgroup::make_below(&base, &task.cgroup, &wanted) {
                Ok(folder) => {
                    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                    let fd = rustix::fs::open(&folder, flags, Mode::empty()).during("open the cgroup")?;
                    self.v2 = Some(V2 { mount: mount.clone(), folder, fd, joined_by_clone: false });
                    return Ok(());
                }
                Err(e) => last = Some(e),
            }
        }
        if let Some(e) = last {
            eprintln!("no cgroup of version 2 can be made: {e}");
        }
        Ok(())
    }

    fn find_fence(&mut self, task: &Task) -> Result<(), Fail> {
        let Some(folder) = task.fence.as_ref().filter(|_| self.v2.is_none()) else { return Ok(()) };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let during = format_args!("open the cgroup {folder}");
        let fd = rustix::fs::open(folder, flags, Mode::empty()).during(during)?;
        self.fence = Some(Fence { folder: folder.clone(), fd, joined_by_clone: false });
        Ok(())
    }

    fn v1(&self, name: &str) -> Option<&Path> {
        self.v1.iter().find(|(n, _)| *n == name).map(|(_, p)| p.as_path())
    }

    fn v2_has(&self, file: &str) -> Option<PathBuf> {
        self.v2.as_ref().map(|v2| v2.folder.join(file)).filter(|p| p.exists())
    }

    fn write_limits(&mut self, c: &Container) -> Result<(), Fail> {
        if !self.by_runtime {
            self.write_memory_v1(c)?;
        }
        self.write_cpu(c)?;
        if let Some(max) = c.pids_max {
            match self.v1("pids").map(|p| p.join("pids.max")).or_else(|| self.v2_has("pids.max")) {
                Some(file) => write(&file, max)?,
                None => eprintln!("no pids controller: the number of processes is not limited"),
            }
        }
        self.fence_devices(c)
    }

    fn write_memory_v1(&self, c: &Container) -> Result<(), Fail> {
        let Some(bytes) = c.memory_bytes else { return Ok(()) };
        let Some(folder) = self.v1("memory") else {
            return match self.v2_has("memory.max") {
                Some(_) => Ok(()),
                None => Err(Fail::runtime(
                    "a memory limit was asked for and this host offers no memory cgroup controller: \
                     mount it or delegate it to the server",
                )),
            };
        };
        write(&folder.join("memory.limit_in_bytes"), bytes)?;
        if let Some(swappiness) = c.swappiness {
            write(&folder.join("memory.swappiness"), swappiness)?;
        }
        let with_swap = folder.join("memory.memsw.limit_in_bytes");
        if with_swap.exists() {
            return write(&with_swap, bytes.saturating_add(swap_bytes(c)));
        }
        no_swap_accounting(c)
    }

    fn write_cpu(&self, c: &Container) -> Result<(), Fail> {
        let (shares, quota) = (cpu_shares(c), cpu_quota_us(c));
        if let Some(folder) = self.v1("cpu") {
            write(&folder.join("cpu.shares"), shares)?;
            if let Some(quota) = quota {
                write(&folder.join("cpu.cfs_period_us"), PERIOD_US)?;
                write(&folder.join("cpu.cfs_quota_us"), quota)?;
            }
        } else if let Some(weight) = self.v2_has("cpu.weight") {
            write(&weight, 1 + (shares - 2) * 9999 / 262_142)?;
            if let (Some(quota), Some(max)) = (quota, self.v2_has("cpu.max")) {
                write(&max, format_args!("{quota} {PERIOD_US}"))?;
            }
        } else {
            eprintln!("no cpu controller: CPU shares are not enforced");
        }
        Ok(())
    }

    /// Lets in the harmless devices and those that were asked for; everything when privileged.
    fn fence_devices(&mut self, c: &Container) -> Result<(), Fail> {
        if c.privileged {
            return Ok(());
        }
        let rules = devices::allowed(c)?;
        if let Some(folder) = self.v1("devices") {
            write(&folder.join("devices.deny"), "a")?;
            for rule in &rules {
                write(&folder.join("devices.allow"), rule)?;
            }
            self.devices_fenced = true;
        } else if let Some(v2) = &self.v2 {
            match sys::attach_program(
                rustix::fd::AsFd::as_fd(&v2.fd),
                Attachment::Devices,
                &devices::program(&rules),
            ) {
                Ok(()) => self.devices_fenced = true,
                Err(e) => eprintln!("no device filter ({e}): the container cannot make device files"),
            }
        }
        Ok(())
    }

    /// The group to clone the container into, where the kernel and the limit allow that.
    pub fn clone_target(&self) -> Option<&OwnedFd> {
        let early = !self.by_runtime && self.memory.is_none_or(|m| m >= SMALL_MEMORY);
        let v2 = self.v2.as_ref().filter(|_| early).map(|v2| &v2.fd);
        v2.or_else(|| self.fence.as_ref().map(|fence| &fence.fd))
    }

    /// Notes that the container was cloned into [`Self::clone_target`].
    pub fn joined_by_clone(&mut self) {
        if let Some(v2) = &mut self.v2 {
            v2.joined_by_clone = true;
        }
        if let Some(fence) = &mut self.fence {
            fence.joined_by_clone = true;
        }
    }

    /// The groups of version 1 as the first process joins them: before its set-up, and when its program is about to run.
    pub fn joins(&self) -> (Vec<&Path>, Option<&Path>) {
        let early = self.v1.iter().filter(|(n, _)| *n != "memory").map(|(_, p)| p.as_path());
        (early.collect(), self.v1("memory"))
    }

    /// Puts it into the group of version 2 if it is not there yet, and sets the limit of memory: its program is about to
    /// run.
    pub fn join_last(&self, c: &Container, pid: Pid) -> Result<(), Fail> {
        if self.by_runtime {
            self.write_memory_v1(c)?;
            if let Some(folder) = self.v1("memory") {
                // What the runtime used is not the job's.
                let _ = write(&folder.join("memory.max_usage_in_bytes"), 0);
            }
        }
        if let Some(fence) = self.fence.as_ref().filter(|fence| !fence.joined_by_clone) {
            write(&Path::new(&fence.folder).join("cgroup.procs"), pid.as_raw_nonzero())?;
        }
        let Some(v2) = &self.v2 else { return Ok(()) };
        if let (Some(bytes), Some(max)) = (self.memory, self.v2_has("memory.max")) {
            match self.v2_has("memory.swap.max") {
                Some(swap) => write(&swap, swap_bytes(c))?,
                None => no_swap_accounting(c)?,
            }
            if let Some(swappiness) = c.swappiness {
                return Err(Fail::runtime(format_args!(
                    "set swappiness to {swappiness}: this host's control groups are of version 2, which has no swappiness"
                )));
            }
            if let Some(group) = self.v2_has("memory.oom.group") {
                write(&group, 1)?;
            }
            write(&max, bytes)?;
        }
        if v2.joined_by_clone || self.by_runtime {
            return Ok(());
        }
        write(&v2.folder.join("cgroup.procs"), pid.as_raw_nonzero())
    }

    /// Where the hierarchies of version 1 are mounted that the attempt has a group in.
    pub fn hierarchies(&self) -> Vec<PathBuf> {
        let depth = Path::new(&self.path).components().count();
        self.v1.iter().filter_map(|(_, p)| Some(p.ancestors().nth(depth)?.to_path_buf())).collect()
    }

    /// The attempt's group as OCI runtimes take it: below the root of a hierarchy, with a leading slash.
    pub fn path_for_runtime(&self) -> String {
        let v2 = self.v2.as_ref().filter(|_| self.v1.is_empty());
        let below = v2.and_then(|v2| v2.folder.strip_prefix(&v2.mount).ok());
        format!("/{}", below.map_or_else(|| self.path.clone().into(), Path::to_string_lossy))
    }

    /// The groups' folders with the name that a container sees them under; the name is empty for version 2.
    pub fn views(&self) -> Vec<(&'static str, &Path)> {
        let v1 = self.v1.iter().map(|(n, p)| (*n, p.as_path()));
        if self.v1.is_empty() {
            return self.v2.iter().map(|v2| ("", v2.folder.as_path())).collect();
        }
        v1.collect()
    }

    /// What the groups counted. Ask before they are removed.
    pub fn usage(&self) -> Usage {
        if let Some(folder) = self.v1("memory") {
            return Usage {
                oom: counter(&folder.join("memory.oom_control"), "oom_kill") > 0,
                peak: number(&folder.join("memory.max_usage_in_bytes")),
            };
        }
        let Some(v2) = &self.v2 else { return Usage { oom: false, peak: None } };
        Usage {
            oom: counter(&v2.folder.join("memory.events"), "oom_kill") > 0,
            peak: number(&v2.folder.join("memory.peak")),
        }
    }

    fn folders(&self) -> Vec<PathBuf> {
        let v2 = self.v2.iter().map(|v2| v2.folder.clone());
        self.v1.iter().map(|(_, p)| p.clone()).chain(v2).collect()
    }

    /// Kills every process in the groups, without waiting for their ends.
    pub fn kill_all(&self) {
        cgroup::kill_all(&self.folders(), Duration::from_millis(1));
    }

    /// Ends what is left in the groups and removes them.
    pub fn remove(&self) {
        let folders = self.folders();
        if cgroup::remove(&folders, Duration::ZERO).is_ok() {
            return;
        }
        if !cgroup::kill_all(&folders, Duration::from_secs(10)) {
            eprintln!("processes are left in cgroup {:?}", folders.first());
        }
        if let Err(e) = cgroup::remove(&folders, Duration::from_secs(2)) {
            eprintln!("remove cgroups: {e}");
        }
    }
}

/// Swap beyond the memory limit.
fn swap_bytes(c: &Container) -> u64 {
    c.swap_bytes.unwrap_or(0)
}

/// Where swap is not counted it can't be limited: a job that was promised none does without the promise, as with Docker,
/// one that asks for a limit is not run without it.
fn no_swap_accounting(c: &Container) -> Result<(), Fail> {
    if swap_bytes(c) == 0 {
        return Ok(());
    }
    Err(Fail::runtime(
        "a swap limit was asked for and this host does not count swap: boot it with swapaccount=1",
    ))
}

/// The container's weight as version 1 takes it.
pub fn cpu_shares(c: &Container) -> u64 {
    if c.cpu_shares == 0 { 1024 } else { c.cpu_shares.clamp(2, 262_144) }
}

/// Its quota in each [`PERIOD_US`], if it has one.
pub fn cpu_quota_us(c: &Container) -> Option<u64> {
    c.cpu_quota_milli.map(|milli| (milli.saturating_mul(PERIOD_US) / 1000).max(1000))
}

fn write(file: &Path, value: impl Display) -> Result<(), Fail> {
    use std::io::Write;
    let text = value.to_string();
    let opened = std::fs::OpenOptions::new().write(true).open(file);
    opened
        .and_then(|mut f| f.write_all(text.as_bytes()))
        .during(format_args!("write {text} to {}", file.display()))
}

fn number(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn counter(file: &Path, name: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok());
    value.unwrap_or(0)
}
