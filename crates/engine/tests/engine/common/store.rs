//! A store of maps that takes the engine's changes, strictly: a change that a database could not carry out, or that
//! says nothing new, fails the test.

use batchyard_engine::change::{
    ArraySummary, AttemptRow, Change, ChildRow, ChildState, JobHot, JobRow, SEGMENT, SegmentRow, ShareUsage,
};
use batchyard_engine::resource::{ComputeEnvironment, JobDefinition, JobQueue, SchedulingPolicy};
use batchyard_engine::restore::{DefinitionFacts, LastIds, OpenArray, OpenJob, OpenRows};
use batchyard_engine::{ComputeEnvironmentId, DefinitionId, JobId, JobStatus, PolicyId, QueueId};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Default)]
pub struct Store {
    pub environments: BTreeMap<ComputeEnvironmentId, ComputeEnvironment>,
    pub queues: BTreeMap<QueueId, JobQueue>,
    pub policies: BTreeMap<PolicyId, SchedulingPolicy>,
    pub definitions: BTreeMap<DefinitionId, JobDefinition>,
    pub jobs: BTreeMap<JobId, (JobRow, JobHot)>,
    pub attempts: BTreeMap<(JobId, u32), AttemptRow>,
    /// Children that have a row of their own.
    pub children: BTreeMap<(JobId, u32), JobId>,
    pub segments: BTreeMap<(JobId, u32), SegmentRow>,
    pub summaries: BTreeMap<JobId, ArraySummary>,
    pub usage: BTreeMap<(QueueId, std::sync::Arc<str>), ShareUsage>,
    last: LastIds,
}

impl Store {
    /// One transaction.
    pub fn commit(&mut self, changes: &[Change]) {
        let mut written = BTreeSet::new();
        for change in changes {
            match change {
                Change::PutComputeEnvironment(row) => {
                    let same_name = |e: &&ComputeEnvironment| e.name == row.name && e.id != row.id;
                    assert!(
                        !self.environments.values().any(|e| same_name(&e)),
                        "two environments {}",
                        row.name
                    );
                    let last = &mut self.last.compute_environment;
                    assert!(self.environments.contains_key(&row.id) || row.id.0 > *last, "old id {row:?}");
                    *last = row.id.0.max(*last);
                    assert_ne!(
                        self.environments.insert(row.id, row.clone()).as_ref(),
                        Some(row),
                        "no change"
                    );
                }
                Change::RemoveComputeEnvironment(id) => drop(self.environments.remove(id)),
                Change::PutJobQueue(row) => {
                    let same_name = |q: &&JobQueue| q.name == row.name && q.id != row.id;
                    assert!(!self.queues.values().any(|q| same_name(&q)), "two queues {}", row.name);
                    let last = &mut self.last.job_queue;
                    assert!(self.queues.contains_key(&row.id) || row.id.0 > *last, "old id {row:?}");
                    *last = row.id.0.max(*last);
                    assert_ne!(self.queues.insert(row.id, row.clone()).as_ref(), Some(row), "no change");
                }
                Change::RemoveJobQueue(id) => drop(self.queues.remove(id)),
                Change::PutSchedulingPolicy(row) => {
                    let same_name = |p: &&SchedulingPolicy| p.name == row.name && p.id != row.id;
                    assert!(!self.policies.values().any(|p| same_name(&p)), "two policies {}", row.name);
                    let last = &mut self.last.scheduling_policy;
                    assert!(self.policies.contains_key(&row.id) || row.id.0 > *last, "old id {row:?}");
                    *last = row.id.0.max(*last);
                    assert_ne!(self.policies.insert(row.id, row.clone()).as_ref(), Some(row), "no change");
                }
                Change::RemoveSchedulingPolicy(id) => {
                    assert!(self.queues.values().all(|q| q.policy != Some(*id)), "a policy in use");
                    self.policies.remove(id);
                }
                Change::InsertJobDefinition(row) => {
                    let same = |d: &&JobDefinition| (&d.name, d.revision) == (&row.name, row.revision);
                    assert!(!self.definitions.values().any(|d| same(&d)), "revision used twice: {row:?}");
                    self.last.job_definition = row.id.0;
                    assert!(self.definitions.insert(row.id, row.clone()).is_none());
                }
                Change::DeactivateJobDefinition(id, at_ms) => {
                    let row = self.definitions.get_mut(id).expect("a definition that is there");
                    assert!(row.active, "deregistered twice");
                    (row.active, row.deregistered_ms) = (false, Some(*at_ms));
                }
                Change::InsertJob(row, hot) => {
                    assert!(written.insert(hot.id), "job {} twice in a batch", hot.id.0);
                    assert!(hot.id.0 > self.last.job, "job {} is older than another", hot.id.0);
                    self.last.job = hot.id.0;
                    self.jobs.insert(hot.id, (*row.clone(), hot.clone()));
                }
                Change::InsertChild(child, hot) => {
                    assert!(written.insert(hot.id), "job {} twice in a batch", hot.id.0);
                    assert!(hot.id.0 > self.last.job, "job {} is older than another", hot.id.0);
                    self.last.job = hot.id.0;
                    let (mut row, parent) = self.jobs[&child.parent].clone();
                    assert!(!parent.status.is_terminal(), "a child of what is over");
                    (row.array, row.depends_on) = (None, [].into());
                    self.jobs.insert(hot.id, (row, hot.clone()));
                    let before = self.children.insert((child.parent, child.index), hot.id);
                    assert_eq!(before, None, "a child twice");
                }
                Change::PutSegment(row) => self.put_segment(row),
                Change::PutShareUsage(row) => {
                    assert!(row.average_milli.is_finite() && row.average_milli >= 0.0, "{row:?}");
                    self.usage.insert((row.queue, row.share.clone()), row.clone());
                }
                Change::RemoveShareUsage(queue, share) => drop(self.usage.remove(&(*queue, share.clone()))),
                Change::PutArraySummary(row) => drop(self.summaries.insert(row.job, *row)),
                Change::UpdateJob(hot) => {
                    assert!(written.insert(hot.id), "job {} twice in a batch", hot.id.0);
                    let (_, old) = self.jobs.get_mut(&hot.id).expect("a job that is there");
                    assert!(!old.status.is_terminal(), "job {} was over: {hot:?}", hot.id.0);
                    assert!(hot.attempts >= old.attempts, "job {} lost attempts", hot.id.0);
                    let stays = old.terminated.is_none() || old.terminated == hot.terminated;
                    assert!(stays, "job {} was terminated with other words", hot.id.0);
                    assert_ne!(old, hot, "no change");
                    *old = hot.clone();
                }
                Change::PutAttempt(row) => self.put_attempt(row),
            }
        }
    }

    fn put_segment(&mut self, row: &SegmentRow) {
        let (first, last) = (row.segment * SEGMENT, row.segment * SEGMENT + SEGMENT - 1);
        for (begin, end, state) in &row.runs {
            assert!(first <= *begin && begin <= end && *end <= last, "{row:?}");
            let told = matches!(state, ChildState::Own | ChildState::Succeeded | ChildState::Failed);
            assert!(!told, "a row of its own tells: {row:?}");
        }
        let before = self.segments.insert((row.job, row.segment), row.clone());
        assert_ne!(before.as_ref(), Some(row), "no change");
    }

    fn put_attempt(&mut self, row: &AttemptRow) {
        assert!(self.jobs.contains_key(&row.job), "an attempt of no job");
        if let Some(old) = self.attempts.insert((row.job, row.attempt), row.clone()) {
            assert!(old.stopped_ms.is_none(), "attempt {} of {} was over", row.attempt, row.job.0);
            let place = |r: &AttemptRow| (r.task, r.host, r.environment, r.placed_ms);
            assert_eq!(place(&old), place(row), "an attempt moved");
            assert_ne!(&old, row, "no change");
        } else {
            let last = self.attempts.range((row.job, 0)..(row.job, row.attempt)).next_back();
            assert_eq!(last.map_or(0, |((_, n), _)| *n) + 1, row.attempt, "attempts count on by one");
        }
    }

    /// What the engine is made from after a restart.
    pub fn open_rows(&self) -> OpenRows {
        let facts = |d: &JobDefinition| DefinitionFacts {
            id: d.id,
            name: d.name.clone(),
            revision: d.revision,
            active: d.active,
        };
        let open = |(row, hot): &(JobRow, JobHot)| OpenJob {
            hot: hot.clone(),
            uuid: row.uuid,
            queue: row.queue,
            child: self.child_of(hot.id),
            array: row.array.clone(),
            depends_on: row.depends_on.clone(),
            facts: row.facts.clone(),
        };
        OpenRows {
            compute_environments: self.environments.values().cloned().collect(),
            job_queues: self.queues.values().cloned().collect(),
            scheduling_policies: self.policies.values().cloned().collect(),
            job_definitions: self.definitions.values().map(facts).collect(),
            jobs: self.jobs.values().filter(|(_, hot)| !hot.status.is_terminal()).map(open).collect(),
            arrays: self.open_arrays(),
            share_usage: self.usage.values().cloned().collect(),
            attempts: self.open_attempts().cloned().collect(),
            last_ids: self.last,
        }
    }

    /// Of which array this is which child.
    pub fn child_of(&self, job: JobId) -> Option<ChildRow> {
        let found = self.children.iter().find(|(_, child)| **child == job);
        found.map(|(&(parent, index), _)| ChildRow { parent, index })
    }

    fn open_arrays(&self) -> Vec<OpenArray> {
        let open = self.jobs.values().filter(|(row, hot)| row.array.is_some() && !hot.status.is_terminal());
        let array = |(_, hot): &(JobRow, JobHot)| {
            let segments = self.segments.range((hot.id, 0)..=(hot.id, u32::MAX));
            let own = self.children.range((hot.id, 0)..=(hot.id, u32::MAX));
            let ended = own.map(|((_, index), child)| (*index, self.jobs[child].1.status));
            OpenArray {
                job: hot.id,
                runs: segments.flat_map(|(_, row)| row.runs.clone()).collect(),
                ended: ended
                    .filter(|(_, status)| status.is_terminal())
                    .map(|(index, status)| (index, status == JobStatus::Succeeded))
                    .collect(),
            }
        };
        open.map(array).collect()
    }

    /// How each child of an array stands, as a reader would put it together.
    pub fn children_of(&self, parent: JobId) -> Vec<(JobStatus, Option<String>)> {
        let size = self.jobs[&parent].0.array.as_ref().expect("an array").size;
        let child = |index: u32| {
            if let Some(own) = self.children.get(&(parent, index)) {
                let hot = &self.jobs[own].1;
                return (hot.status, hot.status_reason.as_deref().map(str::to_owned));
            }
            let runs = &self.segments[&(parent, index / SEGMENT)].runs;
            let run = runs.iter().find(|(first, last, _)| (*first..=*last).contains(&index));
            let (.., state) = run.expect("a child that somebody tells of");
            let reason = match state {
                ChildState::Unplaced(ended) => Some(ended.reason.to_string()),
                _ => None,
            };
            (state.status().expect("no row of its own"), reason)
        };
        (0..size).map(child).collect()
    }

    /// Something is CREATING or UPDATING.
    pub fn unsettled(&self) -> bool {
        self.environments.values().any(|e| e.status.is_passing())
            || self.queues.values().any(|q| q.status.is_passing())
    }

    pub fn open_attempts(&self) -> impl Iterator<Item = &AttemptRow> {
        self.attempts.values().filter(|row| row.stopped_ms.is_none())
    }

    pub fn job(&self, id: i64) -> &JobHot {
        &self.jobs[&JobId(id)].1
    }

    /// Jobs in one of these states, by id.
    pub fn jobs_in(&self, states: &[JobStatus]) -> Vec<JobId> {
        self.jobs.values().filter(|(_, hot)| states.contains(&hot.status)).map(|(_, hot)| hot.id).collect()
    }
}
