//! What of the kernel's file systems a container may not see or change: the OCI default lists.
//!
//! Never here: the task's own masks.

use super::place::{NODEV, NOEXEC, NOSUID, RDONLY, Root, attach, copy, filesystem, is_null, restrict};
use crate::run::fail::{During, Fail};
use rustix::fd::OwnedFd;
use rustix::fs::FileType;
use rustix::io::Errno;

/// Covered by nothing.
pub const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
/// Readable only.
pub const READONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Covers and closes them. Those that this kernel lacks are skipped.
pub fn hide(root: &Root) -> Result<(), Fail> {
    let mut cover = Cover { root, folder: None };
    for path in MASKED {
        cover.mask(path)?;
    }
    // How hot a processor runs tells what others do; there is one such folder for each.
    let mut cpu = 0;
    while cover.mask(&format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle"))? {
        cpu += 1;
    }
    for path in READONLY {
        let Some(target) = present(root, path)? else { continue };
        let mount = copy(&target, "", true).during(format_args!("copy {path}"))?;
        restrict(&mount, true, RDONLY | NOSUID | NODEV | NOEXEC).during(format_args!("close {path}"))?;
        attach(&mount, &target).during(format_args!("close {path}"))?;
    }
    Ok(())
}

struct Cover<'a> {
    root: &'a Root,
    /// The empty folder over the first one, which serves all: one that is nowhere in the end would cost a wait.
    folder: Option<OwnedFd>,
}

impl Cover<'_> {
    /// Whether it was there to be covered.
    fn mask(&mut self, path: &str) -> Result<bool, Fail> {
        let Some(target) = present(self.root, path)? else { return Ok(false) };
        let during = format_args!("mask {path}");
        let mount = match &self.folder {
            _ if !is_folder(&target).during(during)? => {
                copy(&null_device(self.root).during(during)?, "", false).during(during)?
            }
            Some(folder) => copy(folder, "", false).during(during)?,
            None => empty_folder().during(during)?,
        };
        attach(&mount, &target).during(during)?;
        if self.folder.is_none() && is_folder(&mount).during(during)? {
            self.folder = Some(mount);
        }
        Ok(true)
    }
}

/// The null device, and nothing that a volume over /dev put in its place.
fn null_device(root: &Root) -> Result<OwnedFd, Errno> {
    let null = root.find("/dev/null")?;
    if is_null(&null)? { Ok(null) } else { Err(Errno::NODEV) }
}

/// An empty read-only folder.
pub fn empty_folder() -> Result<OwnedFd, Errno> {
    filesystem("tmpfs", &[("mode", "755"), ("size", "4k")], RDONLY | NOSUID | NODEV | NOEXEC)
}

/// Opens what is there, nothing where nothing is.
pub fn present(root: &Root, path: &str) -> Result<Option<OwnedFd>, Fail> {
    match root.find(path) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(e) => Err(e).during(format_args!("look for {path}")),
    }
}

/// Whether it is a folder.
pub fn is_folder(fd: &OwnedFd) -> Result<bool, Errno> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode) == FileType::Directory)
}
