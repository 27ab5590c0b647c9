//! A task's tmpfs, with its mount options.
//!
//! Never here: which options there are (`tmpfs` of the library), where it goes (mounts).

use super::Plan;
use super::place::{NODEV, NOEXEC, NOSUID, RDONLY, filesystem};
use crate::run::fail::{During, Fail};
use crate::run::sys;
use batchyard_supervisor::Mount;
use rustix::fd::{AsFd, OwnedFd};
use rustix::mount::MountAttrFlags;
use rustix::process::{Gid, Uid};

const NOATIME: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOATIME;
const NODIRATIME: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NODIRATIME;
const STRICTATIME: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_STRICTATIME;

/// Makes it, not yet anywhere.
pub fn make(mount: &Mount, size: u64, options: &[String], plan: &Plan<'_>) -> Result<OwnedFd, Fail> {
    let during = format_args!("make a tmpfs for {}", mount.target);
    let mut attributes = attributes(options);
    attributes.set(RDONLY, mount.readonly);
    let data = data(size, options, plan)?;
    let data: Vec<(&str, &str)> = data.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let made = filesystem("tmpfs", &data, attributes).during(during)?;
    if let Some(spread) = options.iter().rev().find_map(|o| propagation(o)) {
        sys::mount_propagation(made.as_fd(), spread).during(during)?;
    }
    Ok(made)
}

/// The later of two that contradict each other counts.
fn attributes(options: &[String]) -> MountAttrFlags {
    let mut attributes = NOSUID | NODEV | NOEXEC;
    for option in options {
        let (flag, on) = match option.as_str() {
            "suid" => (NOSUID, false),
            "nosuid" => (NOSUID, true),
            "dev" => (NODEV, false),
            "nodev" => (NODEV, true),
            "exec" => (NOEXEC, false),
            "noexec" => (NOEXEC, true),
            "diratime" => (NODIRATIME, false),
            "nodiratime" => (NODIRATIME, true),
            "noatime" => (NOATIME, true),
            "strictatime" => (STRICTATIME, true),
            "atime" => (NOATIME, false),
            "nostrictatime" => (STRICTATIME, false),
            "relatime" => (NOATIME | STRICTATIME, false),
            _ => continue,
        };
        if on && (flag == NOATIME || flag == STRICTATIME) {
            attributes.remove(NOATIME | STRICTATIME);
        }
        attributes.set(flag, on);
    }
    attributes
}

/// What the file system itself is told. The owner is one of the container's.
fn data(size: u64, options: &[String], plan: &Plan<'_>) -> Result<Vec<(&'static str, String)>, Fail> {
    let mut data = vec![("mode", "1777".to_string())];
    if size != 0 {
        data.push(("size", size.to_string()));
    }
    data.extend(flags(options).map(|name| (name, String::new())));
    for option in options {
        let Some((name, value)) = option.split_once('=') else { continue };
        let id = value.parse().unwrap_or_default();
        let mapped = match plan.users {
            Some(users) if name == "uid" => Some(users.on_host(Uid::from_raw(id), Gid::ROOT)?.0.as_raw()),
            Some(users) if name == "gid" => Some(users.on_host(Uid::ROOT, Gid::from_raw(id))?.1.as_raw()),
            _ => None,
        };
        let known = ["mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"];
        let name = known.into_iter().find(|known| *known == name);
        data.extend(name.map(|name| (name, mapped.map_or_else(|| value.to_string(), |id| id.to_string()))));
    }
    Ok(data)
}

/// `dirsync` and `sync` as far as they are asked for.
fn flags(options: &[String]) -> impl Iterator<Item = &'static str> {
    let last = options.iter().rev().find(|o| *o == "sync" || *o == "async");
    let sync = last.is_some_and(|o| o == "sync").then_some("sync");
    let dirsync = options.iter().any(|o| o == "dirsync").then_some("dirsync");
    sync.into_iter().chain(dirsync)
}

/// The same for an OCI runtime. Not all of them let a later option take an earlier one back.
pub fn for_runtime(mount: &Mount, size: u64, options: &[String]) -> Vec<String> {
    let set = attributes(options);
    let names = [
        (NOSUID, "nosuid"),
        (NODEV, "nodev"),
        (NOEXEC, "noexec"),
        (NOATIME, "noatime"),
        (NODIRATIME, "nodiratime"),
        (STRICTATIME, "strictatime"),
    ];
    let mut given: Vec<String> =
        names.iter().filter(|(flag, _)| set.contains(*flag)).map(|(_, name)| name.to_string()).collect();
    given.extend(mount.readonly.then(|| "ro".to_string()));
    given.extend(flags(options).map(str::to_string));
    given.extend(options.iter().rev().find(|o| propagation(o).is_some()).cloned());
    if !options.iter().any(|o| o.starts_with("mode=")) {
        given.push("mode=1777".to_string());
    }
    given.extend(options.iter().filter(|o| o.contains('=')).cloned());
    given.extend((size != 0).then(|| format!("size={size}")));
    given
}

fn propagation(option: &str) -> Option<u64> {
    Some(match option {
        "shared" | "rshared" => libc::MS_SHARED,
        "slave" | "rslave" => libc::MS_SLAVE,
        "private" | "rprivate" => libc::MS_PRIVATE,
        "unbindable" | "runbindable" => libc::MS_UNBINDABLE,
        _ => return None,
    })
}
