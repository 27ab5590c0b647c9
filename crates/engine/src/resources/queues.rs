//! Job queues: made, changed, deleted (spec infrastructure §3.1, §3.2). Never here: the order of their jobs.

use crate::engine::{Engine, refused};
use crate::ids::{ComputeEnvironmentId, PolicyId, QueueId};
use crate::input::{Refusal, RefusalKind, Reply};
use crate::job::end::QUEUE_DELETED;
use crate::queue::Queue;
use crate::resource::{JobQueue, State as OnOff, Status};
use crate::resources::environments::{BEING_MODIFIED, EXISTS};
use crate::slab::Key;
use std::sync::Arc;

/// Job queues at once, those being deleted included (spec infrastructure §10.2).
const MOST_QUEUES: usize = 50;

impl Engine {
    pub(crate) fn create_queue(&mut self, mut row: JobQueue) -> Result<Reply, Refusal> {
        if self.state.queues.values().any(|other| other.row.name == row.name) {
            return Err(refused(RefusalKind::Exists, EXISTS));
        }
        if self.state.queues.len() >= MOST_QUEUES {
            let message =
                format!("there are {MOST_QUEUES} job queues, as many as there can be: delete one first");
            return Err(refused(RefusalKind::WrongState, message));
        }
        if !self.parts_exist(&row) {
            return Ok(Reply::Stale);
        }
        self.environments_fit(&row, &[])?;
        self.state.last.job_queue += 1;
        row.id = QueueId(self.state.last.job_queue);
        row.version = 1;
        (row.status, row.status_reason) = (Status::Creating, "".into());
        let id = row.id;
        self.state.unsettled.queue(id);
        self.state.queues.insert(id, Queue::new(row));
        self.queue_changed(id);
        Ok(Reply::JobQueue(id))
    }

    pub(crate) fn update_queue(&mut self, mut row: JobQueue) -> Result<Reply, Refusal> {
        let Some(old) = self.state.queues.get(&row.id).map(|queue| &queue.row) else {
            return Ok(Reply::Stale);
        };
        if old.status == Status::Deleting {
            return Err(refused(RefusalKind::WrongState, BEING_MODIFIED));
        }
        if old.version != row.version || !self.parts_exist(&row) {
            return Ok(Reply::Stale);
        }
        self.environments_fit(&row, &old.environments)?;
        self.platform_stays(old, &row)?;
        self.policy_fits(old.policy, row.policy)?;
        row.name = old.name.clone();
        row.version += 1;
        (row.status, row.status_reason) = (Status::Updating, "".into());
        let id = row.id;
        self.state.unsettled.queue(id);
        if let Some(queue) = self.state.queues.get_mut(&id) {
            queue.row = row;
        }
        self.queue_changed(id);
        Ok(Reply::JobQueue(id))
    }

    /// Its running jobs are stopped now, its waiting ones end within the next passes; the row goes with the last.
    pub(crate) fn delete_queue(&mut self, id: QueueId) -> Result<Reply, Refusal> {
        let Some(queue) = self.state.queues.get_mut(&id) else { return Ok(Reply::Done) };
        let row = &mut queue.row;
        if row.status == Status::Deleting {
            return Ok(Reply::Done);
        }
        if row.state == OnOff::Enabled {
            let message = "Cannot delete, job queue must be in DISABLED state";
            return Err(refused(RefusalKind::WrongState, message));
        }
        row.status = Status::Deleting;
        row.status_reason = "waits for the end of its jobs".into();
        row.version += 1;
        let reason: Arc<str> = QUEUE_DELETED.into();
        let attempts = self.state.attempts.values().map(|attempt| attempt.key);
        let placed: Vec<Key> = attempts.filter(|key| self.state.jobs[*key].queue == id).collect();
        for key in placed {
            self.stop_placed(key, reason.clone());
        }
        self.queue_changed(id);
        self.remove_idle_queue(id);
        Ok(Reply::Done)
    }

    /// Removes a queue that is being deleted once its last job has ended.
    pub(crate) fn remove_idle_queue(&mut self, id: QueueId) {
        let idle = |queue: &Queue| queue.row.status == Status::Deleting && queue.open == 0;
        if self.state.queues.get(&id).is_some_and(idle) {
            self.state.queues.remove(&id);
            self.queue_changed(id);
        }
    }

    fn parts_exist(&self, row: &JobQueue) -> bool {
        row.environments.iter().all(|id| self.state.environments.contains_key(id))
            && row.policy.is_none_or(|id| self.state.policies.contains_key(&id))
    }

    /// A policy is replaced by one of its kind, never removed and never given to a FIFO queue (spec infrastructure
    /// §3.1).
    fn policy_fits(&self, old: Option<PolicyId>, new: Option<PolicyId>) -> Result<(), Refusal> {
        let kind = |id: Option<PolicyId>| id.and_then(|id| self.state.policies.get(&id)).map(|p| p.kind);
        if kind(old) == kind(new) {
            return Ok(());
        }
        let message = match (old, new) {
            (None, _) => "a job queue without a scheduling policy can't get one, create another job queue",
            (_, None) => "the scheduling policy of a job queue can't be removed, only replaced",
            _ => "the scheduling policy of a job queue can only be replaced by one of the same kind",
        };
        Err(refused(RefusalKind::WrongState, message))
    }

    /// `jobQueueType` follows from the kind of the environments and never changes (spec infrastructure §3.1).
    fn platform_stays(&self, old: &JobQueue, new: &JobQueue) -> Result<(), Refusal> {
        let first = |row: &JobQueue| {
            row.environments.first().and_then(|id| self.state.environments.get(id)).map(|e| &e.row)
        };
        match (first(old), first(new)) {
            (Some(had), Some(gets)) if had.platform != gets.platform => {
                let message = format!(
                    "Compute environment {} is of another kind than those of job queue {}, whose type can't be \
                     changed: create another job queue",
                    gets.name, old.name
                );
                Err(refused(RefusalKind::Impossible, message))
            }
            _ => Ok(()),
        }
    }

    /// New environments must be VALID, and all of one kind. Those it had may have become INVALID meanwhile.
    fn environments_fit(&self, row: &JobQueue, had: &[ComputeEnvironmentId]) -> Result<(), Refusal> {
        let rows = || row.environments.iter().filter_map(|id| Some(&self.state.environments.get(id)?.row));
        if let Some(bad) = rows().find(|e| !e.status.is_usable() && !had.contains(&e.id)) {
            let message = format!("Compute environment {} is not valid", bad.name);
            return Err(refused(RefusalKind::WrongState, message));
        }
        let first = rows().next().map(|e| e.platform);
        if let Some(other) = rows().find(|e| Some(e.platform) != first) {
            let message = format!(
                "Compute environment {} is of another kind than the first one of the job queue, use one kind per queue",
                other.name
            );
            return Err(refused(RefusalKind::Impossible, message));
        }
        Ok(())
    }

    pub(crate) fn queue_changed(&mut self, id: QueueId) {
        self.batch.queue(id);
        self.state.agenda.all = true;
    }
}
