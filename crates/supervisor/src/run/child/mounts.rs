//! The task's mounts on top of the root, in its order, and the files of names: the container's own or the host's.
//!
//! Never here: resolving paths (place), the kernel's file systems (pseudo).

use super::hide::{empty_folder, is_folder, present};
use super::place::{Kind, NODEV, NOEXEC, NOSUID, RDONLY, Root, attach, copy, copy_host, restrict};
use super::{Plan, tmpfs};
use crate::run::devices;
use crate::run::fail::{During, Fail};
use batchyard_supervisor::{Mount, MountKind};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::path::Path;

/// Name in the scratch folder of the empty file that masks files.
const EMPTY: &str = "empty";

/// Files that tell names.
pub const HOST_FILES: [&str; 3] = ["/etc/resolv.conf", "/etc/hosts", "/etc/hostname"];

/// `resolv.conf`, `hosts`, `hostname`: the container's own, writable, as Docker has them; those that it has not come with
/// the host's network, read-only. The host's own root has them already.
pub fn name_files(root: &Root, plan: &Plan<'_>) -> Result<(), Fail> {
    let c = plan.container;
    for (index, file) in c.files.iter().enumerate() {
        let during = format_args!("write {}", file.path);
        // In the scratch folder, which is the working folder until the root is entered, and within its bounds.
        let name = format!("file{index}");
        std::fs::write(&name, &file.text).during(during)?;
        rustix::fs::chmod(&name, Mode::from_raw_mode(0o644)).during(during)?;
        let mount = copy_host(&name, false).during(during)?;
        restrict(&mount, false, NOSUID | NODEV | NOEXEC).during(during)?;
        if let Some(users) = plan.users {
            users.give(&mount, &file.path)?;
        }
        place_file(root, &file.path, &mount)?;
    }
    if c.layers == ["/"] {
        return Ok(());
    }
    for path in HOST_FILES {
        if !Path::new(path).is_file() || c.files.iter().any(|f| f.path == path) {
            continue;
        }
        let mount = copy_host(path, false).during(format_args!("copy {path}"))?;
        restrict(&mount, false, RDONLY | NOSUID | NODEV | NOEXEC).during(format_args!("restrict {path}"))?;
        place_file(root, path, &mount)?;
    }
    Ok(())
}

/// An image may hold something odd there; then it keeps it.
fn place_file(root: &Root, path: &str, mount: &OwnedFd) -> Result<(), Fail> {
    match root.make(path, Kind::File) {
        Ok(target) if !is_folder(&target).during(format_args!("look at {path}"))? => {
            attach(mount, &target).during(format_args!("mount {path}"))
        }
        Ok(_) => Ok(()),
        Err(e) => {
            eprintln!("{path} of the image is left as it is: {e}");
            Ok(())
        }
    }
}

/// Mounts all.
pub fn mount_all(root: &Root, plan: &Plan<'_>) -> Result<(), Fail> {
    for mount in &plan.container.mounts {
        check_target(mount)?;
        match &mount.kind {
            MountKind::Bind(source) => bind(root, mount, source, plan)?,
            MountKind::BindWithin(folder, source) => bind_within(root, mount, folder, source, plan)?,
            MountKind::Tmpfs(size, options) => {
                put(root, mount, &tmpfs::make(mount, *size, options, plan)?, Kind::Dir)?;
            }
            MountKind::Mask => mask(root, &mount.target)?,
        }
    }
    Ok(())
}

/// The root itself is no place for a mount.
pub fn check_target(mount: &Mount) -> Result<(), Fail> {
    if mount.target.split('/').all(|p| matches!(p, "" | "." | "..")) {
        return Err(Fail::runtime(format_args!("mount target {:?} is the root", mount.target)));
    }
    Ok(())
}

/// Makes the folder of this host that is to be mounted, if nothing is there. True: it was made.
pub fn make_source(mount: &Mount, source: &str) -> Result<bool, Fail> {
    if !source.starts_with('/') {
        let text = format_args!("mount {source} to {}: the source is not an absolute path", mount.target);
        return Err(Fail::runtime(text));
    }
    let missing = !Path::new(source).exists();
    if missing {
        std::fs::create_dir_all(source).during(format_args!("make {source}"))?;
    }
    Ok(missing)
}

fn bind(root: &Root, mount: &Mount, source: &str, plan: &Plan<'_>) -> Result<(), Fail> {
    let during = format_args!("mount {source} to {}", mount.target);
    if make_source(mount, source)? {
        // What is made for the job is its own; what is there keeps its owner, and the job is nobody to it.
        if let Some(users) = plan.users {
            let made = copy_host(source, false).during(during)?;
            users.give(&made, source)?;
        }
    }
    let tree = copy_host(source, true).during(during)?;
    put_bind(root, mount, &tree, source, plan)
}

/// The path is looked up by the kernel as if the folder were the root: what jobs put into shared folders leads nowhere
/// else.
fn bind_within(root: &Root, mount: &Mount, folder: &str, source: &str, plan: &Plan<'_>) -> Result<(), Fail> {
    let tree = within(mount, folder, source)?;
    put_bind(root, mount, &tree, source, plan)
}

/// A copy of the mount at this path of the host, which is below the folder whatever links there are.
pub fn within(mount: &Mount, folder: &str, source: &str) -> Result<OwnedFd, Fail> {
    let during = format_args!("mount {source} to {}", mount.target);
    let folder = folder.trim_end_matches('/');
    let Some(below) = source.strip_prefix(folder).filter(|b| b.is_empty() || b.starts_with('/')) else {
        return Err(Fail::runtime(format_args!("{during}: it is not in {folder}")));
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = if folder.is_empty() { "/" } else { folder };
    let top = rustix::fs::open(top, flags, Mode::empty()).during(format_args!("open {folder}"))?;
    let found = Root { fd: top }.make(below, Kind::Dir).during(during)?;
    copy(&found, "", true).during(during)
}

fn put_bind(root: &Root, mount: &Mount, tree: &OwnedFd, source: &str, plan: &Plan<'_>) -> Result<(), Fail> {
    let during = format_args!("mount {source} to {}", mount.target);
    let found = rustix::fs::fstat(tree).during(during)?;
    let kind = FileType::from_raw_mode(found.st_mode);
    let mut attributes = MountAttrFlags::empty();
    attributes.set(RDONLY, mount.readonly);
    // Without a fence around devices, a device file in a shared folder must not be one. One that was asked for may.
    let unfenced = !plan.devices_fenced && !plan.container.privileged;
    let given = |block| unfenced && devices::given(plan.container, block, found.st_rdev);
    let device = match kind {
        FileType::CharacterDevice => given(false),
        FileType::BlockDevice => given(true),
        _ => false,
    };
    attributes.set(NODEV, unfenced && !device);
    if !attributes.is_empty() {
        restrict(tree, true, attributes).during(during)?;
    }
    put(root, mount, tree, if kind == FileType::Directory { Kind::Dir } else { Kind::File })
}

fn put(root: &Root, mount: &Mount, tree: &OwnedFd, kind: Kind) -> Result<(), Fail> {
    let target = root.make(&mount.target, kind).during(format_args!("make mount target {}", mount.target))?;
    attach(tree, &target).during(format_args!("mount on {}", mount.target))
}

fn mask(root: &Root, path: &str) -> Result<(), Fail> {
    let Some(target) = present(root, path)? else { return Ok(()) };
    let during = format_args!("mask {path}");
    let cover = if is_folder(&target).during(during)? {
        empty_folder().during(during)?
    } else {
        // In the scratch folder, which is the working folder until the root is entered.
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::EXCL | OFlags::CLOEXEC;
        match rustix::fs::openat(CWD, EMPTY, flags, Mode::from_raw_mode(0o444)) {
            Ok(_) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e).during(during),
        }
        let file = copy_host(EMPTY, false).during(during)?;
        restrict(&file, false, RDONLY | NOSUID | NODEV | NOEXEC).during(during)?;
        file
    };
    attach(&cover, &target).during(during)
}
