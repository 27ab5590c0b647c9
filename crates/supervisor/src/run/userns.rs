//! A user namespace for a container: its ids are ids of nobody on this host.
//!
//! A process made for the purpose holds it while its maps are written, then a descriptor does. The container's first
//! process sets everything up as the host's root, making files as the container's root (their owner is the user of
//! file access), maps the image's layers through the namespace, and enters it last: so mounts and devices need no
//! rights inside, and nothing on disk changes its owner. Never here: which ids.

use super::fail::{During, Fail};
use super::sys::{self, Side};
use batchyard_supervisor::IdMap;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Gid, Uid, WaitOptions, waitpid};
use rustix::thread::{CapabilitySets, capabilities, set_capabilities};

/// The namespace and its ids.
pub struct UserNamespace {
    fd: OwnedFd,
    map: IdMap,
}

impl UserNamespace {
    /// Makes it.
    pub fn make(map: IdMap) -> Result<Self, Fail> {
        let during = format_args!("make a user namespace (setting user_namespaces)");
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).during(during)?;
        match sys::clone(libc::CLONE_NEWUSER, None).during(during)? {
            Side::Child => {
                drop(write);
                // Ends with the other end, so also with the supervisor.
                let _ = rustix::io::read(&read, &mut [0_u8]);
                sys::exit(0)
            }
            Side::Parent(pid) => {
                let folder = format!("/proc/{}", pid.as_raw_nonzero());
                let line = format!("0 {} {}", map.first, map.count);
                let made = std::fs::write(format!("{folder}/uid_map"), &line)
                    .and_then(|()| std::fs::write(format!("{folder}/gid_map"), &line))
                    .during(format_args!("map the ids {}\u{2026} of this host", map.first))
                    .and_then(|()| {
                        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
                        rustix::fs::open(format!("{folder}/ns/user"), flags, Mode::empty()).during(during)
                    });
                drop((read, write));
                let _ = waitpid(Some(pid), WaitOptions::empty());
                Ok(Self { fd: made?, map })
            }
        }
    }

    /// What holds it.
    pub fn descriptor(&self) -> &OwnedFd {
        &self.fd
    }

    /// From here on this process makes files as the container's root, and keeps its capabilities.
    pub fn own_files(&self) -> Result<(), Fail> {
        let during = format_args!("make files as the container's root");
        sys::set_file_ids(self.map.first);
        let have = capabilities(None).during(during)?;
        set_capabilities(None, CapabilitySets { effective: have.permitted, ..have }).during(during)
    }

    /// Shows the files of a mount that is not yet anywhere as the container's: the host's id 0 is the container's 0.
    pub fn map_mount(&self, mount: &OwnedFd, path: &str) -> Result<(), Fail> {
        sys::mount_idmap(mount.as_fd(), self.fd.as_fd()).during(format_args!(
            "map the owners of {path} into the user namespace (its file system may lack that; setting user_namespaces)"
        ))
    }

    /// The host's ids of a user inside.
    pub fn on_host(&self, uid: Uid, gid: Gid) -> Result<(Uid, Gid), Fail> {
        let host = |id: u32| {
            let first = self.map.first;
            let text = format_args!("user or group {id} is beyond the {} ids of a container", self.map.count);
            (id < self.map.count).then(|| first + id).ok_or_else(|| Fail::daemon(text))
        };
        Ok((Uid::from_raw(host(uid.as_raw())?), Gid::from_raw(host(gid.as_raw())?)))
    }

    /// The container's group `id` on this host.
    pub fn group(&self, id: u32) -> u32 {
        self.map.first + id
    }

    /// Hands a file or folder to the container's root.
    pub fn give(&self, file: &OwnedFd, name: &str) -> Result<(), Fail> {
        let (uid, gid) = (Uid::from_raw(self.map.first), Gid::from_raw(self.map.first));
        rustix::fs::chownat(file, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
            .during(format_args!("give {name} to the container"))
    }

    /// Enters it, with all capabilities inside and none outside.
    pub fn enter(&self) -> Result<(), Fail> {
        sys::enter_user_namespace(self.fd.as_fd()).during("enter the user namespace")
    }
}
