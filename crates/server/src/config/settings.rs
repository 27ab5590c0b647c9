//! The settings, each with its meaning, default and parser in one place.

use super::parse;
use super::{DriverName, PullPolicy, SettingsError};
use crate::compute::machine::network::{NetworkNamespaces, NetworkSettings};
use crate::compute::machine::users::UserNamespaces;
use crate::http::Limits;
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// A setting as the sources see it.
pub(super) struct Key {
    /// The name in the file; a variable's is `BATCHYARD_` and this in capitals.
    pub name: &'static str,
    /// What it means, from the struct's own comment.
    pub meaning: &'static str,
    /// The default, in words or as it would be given.
    pub default: &'static str,
    /// Sets it from text.
    pub set: fn(&mut Settings, &str) -> Result<(), String>,
}

/// Declares the struct, its defaults and the table of its keys from one list, so that none can lack a setting that
/// another has.
macro_rules! settings {
    ($( #[doc = $meaning:literal] $name:ident: $type:ty = $default:expr, $shown:literal, $parse:path; )*) => {
        /// All settings of the server.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Settings {
            $( #[doc = $meaning] pub $name: $type, )*
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $( $name: $default, )* }
            }
        }

        /// Every setting, in the struct's order.
        pub(super) const KEYS: &[Key] = &[ $( Key {
            name: stringify!($name),
            meaning: $meaning,
            default: $shown,
            set: |settings, text| {
                settings.$name = $parse(text)?;
                Ok(())
            },
        }, )* ];
    };
}

settings! {
    /// Address and port on which the API listens.
    listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 9740)), "127.0.0.1:9740", parse::address;
    /// Folder of everything that is kept: database, credentials, images, attempts, logs.
    data_dir: PathBuf = default_data_dir(),
        "`/var/lib/batchyard` for root, else `$XDG_DATA_HOME/batchyard` or `~/.local/share/batchyard`", parse::folder;
    /// Region in ARNs; requests must be signed for it.
    region: String = "us-east-1".into(), "us-east-1", parse::region;
    /// Account in ARNs, twelve digits.
    account: String = "123456789012".into(), "123456789012", parse::account;
    /// What makes the containers: `native`, `oci` (runc, crun or youki), `docker`, or `process`, which isolates nothing.
    driver: DriverName = DriverName::Native, "native", parse::driver;
    /// The runtime of the driver `oci`, a name on PATH or a path.
    oci_runtime: Option<String> = None, "the first of runc, crun and youki on PATH", parse::runtime;
    /// Where the daemon of the driver `docker` listens: `unix://PATH` or `http://HOST:PORT`.
    docker_host: String = "unix:///var/run/docker.sock".into(), "unix:///var/run/docker.sock", parse::docker_host;
    /// Offer the image `host`: this machine's own root as a read-only lower layer, secrets masked.
    host_image: bool = false, "false", parse::switch;
    /// vCPUs that jobs may use on this machine, also more than it has.
    vcpus: Option<u32> = None, "as found", parse::vcpus;
    /// Memory that jobs may use on this machine, in MiB, also more than it has.
    memory_mib: Option<u64> = None, "as found", parse::memory;
    /// vCPUs kept for this machine itself: all jobs together get no more than the others, and at least one.
    reserved_vcpus: u32 = 0, "0", parse::count;
    /// Memory kept for this machine itself, in MiB: all jobs together get no more than the rest, whatever is declared.
    reserved_memory_mib: Option<u64> = None, "a twentieth, at least 128 and at most 1024", parse::memory;
    /// Jobs may ask to be privileged: as good as root on this machine.
    allow_privileged: bool = true, "true", parse::switch;
    /// Folders of this machine that jobs may mount, with all below them; `/` is everything.
    host_volume_roots: Vec<String> = vec!["/".into()], "/", parse::folders;
    /// Devices of this machine that jobs may ask for; `*` at the end stands for anything.
    allowed_devices: Vec<String> = vec!["*".into()], "*", parse::devices;
    /// Variables that every job gets, as `NAME=value`; those of image and job go before them.
    job_environment: Vec<(String, String)> = Vec::new(), "", parse::pairs;
    /// Folders of this machine that every job gets, as `/host/path=/path/inside`, or `…=/path/inside:ro`.
    job_mounts: Vec<(String, String)> = Vec::new(), "", parse::pairs;
    /// Names of volumes without a path that all jobs share, each a folder `volumes/NAME` of the data folder.
    shared_volumes: Vec<String> = Vec::new(), "", parse::names;
    /// Jobs in user namespaces, where root is nobody on this machine: `off`, those of `fargate` environments, or `all`.
    user_namespaces: UserNamespaces = UserNamespaces::Fargate, "fargate", parse::user_namespaces;
    /// This machine's id of root in user namespaces, the first of 65,536 that nothing else here may have.
    user_namespace_ids: u32 = 1_879_048_192, "1879048192", parse::first_id;
    /// Jobs with an address and a network of their own: `off`, those of `fargate` environments, or `all`.
    network_namespaces: NetworkNamespaces = NetworkNamespaces::Off, "off", parse::network_namespaces;
    /// Addresses of such jobs, which nothing else may have; the first is this machine's among them.
    job_network: Ipv4Net = NetworkSettings::default().net, "10.213.0.0/22", parse::job_network;
    /// Name servers of such jobs in place of this machine's.
    job_dns_servers: Vec<Ipv4Addr> = Vec::new(), "", parse::addresses;
    /// Addresses that no job reaches, at once and not after a wait; networks as `10.0.0.0/8`. Empty: none.
    blocked_addresses: Vec<IpNet> = metadata(), "169.254.169.254, fd00:ec2::254", parse::networks;
    /// When a registry is asked for a job's image: `missing` (it is not on this machine), `always`, or `never`.
    pull_policy: PullPolicy = PullPolicy::Missing, "missing", parse::pull_policy;
    /// What is asked in place of a registry, as `host=other.host:port`, perhaps with a path before the repository.
    registry_mirrors: Vec<(String, String)> = Vec::new(), "", parse::mirrors;
    /// Registries, as `host:port`, that are asked by plain HTTP. This machine's own addresses may be either.
    insecure_registries: Vec<String> = Vec::new(), "", parse::registries;
    /// File of certificates (PEM) that registries may have beside those that the system trusts.
    registry_ca_file: Option<PathBuf> = None, "", parse::file;
    /// Docker's settings file, for the logins and credential helpers in it.
    docker_config: Option<PathBuf> = docker_config(), "`$DOCKER_CONFIG/config.json` or `~/.docker/config.json`", parse::file;
    /// Seconds in which a registry has to send something more. After twice that without any the pull is tried anew, twice.
    registry_seconds: Duration = Duration::from_secs(60), "60", parse::seconds;
    /// Children that an array job may have; AWS lets it have 10000.
    max_array_size: u32 = 10_000, "10000", parse::array_size;
    /// Images that are pulled from one registry at once.
    max_pulls: u32 = 3, "3", parse::connections;
    /// Bytes of pulled images above which the least recently used go that no job has. 0: no limit.
    images_max_bytes: u64 = 0, "0", parse::size;
    /// Days after which a pulled image goes that no job used. 0: never.
    images_keep_days: u32 = 0, "0", parse::days;
    /// Bytes that a job without `ephemeralStorage` may write to its writable layer and volumes. 0: no limit.
    job_disk_bytes: u64 = 0, "0", parse::job_disk;
    /// Free space on the data folder's disk that a job's start waits for and a pull leaves.
    disk_reserve_bytes: u64 = 256 << 20, "256MiB", parse::size;
    /// Output kept of one attempt; what comes after is dropped and counted. 0: no limit.
    log_cap_bytes: u64 = 1 << 30, "1GiB", parse::size;
    /// Days after which files of the log driver `json-file` go that nothing was written to. 0: never.
    json_file_keep_days: u32 = 14, "14", parse::days;
    /// Free space on the data folder's disk under which output is dropped and counted.
    disk_floor_bytes: u64 = 1 << 30, "1GiB", parse::size;
    /// Allow plain HTTP on an address that other machines reach. Signatures protect requests; nothing hides them.
    allow_plain_http: bool = false, "false", parse::switch;
    /// Largest request body.
    max_body_bytes: usize = 1 << 20, "1MiB", parse::body;
    /// Open connections; one more is answered 503.
    max_connections: u32 = 10_000, "10000", parse::connections;
    /// Seconds a client has to send a request's headers.
    head_seconds: Duration = Duration::from_secs(20), "20", parse::seconds;
    /// Seconds a client has to send a request's body.
    body_seconds: Duration = Duration::from_secs(30), "30", parse::seconds;
    /// Seconds a client has to take some more of an answer.
    write_seconds: Duration = Duration::from_secs(30), "30", parse::seconds;
    /// Seconds a connection may stay open between two requests.
    idle_seconds: Duration = Duration::from_secs(120), "120", parse::seconds;
    /// Seconds that requests in progress have when the server stops.
    drain_seconds: Duration = Duration::from_secs(10), "10", parse::seconds;
}

impl Settings {
    /// The limits of connections and requests.
    pub fn limits(&self) -> Limits {
        let defaults = Limits::default();
        Limits {
            body_bytes: self.max_body_bytes,
            discard_bytes: defaults.discard_bytes.max(self.max_body_bytes),
            connections: self.max_connections,
            head_time: self.head_seconds,
            body_time: self.body_seconds,
            write_time: self.write_seconds,
            idle_time: self.idle_seconds,
            drain_time: self.drain_seconds,
            ..defaults
        }
    }

    /// What no single setting can tell.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        if !self.listen.ip().to_canonical().is_loopback() && !self.allow_plain_http {
            return Err(SettingsError::Conflict(format!(
                "listen = {}: other machines reach this address, and the API is plain HTTP; set allow_plain_http = true \
                 if that is meant, or listen on 127.0.0.1",
                self.listen
            )));
        }
        Ok(())
    }
}

/// Where EC2 tells a machine about itself. Elsewhere clients of AWS wait long for nobody to answer; there its rights are
/// the machine's and not the jobs'.
fn metadata() -> Vec<IpNet> {
    let six = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    vec![IpNet::from(IpAddr::from([169, 254, 169, 254])), IpNet::from(IpAddr::from(six))]
}

/// Where Docker keeps its settings for the user who runs this.
fn docker_config() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    folder("DOCKER_CONFIG")
        .or_else(|| Some(folder("HOME")?.join(".docker")))
        .map(|dir| dir.join("config.json"))
}

/// Where a server keeps its things when nobody says where.
fn default_data_dir() -> PathBuf {
    if rustix::process::geteuid().is_root() && crate::rootless::user().is_none() {
        return "/var/lib/batchyard".into();
    }
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = folder("XDG_DATA_HOME").or_else(|| Some(folder("HOME")?.join(".local/share")));
    base.map_or_else(|| "batchyard-data".into(), |base| base.join("batchyard"))
}
