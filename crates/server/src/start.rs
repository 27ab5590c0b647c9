//! Start-up and stop, as lists of steps; each part says one line.
//!
//! Never here: what a part does.

mod defaults;
pub(crate) mod driver;
mod folder;
mod images;

use crate::api::Service;
use crate::cli::server::ServerFlags;
use crate::compute::docker::{Docker, DockerSettings};
use crate::compute::machine::network::NetworkSettings;
use crate::compute::machine::{Declared, JobDefaults, Machine, MachineSettings};
use crate::compute::{Compute, Permitted, ReportEnvelope};
use crate::config::{self, DriverName, Flags, Settings};
use crate::core::Core;
use crate::effects;
use crate::http::{self, Http};
use crate::iam::{Credentials, Verifier};
use crate::images::{ImageOptions, ImageStore};
use crate::logs::{LogStores, Logs};
use crate::registry::{Registry, RegistrySettings};
use crate::store::{Catalog, Events, Readers, Store, Writer};
use anyhow::Context;
use batchyard_engine::{Effect, OpenRows, Report, TaskId};
use driver::Chosen;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver};

/// How long work in the background may hold up the end.
const LAST_WORK: Duration = Duration::from_secs(2);

/// Runs the server until it is told to stop.
///
/// # Errors
/// A part can't start; the text says which and how to mend it.
pub fn run(flags: ServerFlags) -> anyhow::Result<()> {
    let flags = &merged(flags);
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(log_filter()).init();
    let loaded = config::load(flags, std::env::vars_os())?;
    crate::rootless::enter(&loaded.settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(loaded.settings, loaded.given_credentials));
    // What is still being deleted goes on at the next start.
    runtime.shutdown_timeout(LAST_WORK);
    ended
}

/// What the server says of itself on stderr: warnings, unless RUST_LOG wants other things.
fn log_filter() -> tracing_subscriber::EnvFilter {
    tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into())
}

/// Flags as settings take them.
fn merged(flags: ServerFlags) -> Flags {
    let values = [
        ("listen", flags.listen.map(|a| a.to_string())),
        ("data_dir", flags.data_dir.map(|d| d.to_string_lossy().into_owned())),
        ("region", flags.region),
        ("account", flags.account),
        ("host_image", flags.host_image.then(|| "true".to_string())),
        ("allow_plain_http", flags.allow_plain_http.then(|| "true".to_string())),
    ];
    let values = values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    Flags { config: flags.config, values }
}

async fn serve(settings: Settings, given: Option<Credentials>) -> anyhow::Result<()> {
    let mut stop = Signals::new()?;
    let folder = folder::Folder::open(&settings.data_dir)?;
    let (credentials, _) = Credentials::establish(folder.path(), given)?;
    say("data", &folder.path().display().to_string());
    let listener = http::bind(settings.listen)?;
    let (store, writer, rows) = open_store(folder.path())?;
    let (machine, reports) = open_machine(&settings, folder.path(), &rows).await?;
    let (core, core_thread, to_do) = start_core(writer, rows, machine.as_ref()).await?;
    let service = Arc::new(open_api(&settings, folder.path(), &core, store)?);
    defaults::make(&service).await?;
    tokio::spawn(effects::run(to_do, service.clone(), machine.clone()));
    let reporter = tokio::spawn(tell_core(reports, core.clone()));

    let url = format!("http://{}", listener.local_addr()?);
    folder.announce(&url, &settings.region)?;
    say("ready", &url);
    newcomer(&settings, folder.path());
    let verifier = Verifier::new(credentials, &settings.account, &settings.region);
    http::serve(listener, service, Http { verifier, limits: settings.limits() }, stop.wait()).await;

    folder.withdraw();
    core.stop().await;
    let joined = tokio::task::spawn_blocking(move || core_thread.join()).await?;
    joined.map_err(|_| anyhow::anyhow!("the core ended early"))?;
    reporter.abort();
    leave(machine.as_ref());
    Ok(())
}

/// What jobs there are, read and checked.
fn open_store(data_dir: &Path) -> anyhow::Result<(Store, Writer, OpenRows)> {
    let (store, writer) = Store::open(data_dir)?;
    let rows = writer.open_rows()?;
    say("store", &format!("{} jobs open, {} of them on a host", rows.jobs.len(), rows.attempts.len()));
    Ok((store, writer, rows))
}

/// This machine with its images; attempts of before are found again, strangers' ended.
async fn open_machine(
    settings: &Settings,
    data_dir: &Path,
    rows: &OpenRows,
) -> anyhow::Result<(Arc<dyn Compute>, UnboundedReceiver<ReportEnvelope>)> {
    let rules = images::Rules {
        policy: settings.pull_policy,
        max_bytes: settings.images_max_bytes,
        keep_days: settings.images_keep_days,
    };
    let store = ImageStore::open(&data_dir.join("images"), ImageOptions::of(settings))?;
    let images = Arc::new(images::MachineImages::new(
        store.clone(),
        data_dir,
        rules,
        Registry::new(store, RegistrySettings::of(settings, data_dir))?,
    ));
    say("images", &images.describe());
    tokio::spawn(images.clone().keep_clean());
    let (reports, from_machine) = mpsc::unbounded_channel();
    let machine: Arc<dyn Compute> = if settings.driver == DriverName::Docker {
        let client = driver::docker(settings).await?;
        Arc::new(Docker::open(docker_settings(settings, data_dir)?, client, images, reports)?)
    } else {
        let chosen = driver::choose(settings, data_dir)?;
        Arc::new(Machine::open(&machine_settings(settings, chosen, data_dir)?, images, reports)?)
    };
    for host in machine.hosts() {
        let (vcpus, memory) = (host.vcpus_milli / 1000, host.memory_mib);
        say("machine", &format!("{}: {vcpus} vCPU and {memory} MiB for jobs", host.instance_id));
    }
    let open: Vec<TaskId> = rows.attempts.iter().map(|a| a.task).collect();
    machine.reconcile(&open).context("the attempts of this machine can't be read")?;
    Ok((machine, from_machine))
}

/// The engine over the rows, and the hosts before its first pass.
async fn start_core(
    writer: Writer,
    rows: OpenRows,
    machine: &dyn Compute,
) -> anyhow::Result<(Core, JoinHandle<()>, UnboundedReceiver<Effect>)> {
    let engine = Core::engine(rows);
    engine.check().map_err(|what| {
        anyhow::anyhow!("the rows of the store contradict each other: {what}; restore a backup")
    })?;
    let (effects, to_do) = mpsc::unbounded_channel();
    let (core, thread) = Core::start(writer, engine, effects)?;
    for host in machine.hosts() {
        core.report(Report::HostJoined(host), Vec::new()).await;
    }
    Ok((core, thread, to_do))
}

fn open_api(settings: &Settings, data_dir: &Path, core: &Core, store: Store) -> anyhow::Result<Service> {
    let readers = Readers::new(store);
    let (region, account) = (&settings.region, &settings.account);
    let catalog = Arc::new(Catalog(readers.clone()));
    let stores = LogStores { catalog, writer: Arc::new(core.clone()), events: Events::open(data_dir)? };
    let logs = Logs::start(stores, data_dir, region, account)?;
    Ok(Service::new(
        core.clone(),
        readers,
        region.clone(),
        account.clone(),
        Arc::new(logs),
        permitted(settings),
    ))
}

/// Says what goes on without a server; with nothing left, no cgroup and no bridge is left either.
fn leave(machine: &dyn Compute) {
    let running = machine.running().len();
    if running == 0 {
        machine.leave();
    }
    say("stopped", &format!("{running} jobs keep running; the next start finds them"));
}

/// Reports go to the core in the order in which they came.
async fn tell_core(mut reports: UnboundedReceiver<ReportEnvelope>, core: Core) {
    while let Some(envelope) = reports.recv().await {
        core.report(envelope.report, envelope.streams).await;
    }
}

fn permitted(settings: &Settings) -> Permitted {
    Permitted {
        privileged: settings.allow_privileged,
        volume_roots: settings.host_volume_roots.clone(),
        devices: settings.allowed_devices.clone(),
        array_size: settings.max_array_size,
    }
}

fn docker_settings(settings: &Settings, data_dir: &Path) -> anyhow::Result<DockerSettings> {
    let machine = machine_settings(settings, Chosen::default(), data_dir)?;
    Ok(DockerSettings {
        data: machine.data,
        host: settings.docker_host.clone(),
        declared: machine.declared,
        pids_max: machine.pids_max,
        log_cap: machine.log_cap,
        permitted: machine.permitted,
        defaults: machine.defaults,
        shared_volumes: machine.shared_volumes,
        policy: settings.pull_policy,
        logins: RegistrySettings::of(settings, data_dir).logins,
    })
}

fn machine_settings(
    settings: &Settings,
    Chosen { driver, users, rootless }: Chosen,
    data_dir: &Path,
) -> anyhow::Result<MachineSettings> {
    let defaults = JobDefaults::new(&settings.job_environment, &settings.job_mounts);
    Ok(MachineSettings {
        driver,
        users,
        rootless,
        permitted: permitted(settings),
        defaults: defaults.map_err(anyhow::Error::msg)?,
        shared_volumes: settings.shared_volumes.clone(),
        declared: Declared {
            vcpus_milli: settings.vcpus.map(|v| u64::from(v) * 1000),
            memory_mib: settings.memory_mib,
            reserved_vcpus: settings.reserved_vcpus,
            reserved_memory_mib: settings.reserved_memory_mib,
        },
        json_log_days: settings.json_file_keep_days,
        log_cap: settings.log_cap_bytes,
        disk_floor: settings.disk_floor_bytes,
        disk_reserve: settings.disk_reserve_bytes,
        job_disk: settings.job_disk_bytes,
        network: NetworkSettings {
            whose: settings.network_namespaces,
            net: settings.job_network,
            dns: settings.job_dns_servers.clone(),
        },
        blocked: settings.blocked_addresses.clone(),
        ..MachineSettings::new(data_dir)
    })
}

fn say(part: &str, what: &str) {
    println!("{part:<8} {what}");
}

/// The next thing to type.
fn newcomer(settings: &Settings, data_dir: &Path) {
    let default = Settings::default().data_dir == settings.data_dir;
    let data_dir = if default { String::new() } else { format!(" --data-dir {}", data_dir.display()) };
    println!("\nTry, in another terminal:\n  batchyard run{data_dir} busybox -- echo hello");
    println!("For aws and boto3:\n  eval \"$(batchyard env{data_dir})\" && aws batch describe-job-queues\n");
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
