//! The host's own root as that of an ordinary user's container.
//!
//! In a user namespace the kernel lays no overlay over a folder that has mounts in it, as `/` has. So the folders of the
//! host's root are mounted one by one, read-only, on an empty root that can be written. What else is mounted on the
//! host is covered, as an overlay of the root would not show it either. Never here: what of it is secret (the task's
//! mounts).

use super::hide::{empty_folder, is_folder, present};
use super::place::{Kind, RDONLY, Root, attach, copy_host, restrict};
use crate::run::fail::{During, Fail};
use rustix::fs::CWD;
use std::path::{Path, PathBuf};

/// The kernel's, which a container has of its own.
const OWN: [&str; 3] = ["/dev", "/proc", "/sys"];
/// Where mounts hold programs and libraries; those are mounted by the task.
const PROGRAMS: [&str; 8] = ["/bin", "/lib", "/lib32", "/lib64", "/nix", "/opt", "/sbin", "/usr"];

/// Shows it on an empty root.
pub fn show(root: &Root) -> Result<(), Fail> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").during("read the table of mounts")?;
    let mounts = mount_points(&table);
    for entry in std::fs::read_dir("/").during("list the host's root")?.flatten() {
        let (Ok(kind), Some(name)) = (entry.file_type(), entry.file_name().into_string().ok()) else {
            continue;
        };
        let path = format!("/{name}");
        let during = format_args!("show {path}");
        if kind.is_symlink() {
            let target = rustix::fs::readlinkat(CWD, &path, Vec::new()).during(during)?;
            rustix::fs::symlinkat(&target, &root.fd, &name).during(during)?;
        } else if kind.is_dir() {
            let place = root.make(&path, Kind::Dir).during(during)?;
            if !OWN.contains(&path.as_str()) && !is_foreign(Path::new(&path), &mounts) {
                let folder = copy_host(&path, true).during(during)?;
                restrict(&folder, true, RDONLY).during(during)?;
                attach(&folder, &place).during(during)?;
            }
        }
    }
    mounts.iter().filter(|m| is_foreign(m, &mounts)).try_for_each(|mount| cover(root, mount))
}

/// Whether this is a mount of its own and not of programs.
fn is_foreign(path: &Path, mounts: &[PathBuf]) -> bool {
    let is = |list: &[&str]| list.iter().any(|known| path.starts_with(known));
    path != Path::new("/") && mounts.iter().any(|m| m == path) && !is(&PROGRAMS) && !is(&OWN)
}

fn cover(root: &Root, mount: &Path) -> Result<(), Fail> {
    let during = format_args!("cover {}", mount.display());
    let Some(place) = mount.to_str().map(|path| present(root, path)).transpose()?.flatten() else {
        return Ok(());
    };
    match is_folder(&place).during(during)? {
        true => attach(&empty_folder().during(during)?, &place).during(during),
        // A single file that somebody mounted to be seen, such as a container's resolv.conf.
        false => Ok(()),
    }
}

/// Names with odd characters are written in octal; those are not found and so not covered, and nothing is in them but what
/// the user may read.
fn mount_points(table: &str) -> Vec<PathBuf> {
    table.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_programs_are_shown_and_others_covered() {
        let table = "1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /usr rw - ext4 b rw\n3 1 8:3 / /data rw - ext4 c rw\n\
                     4 1 8:4 / /proc rw - proc p rw\n5 3 8:5 / /data/deep rw - ext4 d rw\n";
        let mounts = mount_points(table);
        let foreign: Vec<_> = mounts.iter().filter(|m| is_foreign(m, &mounts)).collect();
        assert_eq!(foreign, [Path::new("/data"), Path::new("/data/deep")]);
        assert!(!is_foreign(Path::new("/etc"), &mounts));
    }
}
