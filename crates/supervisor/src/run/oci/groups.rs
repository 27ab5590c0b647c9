//! What a runtime sees of the host's control groups: the hierarchies that the attempt has a group in, and no other.
//!
//! A runtime makes a group in every hierarchy that it finds, so those of which nobody would clear up are taken away; and
//! crun refuses hosts that have both versions, so with version 1 there is no version 2. All of it is done in the
//! mount namespace of the runtime, so the host's mounts stay as they are. Never here: the groups themselves (limits).

use crate::run::child::place::{NODEV, NOEXEC, NOSUID, attach, copy_host, filesystem};
use crate::run::fail::{During, Fail};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{UnmountFlags, unmount};
use std::path::{Path, PathBuf};

/// Leaves the hierarchies at `mounts` (those of version 1 that the attempt uses) in place and takes away the rest.
pub fn narrow(mounts: &[PathBuf]) -> Result<(), Fail> {
    let Some(above) = mounts.first().and_then(|m| m.parent()).filter(|p| *p != Path::new("/")) else {
        return Ok(());
    };
    let during = format_args!("narrow {}", above.display());
    let mut kept: Vec<(String, OwnedFd)> = Vec::new();
    for mount in mounts.iter().filter(|m| m.parent() == Some(above)) {
        let name = mount.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if kept.iter().all(|(known, _)| *known != name) {
            kept.push((name, copy_host(&mount.to_string_lossy(), false).during(during)?));
        }
    }
    let fresh =
        filesystem("tmpfs", &[("mode", "755"), ("size", "64k")], NOSUID | NODEV | NOEXEC).during(during)?;
    // Where it is no mount of its own, what is there is only covered.
    let _ = unmount(above, UnmountFlags::DETACH);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let target = rustix::fs::open(above, flags, Mode::empty()).during(during)?;
    attach(&fresh, &target).during(during)?;
    for (name, mount) in &kept {
        rustix::fs::mkdirat(&fresh, name.as_str(), Mode::from_raw_mode(0o755)).during(during)?;
        let place = rustix::fs::openat(CWD, above.join(name), flags, Mode::empty()).during(during)?;
        attach(mount, &place).during(during)?;
        // `cpu,cpuacct` is looked for as `cpu` too.
        for part in name.split(',').filter(|part| part != name) {
            let _ = rustix::fs::symlinkat(name.as_str(), &fresh, part);
        }
    }
    Ok(())
}
