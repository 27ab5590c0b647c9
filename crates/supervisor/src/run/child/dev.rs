//! `/dev`: a small file system in memory with the harmless devices, those that were asked for, terminals, shared memory
//! and message queues.
//!
//! Never here: which devices may be opened (the limits fence them).

use super::Plan;
use super::place::{Kind, NODEV, NOEXEC, NOSUID, Root, attach, copy_host, filesystem};
use crate::run::devices::{self, Node};
use crate::run::fail::{During, Fail};
use batchyard_supervisor::Container;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dev, FileType, Gid, Mode, Uid, makedev};
use rustix::io::Errno;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// Docker's size of /dev/shm, for tasks that name none.
const DEFAULT_SHM: u64 = 64 << 20;
/// Name, major and minor number of the devices that every container has.
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
/// Names and targets of the links in it.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Size of the container's /dev/shm.
pub fn shm_bytes(c: &Container) -> u64 {
    if c.shm_bytes == 0 { DEFAULT_SHM } else { c.shm_bytes }
}

/// Mounts it.
pub fn mount(root: &Root, plan: &Plan<'_>) -> Result<(), Fail> {
    let c = plan.container;
    let dev = filesystem("tmpfs", &[("mode", "755"), ("size", "64m")], NOSUID).during("make /dev")?;
    let copied = plan.rootless.is_some();
    for (name, major, minor) in DEVICES.iter().filter(|_| !copied) {
        make(&dev, name, FileType::CharacterDevice, 0o666, makedev(*major, *minor))
            .during(format_args!("make /dev/{name}"))?;
    }
    for (name, target) in LINKS {
        rustix::fs::symlinkat(target, &dev, name).during(format_args!("make /dev/{name}"))?;
    }
    for name in ["pts", "shm", "mqueue"] {
        rustix::fs::mkdirat(&dev, name, Mode::from_raw_mode(0o755))
            .during(format_args!("make /dev/{name}"))?;
    }
    if c.privileged && !copied {
        copy_devices(Path::new("/dev"), &dev);
    }
    attach(&dev, &root.make("/dev", Kind::Dir).during("make /dev")?).during("mount /dev")?;
    if copied {
        host_devices(root, c)?;
    } else {
        devices::nodes(c)?.iter().try_for_each(|node| give(root, plan, node))?;
    }

    let terminals = plan.users.map_or(5, |users| users.group(5)).to_string();
    let pts = [("ptmxmode", "0666"), ("mode", "0620"), ("gid", &terminals)];
    // With a single id there is no group of terminals.
    let single = plan.rootless.is_some_and(|r| r.ids <= 5);
    below(root, "/dev/pts", filesystem_flagged("devpts", &pts[..if single { 2 } else { 3 }])?)?;
    let size = shm_bytes(c).to_string();
    let shm = filesystem("tmpfs", &[("mode", "1777"), ("size", &size)], NOSUID | NODEV | NOEXEC);
    below(root, "/dev/shm", shm.during("make /dev/shm")?)?;
    match filesystem("mqueue", &[], NOSUID | NODEV | NOEXEC) {
        Ok(queues) => {
            // Made with the namespace, before anything else was this one's.
            plan.users.map_or(Ok(()), |users| users.give(&queues, "/dev/mqueue"))?;
            below(root, "/dev/mqueue", queues)
        }
        // A kernel without message queues.
        Err(Errno::NODEV) => Ok(()),
        Err(e) => Err(e).during("make /dev/mqueue"),
    }
}

/// The host's own device files, mounted: in a user namespace nobody makes any. The kernel asks for the rights that they
/// have on the host.
fn host_devices(root: &Root, c: &Container) -> Result<(), Fail> {
    for (name, ..) in DEVICES {
        let path = format!("/dev/{name}");
        host_device(root, &path, &path).during(format_args!("mount {path}"))?;
    }
    for node in devices::nodes(c)? {
        let during = format_args!("mount the device {}", node.target);
        if !has(&node)? {
            host_device(root, &node.source, &node.target).during(during)?;
        }
    }
    if c.privileged {
        all_devices(root, Path::new("/dev"));
    }
    Ok(())
}

fn host_device(root: &Root, source: &str, target: &str) -> Result<(), Errno> {
    attach(&copy_host(source, false)?, &root.make(target, Kind::File)?)
}

/// Those that cannot be had are left out.
fn all_devices(root: &Root, folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (Ok(kind), Ok(path)) = (entry.file_type(), entry.path().into_os_string().into_string()) else {
            continue;
        };
        let own = ["/dev/pts", "/dev/shm", "/dev/mqueue"].contains(&path.as_str());
        if kind.is_dir() && !own {
            all_devices(root, Path::new(&path));
        } else if (kind.is_char_device() || kind.is_block_device()) && root.find(&path).is_err() {
            let _ = host_device(root, &path, &path);
        }
    }
}

/// Makes the file of a device that was asked for, with the rights that it has on this host.
fn give(root: &Root, plan: &Plan<'_>, node: &Node) -> Result<(), Fail> {
    let during = format_args!("make the device {}", node.target);
    let (folder, name) = node.target.rsplit_once('/').unwrap_or(("", &node.target));
    if matches!(name, "" | "." | "..") {
        return Err(Fail::runtime(format_args!("{during}: the path must end in a name")));
    }
    let folder = root.make(folder, Kind::Dir).during(during)?;
    let kind = if node.block { FileType::BlockDevice } else { FileType::CharacterDevice };
    match make(&folder, name, kind, node.mode, node.number) {
        Err(Errno::EXIST) => {
            let found = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).during(during)?;
            return node.same_as(&found);
        }
        made => made.during(during)?,
    }
    let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
    let (uid, gid) = match plan.users {
        // An owner that no container has: its root is.
        Some(users) => users.on_host(uid, gid).or_else(|_| users.on_host(Uid::ROOT, Gid::ROOT))?,
        None => (uid, gid),
    };
    rustix::fs::chownat(&folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).during(during)
}

/// Whether it is one that every container has.
///
/// # Errors
/// It would be another device in the place of one of those.
pub fn has(node: &Node) -> Result<bool, Fail> {
    let Some(name) = node.target.strip_prefix("/dev/") else { return Ok(false) };
    let Some((_, major, minor)) = DEVICES.iter().find(|(own, ..)| *own == name) else {
        return Ok(false);
    };
    if !node.block && node.number == makedev(*major, *minor) {
        return Ok(true);
    }
    Err(node.taken())
}

fn filesystem_flagged(kind: &str, options: &[(&str, &str)]) -> Result<OwnedFd, Fail> {
    // Every mount of devpts is an instance of its own since Linux 4.7.
    filesystem(kind, options, NOSUID | NOEXEC).during(format_args!("make {kind}"))
}

fn below(root: &Root, path: &str, mount: OwnedFd) -> Result<(), Fail> {
    attach(&mount, &root.find(path).during(path)?).during(format_args!("mount {path}"))
}

fn make(folder: impl AsFd, name: &str, kind: FileType, mode: u32, device: Dev) -> Result<(), Errno> {
    rustix::fs::mknodat(folder, name, kind, Mode::from_raw_mode(mode), device)
}

/// Gives a privileged container the host's devices. Those that cannot be copied are left out.
fn copy_devices(from: &Path, to: &OwnedFd) {
    for entry in std::fs::read_dir(from).into_iter().flatten().flatten() {
        let (Ok(found), Ok(name)) =
            (std::fs::symlink_metadata(entry.path()), entry.file_name().into_string())
        else {
            continue;
        };
        let kind = FileType::from_raw_mode(found.mode());
        match kind {
            FileType::CharacterDevice | FileType::BlockDevice => {
                let made = make(to, &name, kind, found.mode() & 0o7777, found.rdev());
                if made.is_ok() {
                    let (uid, gid) = (Uid::from_raw(found.uid()), Gid::from_raw(found.gid()));
                    let _ = rustix::fs::chownat(
                        to,
                        name,
                        Some(uid),
                        Some(gid),
                        rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
                    );
                }
            }
            FileType::Directory if !["pts", "shm", "mqueue"].contains(&name.as_str()) => {
                let flags = rustix::fs::OFlags::DIRECTORY
                    | rustix::fs::OFlags::CLOEXEC
                    | rustix::fs::OFlags::NOFOLLOW;
                let _ = rustix::fs::mkdirat(to, name.as_str(), Mode::from_raw_mode(0o755));
                if let Ok(folder) = rustix::fs::openat(to, name.as_str(), flags, Mode::empty()) {
                    copy_devices(&entry.path(), &folder);
                }
            }
            _ => {}
        }
    }
}
