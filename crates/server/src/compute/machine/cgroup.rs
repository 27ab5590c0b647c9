//! What is left of an attempt's cgroups once its supervisor is gone, and the memory limit of the server's own.
//!
//! The supervisor makes, fills and removes cgroups; here they are only emptied and removed after one that could not do
//! it any more. Works on v1, hybrid and v2, by looking below every mounted hierarchy.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long leftovers may take to die.
const PATIENCE: Duration = Duration::from_secs(10);

/// Kills all that is left in this cgroup (a path below the root of every hierarchy) and removes it. True: it is empty
/// everywhere, or never was there.
pub fn clear(cgroup: &str) -> bool {
    let deadline = Instant::now() + PATIENCE;
    let folders = folders(cgroup);
    loop {
        let alive: usize = folders.iter().map(|folder| kill_all(folder)).sum();
        if alive == 0 {
            folders.iter().for_each(|folder| remove(folder));
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Removes the cgroup if it is empty; what is not stays.
pub fn remove_empty(cgroup: &str) {
    if cgroup.is_empty() {
        return;
    }
    folders(cgroup).iter().for_each(|folder| remove(folder));
}

/// Removes just this cgroup, if no group and no process is in it.
pub fn remove_empty_alone(cgroup: &str) {
    for folder in folders(cgroup) {
        let _ = fs::remove_dir(folder);
    }
}

fn folders(cgroup: &str) -> Vec<PathBuf> {
    hierarchies().into_iter().map(|root| root.join(cgroup)).filter(|folder| folder.is_dir()).collect()
}

/// Where cgroup hierarchies are mounted.
fn hierarchies() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().filter_map(hierarchy).collect()
}

fn hierarchy(line: &str) -> Option<PathBuf> {
    let mut parts = line.split(' ');
    let (_, target, kind) = (parts.next()?, parts.next()?, parts.next()?);
    matches!(kind, "cgroup" | "cgroup2").then(|| PathBuf::from(target.replace("\\040", " ")))
}

/// Sends SIGKILL to every process below, and says how many there were.
fn kill_all(folder: &Path) -> usize {
    let _ = fs::write(folder.join("cgroup.kill"), "1");
    let below: usize = children(folder).iter().map(|child| kill_all(child)).sum();
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let pids: Vec<Pid> = text.lines().filter_map(|l| Pid::from_raw(l.parse().ok()?)).collect();
    for pid in &pids {
        let _ = kill_process(*pid, Signal::KILL);
    }
    below + pids.len()
}

fn remove(folder: &Path) {
    children(folder).iter().for_each(|child| remove(child));
    let _ = fs::remove_dir(folder);
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
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
    fn hierarchies_of_both_versions_are_found() {
        assert_eq!(
            hierarchy("cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0"),
            Some(PathBuf::from("/sys/fs/cgroup/memory"))
        );
        assert_eq!(
            hierarchy("none /mnt/my\\040groups cgroup2 rw 0 0"),
            Some(PathBuf::from("/mnt/my groups"))
        );
        assert_eq!(hierarchy("tmpfs /sys/fs/cgroup tmpfs rw 0 0"), None);
    }

    #[test]
    fn a_cgroup_that_never_was_is_clear() {
        assert!(clear("batchyard-test-that-never-was/none"));
    }
}
