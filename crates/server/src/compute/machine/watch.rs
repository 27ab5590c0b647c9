//! When to look: datagrams from supervisors, ends of child processes, and the clock as a safety net.
//!
//! All of it is async and does nothing but hand steps to the workers. Never here: what is seen.

use super::attempt::Attempts;
use super::cgroup;
use super::work::{Errand, Op, Workers};
use batchyard_engine::TaskId;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixDatagram;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How often the locks of supervisors are tried that are not children of this process.
const ADOPTED: Duration = Duration::from_secs(1);
/// Every so many of those rounds, all open attempts are checked: a datagram may be lost.
const ALL_EVERY: u32 = 30;

/// Binds the socket that supervisors send task ids to. The name may be longer than a socket address holds.
///
/// # Errors
/// The system refuses.
pub fn bind(path: &Path) -> io::Result<UnixDatagram> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let (folder, name) = (path.parent().unwrap_or(Path::new("/")), path.file_name().unwrap_or_default());
    let fd =
        rustix::fs::openat(CWD, folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    UnixDatagram::bind(Path::new(&format!("/proc/self/fd/{}", fd.as_raw_fd())).join(name))
}

/// Hands every datagram that is a task id to the workers.
pub async fn wakes(socket: UnixDatagram, workers: Workers) {
    let mut buffer = [0; 64];
    loop {
        match socket.recv(&mut buffer).await {
            Ok(length) => {
                let text = std::str::from_utf8(&buffer[..length]).unwrap_or_default();
                if let Ok(task) = text.trim().parse::<TaskId>() {
                    workers.send(Op::Look(task));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the wake socket fails");
                sleep(ADOPTED).await;
            }
        }
    }
}

/// Checks adopted attempts every second and all of them now and then.
pub async fn sweep(attempts: Arc<Attempts>, workers: Workers) {
    let mut clock = interval(ADOPTED);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut round = 0u32;
    loop {
        clock.tick().await;
        round = (round + 1) % ALL_EVERY;
        for task in attempts.tracked.which(|t| (!t.ended || t.forgotten) && (!t.spawned || round == 0)) {
            workers.send(Op::Check(task));
        }
    }
}

/// Does errands until nobody has any.
pub async fn errands(mut mailbox: UnboundedReceiver<Errand>, workers: Workers) {
    // Dropped with this future, and everything in it.
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            errand = mailbox.recv() => match errand {
                Some(errand) => { under_way.spawn(run(errand, workers.clone())); }
                None => return,
            },
            Some(_) = under_way.join_next(), if !under_way.is_empty() => {}
        }
    }
}

async fn run(errand: Errand, workers: Workers) {
    match errand {
        Errand::Later(after, op) => {
            sleep(after).await;
            workers.send(op);
        }
        Errand::Watch(task, child) => {
            reap(child).await;
            workers.send(Op::Reaped(task));
        }
        Errand::Delete(folder, cgroup) => {
            let _ = tokio::task::spawn_blocking(move || delete(&folder, &cgroup)).await;
        }
    }
}

/// Waits for the end of a child without a thread of its own; where the kernel has no descriptors of processes, by
/// asking now and then.
async fn reap(mut child: Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let fd = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    // Its replacement is unsafe for types that may give out another descriptor later; `OwnedFd` can't.
    #[allow(deprecated)]
    if let Some(fd) = fd.and_then(|fd| AsyncFd::new(fd).ok()) {
        let _ = fd.readable().await;
    }
    while matches!(child.try_wait(), Ok(None)) {
        sleep(Duration::from_millis(100)).await;
    }
}

fn delete(folder: &Path, cgroup: &str) {
    crate::crash::point("before_delete");
    cgroup::remove_empty(cgroup);
    if let Err(error) = crate::trash::remove(folder) {
        tracing::warn!(folder = %folder.display(), %error, "what is left of an attempt cannot be deleted");
    }
}
