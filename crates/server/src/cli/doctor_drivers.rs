//! Checks of `batchyard doctor` for what is beside the driver `native`: a Docker daemon, runtimes, and programs that networks
//! and limited disks need. A failure only where the settings ask for it.
//!
//! Never here: what containers themselves need (`doctor_checks`).

use super::doctor::Finding;
use crate::compute::machine::network::NetworkNamespaces;
use crate::compute::machine::{disk_limit, program, runtime};
use crate::config::{DriverName, Settings};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long a daemon on the network may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// All of them; `root`: the server would be root's, which alone can have the last three.
pub fn all(settings: &Settings, root: bool) -> Vec<Finding> {
    let mut all = vec![docker(settings)];
    if settings.driver == DriverName::Process {
        all.push(Finding::warn(
            "process",
            "driver = process: JOBS ARE NOT ISOLATED, they are plain processes with the server's rights",
            "choose another driver as soon as this machine permits one",
        ));
    }
    if root {
        all.extend([oci(settings), networks(settings), disks(settings)]);
    }
    all
}

/// What is not there is told, and is a failure for those who want it.
fn lacking(name: &str, found: String, wanted: bool, mend: &str) -> Finding {
    if wanted { Finding::fail(name, found, mend) } else { Finding::ok(name, found) }
}

fn docker(settings: &Settings) -> Finding {
    let (host, wanted) = (&settings.docker_host, settings.driver == DriverName::Docker);
    match reach(host) {
        Ok(()) => Finding::ok("docker", format!("a daemon listens at {host}, for driver = docker")),
        Err(why) if wanted => Finding::fail(
            "docker",
            format!("no daemon at {host} ({why}), and driver = docker needs one"),
            "start the daemon, or set docker_host to where it listens",
        ),
        Err(why) => {
            Finding::ok("docker", format!("no daemon at {host} ({why}); only driver = docker needs one"))
        }
    }
}

fn reach(host: &str) -> Result<(), String> {
    if let Some(path) = host.strip_prefix("unix://") {
        return UnixStream::connect(path).map(drop).map_err(|e| e.to_string());
    }
    let Some((_, place)) = host.split_once("://") else { return Err("no address".to_string()) };
    let mut addresses = place.to_socket_addrs().map_err(|e| e.to_string())?;
    let address = addresses.next().ok_or("no address")?;
    TcpStream::connect_timeout(&address, PATIENCE).map(drop).map_err(|e| e.to_string())
}

fn oci(settings: &Settings) -> Finding {
    let wanted = settings.driver == DriverName::Oci;
    let found = runtime::find(settings.oci_runtime.as_deref()).and_then(|path| {
        let version = runtime::version(&path)?;
        Ok(format!("{}, {version}, for driver = oci", path.display()))
    });
    match found {
        Ok(found) => Finding::ok("oci", found),
        Err(why) if wanted => Finding::fail("oci", why.to_string(), "install one of runc, crun and youki"),
        Err(_) => Finding::ok(
            "oci",
            format!("none of {} here; only driver = oci needs one", runtime::RUNTIMES.join(", ")),
        ),
    }
}

fn networks(settings: &Settings) -> Finding {
    match program::on_path("nft") {
        Some(path) => Finding::ok("networks", format!("{}, for networks of jobs' own", path.display())),
        None => lacking(
            "networks",
            "no nft; only networks of jobs' own (network_namespaces) need it".to_string(),
            settings.network_namespaces != NetworkNamespaces::Off,
            "install nftables, or set network_namespaces to off",
        ),
    }
}

fn disks(settings: &Settings) -> Finding {
    match disk_limit::mkfs() {
        Some(path) => Finding::ok("job disks", format!("{}, for limited disks of jobs", path.display())),
        None => lacking(
            "job disks",
            "no mkfs.ext4; only limited disks (ephemeralStorage, job_disk_bytes) need it, where there are no project quotas"
                .to_string(),
            settings.job_disk_bytes > 0,
            "install e2fsprogs, or set job_disk_bytes to 0",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::doctor::Health;
    use super::*;

    #[test]
    fn a_daemon_that_is_not_there_is_a_failure_only_where_it_is_wanted() {
        let nowhere = |driver| Settings {
            driver,
            docker_host: "unix:///nowhere/docker.sock".into(),
            ..Settings::default()
        };
        assert_eq!(docker(&nowhere(DriverName::Native)).state, Health::Ok);
        let wanted = docker(&nowhere(DriverName::Docker));
        assert_eq!(wanted.state, Health::Fail);
        assert!(wanted.found.contains("/nowhere/docker.sock"), "{}", wanted.found);
        assert!(reach("nonsense").is_err() && reach("http://127.0.0.1:1").is_err());
    }

    #[test]
    fn a_runtime_that_is_not_there_is_named() {
        let settings =
            |driver| Settings { driver, oci_runtime: Some("norunc".into()), ..Settings::default() };
        assert_eq!(oci(&settings(DriverName::Native)).state, Health::Ok);
        let wanted = oci(&settings(DriverName::Oci));
        assert!(wanted.state == Health::Fail && wanted.found.contains("norunc"), "{}", wanted.found);
    }
}
