//! The container's root: an overlay of the image's layers and a throw-away upper folder, and the move into it.
//!
//! Mounted with the old call from inside the scratch folder through short links, so that neither colons in paths nor
//! the page that holds mount options bound the layers, and no path of the host is seen in the container's mount table.
//! Never here: anything below the root.

use super::place::{RDONLY, Root, attach, copy_host, restrict};
use super::{Plan, host};
use crate::run::fail::{During, Fail};
use crate::run::userns::UserNamespace;
use batchyard_supervisor::Container;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount_change, unmount};
use std::ffi::CString;

/// Mounts the root over the scratch folder. The working folder is the scratch folder from here until [`enter`]. Device
/// files in it are devices only where it is fenced which of them can be opened (or everything may be).
pub fn mount(c: &Container, plan: &Plan<'_>) -> Result<Root, Fail> {
    if c.layers.is_empty() {
        return Err(Fail::runtime("the image has no layer"));
    }
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .during("make mounts private")?;
    rustix::process::chdir(c.scratch.as_str()).during(format_args!("enter scratch folder {}", c.scratch))?;
    for name in ["upper", "work"] {
        rustix::fs::mkdirat(CWD, name, Mode::from_raw_mode(0o755))
            .during(format_args!("make {name} in the scratch folder"))?;
    }
    let by_folders = plan.rootless.is_some() && c.layers == ["/"];
    for (i, layer) in c.layers.iter().enumerate() {
        match plan.users {
            None if by_folders => {
                rustix::fs::mkdirat(CWD, "l0", Mode::from_raw_mode(0o755)).during("make an empty layer")?;
            }
            Some(users) => mapped(users, layer, &format!("l{i}"))?,
            None => rustix::fs::symlinkat(layer.as_str(), CWD, format!("l{i}")).during("link a layer")?,
        }
    }
    let lower: Vec<String> = (0..c.layers.len()).rev().map(|i| format!("l{i}")).collect();
    let flags = if c.privileged || plan.devices_fenced { MountFlags::empty() } else { MountFlags::NODEV };
    // The usual attributes are for the host's root alone.
    let attributes = if plan.rootless.is_some() { ",userxattr" } else { "" };
    overlay(&format!("lowerdir={},upperdir=upper,workdir=work{attributes}", lower.join(":")), c, flags)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // Through its path: the working folder is what the root covers now.
    let fd = rustix::fs::open(c.scratch.as_str(), flags, Mode::empty()).during("open the root")?;
    let root = Root { fd };
    if by_folders {
        host::show(&root)?;
    }
    Ok(root)
}

/// Mounts a layer with its owners mapped. Nobody sees it but the overlay, which takes a copy of the mount.
fn mapped(users: &UserNamespace, layer: &str, name: &str) -> Result<(), Fail> {
    let mount = copy_host(layer, false).during(format_args!("copy the layer {layer}"))?;
    users.map_mount(&mount, layer)?;
    rustix::fs::mkdirat(CWD, name, Mode::from_raw_mode(0o700)).during("make a place for a layer")?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let target = rustix::fs::openat(CWD, name, flags, Mode::empty()).during("open a layer's place")?;
    attach(&mount, &target).during("mount a layer")
}

fn overlay(options: &str, c: &Container, flags: MountFlags) -> Result<(), Fail> {
    let data = |text: String| CString::new(text).map_err(|_| Fail::runtime("a layer's path holds a NUL"));
    // Nobody reads the upper folder after a crash, so nothing in it needs syncing. Kernels before 5.10 don't know that.
    let volatile = data(format!("{options},volatile"))?;
    let result = match rustix::mount::mount("overlay", ".", "overlay", flags, Some(volatile.as_c_str())) {
        Err(Errno::INVAL) => {
            let plain = data(options.to_string())?;
            rustix::mount::mount("overlay", ".", "overlay", flags, Some(plain.as_c_str()))
        }
        result => result,
    };
    result.during(format_args!("mount the overlay of {} layers in {} (layers must exist, and the folder not lie on an overlay itself)", c.layers.len(), c.scratch))
}

/// Makes it the root of this process, and lets go of the host's.
pub fn enter(root: &Root, readonly: bool) -> Result<(), Fail> {
    if readonly {
        restrict(&root.fd, false, RDONLY).during("make the root read-only")?;
    }
    rustix::process::fchdir(&root.fd).during("enter the root")?;
    rustix::process::pivot_root(".", ".").during("pivot_root")?;
    // The old root now lies on the new one; the working folder is still the new one.
    unmount(".", UnmountFlags::DETACH).during("let go of the host's root")?;
    rustix::process::chdir("/").during("enter the root")
}
