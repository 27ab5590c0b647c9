//! The limit of what the container writes: set before anything is written, asked at the end whether it was reached.
//!
//! A file system with project quotas counts the folder itself. Elsewhere a file of the limit's size becomes the folder,
//! through a loop device that the kernel gives back by itself and a mount in a namespace of the supervisor's own: nothing
//! of it is left however the supervisor ends. The file loses its name as soon as it is in use. Never here: which of the
//! two (the server), what is written into the folder.

mod calls;

use super::fail::{During, Fail};
use batchyard_supervisor::disk::free;
use batchyard_supervisor::{Container, Disk, DiskKind};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount_change};
use std::path::Path;

/// Free bytes under which the host's own disk counts as full.
const HOST_FULL: u64 = 1 << 20;
/// Tries to get a free loop device before somebody else does.
const LOOP_TRIES: u32 = 64;

/// Sets the container's limit, if it has one.
pub fn limit(container: &Container) -> Result<(), Fail> {
    let Some(disk) = &container.disk else { return Ok(()) };
    let during = format_args!("limit the disk of the container to {} bytes", disk.bytes);
    match &disk.kind {
        DiskKind::Quota(id) => set_quota(disk, *id).during(during),
        DiskKind::Image(image) => mount_image(disk, image).during(during),
    }
}

/// Which limit is reached: the container's own in bytes, or 0 for the host's disk.
pub fn full(container: &Container) -> Option<u64> {
    let own = container.disk.as_ref().filter(|disk| is_full(disk)).map(|disk| disk.bytes);
    own.or_else(|| {
        let free = free(Path::new(&container.scratch).parent()?.parent()?)?;
        (free < HOST_FULL).then_some(0)
    })
}

/// Takes a quota back. What is still in the folder goes with the attempt.
pub fn release(container: &Container) {
    if let Some(Disk { kind: DiskKind::Quota(id), folder, .. }) = &container.disk
        && let Err(e) = open_folder(folder).and_then(|fd| calls::set_project_limit(&fd, *id, 0))
    {
        eprintln!("take back the quota of {folder}: {e}");
    }
}

/// Whether next to nothing can be written: programs that meet the limit often leave a little.
fn is_full(disk: &Disk) -> bool {
    let little = (disk.bytes / 100).clamp(64 << 10, 16 << 20);
    match disk.kind {
        DiskKind::Quota(id) => open_folder(&disk.folder)
            .and_then(|fd| calls::project_usage(&fd, id))
            .is_ok_and(|used| used.saturating_add(little) >= disk.bytes),
        DiskKind::Image(_) => {
            let stat = rustix::fs::statvfs(disk.folder.as_str());
            stat.is_ok_and(|s| s.f_bavail.saturating_mul(s.f_frsize) < little || s.f_favail == 0)
        }
    }
}

fn open_folder(path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty())
}

fn make_folder(path: &str) -> Result<(), Errno> {
    match rustix::fs::mkdirat(CWD, path, Mode::RWXU) {
        Err(Errno::EXIST) | Ok(()) => Ok(()),
        Err(e) => Err(e),
    }
}

fn set_quota(disk: &Disk, id: u32) -> Result<(), Errno> {
    make_folder(&disk.folder)?;
    let folder = open_folder(&disk.folder)?;
    calls::set_project(&folder, id)?;
    calls::set_project_limit(&folder, id, disk.bytes)
}

fn mount_image(disk: &Disk, image: &str) -> Result<(), Errno> {
    make_folder(&disk.folder)?;
    calls::own_mounts()?;
    // What the host mounts and unmounts later still comes through, nothing goes the other way.
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
    let file = rustix::fs::open(image, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
    let (_device, path) = loop_device(&file)?;
    // Nobody reads it after a crash: no write waits for the disk below, and what is deleted is given back to it.
    let options = c"nobarrier,discard,noinit_itable";
    rustix::mount::mount(&path, disk.folder.as_str(), "ext4", MountFlags::NOATIME, Some(options))?;
    rustix::fs::unlinkat(CWD, image, rustix::fs::AtFlags::empty())
}

/// A device over the file that the kernel frees once nobody has it.
fn loop_device(file: &OwnedFd) -> Result<(OwnedFd, String), Errno> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let control = rustix::fs::open("/dev/loop-control", flags, Mode::empty())?;
    for _ in 0..LOOP_TRIES {
        let path = format!("/dev/loop{}", calls::free_loop(&control)?);
        let device = rustix::fs::open(path.as_str(), flags, Mode::empty())?;
        match calls::configure_loop(&device, file) {
            Ok(()) => return Ok((device, path)),
            // Somebody else was faster.
            Err(Errno::BUSY) => {}
            Err(e) => return Err(e),
        }
    }
    Err(Errno::BUSY)
}
