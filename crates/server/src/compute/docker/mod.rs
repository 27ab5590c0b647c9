//! The Docker Engine API as a backend: a container of the daemon for each attempt, found again by its name.
//!
//! The daemon's record of a container is the truth of what runs; the attempt's folder keeps what the daemon cannot: that
//! a container was begun, that a stop was wanted, and how it ended. Never here: retries (the engine), making containers
//! (the daemon), starting a daemon.

mod attempt;
mod follow;
mod image;
mod output;
mod request;
mod trouble;

use super::machine::folder::Folder;
use super::machine::{Declared, Images, JobDefaults, cgroup_name, host, make_folder};
use super::{Compute, Permitted, ReportEnvelope, Reports, TaskSpec};
use crate::config::PullPolicy;
use crate::registry::Logins;
use batchyard_engine::resource::Host;
use batchyard_engine::{Report, TaskId};
use bollard::query_parameters::{ListContainersOptions, RemoveContainerOptions, RemoveVolumeOptions};
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::sleep;
pub use trouble::Trouble;

/// Label that holds whose a container is: the server's data folder, as a digest.
const OWNER: &str = "batchyard.server";
/// Label that holds a container's attempt.
const TASK: &str = "batchyard.task";
/// How soon a daemon that does not answer is asked again.
const AGAIN: Duration = Duration::from_secs(2);

/// How the daemon runs tasks.
#[derive(Debug, Clone)]
pub struct DockerSettings {
    /// The data folder.
    pub data: PathBuf,
    /// `unix://PATH` or `http://HOST:PORT`.
    pub host: String,
    /// Capacity that is declared rather than found.
    pub declared: Declared,
    /// Most processes and threads of a job at once.
    pub pids_max: u64,
    /// Bytes of log of an attempt after which lines are dropped; 0 means no cap.
    pub log_cap: u64,
    /// What jobs may have of this machine.
    pub permitted: Permitted,
    /// What every job gets.
    pub defaults: JobDefaults,
    /// Names of volumes without a path that all jobs share.
    pub shared_volumes: Vec<String>,
    /// When the daemon is to ask a registry.
    pub policy: PullPolicy,
    /// Logins of registries.
    pub logins: Logins,
}

/// A Docker daemon. Dropping it leaves the containers running.
pub struct Docker {
    host: Host,
    shared: Arc<Shared>,
    runtime: Handle,
}

/// What every attempt needs.
struct Shared {
    client: bollard::Docker,
    settings: DockerSettings,
    /// This data folder among all that use the daemon.
    owner: String,
    attempts: PathBuf,
    images: Arc<dyn Images>,
    reports: Reports,
    tracked: Mutex<HashMap<TaskId, Tracked>>,
}

/// What this process knows of an open attempt.
struct Tracked {
    stop: watch::Sender<bool>,
    said: Vec<ReportEnvelope>,
}

/// Reaches a daemon and settles which version of the API is spoken.
///
/// # Errors
/// The address is none, or nobody answers there.
pub async fn connect(host: &str) -> Result<(bollard::Docker, String), String> {
    let told = |e: bollard::errors::Error| format!("the Docker daemon at {host}: {}", Trouble::from(e));
    let client = bollard::Docker::connect_with_host(host).map_err(told)?;
    let client = client.negotiate_version().await.map_err(told)?;
    let version = client.version().await.map_err(told)?;
    Ok((client, version.version.unwrap_or_default()))
}

impl Docker {
    /// Over a connected daemon. Call it within a tokio runtime, once per data folder.
    ///
    /// # Errors
    /// The disk refuses, or this machine's facts cannot be read.
    pub fn open(
        mut settings: DockerSettings,
        client: bollard::Docker,
        images: Arc<dyn Images>,
        reports: Reports,
    ) -> io::Result<Self> {
        settings.data = settings.data.canonicalize()?;
        let attempts = settings.data.join("attempts");
        for folder in [&attempts, &settings.data.join("logs")] {
            make_folder(folder)?;
        }
        let host = host::facts(&settings.data, settings.declared)?;
        let owner = cgroup_name(&settings.data);
        let tracked = Mutex::default();
        let shared = Arc::new(Shared { client, settings, owner, attempts, images, reports, tracked });
        Ok(Self { host, shared, runtime: Handle::current() })
    }

    fn spawn(&self, task: TaskId, spec: Option<TaskSpec>, stopped: bool) {
        let (stop, wanted) = watch::channel(stopped);
        self.shared.tracked().insert(task, Tracked { stop, said: Vec::new() });
        self.runtime.spawn(attempt::run(self.shared.clone(), task, spec, wanted));
    }
}

impl Compute for Docker {
    fn hosts(&self) -> Vec<Host> {
        vec![self.host.clone()]
    }

    fn reconcile(&self, open: &[TaskId]) -> io::Result<()> {
        let open: HashSet<TaskId> = open.iter().copied().collect();
        for entry in std::fs::read_dir(&self.shared.attempts)? {
            let name = entry?.file_name();
            let task = name.to_str().and_then(|name| name.parse::<TaskId>().ok());
            if let Some(task) = task.filter(|task| !open.contains(task)) {
                self.runtime.spawn(remove(self.shared.clone(), task));
            }
        }
        self.runtime.spawn(strangers(self.shared.clone(), open));
        Ok(())
    }

    fn start(&self, task: TaskSpec) {
        let id = task.start.task;
        if let Some(known) = self.shared.tracked().get(&id) {
            known.said.iter().for_each(|said| drop(self.shared.reports.send(said.clone())));
            return;
        }
        self.spawn(id, Some(task), false);
    }

    fn stop(&self, task: TaskId, grace_s: u32) {
        let folder = Folder::of(&self.shared.attempts, task);
        if let Err(error) = folder.make().and_then(|()| folder.ask_to_stop(grace_s)) {
            tracing::error!(%task, %error, "that an attempt is to stop cannot be written down");
        }
        let known = self.shared.tracked().get(&task).map(|known| known.stop.clone());
        match known {
            Some(stop) => drop(stop.send_replace(true)),
            None => self.spawn(task, None, true),
        }
    }

    fn forget(&self, task: TaskId) {
        self.shared.tracked().remove(&task);
        self.runtime.spawn(remove(self.shared.clone(), task));
    }

    fn running(&self) -> Vec<TaskId> {
        let ended = |t: &Tracked| t.said.iter().any(|s| !matches!(s.report, Report::Started { .. }));
        let begun = |t: &Tracked| !t.said.is_empty() && !ended(t);
        self.shared.tracked().iter().filter(|(_, t)| begun(t)).map(|(task, _)| *task).collect()
    }
}

impl Shared {
    fn tracked(&self) -> MutexGuard<'_, HashMap<TaskId, Tracked>> {
        self.tracked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The container of an attempt; one name for ever, so that none is made twice.
    fn name(&self, task: TaskId) -> String {
        format!("{}-{task}", self.owner)
    }

    fn folder(&self, task: TaskId) -> Folder {
        Folder::of(&self.attempts, task)
    }

    fn send(&self, task: TaskId, report: Report, done: bool) {
        let streams = self.folder(task).streams().facts(&self.settings.data, task, done);
        let envelope = ReportEnvelope { report, streams };
        if let Some(known) = self.tracked().get_mut(&task) {
            known.said.push(envelope.clone());
        }
        let _ = self.reports.send(envelope);
    }

    /// What the job's reason says while it starts.
    fn say(&self, task: TaskId, text: String) {
        let report = Report::Progress(vec![(task, text.into())]);
        let _ = self.reports.send(ReportEnvelope { report, streams: Vec::new() });
    }
}

/// Removes an attempt's container, its volumes and its folder, however long the daemon is away.
async fn remove(shared: Arc<Shared>, task: TaskId) {
    let name = shared.name(task);
    while let Err(trouble) = remove_container(&shared, &name).await {
        tracing::warn!(%task, %trouble, "an ended attempt's container cannot be removed; trying again");
        sleep(AGAIN).await;
    }
    match std::fs::remove_dir_all(shared.folder(task).path()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%task, %error, "an ended attempt's folder cannot be removed");
        }
        _ => {}
    }
}

async fn remove_container(shared: &Shared, name: &str) -> Result<(), Trouble> {
    let Some(found) = trouble::there(shared.client.inspect_container(name, None).await)? else {
        return Ok(());
    };
    let options = RemoveContainerOptions { force: true, v: true, link: false };
    trouble::there(shared.client.remove_container(name, Some(options)).await)?;
    let volumes = found.mounts.into_iter().flatten().filter_map(|mount| mount.name);
    for volume in volumes.filter(|volume| volume.starts_with(name)) {
        let options = RemoveVolumeOptions { force: true };
        trouble::there(shared.client.remove_volume(&volume, Some(options)).await)?;
    }
    Ok(())
}

/// Removes the containers of this data folder that belong to no open attempt.
async fn strangers(shared: Arc<Shared>, open: HashSet<TaskId>) {
    let filters = HashMap::from([("label".to_string(), vec![format!("{OWNER}={}", shared.owner)])]);
    let options = ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
    let found = loop {
        match shared.client.list_containers(Some(options.clone())).await {
            Ok(found) => break found,
            Err(error) => tracing::warn!(%error, "Docker's containers cannot be listed; trying again"),
        }
        sleep(AGAIN).await;
    };
    for container in found {
        let task = container.labels.and_then(|labels| labels.get(TASK)?.parse::<TaskId>().ok());
        // An attempt may have begun since: it is tracked before it has a container.
        let Some(task) = task.filter(|t| !open.contains(t) && !shared.tracked().contains_key(t)) else {
            continue;
        };
        tracing::warn!(%task, "a container runs that no job has; removing it");
        remove(shared.clone(), task).await;
    }
}
