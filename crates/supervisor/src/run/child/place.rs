//! Paths inside the container's root, resolved so that nothing in an image can lead out of it, and mounts on them.
//!
//! The kernel does the resolving (`openat2`), bounded to the root. Never here: what is mounted.

use crate::run::sys;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};
use std::collections::VecDeque;
use std::path::Path;

/// Symbolic links that are followed on the way to one path.
const MAX_LINKS: u32 = 40;

/// What to make where nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Dir,
    /// An empty file, its parents being folders.
    File,
}

/// The root of a container that is being made.
pub struct Root {
    /// The root mount's top folder.
    pub fd: OwnedFd,
}

impl Root {
    /// Opens what is at `path` inside the root.
    pub fn find(&self, path: &str) -> Result<OwnedFd, Errno> {
        self.open(Path::new(path), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
    }

    /// Opens what is at `path` inside the root, made when it is missing, with the parents that are missing.
    pub fn make(&self, path: &str, kind: Kind) -> Result<OwnedFd, Errno> {
        match self.find(path) {
            Err(Errno::NOENT) => self.walk(path, kind),
            result => result,
        }
    }

    /// Opens the container's null device: no other file that an image or a volume has in its place.
    pub fn null(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let null = rustix::fs::openat2(&self.fd, "/dev/null", flags, Mode::empty(), inside)?;
        if is_null(&null)? { Ok(null) } else { Err(Errno::NODEV) }
    }

    fn open(&self, path: &Path, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
        let path = if path.as_os_str().is_empty() { Path::new("/") } else { path };
        // Never with NOFOLLOW: a link at the end would be opened itself, and whoever has only its path would follow it.
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        // Somebody renames in a shared folder just now: the kernel could not be sure, it asks to try again.
        for _ in 0..32 {
            match rustix::fs::openat2(&self.fd, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN) => {}
                result => return result,
            }
        }
        Err(Errno::AGAIN)
    }

    /// Goes step by step, the links' targets being steps too, and makes what is missing.
    fn walk(&self, path: &str, kind: Kind) -> Result<OwnedFd, Errno> {
        let strict = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        // With no following, a link at the end is opened itself.
        let look = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let mut todo: VecDeque<String> = path.split('/').map(str::to_string).collect();
        let mut done: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            match name.as_str() {
                "" | "." => continue,
                ".." => {
                    done.pop();
                    continue;
                }
                _ => {}
            }
            let parent = self.open(Path::new(&done.join("/")), strict)?;
            let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            match rustix::fs::openat2(&parent, name.as_str(), flags, Mode::empty(), look) {
                Ok(fd) if FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) == FileType::Symlink => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP);
                    }
                    let target = rustix::fs::readlinkat(&fd, "", Vec::new())?;
                    let target = target.to_str().map_err(|_| Errno::ILSEQ)?;
                    if target.starts_with('/') {
                        done.clear();
                    }
                    target.split('/').rev().for_each(|step| todo.push_front(step.to_string()));
                }
                Ok(_) => done.push(name),
                Err(Errno::NOENT) => {
                    let last = todo.iter().all(|t| t.is_empty() || t == ".");
                    match make_one(&parent, &name, if last { kind } else { Kind::Dir }) {
                        Ok(()) => done.push(name),
                        // Somebody else made it just now: whatever it is, it is looked at again.
                        Err(Errno::EXIST) if links < MAX_LINKS => {
                            links += 1;
                            todo.push_front(name);
                        }
                        Err(e) => return Err(e),
                    }
                }
                Err(e) => return Err(e),
            }
        }
        self.open(Path::new(&done.join("/")), strict)
    }
}

/// Whether it is the null device.
pub fn is_null(fd: &OwnedFd) -> Result<bool, Errno> {
    let stat = rustix::fs::fstat(fd)?;
    let device = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && device == (1, 3))
}

fn make_one(parent: &OwnedFd, name: &str, kind: Kind) -> Result<(), Errno> {
    match kind {
        Kind::Dir => rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755)),
        Kind::File => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o644)).map(drop)
        }
    }
}

/// Attributes of a mount.
pub const NOSUID: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID;
/// See [`NOSUID`].
pub const NODEV: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NODEV;
/// See [`NOSUID`].
pub const NOEXEC: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOEXEC;
/// See [`NOSUID`].
pub const RDONLY: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY;

/// A new file system of `kind`, not yet anywhere. An option without a value is a flag.
pub fn filesystem(
    kind: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Errno> {
    let fs = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        if value.is_empty() {
            fsconfig_set_flag(&fs, *key)?;
        } else {
            fsconfig_set_string(&fs, *key, *value)?;
        }
    }
    fsconfig_create(&fs)?;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// A copy of the mount at `path` below `folder`, not yet anywhere, with all mounts below it when `recursive`.
pub fn copy(folder: impl AsFd, path: &str, recursive: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    flags.set(OpenTreeFlags::AT_EMPTY_PATH, path.is_empty());
    open_tree(folder, path, flags)
}

/// A copy of a mount of the host.
pub fn copy_host(path: &str, recursive: bool) -> Result<OwnedFd, Errno> {
    copy(CWD, path, recursive)
}

/// Adds attributes to a mount that is not yet anywhere, and to those below it.
pub fn restrict(mount: &OwnedFd, recursive: bool, attributes: MountAttrFlags) -> Result<(), Errno> {
    sys::mount_setattr(mount.as_fd(), recursive, u64::from(attributes.bits()))
}

/// Puts a mount onto `target`.
pub fn attach(mount: &OwnedFd, target: &OwnedFd) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", target, "", flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As if somebody had put the link there while the path was walked.
    #[test]
    fn a_link_where_none_was_is_not_opened_itself() {
        let folder = std::env::temp_dir().join(format!("by-place-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("real")).unwrap();
        std::os::unix::fs::symlink("/etc", folder.join("link")).unwrap();
        let fd = rustix::fs::open(&folder, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let root = Root { fd };
        let strict = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        assert_eq!(root.open(Path::new("link"), strict).unwrap_err(), Errno::LOOP);
        assert!(root.open(Path::new("real"), strict).is_ok());
        // What a link means inside is another matter: there is no such folder, so it is made.
        root.make("link", Kind::Dir).unwrap();
        assert!(folder.join("etc").is_dir() && root.null().is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
