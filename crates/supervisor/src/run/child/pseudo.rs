//! The kernel's own file systems in the container: `/proc`, `/sys`, the view of its control groups, and `/dev`.
//!
//! Never here: what of them is hidden.

use super::hide::empty_folder;
use super::place::{Kind, NODEV, NOEXEC, NOSUID, RDONLY, Root, attach, copy_host, filesystem, restrict};
use super::{Plan, dev};
use crate::run::fail::{During, Fail};
use rustix::fs::Mode;
use rustix::mount::MountAttrFlags;

/// Mounts them.
pub fn mount(root: &Root, plan: &Plan<'_>) -> Result<(), Fail> {
    let plain = NOSUID | NODEV | NOEXEC;
    let readonly = if plan.container.privileged { MountAttrFlags::empty() } else { RDONLY };
    let proc = filesystem("proc", &[], plain).during("make /proc")?;
    attach(&proc, &root.make("/proc", Kind::Dir).during("make /proc")?).during("mount /proc")?;
    dev::mount(root, plan)?;
    let sys = match plan.rootless {
        None => filesystem("sysfs", &[], plain | readonly).during("make /sys")?,
        // It shows the host's network, which is not this user's.
        Some(_) => {
            let sys = copy_host("/sys", true).during("copy /sys")?;
            restrict(&sys, true, plain | readonly).during("restrict /sys")?;
            sys
        }
    };
    attach(&sys, &root.make("/sys", Kind::Dir).during("make /sys")?).during("mount /sys")?;
    views(root, plan, plain | readonly)
}

/// The container's own control groups, at the places where programs look for their limits.
fn views(root: &Root, plan: &Plan<'_>, attributes: MountAttrFlags) -> Result<(), Fail> {
    let Ok(target) = root.find("/sys/fs/cgroup") else { return Ok(()) };
    let view = |path: &std::path::Path| {
        let mount = copy_host(&path.to_string_lossy(), false).during("copy the view of a cgroup")?;
        restrict(&mount, false, attributes).during("restrict the view of a cgroup")?;
        Ok(mount)
    };
    match plan.views.as_slice() {
        // The host's are there with the copy of its /sys.
        [] if plan.rootless.is_some() => {
            let empty = empty_folder().during("make an empty folder")?;
            attach(&empty, &target).during("cover /sys/fs/cgroup")
        }
        [] => Ok(()),
        [("", path)] => attach(&view(path)?, &target).during("mount /sys/fs/cgroup"),
        several => {
            let folder = filesystem("tmpfs", &[("mode", "755"), ("size", "64k")], NOSUID | NODEV | NOEXEC)
                .during("make /sys/fs/cgroup")?;
            for (name, _) in several {
                rustix::fs::mkdirat(&folder, *name, Mode::from_raw_mode(0o755))
                    .during("make /sys/fs/cgroup")?;
            }
            attach(&folder, &target).during("mount /sys/fs/cgroup")?;
            for (name, path) in several {
                let target =
                    root.find(&format!("/sys/fs/cgroup/{name}")).during("find a cgroup view's place")?;
                attach(&view(path)?, &target).during("mount the view of a cgroup")?;
            }
            restrict(&folder, false, attributes).during("restrict /sys/fs/cgroup")
        }
    }
}
