//! This host as a backend: a supervisor for each attempt, found again after a restart through its folder.
//!
//! Owns below the data folder: `attempts/<task id>/`, `logs/`, `run/` (the wake socket, the supervisor program, the
//! boot that was last seen) and `trash/`. Never here: namespaces, mounts, limits (the supervisor does them), retries
//! (the engine).

pub mod boot;
pub mod cgroup;
pub mod folder;
pub mod host;
pub mod image;
pub mod in_use;
mod log_sink;
pub mod network;
pub mod program;
pub mod runtime;
pub mod seccomp;
pub mod streams;
pub mod users;

mod attempt;
mod disk;
pub mod disk_limit;
pub(super) mod environment;
mod plain;
mod prepare;
mod signal;
#[rustfmt::skip]
mod syscalls;
pub(super) mod task;
mod tracked;
mod waiting;
mod watch;
mod work;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(super) use attempt::translate;
pub use host::Declared;
pub use image::{Claiming, Image, Images, OnProgress, PullFailure, Pulling, Wanted, cannot_pull};
pub use task::JobDefaults;
pub(super) use waiting::TELL_EVERY;

use crate::clock::wall_ms;
use crate::compute::{Compute, Permitted, Reports, TaskSpec};
use attempt::Attempts;
use batchyard_engine::TaskId;
use batchyard_engine::resource::Host;
use batchyard_supervisor::format::to_hex;
use batchyard_supervisor::{Driver, Rootless};
use disk_limit::DiskLimits;
use folder::{Claim, Fate, Folder};
use ipnet::IpNet;
use network::{NetworkSettings, Networks};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use task::Common;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinHandle;
use tracked::TrackedTasks;
use users::Users;
use waiting::Waiting;
use work::{Op, Workers};

/// Folder of the data folder with what is of use only to this boot: sockets, programs, the boot's own id.
pub const RUN: &str = "run";
/// Threads for the steps of attempts: they wait for the disk and for `posix_spawn`, hardly for the processor.
const WORKERS: usize = 8;
/// How long ended attempts may be cleared up before a server that stops leaves bridge and cgroup to the next.
const CLEARING: Duration = Duration::from_secs(2);

/// How this machine runs tasks.
#[derive(Debug, Clone)]
pub struct MachineSettings {
    /// The data folder.
    pub data: PathBuf,
    /// Capacity that is declared rather than found.
    pub declared: Declared,
    /// The supervisor program; absent: found (see [`program::find`]).
    pub supervisor: Option<PathBuf>,
    /// Most processes and threads of a job at once.
    pub pids_max: u64,
    /// Days after which files of the log driver `json-file` go that nobody writes to; 0: never.
    pub json_log_days: u32,
    /// Bytes of log of an attempt after which lines are dropped; 0 means no cap.
    pub log_cap: u64,
    /// Free bytes on the disk of the logs under which lines are dropped.
    pub disk_floor: u64,
    /// What jobs may have of this machine.
    pub permitted: Permitted,
    /// What every job gets.
    pub defaults: JobDefaults,
    /// Names of volumes without a path that all jobs share.
    pub shared_volumes: Vec<String>,
    /// Who gets a user namespace.
    pub users: Users,
    /// An ordinary user's server: what it does without.
    pub rootless: Option<Rootless>,
    /// Free bytes that a start needs to find, and that a pull leaves.
    pub disk_reserve: u64,
    /// Most bytes of a job's own disk, for jobs that name none; 0: no limit.
    pub job_disk: u64,
    /// What makes the containers.
    pub driver: Driver,
    /// Who gets a network of its own, and how it is.
    pub network: NetworkSettings,
    /// What no job reaches.
    pub blocked: Vec<IpNet>,
}

impl MachineSettings {
    /// The usual settings over this data folder: 32,768 processes, 4 GiB of log, 256 MiB kept free.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            declared: Declared::default(),
            supervisor: None,
            pids_max: 32_768,
            json_log_days: 0,
            log_cap: 4 << 30,
            disk_floor: 256 << 20,
            permitted: Permitted::default(),
            defaults: JobDefaults::default(),
            shared_volumes: Vec::new(),
            users: Users::default(),
            rootless: None,
            disk_reserve: 0,
            job_disk: 0,
            driver: Driver::Native,
            network: NetworkSettings::default(),
            blocked: Vec::new(),
        }
    }
}

/// A shared volume's folder, made by the first job that mounts it and kept for good.
pub(in crate::compute) fn shared_volume(data: &Path, name: &str) -> String {
    data.join("volumes").join(name).to_string_lossy().into_owned()
}

/// This machine. Dropping it stops the watching and leaves the tasks running.
pub struct Machine {
    host: Host,
    attempts: Arc<Attempts>,
    workers: Workers,
    background: Vec<JoinHandle<()>>,
}

impl Machine {
    /// Makes the folders, binds the wake socket, starts the threads. Call it within a tokio runtime, once per data
    /// folder.
    ///
    /// # Errors
    /// The disk or the system refuses, or there is no supervisor program.
    pub fn open(settings: &MachineSettings, images: Arc<dyn Images>, reports: Reports) -> io::Result<Self> {
        make_folder(&settings.data)?;
        let data = settings.data.canonicalize()?;
        let (attempts, trash, run) = (data.join("attempts"), data.join("trash"), data.join(RUN));
        for folder in [&attempts, &trash, &run, &data.join("logs")] {
            make_folder(folder)?;
        }
        let program = match &settings.supervisor {
            Some(program) => program.canonicalize()?,
            None => program::find(&run)?,
        };
        let wake = run.join("wake.sock");
        let volume = |name: &String| (name.clone(), shared_volume(&data, name));
        let common = Common {
            cgroup: cgroup_name(&data),
            wake: wake.to_string_lossy().into_owned(),
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            seccomp: seccomp::profile()?,
            // A job that takes all that it can leaves some to others.
            pids_max: settings.pids_max.min(host::process_numbers() / 2),
            log_cap: settings.log_cap,
            disk_floor: settings.disk_floor,
            nofile_hard: raise_open_files(),
            permitted: settings.permitted.clone(),
            defaults: settings.defaults.clone(),
            shared_volumes: settings.shared_volumes.iter().map(volume).collect(),
            users: settings.users,
            rootless: settings.rootless,
            driver: settings.driver.clone(),
            fence: fence(settings, &program, &cgroup_name(&data)),
            blocked: settings.blocked.clone(),
        };
        let known = network::known(&attempts)?;
        let id = common.cgroup.rsplit('-').next().unwrap_or_default();
        let networks = Networks::open(&settings.network, id, program.clone(), &known)
            .inspect_err(|_| cgroup::remove_alone(&common.cgroup))?;
        let host = host::facts(&data, settings.declared)?;
        if settings.rootless.is_none_or(|r| r.limits) {
            bound_jobs(&common.cgroup, settings.declared)?;
        }
        let (errands, mailbox) = unbounded_channel();
        let tracked = TrackedTasks::default();
        let (disk_limits, job_disk) =
            (DiskLimits::find(&run, settings.rootless.is_some()), settings.job_disk);
        let waiting = Waiting::new(images.clone(), errands.clone(), data.clone(), settings.disk_reserve);
        let told = tokio::spawn(waiting::tell(waiting.clone(), reports.clone()));
        let json_logs = data.clone();
        let attempts = Attempts {
            data,
            attempts,
            trash,
            program,
            common,
            images,
            reports,
            tracked,
            disk_limits,
            job_disk,
            networks,
            waiting,
            errands,
        };
        let attempts = Arc::new(attempts);
        let workers = Workers::spawn(WORKERS, &attempts)?;
        let background = vec![
            told,
            tokio::spawn(watch::wakes(watch::bind(&wake)?, workers.clone())),
            tokio::spawn(watch::errands(mailbox, workers.clone())),
            tokio::spawn(log_sink::sweep(json_logs, settings.json_log_days)),
            tokio::spawn(watch::sweep(Arc::clone(&attempts), workers.clone())),
        ];
        Ok(Self { host, attempts, workers, background })
    }

    /// After a reboot: no supervisor of the older boot can be alive, so what has no end record is lost.
    fn bury_older_boot(&self, open: &[TaskId]) -> io::Result<()> {
        let (file, current) = (self.attempts.data.join(RUN).join("boot"), boot::current()?);
        if boot::remembered(&file).as_deref() == Some(current.as_str()) {
            return Ok(());
        }
        for task in open {
            let folder = Folder::of(&self.attempts.attempts, *task);
            folder.make()?;
            if let Claim::Held(_lock) = folder.claim()? {
                let ended = matches!(folder.fate()?, Fate::Ended(_) | Fate::Lost(_));
                if !ended && folder.unrenamed_exit().is_none() {
                    folder.write_lost(wall_ms())?;
                }
            }
        }
        rustix::fs::syncfs(File::open(&self.attempts.attempts)?)?;
        crate::crash::point("before_boot_kept");
        boot::remember(&file, &current)
    }

    fn folders(&self) -> io::Result<Vec<TaskId>> {
        let entries = fs::read_dir(&self.attempts.attempts)?;
        let mut tasks = Vec::new();
        for entry in entries {
            tasks.extend(entry?.file_name().to_str().and_then(|name| name.parse::<TaskId>().ok()));
        }
        Ok(tasks)
    }
}

impl Compute for Machine {
    /// The cgroup above all attempts' goes, and the bridge of their networks.
    fn leave(&self) {
        let until = Instant::now() + CLEARING;
        let clearing = || self.attempts.tracked.which(|t| t.ended);
        while !clearing().is_empty() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.attempts.networks.clear();
        cgroup::remove_alone(&self.attempts.common.cgroup);
    }

    fn hosts(&self) -> Vec<Host> {
        vec![self.host.clone()]
    }

    fn reconcile(&self, open: &[TaskId]) -> io::Result<()> {
        self.bury_older_boot(open)?;
        let open: HashSet<TaskId> = open.iter().copied().collect();
        for task in self.folders()?.into_iter().filter(|task| !open.contains(task)) {
            self.workers.send(Op::Orphan(task));
        }
        for entry in fs::read_dir(&self.attempts.trash)?.flatten() {
            let _ = self.attempts.errands.send(work::Errand::Delete(entry.path(), String::new()));
        }
        Ok(())
    }

    fn start(&self, task: TaskSpec) {
        self.workers.send(Op::Start(Box::new(task)));
    }

    fn stop(&self, task: TaskId, grace_s: u32) {
        self.workers.send(Op::Stop(task, grace_s));
    }

    fn forget(&self, task: TaskId) {
        self.workers.send(Op::Forget(task));
    }

    fn running(&self) -> Vec<TaskId> {
        self.attempts.tracked.which(|t| !t.ended && !t.orphan && t.spec.is_none())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.background.iter().for_each(JoinHandle::abort);
        self.attempts.waiting.end();
    }
}

/// What is kept for the host is kept from all jobs together. Without control groups there is no such limit; each job's
/// own then says so at its start.
fn bound_jobs(cgroup: &str, declared: Declared) -> io::Result<()> {
    let memory = host::memory_mib(declared)? << 20;
    let processors = (declared.reserved_vcpus > 0).then(|| host::processors_milli(declared));
    // Whatever jobs do, the server and its administrator can start programs.
    let processes = host::process_numbers() / 4 * 3;
    if let Err(error) = cgroup::bound_all(cgroup, memory, processes, processors) {
        tracing::warn!(%error, "memory and processors kept for this machine are not kept from jobs together");
    }
    Ok(())
}

/// The group that fences jobs off addresses, if any is blocked and this machine can. Without, a warning says so: for most
/// it only means that a metadata address that is not there is found out slowly.
fn fence(settings: &MachineSettings, program: &Path, cgroup: &str) -> Option<String> {
    // An ordinary user's server has said already that it cannot.
    if settings.blocked.is_empty() || settings.rootless.is_some() {
        return None;
    }
    match network::raise_fence(program, cgroup, &settings.blocked) {
        Ok(folder) => Some(folder),
        Err(error) => {
            tracing::warn!(%error, "jobs are not kept from blocked_addresses");
            None
        }
    }
}

/// Servers over different data folders have cgroups of their own, so that none clears another's.
pub(super) fn cgroup_name(data: &Path) -> String {
    let digest = Sha256::digest(data.as_os_str().as_encoded_bytes());
    format!("batchyard-{}", to_hex(&digest[..4]))
}

pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// A descriptor or two are open per running attempt. Returns the hard limit.
fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    limit.maximum.unwrap_or(u64::MAX)
}
