//! The making of the container's first process and of the pipes between it and its supervisor.
//!
//! Never here: what that process does (child), what happens then (watch).

use super::child::{self, Ends, Plan};
use super::fail::{During, Fail};
use super::limits::Limits;
use super::sys::{self, Side};
use super::userns::UserNamespace;
use super::{oci, process};
use batchyard_supervisor::{Container, Driver, Task};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

/// A container that is setting itself up, with the supervisor's ends of its pipes.
pub struct Launched {
    /// Its first process.
    pub pid: Pid,
    /// A byte lets it run its program; closed when the supervisor dies.
    pub go: OwnedFd,
    /// Says how far it is, see [`child::READY`].
    pub status: OwnedFd,
}

/// What it writes.
pub struct Output {
    /// Its standard output.
    pub out: OwnedFd,
    /// Its standard error.
    pub err: OwnedFd,
}

/// The namespaces of a container. That of control groups comes later, once it is in its groups.
pub const NAMESPACES: i32 = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;

/// Starts it.
pub fn launch(task: &Task, container: &Container, limits: &mut Limits) -> Result<(Launched, Output), Fail> {
    let users = task.id_map.map(UserNamespace::make).transpose()?;
    let (go_read, go) = pipe_with(PipeFlags::CLOEXEC).during("make a pipe")?;
    let (status, status_write) = pipe_with(PipeFlags::CLOEXEC).during("make a pipe")?;
    let (out, out_write) = pipe_with(PipeFlags::CLOEXEC).during("make a pipe")?;
    let (err, err_write) = pipe_with(PipeFlags::CLOEXEC).during("make a pipe")?;
    let ends = Ends { go: go_read, status: status_write, out: out_write, err: err_write };
    let namespaces = match &task.driver {
        Driver::Native => NAMESPACES,
        Driver::Oci(_) => oci::NAMESPACES,
        Driver::Process => 0,
    };
    match start(namespaces, limits)? {
        Side::Child => {
            drop((go, status, out, err));
            match &task.driver {
                Driver::Native => {}
                Driver::Oci(runtime) => oci::main(&order(runtime, task, container, limits), &ends),
                Driver::Process => process::main(container, limits, &ends),
            }
            let (early, late) = limits.joins();
            let plan = Plan {
                container,
                hostname: task.hostname.as_deref(),
                views: limits.views(),
                join_early: early,
                join_late: late,
                devices_fenced: limits.devices_fenced,
                users: users.as_ref(),
                rootless: task.rootless,
            };
            child::main(&plan, &ends)
        }
        Side::Parent(pid) => {
            drop(ends);
            for pipe in [&status, &out, &err] {
                rustix::fs::fcntl_setfl(pipe, OFlags::NONBLOCK).during("set a pipe")?;
            }
            Ok((Launched { pid, go, status }, Output { out, err }))
        }
    }
}

fn order<'a>(runtime: &'a str, task: &'a Task, container: &'a Container, limits: &Limits) -> oci::Order<'a> {
    oci::Order {
        runtime,
        task,
        container,
        hierarchies: limits.hierarchies(),
        cgroup: limits.path_for_runtime(),
        views: limits.views().into_iter().map(|(name, path)| (name, path.to_path_buf())).collect(),
        devices_fenced: limits.devices_fenced,
    }
}

fn start(namespaces: i32, limits: &mut Limits) -> Result<Side, Fail> {
    if let Some(cgroup) = limits.clone_target() {
        // Before Linux 5.7, and where a filter forbids clone3, it is joined by hand.
        match sys::clone(namespaces, Some(cgroup.as_fd())) {
            Ok(Side::Child) => return Ok(Side::Child),
            Ok(Side::Parent(pid)) => {
                limits.joined_by_clone();
                return Ok(Side::Parent(pid));
            }
            Err(e) => eprintln!("clone into the cgroup: {e}"),
        }
    }
    sys::clone(namespaces, None).during("make the container's namespaces")
}
