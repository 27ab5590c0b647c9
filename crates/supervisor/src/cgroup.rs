//! Where an attempt's control groups are on this host, and how what is left in them is ended.
//!
//! Found out from the kernel's own tables, for version 1, version 2 and the mix of both; the same path below the root
//! of every hierarchy. Shared with the server, which must know an attempt's groups empty before it calls it lost.
//! Never here: limits and counters (the program has those).

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The controllers of version 1 that an attempt joins. Others cost a wait of the kernel at each start for nothing.
pub const V1_CONTROLLERS: [&str; 4] = ["memory", "cpu", "pids", "devices"];

/// The control group file systems of this host as this process sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hierarchies {
    /// Version 1: the mount folder of each controller of [`V1_CONTROLLERS`] that is there.
    pub v1: Vec<(&'static str, PathBuf)>,
    /// Version 2: the mount folder.
    pub v2: Option<PathBuf>,
    /// This process's own group in version 2, as a path below the mount folder.
    pub own: PathBuf,
}

impl Hierarchies {
    /// Reads `/proc/self/mountinfo` and `/proc/self/cgroup`. Errors: they cannot be read.
    pub fn read() -> io::Result<Self> {
        let mounts = std::fs::read("/proc/self/mountinfo")?;
        let own = std::fs::read("/proc/self/cgroup")?;
        Ok(Self::parse(&String::from_utf8_lossy(&mounts), &String::from_utf8_lossy(&own)))
    }

    /// Understands the text of those two files.
    pub fn parse(mountinfo: &str, own: &str) -> Self {
        let mut found = Self::default();
        for line in mountinfo.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let Some(folder) = left.split(' ').nth(4).map(unescape) else { continue };
            let mut right = right.split(' ');
            match (right.next(), right.nth(1)) {
                (Some("cgroup"), Some(options)) => {
                    for name in V1_CONTROLLERS {
                        let known = found.v1.iter().any(|(n, _)| *n == name);
                        if !known && options.split(',').any(|o| o == name) {
                            found.v1.push((name, folder.clone()));
                        }
                    }
                }
                (Some("cgroup2"), _) if found.v2.is_none() => found.v2 = Some(folder),
                _ => {}
            }
        }
        let own = own.lines().find_map(|l| l.strip_prefix("0::")).unwrap_or("/");
        found.own = PathBuf::from(own.trim_start_matches('/'));
        found
    }

    /// The folders that belong to the attempt's group `cgroup` (the task's field) and exist now.
    pub fn folders(&self, cgroup: &str) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = Vec::new();
        let v2 = self.v2.iter().flat_map(|mount| self.v2_bases(mount));
        for base in self.v1.iter().map(|(_, mount)| mount.clone()).chain(v2) {
            let folder = base.join(cgroup);
            if !folders.contains(&folder) && folder.is_dir() {
                folders.push(folder);
            }
        }
        folders
    }

    /// The controllers that limit attempts in version 2, mounted there: those that it offers and version 1 has not.
    pub fn v2_controllers(&self, mount: &Path) -> Vec<&'static str> {
        let offered = std::fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default();
        let in_v1 = |name: &str| self.v1.iter().any(|(n, _)| *n == name);
        let wanted = ["memory", "cpu", "pids"].into_iter().filter(|name| !in_v1(name));
        wanted.filter(|name| offered.split_whitespace().any(|o| o == *name)).collect()
    }

    /// Where attempts' groups may lie in version 2, in the order to try: the root, or, where that may not be written
    /// (a service manager's delegation, a container), beside or below this process's own group.
    pub fn v2_bases(&self, mount: &Path) -> Vec<PathBuf> {
        let own = mount.join(&self.own);
        let beside = self.own.parent().map_or_else(|| own.clone(), |p| mount.join(p));
        let mut bases = vec![mount.to_path_buf()];
        for base in [own, beside] {
            if !bases.contains(&base) {
                bases.push(base);
            }
        }
        bases
    }
}

/// Makes `cgroup` below `base` with as many of the `wanted` controllers of version 2 as there are.
///
/// # Errors
/// It cannot be made, or has no memory controller though that is wanted.
pub fn make_below(base: &Path, cgroup: &str, wanted: &[&str]) -> io::Result<PathBuf> {
    let folder = base.join(cgroup);
    std::fs::create_dir_all(&folder)?;
    let made = enable(base, cgroup, wanted).and_then(|()| {
        if !wanted.contains(&"memory") || folder.join("memory.max").exists() {
            return Ok(folder.clone());
        }
        Err(io::Error::other(format!("no memory controller in {}", folder.display())))
    });
    if made.is_err() {
        // Those that others have groups in stay.
        for part in folder.ancestors().take(Path::new(cgroup).components().count()) {
            let _ = std::fs::remove_dir(part);
        }
    }
    made
}

/// Has the wanted controllers given to all groups on the way from `base` to `cgroup`.
fn enable(base: &Path, cgroup: &str, wanted: &[&str]) -> io::Result<()> {
    let mut at = base.to_path_buf();
    for part in Path::new(cgroup) {
        let control = at.join("cgroup.subtree_control");
        let enabled = std::fs::read_to_string(&control)?;
        for name in wanted.iter().filter(|w| !enabled.split_whitespace().any(|e| e == **w)) {
            if let Err(e) = std::fs::write(&control, format!("+{name}")) {
                eprintln!("enable {name} in {}: {e}", at.display());
            }
        }
        at.push(part);
    }
    Ok(())
}

/// Whether no process is in any of `folders`, nor in a group below.
pub fn is_empty(folders: &[PathBuf]) -> bool {
    folders.iter().all(|f| processes(f).is_empty())
}

/// Kills every process in `folders` until none is left, at most for `patience`. True when all are gone.
pub fn kill_all(folders: &[PathBuf], patience: Duration) -> bool {
    let mut waited = Duration::ZERO;
    loop {
        let left: Vec<i32> = folders.iter().flat_map(|f| processes(f)).collect();
        if left.is_empty() {
            return true;
        }
        if waited >= patience {
            return false;
        }
        for folder in folders {
            // Version 2 since Linux 5.14; elsewhere there is no such file.
            let _ = std::fs::OpenOptions::new()
                .write(true)
                .open(folder.join("cgroup.kill"))
                .and_then(|mut f| io::Write::write_all(&mut f, b"1"));
        }
        for pid in left.into_iter().filter_map(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        let pause = Duration::from_millis(2);
        std::thread::sleep(pause);
        waited += pause;
    }
}

/// Removes `folders` and all groups below them. The kernel may need a moment after the last process: tries at most for
/// `patience`. Errors: the last one met.
pub fn remove(folders: &[PathBuf], patience: Duration) -> io::Result<()> {
    let mut waited = Duration::ZERO;
    loop {
        let mut result = Ok(());
        for folder in folders {
            if let Err(e) = remove_tree(folder) {
                result = Err(e);
            }
        }
        if result.is_ok() || waited >= patience {
            return result;
        }
        let pause = Duration::from_millis(1);
        std::thread::sleep(pause);
        waited += pause;
    }
}

fn remove_tree(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir(folder) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) => {}
    }
    for below in groups_below(folder) {
        remove_tree(&below)?;
    }
    match std::fs::remove_dir(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn groups_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
}

fn processes(folder: &Path) -> Vec<i32> {
    let text = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let mut found: Vec<i32> = text.lines().filter_map(|l| l.parse().ok()).collect();
    for below in groups_below(folder) {
        found.extend(processes(&below));
    }
    found
}

/// Paths of mountinfo write space, tab, newline and backslash as octal.
fn unescape(path: &str) -> PathBuf {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('\\') {
        let (before, code) = rest.split_at(at);
        out.push_str(before);
        match code.get(1..4).and_then(|c| u8::from_str_radix(c, 8).ok()) {
            Some(byte) => {
                out.push(char::from(byte));
                rest = &code[4..];
            }
            None => {
                out.push('\\');
                rest = &code[1..];
            }
        }
    }
    out.push_str(rest);
    PathBuf::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_of_both_versions_is_understood() {
        let mounts = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
            35 31 0:32 / /sys/fs/cgroup/mem\\040ory rw - cgroup cgroup rw,memory\n\
            40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let found = Hierarchies::parse(mounts, "4:memory:/a\n0::/user.slice/x\n");
        let v1 = [("cpu", "/sys/fs/cgroup/cpu,cpuacct"), ("memory", "/sys/fs/cgroup/mem ory")];
        assert_eq!(found.v1, v1.map(|(n, p)| (n, PathBuf::from(p))));
        assert_eq!(found.v2, Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(found.own, PathBuf::from("user.slice/x"));
        let bases = found.v2_bases(Path::new("/m"));
        assert_eq!(bases, ["/m", "/m/user.slice/x", "/m/user.slice"].map(PathBuf::from));
    }

    #[test]
    fn hostile_tables_do_not_panic() {
        for text in
            ["", " - ", "a - cgroup", "1 2 3 4 \\ - cgroup2 x", "1 2 3 4 \\9é - cgroup a memory", "\\\\\\"]
        {
            Hierarchies::parse(text, text);
            unescape(text);
        }
    }
}
