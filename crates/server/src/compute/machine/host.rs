//! What this machine is to the engine: a host with a stable name, its processors and its memory.
//!
//! Never here: who gets how much of it.

use batchyard_engine::HostId;
use batchyard_engine::resource::Host;
use batchyard_supervisor::format::to_hex;
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::Path;

/// This machine's row id among hosts.
pub const THIS_HOST: HostId = HostId(1);

/// What settings declare about the machine; absent values are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Declared {
    /// vCPUs in thousandths; may be more than there are.
    pub vcpus_milli: Option<u64>,
    /// Memory for jobs, MiB; may be more than there is.
    pub memory_mib: Option<u64>,
    /// vCPUs that stay with the host.
    pub reserved_vcpus: u32,
    /// Memory that stays with the host, MiB; absent: a twentieth, at least 128 MiB and at most 1 GiB.
    pub reserved_memory_mib: Option<u64>,
}

/// The facts of this machine.
///
/// # Errors
/// The id must be kept in the data folder (no machine id here) and cannot be, or memory cannot be read.
pub fn facts(data: &Path, declared: Declared) -> io::Result<Host> {
    let vcpus_milli = match declared.vcpus_milli {
        Some(vcpus) => vcpus,
        None => processors_milli(declared),
    };
    let memory_mib = match declared.memory_mib {
        Some(memory) => memory,
        None => memory_mib(declared)?,
    };
    Ok(Host {
        id: THIS_HOST,
        instance_id: instance_id(data)?.into(),
        vcpus_milli,
        memory_mib,
        environment: None,
    })
}

/// Processors of this machine that are for jobs, in thousandths: at least one.
pub fn processors_milli(declared: Declared) -> u64 {
    let found = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    found.saturating_sub(declared.reserved_vcpus.into()).max(1) * 1000
}

/// Memory of this machine that is for jobs, MiB.
///
/// # Errors
/// It cannot be read.
pub fn memory_mib(declared: Declared) -> io::Result<u64> {
    Ok(usable_mib(found_bytes()? >> 20, declared.reserved_memory_mib))
}

/// Numbers that this machine has for processes and threads, by the smallest of the kernel's limits.
pub fn process_numbers() -> u64 {
    // The first pid namespace. Others have a limit of their own since Linux 6.14, which tells nothing of the machine's;
    // then that is taken to be the kernel's default.
    let first = fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() == "pid:[4026531836]");
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let default = (processors * 1024).max(32_768);
    let limits = ["/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"];
    let found = limits.iter().filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok()).min();
    match found {
        Some(found) if first => found,
        found => found.unwrap_or(default).min(default),
    }
}

/// What is left for jobs of the memory found.
fn usable_mib(total_mib: u64, reserved: Option<u64>) -> u64 {
    total_mib.saturating_sub(reserved.unwrap_or((total_mib / 20).clamp(128, 1024)))
}

/// `i-` and 17 hexadecimal digits that are the same after every start. A digest, because the machine id itself is not
/// to be shown around.
fn instance_id(data: &Path) -> io::Result<String> {
    let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let machine = machine.trim();
    let seed = if machine.len() == 32 && machine.bytes().all(|b| b.is_ascii_hexdigit()) {
        machine.to_string()
    } else {
        kept_id(&data.join("machine-id"))?
    };
    let digest = Sha256::digest(format!("batchyard instance {seed}"));
    Ok(format!("i-{}", &to_hex(&digest)[..17]))
}

fn kept_id(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_string()),
        _ => {
            let id = uuid::Uuid::new_v4().simple().to_string();
            super::folder::write_atomically(path, id.as_bytes())?;
            Ok(id)
        }
    }
}

/// The machine's memory, or what the server's own cgroup allows if that is less.
fn found_bytes() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let total = meminfo_total(&text)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/meminfo has no MemTotal"))?;
    Ok(super::cgroup::memory_limit().map_or(total, |limit| limit.min(total)))
}

fn meminfo_total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::machine::testing::TempFolder;

    #[test]
    fn declared_capacity_wins_over_what_is_there() {
        let data = TempFolder::new();
        let declared =
            Declared { vcpus_milli: Some(512_500), memory_mib: Some(1 << 24), ..Declared::default() };
        let host = facts(data.path(), declared).expect("facts");
        assert_eq!((host.vcpus_milli, host.memory_mib), (512_500, 1 << 24));
        let found = facts(data.path(), Declared::default()).expect("facts");
        assert!(found.vcpus_milli >= 1000 && found.memory_mib > 0, "{found:?}");
    }

    #[test]
    fn the_instance_id_is_stable_and_looks_like_one() {
        let data = TempFolder::new();
        let first = instance_id(data.path()).expect("id");
        assert_eq!(instance_id(data.path()).expect("id"), first);
        let digits = first.strip_prefix("i-").expect("prefix");
        assert!(digits.len() == 17 && digits.bytes().all(|b| b.is_ascii_hexdigit()), "{first}");
    }

    #[test]
    fn a_kept_id_survives() {
        let data = TempFolder::new();
        let path = data.path().join("machine-id");
        let id = kept_id(&path).expect("made");
        assert_eq!(kept_id(&path).expect("read"), id);
    }

    #[test]
    fn the_system_keeps_a_little() {
        assert_eq!(usable_mib(1000, None), 872);
        assert_eq!(usable_mib(100_000, None), 98_976);
        assert_eq!(usable_mib(64, None), 0);
        assert_eq!(usable_mib(1000, Some(300)), 700);
        assert_eq!(meminfo_total("MemFree: 1 kB\nMemTotal:       2048 kB\n"), Some(2 << 20));
    }
}
