//! What the running batch has changed so far: each row once, however often it changes. Never here: what a change means.

use crate::change::{ArraySummary, AttemptRow, Change, ChildRow, JobRow, SEGMENT, SegmentRow, ShareUsage};
use crate::effect::Effect;
use crate::ids::{AttemptNumber, ComputeEnvironmentId, DefinitionId, JobId, PolicyId, QueueId};
use crate::input::Now;
use crate::job::Job;
use crate::resource::JobDefinition;
use crate::slab::{Key, Slab};
use crate::state::State;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Changes and effects since the last [`crate::Engine::take`].
#[derive(Debug, Default)]
pub(crate) struct Batch {
    environments: BTreeSet<ComputeEnvironmentId>,
    queues: BTreeSet<QueueId>,
    policies: BTreeSet<PolicyId>,
    definitions: Vec<Change>,
    /// New jobs with the part of their row that is written once.
    inserted: Vec<(Key, Box<JobRow>)>,
    /// Children that are jobs of their own from now on.
    children: Vec<(Key, ChildRow)>,
    /// Arrays whose children are counted anew.
    arrays: BTreeSet<Key>,
    /// Segments of arrays whose waiting children changed.
    segments: BTreeSet<(Key, u32)>,
    /// Shares of queues that used something.
    shares: BTreeSet<(QueueId, Arc<str>)>,
    /// The time.
    pub now: Now,
    /// Older jobs whose rows change.
    touched: Vec<Key>,
    attempts: BTreeMap<(JobId, AttemptNumber), AttemptRow>,
    effects: Vec<Effect>,
    /// Jobs that ended; they stay in memory until this batch is durable.
    pub ended: Vec<Key>,
}

impl Batch {
    pub(crate) fn environment(&mut self, id: ComputeEnvironmentId) {
        self.environments.insert(id);
    }

    pub(crate) fn queue(&mut self, id: QueueId) {
        self.queues.insert(id);
    }

    pub(crate) fn policy(&mut self, id: PolicyId) {
        self.policies.insert(id);
    }

    pub(crate) fn new_definition(&mut self, definition: JobDefinition) {
        self.definitions.push(Change::InsertJobDefinition(definition));
    }

    pub(crate) fn deactivate(&mut self, id: DefinitionId, at_ms: i64) {
        self.definitions.push(Change::DeactivateJobDefinition(id, at_ms));
    }

    /// A new job; its changes within this batch become part of its insertion.
    pub(crate) fn insert(&mut self, jobs: &mut Slab<Job>, key: Key, row: Box<JobRow>) {
        jobs[key].dirty = true;
        self.inserted.push((key, row));
    }

    /// As [`Self::insert`], of a child that has waited in a run.
    pub(crate) fn insert_child(&mut self, jobs: &mut Slab<Job>, key: Key, row: ChildRow) {
        jobs[key].dirty = true;
        self.children.push((key, row));
    }

    /// The children of an array must be counted anew.
    pub(crate) fn array(&mut self, parent: Key) {
        self.arrays.insert(parent);
    }

    /// Children without a row of their own have changed.
    pub(crate) fn children(&mut self, parent: Key, first: u32, last: u32) {
        self.array(parent);
        self.segments.extend((first / SEGMENT..=last / SEGMENT).map(|segment| (parent, segment)));
    }

    /// A job's row must be written.
    pub(crate) fn touch(&mut self, jobs: &mut Slab<Job>, key: Key) {
        if !std::mem::replace(&mut jobs[key].dirty, true) {
            self.touched.push(key);
        }
    }

    /// What a share has used must be written, or goes.
    pub(crate) fn share(&mut self, queue: QueueId, share: Arc<str>) {
        self.shares.insert((queue, share));
    }

    pub(crate) fn attempt(&mut self, row: &AttemptRow) {
        self.attempts.insert((row.job, row.attempt), row.clone());
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Rows as they stand now, and the effects. What was removed goes first, so that its name is free for a new one.
    pub(crate) fn drain(&mut self, state: &mut State) -> (Vec<Change>, Vec<Effect>) {
        let mut changes = self.drain_resources(state);
        changes.append(&mut self.definitions);
        for (key, row) in self.inserted.drain(..) {
            let job = &mut state.jobs[key];
            job.dirty = false;
            changes.push(Change::InsertJob(row, job.hot.clone()));
        }
        for (key, row) in self.children.drain(..) {
            let job = &mut state.jobs[key];
            job.dirty = false;
            changes.push(Change::InsertChild(row, job.hot.clone()));
        }
        self.drain_arrays(state, &mut changes);
        for key in self.touched.drain(..) {
            let job = &mut state.jobs[key];
            job.dirty = false;
            changes.push(Change::UpdateJob(job.hot.clone()));
        }
        changes.extend(std::mem::take(&mut self.attempts).into_values().map(Change::PutAttempt));
        for (id, share) in std::mem::take(&mut self.shares) {
            let Some(queue) = state.queues.get(&id) else { continue };
            changes.push(match queue.usage.get(&share) {
                Some(usage) => Change::PutShareUsage(ShareUsage {
                    queue: id,
                    share,
                    average_milli: usage.average_milli,
                    as_of_ms: usage.at_wall_ms,
                }),
                None => Change::RemoveShareUsage(id, share),
            });
        }
        let mut effects = std::mem::take(&mut self.effects);
        effects.retain(|effect| match effect {
            Effect::Start(start) => state.attempts.contains_key(&start.task),
            Effect::Stop { task, .. } => state.attempts.contains_key(task),
            Effect::Forget { .. } | Effect::Wake(_) => true,
        });
        (changes, effects)
    }

    fn drain_arrays(&mut self, state: &State, changes: &mut Vec<Change>) {
        for (parent, segment) in std::mem::take(&mut self.segments) {
            let Some(array) = state.arrays.get(&parent) else { continue };
            let (first, last) = (segment * SEGMENT, segment * SEGMENT + SEGMENT - 1);
            let runs = array.children.within(first, last).filter(|(.., state)| state.has_no_row());
            let runs = runs.map(|(begin, end, state)| (begin.max(first), end.min(last), state.clone()));
            let job = state.jobs[parent].hot.id;
            changes.push(Change::PutSegment(SegmentRow { job, segment, runs: runs.collect() }));
        }
        for parent in std::mem::take(&mut self.arrays) {
            let Some(array) = state.arrays.get(&parent) else { continue };
            let job = state.jobs[parent].hot.id;
            let summary = ArraySummary { job, counts: array.counts, updated_ms: self.now.wall_ms };
            changes.push(Change::PutArraySummary(summary));
        }
    }

    fn drain_resources(&mut self, state: &State) -> Vec<Change> {
        let (mut gone, mut put) = (Vec::new(), Vec::new());
        for id in std::mem::take(&mut self.policies) {
            match state.policies.get(&id) {
                Some(policy) => put.push(Change::PutSchedulingPolicy(policy.clone())),
                None => gone.push(Change::RemoveSchedulingPolicy(id)),
            }
        }
        let queues = std::mem::take(&mut self.queues);
        let environments = std::mem::take(&mut self.environments);
        for id in queues {
            match state.queues.get(&id) {
                Some(queue) => put.push(Change::PutJobQueue(queue.row.clone())),
                None => gone.push(Change::RemoveJobQueue(id)),
            }
        }
        let mut environments_put = Vec::new();
        for id in environments {
            match state.environments.get(&id) {
                Some(e) => environments_put.push(Change::PutComputeEnvironment(e.row.clone())),
                None => gone.push(Change::RemoveComputeEnvironment(id)),
            }
        }
        gone.append(&mut environments_put);
        gone.append(&mut put);
        gone
    }
}
