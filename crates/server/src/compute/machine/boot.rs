//! Which boot of the machine this is, and which one the attempt folders were last used in.
//!
//! Locks and cgroups die with the machine, and what was not yet on disk is lost with it, so after a reboot a folder
//! cannot tell "never started" from "started, then cut off". The server therefore says of every attempt of an older
//! boot that it has no end record of: lost with its host, which is what happened. That is why a start needs no sync to
//! disk: within one boot the page cache is the truth.

use std::fs;
use std::io;
use std::path::Path;

/// The machine's present boot.
///
/// # Errors
/// The kernel does not tell.
pub fn current() -> io::Result<String> {
    if let Some(boot) = batchyard_supervisor::hooks::boot() {
        return Ok(boot);
    }
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_string())
}

/// The boot that was remembered in this file; none on the first start.
pub fn remembered(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_string())
}

/// Remembers a boot, on disk when this returns: whatever was decided about the older one must be there before.
///
/// # Errors
/// The file cannot be written.
pub fn remember(path: &Path, boot: &str) -> io::Result<()> {
    super::folder::write_durably(path, boot.as_bytes())
}
