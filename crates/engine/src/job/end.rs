//! How the end of an attempt reads: good or not, its `statusReason`, its containers (spec jobs §1.5). Never here: what
//! follows from it for the job.

use crate::change::ContainerResult;
use crate::input::{ContainerExit, TaskExit, Why};
use std::sync::Arc;

/// `statusReason` of a container that ended by itself, whatever its exit code.
pub(crate) const EXITED: &str = "Essential container in task exited";
/// `statusReason` of an attempt that ran too long.
pub(crate) const TIMED_OUT: &str = "Job attempt duration exceeded timeout";
/// `statusReason` of an attempt whose container never ran; the cause is in the container's reason.
pub(crate) const NOT_STARTED: &str = "Task failed to start";
/// `statusReason` of jobs whose queue was deleted.
pub(crate) const QUEUE_DELETED: &str = "JobQueue deleted";
/// Container's reason when the kernel killed it for memory.
pub(crate) const OUT_OF_MEMORY: &str = "OutOfMemoryError: Container killed due to memory usage";
/// ECS cuts a container's reason here.
const REASON_CHARS: usize = 255;

/// The end of an attempt, in the words of its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    /// The job has succeeded with it.
    pub success: bool,
    /// The retry rules are asked; never after a timeout or an accepted terminate (spec jobs §7).
    pub may_retry: bool,
    /// The attempt's `statusReason`.
    pub reason: Arc<str>,
    /// Each container.
    pub containers: Vec<ContainerResult>,
    /// When a program of it began.
    pub started_ms: Option<i64>,
    /// When it was over.
    pub stopped_ms: i64,
}

impl Ending {
    /// A backend saw it end. `terminated` holds the words of an accepted terminate: they win over how it really ended.
    /// `host_gone` holds those of a host that was taken from under it, which is no failure of what ended well.
    pub(crate) fn of_exit(
        exit: &TaskExit,
        terminated: Option<&Arc<str>>,
        host_gone: Option<&Arc<str>>,
    ) -> Self {
        let all_good = !exit.containers.is_empty() && exit.containers.iter().all(|c| c.code == Some(0));
        let ended_by_it = !all_good && matches!(exit.why, Why::StartFailed(_) | Why::Stopped);
        let taken = host_gone.filter(|_| terminated.is_none() && ended_by_it);
        let (success, may_retry, reason) = match (&exit.why, terminated.or(taken)) {
            (_, Some(words)) => (false, taken.is_some(), words.clone()),
            (Why::Timeout, None) => (false, false, TIMED_OUT.into()),
            (Why::StartFailed(_), None) => (false, true, NOT_STARTED.into()),
            // A stop that nobody asked the engine for is told as what the container made of it.
            (Why::Exit | Why::Stopped, None) => (all_good, !all_good, EXITED.into()),
        };
        let mut containers = containers(exit);
        if taken.is_some() {
            // Nobody was there any more to see it (spec jobs §1.5).
            containers.iter_mut().for_each(|c| c.exit_code = None);
        }
        Self {
            success,
            may_retry,
            reason,
            containers,
            started_ms: exit.started_ms,
            stopped_ms: exit.stopped_ms,
        }
    }

    /// Its host went away, or nobody knows how it ended. An unknown host has no instance id to name.
    pub(crate) fn of_loss(instance: Option<&str>, at_ms: i64, terminated: Option<&Arc<str>>) -> Self {
        let reason = terminated.cloned().unwrap_or_else(|| host_gone(instance));
        Self {
            success: false,
            may_retry: terminated.is_none(),
            reason,
            containers: vec![ContainerResult { name: "default".into(), exit_code: None, reason: None }],
            started_ms: None,
            stopped_ms: at_ms,
        }
    }

    /// The container whose end the retry rules look at: the first that did not end well.
    pub(crate) fn deciding(&self) -> Option<&ContainerResult> {
        self.containers.iter().find(|c| c.exit_code != Some(0)).or(self.containers.first())
    }
}

/// `statusReason` of an attempt whose host went away (spec jobs §1.5).
pub(crate) fn host_gone(instance: Option<&str>) -> Arc<str> {
    match instance {
        Some(id) => format!("Host EC2 (instance {id}) terminated.").into(),
        None => "Host EC2 terminated.".into(),
    }
}

fn containers(exit: &TaskExit) -> Vec<ContainerResult> {
    if let (Why::StartFailed(text), []) = (&exit.why, exit.containers.as_slice()) {
        return vec![ContainerResult { name: "default".into(), exit_code: None, reason: Some(cut(text)) }];
    }
    exit.containers.iter().map(|container| container_result(container, &exit.why)).collect()
}

fn container_result(container: &ContainerExit, why: &Why) -> ContainerResult {
    let reason = match (why, container.code) {
        (Why::StartFailed(text), None) => Some(cut(text)),
        // A killed child whose parent coped is no failure of the job (containers.md §6).
        (_, code) if container.oom && code != Some(0) => Some(OUT_OF_MEMORY.into()),
        (_, code) if code != Some(0) => container.disk_full.map(disk_full),
        _ => None,
    };
    ContainerResult { name: container.name.clone(), exit_code: container.code, reason }
}

/// Container's reason when it failed with its disk full. AWS has no such word: its programs say it themselves.
fn disk_full(bytes: u64) -> Arc<str> {
    match (bytes, bytes % (1 << 30), bytes >> 20) {
        (0, ..) => "DiskFullError: the disk of this machine is full".into(),
        (_, 0, mib) => format!("DiskFullError: the job's disk of {} GiB is full", mib >> 10).into(),
        (_, _, mib) => format!("DiskFullError: the job's disk of {mib} MiB is full").into(),
    }
}

fn cut(text: &Arc<str>) -> Arc<str> {
    match text.char_indices().nth(REASON_CHARS) {
        Some((end, _)) => text[..end].into(),
        None => text.clone(),
    }
}

#[cfg(test)]
mod tests;
