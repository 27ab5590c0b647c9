//! CREATING and UPDATING become VALID or INVALID (spec infrastructure §1.2, §3.1).
//!
//! What was made or changed is answered while it is still CREATING or UPDATING; the batch after that one settles it, so
//! that clients see the states that they wait for and never for longer than one turn. Never here: what a change does.

use crate::effect::Effect;
use crate::engine::Engine;
use crate::ids::{ComputeEnvironmentId, QueueId};
use crate::input::Now;
use crate::queue::Queue;
use crate::resource::{ComputeEnvironment, Platform, State as OnOff, Status};
use crate::state::Environment;
use std::collections::{BTreeMap, BTreeSet};

const ENVIRONMENT_HEALTHY: &str = "ComputeEnvironment Healthy";
const QUEUE_HEALTHY: &str = "JobQueue Healthy";
/// Text of an environment whose cluster can't be asked (spec infrastructure §1.2).
const NO_CLUSTER: &str = "CLIENT_ERROR - Unable to validate Kubernetes Namespace";

/// What is CREATING or UPDATING.
#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    /// Of the running batch: not before it is durable.
    fresh: Set,
    /// Of earlier ones.
    due: Set,
}

#[derive(Debug, Default)]
struct Set {
    environments: BTreeSet<ComputeEnvironmentId>,
    queues: BTreeSet<QueueId>,
}

impl Unsettled {
    pub(crate) fn environment(&mut self, id: ComputeEnvironmentId) {
        self.fresh.environments.insert(id);
    }

    pub(crate) fn queue(&mut self, id: QueueId) {
        self.fresh.queues.insert(id);
    }

    /// The batch is over: its own are due from now on. True when there are any.
    pub(crate) fn next_batch(&mut self) -> bool {
        let any = !self.fresh.environments.is_empty() || !self.fresh.queues.is_empty();
        self.due.environments.append(&mut self.fresh.environments);
        self.due.queues.append(&mut self.fresh.queues);
        any
    }

    /// After a restart: whatever the rows leave open.
    pub(crate) fn due_all(
        &mut self,
        environments: &BTreeMap<ComputeEnvironmentId, Environment>,
        queues: &BTreeMap<QueueId, Queue>,
    ) {
        let environments = environments.values().map(|e| &e.row);
        self.due.environments = environments.filter(|r| r.status.is_passing()).map(|r| r.id).collect();
        let queues = queues.values().map(|q| &q.row);
        self.due.queues = queues.filter(|r| r.status.is_passing()).map(|r| r.id).collect();
    }
}

impl Engine {
    /// Gives what earlier batches made or changed its lasting status.
    pub(crate) fn settle(&mut self) {
        let due = std::mem::take(&mut self.state.unsettled.due);
        for id in due.environments {
            let Some(environment) = self.state.environments.get_mut(&id) else { continue };
            let row = &mut environment.row;
            if row.status.is_passing() {
                let (status, reason) = verdict(row);
                (row.status, row.status_reason) = (status, reason.into());
                row.version += 1;
                self.environment_changed(id);
            }
        }
        for id in due.queues {
            let Some(queue) = self.state.queues.get_mut(&id) else { continue };
            let row = &mut queue.row;
            if row.status.is_passing() {
                (row.status, row.status_reason) = (Status::Valid, QUEUE_HEALTHY.into());
                row.version += 1;
                self.queue_changed(id);
            }
        }
    }

    /// Asks for the batch in which this one's are settled.
    pub(crate) fn come_back_to_settle(&mut self, now: Now) {
        if self.state.unsettled.next_batch() {
            self.batch.effect(Effect::Wake(now.mono_ms));
        }
    }
}

/// A disabled environment settles on VALID whatever it lacks, lest it can never be deleted (spec infrastructure §1.8).
fn verdict(row: &ComputeEnvironment) -> (Status, &'static str) {
    match (row.platform, row.state) {
        (Platform::Eks, OnOff::Enabled) => (Status::Invalid, NO_CLUSTER),
        _ => (Status::Valid, ENVIRONMENT_HEALTHY),
    }
}
