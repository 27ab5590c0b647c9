//! Compute environments: made, changed, deleted (spec infrastructure §1.2, §1.7, §1.8). Never here: their hosts.

use crate::engine::{Engine, refused};
use crate::ids::{ComputeEnvironmentId, TaskId};
use crate::input::{EnvironmentUpdate, Refusal, RefusalKind, Reply};
use crate::resource::{ComputeEnvironment, State as OnOff, Status};
use crate::state::Environment;

/// Compute environments of an account and Region, those that are being deleted too (spec infrastructure §10.2).
const MOST_ENVIRONMENTS: usize = 50;

pub(crate) const EXISTS: &str = "Object already exists";
pub(crate) const BEING_MODIFIED: &str = "Cannot update, resource is being modified.";

impl Engine {
    pub(crate) fn create_environment(&mut self, mut row: ComputeEnvironment) -> Result<Reply, Refusal> {
        if self.state.environments.values().any(|other| other.row.name == row.name) {
            return Err(refused(RefusalKind::Exists, EXISTS));
        }
        if self.state.environments.len() >= MOST_ENVIRONMENTS {
            let message = format!(
                "there can be at most {MOST_ENVIRONMENTS} compute environments, delete one that is not used"
            );
            return Err(refused(RefusalKind::Impossible, message));
        }
        self.state.last.compute_environment += 1;
        row.id = ComputeEnvironmentId(self.state.last.compute_environment);
        row.version = 1;
        (row.status, row.status_reason) = (Status::Creating, "".into());
        let id = row.id;
        self.state.unsettled.environment(id);
        self.state.environments.insert(id, Environment::new(row));
        self.environment_changed(id);
        Ok(Reply::ComputeEnvironment(id))
    }

    pub(crate) fn update_environment(&mut self, update: EnvironmentUpdate) -> Result<Reply, Refusal> {
        let EnvironmentUpdate { mut row, end_jobs } = update;
        let Some(environment) = self.state.environments.get_mut(&row.id) else { return Ok(Reply::Stale) };
        let old = &environment.row;
        if old.status == Status::Deleting {
            return Err(refused(RefusalKind::WrongState, BEING_MODIFIED));
        }
        if old.version != row.version {
            return Ok(Reply::Stale);
        }
        if (old.platform, old.managed) != (row.platform, row.managed) {
            let message =
                format!("compute environment {} cannot change its type, create another one", old.name);
            return Err(refused(RefusalKind::WrongState, message));
        }
        row.name = old.name.clone();
        row.version += 1;
        (row.status, row.status_reason) = (Status::Updating, "".into());
        let id = row.id;
        environment.row = row;
        self.state.unsettled.environment(id);
        self.environment_changed(id);
        if end_jobs {
            self.replace_hosts_of(id);
        }
        Ok(Reply::ComputeEnvironment(id))
    }

    pub(crate) fn delete_environment(&mut self, id: ComputeEnvironmentId) -> Result<Reply, Refusal> {
        let used = self.state.queues.values().any(|queue| queue.row.environments.contains(&id));
        let Some(environment) = self.state.environments.get_mut(&id) else { return Ok(Reply::Done) };
        let row = &mut environment.row;
        if row.status == Status::Deleting {
            return Ok(Reply::Done);
        }
        if row.state == OnOff::Enabled {
            let message = "Cannot delete, compute environment must be in DISABLED state";
            return Err(refused(RefusalKind::WrongState, message));
        }
        if used {
            return Err(refused(RefusalKind::InUse, "Cannot delete, found existing JobQueue relationship"));
        }
        row.status = Status::Deleting;
        row.status_reason = "waits for the end of its jobs".into();
        row.version += 1;
        self.environment_changed(id);
        self.remove_idle_environment(id);
        Ok(Reply::Done)
    }

    /// Removes an environment that is being deleted once its last attempt has ended.
    pub(crate) fn remove_idle_environment(&mut self, id: ComputeEnvironmentId) {
        let idle = |e: &Environment| e.row.status == Status::Deleting && e.tasks == 0;
        if self.state.environments.get(&id).is_some_and(idle) {
            self.state.environments.remove(&id);
            self.environment_changed(id);
        }
    }

    /// Its running jobs end as they do when a host is taken from under them.
    fn replace_hosts_of(&mut self, id: ComputeEnvironmentId) {
        let attempts = self.state.attempts.values().filter(|attempt| attempt.row.environment == id);
        let tasks: Vec<TaskId> = attempts.map(|attempt| attempt.row.task).collect();
        tasks.into_iter().for_each(|task| self.take_host_from(task));
    }

    pub(crate) fn environment_changed(&mut self, id: ComputeEnvironmentId) {
        self.batch.environment(id);
        self.state.agenda.all = true;
    }
}
