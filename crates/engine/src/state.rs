//! What the engine remembers: an index of all that is not finished (invariant 3). Never here: decisions.

use crate::capacity::group::Agenda;
use crate::capacity::host::HostState;
use crate::change::AttemptRow;
use crate::ids::{ComputeEnvironmentId, HostId, JobUuid, PolicyId, QueueId, TaskId};
use crate::job::Job;
use crate::job::array::Array;
use crate::job::depends::{self, Depends};
use crate::job::end::EXITED;
use crate::job::retry::RetryRule;
use crate::lifecycle::array::ChildrenEnded;
use crate::queue::Queue;
use crate::resource::{ComputeEnvironment, SchedulingPolicy};
use crate::resources::definitions::Definitions;
use crate::resources::settle::Unsettled;
use crate::restore::LastIds;
use crate::slab::{Key, Slab};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// `statusReason` of every job that waits behind its queue's head.
pub const BEHIND: &str = "waits behind other jobs of its queue";

/// Ordered maps only: whatever is walked is walked in the same order each time.
#[derive(Debug)]
pub(crate) struct State {
    pub environments: BTreeMap<ComputeEnvironmentId, Environment>,
    pub queues: BTreeMap<QueueId, Queue>,
    pub policies: BTreeMap<PolicyId, SchedulingPolicy>,
    pub definitions: Definitions,
    /// Hosts that are there, and those that are not (yet) but have open attempts.
    pub hosts: BTreeMap<HostId, HostState>,
    pub jobs: Slab<Job>,
    pub by_uuid: BTreeMap<JobUuid, Key>,
    /// The children of every array among the jobs.
    pub arrays: BTreeMap<Key, Array>,
    /// Children that have ended; what follows has not been done yet.
    pub ended_children: VecDeque<ChildrenEnded>,
    /// Every open attempt.
    pub attempts: BTreeMap<TaskId, Attempt>,
    /// Who waits for whom.
    pub depends: Depends,
    pub last: LastIds,
    pub shared: Shared,
    /// What is new since the last pass.
    pub agenda: Agenda,
    /// What is CREATING or UPDATING.
    pub unsettled: Unsettled,
}

/// A compute environment and what it carries.
#[derive(Debug)]
pub(crate) struct Environment {
    /// As its row says.
    pub row: ComputeEnvironment,
    /// vCPUs of its open attempts, in thousandths.
    pub used_milli: u64,
    /// Its open attempts.
    pub tasks: usize,
}

impl Environment {
    pub(crate) fn new(row: ComputeEnvironment) -> Self {
        Self { row, used_milli: 0, tasks: 0 }
    }
}

/// An open attempt.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// Its job.
    pub key: Key,
    /// As its row says.
    pub row: AttemptRow,
}

/// Values that thousands of jobs have in common, allocated once.
#[derive(Debug)]
pub(crate) struct Shared {
    pub behind: Arc<str>,
    pub pending: Arc<str>,
    pub exited: Arc<str>,
    pub no_rules: Arc<[RetryRule]>,
}

impl Shared {
    /// The shared copy of a text, where there is one.
    pub(crate) fn text(&self, text: Arc<str>) -> Arc<str> {
        [&self.behind, &self.pending, &self.exited]
            .into_iter()
            .find(|s| ***s == *text)
            .cloned()
            .unwrap_or(text)
    }

    /// The shared copy of a job's retry rules, where there is one.
    pub(crate) fn rules(&self, rules: Arc<[RetryRule]>) -> Arc<[RetryRule]> {
        if rules.is_empty() { self.no_rules.clone() } else { rules }
    }
}

impl State {
    pub(crate) fn new(last: LastIds) -> Self {
        Self {
            environments: BTreeMap::new(),
            queues: BTreeMap::new(),
            policies: BTreeMap::new(),
            definitions: Definitions::default(),
            hosts: BTreeMap::new(),
            jobs: Slab::new(),
            by_uuid: BTreeMap::new(),
            arrays: BTreeMap::new(),
            ended_children: VecDeque::new(),
            attempts: BTreeMap::new(),
            depends: Depends::default(),
            last,
            shared: Shared {
                behind: BEHIND.into(),
                pending: depends::WAITS.into(),
                exited: EXITED.into(),
                no_rules: Arc::from([]),
            },
            agenda: Agenda::default(),
            unsettled: Unsettled::default(),
        }
    }

    /// Counts an open attempt on its environment and host.
    pub(crate) fn occupy(&mut self, attempt: Attempt) {
        let needs = self.jobs[attempt.key].facts.needs;
        if let Some(environment) = self.environments.get_mut(&attempt.row.environment) {
            environment.used_milli += u64::from(needs.vcpus_milli);
            environment.tasks += 1;
        }
        self.hosts.entry(attempt.row.host).or_default().occupy(attempt.row.task, needs);
        self.attempts.insert(attempt.row.task, attempt);
    }

    /// Gives back what an attempt held.
    pub(crate) fn release(&mut self, task: TaskId) -> Option<Attempt> {
        let attempt = self.attempts.remove(&task)?;
        let needs = self.jobs[attempt.key].facts.needs;
        if let Some(environment) = self.environments.get_mut(&attempt.row.environment) {
            environment.used_milli -= u64::from(needs.vcpus_milli);
            environment.tasks -= 1;
        }
        if let Some(host) = self.hosts.get_mut(&attempt.row.host) {
            host.release(task, needs);
            if host.size.is_none() && host.tasks.is_empty() {
                self.hosts.remove(&attempt.row.host);
            }
        }
        Some(attempt)
    }
}
