//! Which driver makes this server's containers, and whether it can here: asked once at start, so that a server that could
//! run no job says so at once instead of failing each.
//!
//! The default is `native`. Where that does not work the start is refused with what would; nothing weaker is ever chosen
//! silently. Never here: making containers.

use super::say;
use crate::compute::machine::network::NetworkNamespaces;
use crate::compute::machine::users::{UserNamespaces, Users};
use crate::compute::machine::{RUN, program, runtime};
use crate::config::{DriverName, Settings};
use crate::rootless;
use anyhow::bail;
use batchyard_supervisor::{Driver, Rootless};
use std::path::Path;

/// What containers are made with.
#[derive(Debug, Clone, Default)]
pub struct Chosen {
    /// The driver.
    pub driver: Driver,
    /// Whose jobs get a user namespace of their own.
    pub users: Users,
    /// An ordinary user's server: what it does without.
    pub rootless: Option<Rootless>,
}

/// The settings' driver, tried, and said; and whose jobs get a user namespace, which only `native` has.
///
/// # Errors
/// It cannot work here; the text says why and what would.
pub fn choose(settings: &Settings, data_dir: &Path) -> anyhow::Result<Chosen> {
    refuse_unheld(settings)?;
    let driver = match settings.driver {
        DriverName::Native => return native(settings, data_dir),
        DriverName::Oci if !rustix::process::geteuid().is_root() => bail!(
            "driver = oci: only root can have it so far; run the server as root, or choose `driver = native`, which works \
             for other users too"
        ),
        DriverName::Oci => {
            let runtime = runtime::find(settings.oci_runtime.as_deref())?;
            let version = runtime::version(&runtime)?;
            say("driver", &format!("oci: {}, {version}", runtime.display()));
            Driver::Oci(runtime.to_string_lossy().into_owned())
        }
        DriverName::Docker => bail!("driver = docker: its containers are the daemon's"),
        DriverName::Process => {
            say(
                "driver",
                "process: JOBS ARE NOT ISOLATED. They are plain processes of this machine, with the server's rights",
            );
            say(
                "warning",
                "a job can read and change all that this user can, the server's keys included; memory and processes are limited only \
                 where control groups can be made",
            );
            Driver::Process
        }
    };
    Ok(Chosen { driver, ..Chosen::default() })
}

/// The daemon of the driver `docker`, which is asked at once: a server without it could run no job.
///
/// # Errors
/// It does not answer, or the settings want what it does not do.
pub async fn docker(settings: &Settings) -> anyhow::Result<bollard::Docker> {
    refuse_unheld(settings)?;
    let connected = crate::compute::docker::connect(&settings.docker_host).await;
    let (client, version) = connected.map_err(|why| {
        anyhow::anyhow!("driver = docker: {why}; start the daemon, or set docker_host to where it listens")
    })?;
    say("driver", &format!("docker: {version} at {}", settings.docker_host));
    if !settings.blocked_addresses.is_empty() {
        say(
            "warning",
            "blocked_addresses: not kept from jobs, whose groups are the daemon's; its host must block them",
        );
    }
    Ok(client)
}

/// Settings that promise what the driver does not do.
fn refuse_unheld(settings: &Settings) -> anyhow::Result<()> {
    let own_network = settings.network_namespaces != NetworkNamespaces::Off;
    match settings.driver {
        DriverName::Native => {}
        _ if settings.user_namespaces == UserNamespaces::All => bail!(
            "user_namespaces = all: only the driver native gives jobs user namespaces so far; set it to off"
        ),
        DriverName::Process if own_network => {
            bail!("network_namespaces: the driver process isolates nothing; set it to off")
        }
        DriverName::Docker if own_network => {
            bail!("network_namespaces: the driver docker gives jobs the host's network so far; set it to off")
        }
        DriverName::Docker | DriverName::Process if settings.job_disk_bytes > 0 => {
            bail!("job_disk_bytes: only the drivers native and oci limit a job's disk; set it to 0")
        }
        DriverName::Process if settings.job_mounts.iter().any(|(source, target)| source != target) => {
            bail!("job_mounts: the driver process mounts nothing; only what is at its own path can be had")
        }
        DriverName::Oci | DriverName::Docker | DriverName::Process => {}
    }
    Ok(())
}

/// This machine is tried once for all that `native` wants of it.
fn native(settings: &Settings, data_dir: &Path) -> anyhow::Result<Chosen> {
    let run = data_dir.join(RUN);
    std::fs::create_dir_all(&run)?;
    let program = program::find(&run)?;
    let probe = program::probe(&program, &run);
    let said = match &probe {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => bail!("{} cannot be run: {error}", program.display()),
    };
    works(&said)?;
    if let Some(user) = rootless::user() {
        rootless::refuse_unheld(settings)?;
        say("driver", &format!("native, rootless: containers of user {user} and not of root"));
        for weakness in rootless::weaknesses(&said) {
            say("warning", &format!("{}; {}", weakness.found, weakness.mend));
        }
        let rootless = Some(rootless::facts(&said));
        return Ok(Chosen { driver: Driver::Native, users: Users::default(), rootless });
    }
    say("driver", "native");
    let users = Users::decide(settings.user_namespaces, settings.user_namespace_ids, &program, &probe)?;
    Ok(Chosen { driver: Driver::Native, users, rootless: None })
}

/// Whether containers can be made here, by what the probe said.
fn works(probe: &str) -> anyhow::Result<()> {
    let no = program::answer(probe, "containers").and_then(|said| said.strip_prefix("no: "));
    let Some(why) = no else { return Ok(()) };
    let refused = rootless::refused();
    let why = refused.as_deref().unwrap_or(why);
    let root = match rustix::process::geteuid().is_root() && rootless::user().is_none() {
        true => "",
        false => {
            " run the server as root; let ordinary users make user namespaces (sysctl user.max_user_namespaces, \
             kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns);"
        }
    };
    bail!(
        "driver = native: this machine does not let this user make containers: {why}\n\
         what would work:{root} in a container, start that privileged; or choose `driver = process`, for jobs that are \
         isolated from nothing.\n\
         `batchyard doctor` says more"
    )
}
