//! Networks of jobs' own: an address on this server's bridge for each, and what all jobs are kept from.
//!
//! Namespaces are made ahead of need (`maker`) and held as descriptors only; a supervisor gets one and the kernel takes
//! it away with the job's last process, so nothing of a job's network is left by a crash of anybody. The bridge and the
//! table of the packet filter stay while a job has an address, whether a server runs or not. Never here: who wants a
//! network (the settings say), joining it (the supervisor).

mod addresses;
mod bridge;
mod fence;
mod maker;
mod names;
mod namespace;
mod table;

pub use fence::raise as raise_fence;

use super::folder::Folder;
use addresses::Addresses;
use batchyard_engine::TaskId;
use batchyard_engine::resource::Platform;
use batchyard_supervisor::{OwnFile, Task};
use ipnet::Ipv4Net;
use maker::Maker;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Who gets a network of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NetworkNamespaces {
    /// Nobody: jobs have the host's.
    #[default]
    Off,
    /// Jobs of Fargate environments.
    Fargate,
    /// All jobs.
    All,
}

/// How jobs' networks are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSettings {
    /// Who gets one.
    pub whose: NetworkNamespaces,
    /// The addresses; the first is the host's on the bridge.
    pub net: Ipv4Net,
    /// Name servers in place of the host's; none: those.
    pub dns: Vec<Ipv4Addr>,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        let net = Ipv4Net::new_assert(Ipv4Addr::new(10, 213, 0, 0), 22);
        Self { whose: NetworkNamespaces::Off, net, dns: Vec::new() }
    }
}

/// A network that is a job's from now on.
#[derive(Debug)]
pub struct Given {
    /// Its namespace.
    pub namespace: OwnedFd,
    /// Its address.
    pub address: Ipv4Addr,
}

/// What a container needs to know of its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Its host name.
    pub hostname: String,
    /// Its `hosts`, `hostname` and `resolv.conf`.
    pub files: Vec<OwnFile>,
}

/// The addresses that attempts of before have, by their task files.
///
/// # Errors
/// The folder cannot be read.
pub fn known(attempts: &Path) -> io::Result<Vec<(TaskId, Ipv4Addr)>> {
    let mut known = Vec::new();
    for entry in std::fs::read_dir(attempts)? {
        let Some(task) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let address = Folder::of(attempts, task).task().and_then(|task| task.address);
        known.extend(address.map(|address| (task, address)));
    }
    Ok(known)
}

/// Whether a machine passes packets on is its administrator's to decide: it is then a router for everybody.
fn say_what_is_reached() {
    let forwards = std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward");
    if forwards.is_ok_and(|text| text.trim() == "0") {
        tracing::warn!(
            "jobs with a network of their own reach this machine and each other only: it passes no packets on; \
             `sysctl -w net.ipv4.ip_forward=1` lets them out"
        );
    }
}

/// The networks of this server's jobs.
#[derive(Debug)]
pub struct Networks {
    settings: NetworkSettings,
    addresses: Arc<Mutex<Addresses>>,
    /// Absent: nobody gets one.
    maker: Option<Maker>,
    bridge: String,
}

impl Networks {
    /// Makes the bridge and the table, if anybody is to have a network; `id` tells this server's from others', `known`
    /// are the attempts of before that have addresses.
    ///
    /// # Errors
    /// The host does not let it, or something else has these addresses.
    pub fn open(
        settings: &NetworkSettings,
        id: &str,
        supervisor: PathBuf,
        known: &[(TaskId, Ipv4Addr)],
    ) -> io::Result<Self> {
        let bridge = format!("by{id}");
        let mut addresses = Addresses::new(settings.net);
        known.iter().for_each(|(task, address)| addresses.give(*task, *address));
        let addresses = Arc::new(Mutex::new(addresses));
        let maker = match settings.whose {
            NetworkNamespaces::Off => None,
            _ => Some(Maker::start(&bridge, settings.net, supervisor, addresses.clone())?),
        };
        if maker.is_some() {
            table::put(&bridge, settings.net)?;
            say_what_is_reached();
        }
        Ok(Self { settings: settings.clone(), addresses, maker, bridge })
    }

    /// Whether a job gets its own.
    pub fn wants(&self, platform: Platform) -> bool {
        match self.settings.whose {
            NetworkNamespaces::Off => false,
            NetworkNamespaces::Fargate => platform == Platform::Fargate,
            NetworkNamespaces::All => true,
        }
    }

    /// A network for an attempt, which has it until [`Self::release`]. Nothing: all addresses are taken.
    ///
    /// # Errors
    /// It cannot be made, in words for a job's reason.
    pub fn take(&self, task: TaskId) -> Result<Option<Given>, String> {
        let Some(maker) = &self.maker else { return Err("networks of jobs are not set up".to_string()) };
        let Some(ready) = maker.take()? else { return Ok(None) };
        self.lock().give(task, ready.address);
        Ok(Some(ready))
    }

    /// The address of an attempt that has one.
    pub fn address_of(&self, task: TaskId) -> Option<Ipv4Addr> {
        self.lock().of(task)
    }

    /// Its namespace is gone, or will be in a moment.
    pub fn release(&self, task: TaskId) {
        self.lock().release(task);
    }

    /// Takes bridge and table away, if no attempt has an address. For a server that stops, and for one whose jobs are no
    /// longer to have networks.
    pub fn clear(&self) {
        if !self.lock().is_unused() {
            return;
        }
        if let Some(maker) = &self.maker {
            maker.stop();
        }
        if bridge::exists(&self.bridge) {
            table::remove(&self.bridge);
            bridge::remove(&self.bridge);
        }
    }

    /// Puts a network into a task file.
    pub fn place(&self, task: &mut Task, address: Ipv4Addr, host: &str) {
        let names = names::of(address, addresses::gateway(self.settings.net), &self.settings.dns);
        let of_host = format!("HOSTNAME={host}");
        for container in &mut task.containers {
            container.files.clone_from(&names.files);
            if let Some(variable) = container.env.iter_mut().find(|variable| **variable == of_host) {
                *variable = format!("HOSTNAME={}", names.hostname);
            }
        }
        (task.address, task.hostname) = (Some(address), Some(names.hostname));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Addresses> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
