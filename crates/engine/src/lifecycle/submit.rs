//! SubmitJob (spec jobs §2). Never here: merging and checking of the request, which the handler has done.

use crate::change::{ArrayFacts, JobFacts, JobHot, JobRow};
use crate::engine::{Engine, refused};
use crate::ids::{JobId, JobRef, JobUuid, QueueId};
use crate::input::{ArraySpec, Dependency, Now, Refusal, RefusalKind, Reply, Submission};
use crate::job::depends;
use crate::job::retry::RetryStrategy;
use crate::job::status::{Event, JobStatus};
use crate::job::{Job, Part};
use crate::lifecycle::depend::{Open, Standing};
use crate::queue::fifo::{Entry, place};
use crate::resource::{Platform, State as OnOff, Status};
use crate::slab::Key;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Share identifiers with open jobs in a queue at most (spec infrastructure §4.1).
const MOST_SHARES: usize = 500;
/// AWS's words, its slip of the pen included (spec jobs §2.5).
const NO_SHARES: &str = "Job with shareIdentifier or schedulingPriority can onlybe submitted to job queue with fair \
                         share scheduling policy.";

impl Engine {
    /// Takes a job in: RUNNABLE at once unless others have to succeed before it.
    pub(crate) fn submit(&mut self, submission: Submission, now: Now) -> Result<Reply, Refusal> {
        let Some(definition) = self.state.definitions.get(submission.definition) else {
            return Ok(Reply::Stale);
        };
        if !definition.active {
            let (name, revision) = (&definition.name, definition.revision);
            let message = format!("JobDefinition {name}:{revision} is not in ACTIVE status");
            return Err(refused(RefusalKind::WrongState, message));
        }
        if !self.state.queues.contains_key(&submission.queue)
            || self.state.by_uuid.contains_key(&submission.uuid)
        {
            return Ok(Reply::Stale);
        }
        self.accepts_submissions(submission.queue)?;
        self.can_run(submission.queue, submission.platform)?;
        self.share_fits(&submission)?;
        let standing = self.standing(&submission.depends_on);
        if standing == Standing::Stale {
            return Ok(Reply::Stale);
        }
        let (fails, array) = (submission.fails.clone(), submission.array);
        let (id, key) = self.insert_job(submission, now);
        let open = match standing {
            Standing::Open(open) => Ok(open),
            _ => Err(depends::FAILED.into()),
        };
        let open = fails.map_or(open, Err);
        match (open, array) {
            (open, Some(spec)) => self.begin_array(key, spec, open, now),
            (Err(reason), None) => self.fail_waiting(key, reason, now),
            (Ok(open), None) if open.on.is_empty() => self.make_runnable(key, Event::Ready),
            (Ok(open), None) => self.make_pending(key, open.on),
        }
        Ok(Reply::Job(id))
    }

    /// The children wait for what the parent waits for and for what each of them does, or end at once.
    fn begin_array(&mut self, key: Key, spec: ArraySpec, open: Result<Open, Arc<str>>, now: Now) {
        let each_on = open.as_ref().map(|open| open.each_on.clone()).unwrap_or_default();
        self.make_array(key, spec, each_on);
        match open {
            Ok(open) if open.on.is_empty() => {
                self.advance(key, Event::Waits);
                self.fail_followers_of(key, &open.failed, now);
                self.free_children(key);
            }
            Ok(open) => {
                self.make_pending(key, open.on);
                self.fail_followers_of(key, &open.failed, now);
            }
            Err(reason) => self.fail_waiting(key, reason, now),
        }
    }

    fn accepts_submissions(&self, id: QueueId) -> Result<(), Refusal> {
        let queue = &self.state.queues[&id].row;
        let message = match (queue.status, queue.state) {
            (Status::Deleting, _) => format!("JobQueue {} is being deleted", queue.name),
            (_, OnOff::Disabled) => {
                format!("JobQueue {} is in DISABLED state, enable it to submit jobs", queue.name)
            }
            _ => return Ok(()),
        };
        Err(refused(RefusalKind::WrongState, message))
    }

    fn can_run(&self, id: QueueId, platform: Platform) -> Result<(), Refusal> {
        let environments = &self.state.queues[&id].row.environments;
        let mut rows = environments.iter().filter_map(|id| Some(&self.state.environments.get(id)?.row));
        if rows.any(|row| row.platform == platform) {
            return Ok(());
        }
        let message = format!(
            "Job Queue is attached to Compute Environment that can not run Jobs with capability {}",
            platform.capability()
        );
        Err(refused(RefusalKind::Impossible, message))
    }

    /// A share is named exactly where a policy divides by it (spec jobs §2.5, infrastructure §4.1).
    fn share_fits(&self, submission: &Submission) -> Result<(), Refusal> {
        let has_policy = self.state.queues[&submission.queue].row.policy.is_some();
        if has_policy && submission.share.is_none() {
            return Err(refused(RefusalKind::WrongState, "shareIdentifier must be specified."));
        }
        let queue = &self.state.queues[&submission.queue];
        let new = submission.share.as_ref().is_some_and(|share| !queue.shares.contains_key(share));
        if new && queue.shares.len() >= MOST_SHARES {
            let message = format!(
                "JobQueue {} has jobs of {MOST_SHARES} share identifiers, the most there can be.",
                queue.row.name
            );
            return Err(refused(RefusalKind::WrongState, message));
        }
        if !has_policy && (submission.share.is_some() || submission.overrides_priority) {
            return Err(refused(RefusalKind::WrongState, NO_SHARES));
        }
        Ok(())
    }

    fn insert_job(&mut self, submission: Submission, now: Now) -> (JobId, Key) {
        self.state.last.job += 1;
        let id = JobId(self.state.last.job);
        let hot = JobHot {
            id,
            status: JobStatus::Submitted,
            status_reason: None,
            attempts: 0,
            started_ms: None,
            stopped_ms: None,
            cancelled: false,
            terminated: None,
        };
        let (array, depends_on) = (array_facts(&submission), each_once(&submission.depends_on));
        let rules = self.state.shared.rules(submission.retry.rules);
        let facts = JobFacts {
            platform: submission.platform,
            needs: submission.needs,
            retry: RetryStrategy { rules, ..submission.retry },
            timeout_s: submission.timeout_s,
            share: submission.share,
            priority: submission.priority,
        };
        let row = Box::new(JobRow {
            uuid: submission.uuid,
            name: submission.name,
            queue: submission.queue,
            definition: submission.definition,
            account: submission.account,
            submitter: submission.submitter,
            created_ms: now.wall_ms,
            facts: facts.clone(),
            depends_on,
            array,
            body: submission.body,
        });
        let (uuid, queue) = (submission.uuid, submission.queue);
        let part = if submission.array.is_some() { Part::Array } else { Part::Whole };
        let key = self.state.jobs.insert(Job { hot, uuid, part, queue, facts, task: None, dirty: false });
        self.state.by_uuid.insert(uuid, key);
        self.batch.insert(&mut self.state.jobs, key, row);
        if let Some(queue) = self.state.queues.get_mut(&queue) {
            queue.opened(&self.state.jobs[key]);
        }
        (id, key)
    }

    /// To RUNNABLE, into its queue. A pass is due only when it is the head: behind one that waits it changes nothing.
    pub(crate) fn make_runnable(&mut self, key: Key, event: Event) {
        self.advance(key, event);
        let place = place(&self.state.jobs, key);
        let job = &mut self.state.jobs[key];
        job.hot.status_reason = Some(self.state.shared.behind.clone());
        if let Some(queue) = self.state.queues.get_mut(&job.queue)
            && queue.line_up(&job.facts.share, place, Entry::job(key))
        {
            self.state.agenda.queues.insert(job.queue);
        }
        self.batch.touch(&mut self.state.jobs, key);
    }
}

/// What all of it waits for.
fn each_once(dependencies: &[Dependency]) -> Arc<[JobRef]> {
    let whole = dependencies.iter().filter(|dependency| dependency.each.is_none());
    whole.map(|dependency| dependency.job).collect::<BTreeSet<_>>().into_iter().collect()
}

fn array_facts(submission: &Submission) -> Option<ArrayFacts> {
    let ArraySpec { size, sequential } = submission.array?;
    let each = submission.depends_on.iter().filter(|dependency| dependency.each.is_some());
    let each_on: BTreeSet<JobUuid> = each.map(|dependency| dependency.job.uuid).collect();
    Some(ArrayFacts { size, sequential, each_on: each_on.into_iter().collect() })
}
