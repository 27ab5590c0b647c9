//! One host and what is taken of it. Never here: which job goes there.

use crate::ids::TaskId;
use crate::resource::{Host, Needs};
use std::collections::BTreeSet;

/// A host as the engine counts it.
#[derive(Debug, Default)]
pub(crate) struct HostState {
    /// Absent until it has joined: after a restart its attempts are known first.
    pub size: Option<Host>,
    /// vCPUs of its open attempts, in thousandths.
    pub used_milli: u64,
    /// Memory of its open attempts, MiB.
    pub used_mib: u64,
    /// Its open attempts.
    pub tasks: BTreeSet<TaskId>,
}

/// Room on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Room {
    /// vCPUs in thousandths.
    pub vcpus_milli: u64,
    /// MiB.
    pub memory_mib: u64,
}

impl Room {
    /// Hosts of this version have no GPUs.
    pub(crate) fn fits(self, needs: Needs) -> bool {
        needs.gpus == 0
            && u64::from(needs.vcpus_milli) <= self.vcpus_milli
            && u64::from(needs.memory_mib) <= self.memory_mib
    }
}

impl HostState {
    pub(crate) fn occupy(&mut self, task: TaskId, needs: Needs) {
        self.used_milli += u64::from(needs.vcpus_milli);
        self.used_mib += u64::from(needs.memory_mib);
        self.tasks.insert(task);
    }

    pub(crate) fn release(&mut self, task: TaskId, needs: Needs) {
        self.used_milli -= u64::from(needs.vcpus_milli);
        self.used_mib -= u64::from(needs.memory_mib);
        self.tasks.remove(&task);
    }
}

/// All of a host.
pub(crate) fn whole(host: &Host) -> Room {
    Room { vcpus_milli: host.vcpus_milli, memory_mib: host.memory_mib }
}

/// What is left of a host; nothing where it came back smaller than what it runs.
pub(crate) fn free(host: &Host, state: &HostState) -> Room {
    Room {
        vcpus_milli: host.vcpus_milli.saturating_sub(state.used_milli),
        memory_mib: host.memory_mib.saturating_sub(state.used_mib),
    }
}
