//! Which queues compete with each other, and which of them have something new. Never here: placing.
//!
//! All managed environments share the hosts of this installation; an unmanaged one has its own. Two queues are in one
//! group when a chain of shared hosts connects them.

use crate::ids::{ComputeEnvironmentId, QueueId};
use crate::state::State;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// What a pass has to look at.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    /// A resource or host changed: everything, and the groups are made anew.
    pub all: bool,
    /// Queues with a new head.
    pub queues: BTreeSet<QueueId>,
    /// Environments in which something ended.
    pub environments: BTreeSet<ComputeEnvironmentId>,
}

impl Agenda {
    pub(crate) fn is_empty(&self) -> bool {
        !self.all && self.queues.is_empty() && self.environments.is_empty()
    }
}

/// What an environment's jobs compete for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Pool {
    Shared,
    Own(ComputeEnvironmentId),
}

/// The groups as the resources make them.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// Queues of each group, the order of a pass: higher priority first, then the older one.
    members: Vec<Vec<QueueId>>,
    of_queue: BTreeMap<QueueId, usize>,
    of_environment: BTreeMap<ComputeEnvironmentId, usize>,
}

impl Groups {
    pub(crate) fn of(state: &State) -> Self {
        let pool = |id: &ComputeEnvironmentId| match state.environments.get(id) {
            Some(environment) if environment.row.managed => Pool::Shared,
            _ => Pool::Own(*id),
        };
        let mut groups: Vec<(BTreeSet<Pool>, Vec<QueueId>)> = Vec::new();
        for (&id, queue) in &state.queues {
            let mut merged = (queue.row.environments.iter().map(pool).collect::<BTreeSet<_>>(), vec![id]);
            let (touching, apart) = groups.into_iter().partition(|(pools, _)| !pools.is_disjoint(&merged.0));
            groups = apart;
            for (pools, queues) in Vec::from_iter::<Vec<_>>(touching) {
                merged.0.extend(pools);
                merged.1.extend(queues);
            }
            groups.push(merged);
        }
        let mut made = Self::default();
        for (number, (pools, mut queues)) in groups.into_iter().enumerate() {
            let priority = |id: &QueueId| state.queues.get(id).map(|queue| queue.row.priority);
            queues.sort_by_key(|id| (Reverse(priority(id)), *id));
            made.of_queue.extend(queues.iter().map(|id| (*id, number)));
            let inside = state.environments.keys().filter(|id| pools.contains(&pool(id)));
            made.of_environment.extend(inside.map(|id| (*id, number)));
            made.members.push(queues);
        }
        made
    }

    /// The queues to look at, group by group.
    pub(crate) fn due(&self, agenda: &Agenda) -> Vec<Vec<QueueId>> {
        if agenda.all {
            return self.members.clone();
        }
        let queues = agenda.queues.iter().filter_map(|id| self.of_queue.get(id));
        let environments = agenda.environments.iter().filter_map(|id| self.of_environment.get(id));
        let numbers: BTreeSet<usize> = queues.chain(environments).copied().collect();
        numbers.into_iter().map(|number| self.members[number].clone()).collect()
    }
}
