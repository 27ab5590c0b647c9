//! What is left of an attempt's cgroups once its supervisor is gone, and the memory limit of the server's own.
//!
//! Where cgroups are and how what is in them is ended is the supervisor library's knowledge. Never here: making them.

use batchyard_supervisor::cgroup::{self, Hierarchies};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// How long leftovers may take to die.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the kernel may take to let an empty cgroup go.
const MOMENT: Duration = Duration::from_millis(500);

/// Kills all that is left in this cgroup (a path below the root of every hierarchy) and removes it. True: it is empty
/// everywhere, or never was there.
pub fn clear(cgroup: &str) -> bool {
    let folders = folders(cgroup);
    let empty = cgroup::kill_all(&folders, PATIENCE);
    if empty {
        removed(cgroup, &folders);
    }
    empty
}

/// Removes the cgroup and those below it if no process is in them.
pub fn remove_empty(cgroup: &str) {
    let folders = folders(cgroup);
    if cgroup::is_empty(&folders) {
        removed(cgroup, &folders);
    }
}

/// Removes just this cgroup, if no group and no process is in it.
pub fn remove_alone(cgroup: &str) {
    for folder in folders(cgroup) {
        let _ = fs::remove_dir(folder);
    }
}

/// Keeps something of this machine from all jobs together, whatever capacity is declared: makes the group above theirs
/// with limits. Memory in bytes; processors in thousandths, none for no limit.
///
/// # Errors
/// No hierarchy lets it; jobs are limited one by one all the same.
pub fn bound_all(cgroup: &str, memory: u64, processes: u64, processors_milli: Option<u64>) -> io::Result<()> {
    const PERIOD_US: u64 = 100_000;
    let found = Hierarchies::read()?;
    let quota_us = processors_milli.map(|milli| (milli * PERIOD_US / 1000).max(1000));
    let v1 = |name: &str| found.v1.iter().find(|(n, _)| *n == name).map(|(_, mount)| mount.join(cgroup));
    if let Some(folder) = v1("memory") {
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("memory.limit_in_bytes"), memory.to_string())?;
    }
    if let Some(folder) = v1("pids") {
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("pids.max"), processes.to_string())?;
    }
    if let (Some(folder), Some(quota_us)) = (v1("cpu"), quota_us) {
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("cpu.cfs_quota_us"), quota_us.to_string())?;
    }
    let (Some(mount), None) = (&found.v2, v1("memory")) else { return Ok(()) };
    let mut made = Err(io::ErrorKind::NotFound.into());
    for base in found.v2_bases(mount) {
        made = cgroup::make_below(&base, cgroup, &["memory", "cpu", "pids"]);
        if made.is_ok() {
            break;
        }
    }
    let folder = made?;
    fs::write(folder.join("memory.max"), memory.to_string())?;
    if folder.join("pids.max").exists() {
        fs::write(folder.join("pids.max"), processes.to_string())?;
    }
    match quota_us {
        Some(quota_us) => fs::write(folder.join("cpu.max"), format!("{quota_us} {PERIOD_US}")),
        None => Ok(()),
    }
}

fn removed(cgroup: &str, folders: &[PathBuf]) {
    if let Err(error) = cgroup::remove(folders, MOMENT) {
        tracing::warn!(cgroup, %error, "an empty cgroup cannot be removed");
    }
}

fn folders(cgroup: &str) -> Vec<PathBuf> {
    if cgroup.is_empty() {
        return Vec::new();
    }
    Hierarchies::read().map(|found| found.folders(cgroup)).unwrap_or_default()
}

/// The memory limit of the cgroup that the server lives in, if it has one.
pub fn memory_limit() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let candidates = own.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let path = path.trim_start_matches('/');
        match controllers {
            "" => Some(vec![format!("/sys/fs/cgroup/{path}/memory.max")]),
            c if c.split(',').any(|c| c == "memory") => Some(vec![
                format!("/sys/fs/cgroup/memory/{path}/memory.limit_in_bytes"),
                "/sys/fs/cgroup/memory/memory.limit_in_bytes".to_string(),
            ]),
            _ => None,
        }
    });
    candidates.flatten().filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_that_never_was_is_clear() {
        assert!(clear("batchyard-test-that-never-was/none"));
    }

    #[test]
    fn no_name_is_no_cgroup() {
        assert!(folders("").is_empty());
    }
}
