//! Scheduling policies: made, changed, deleted (spec infrastructure §4.1). Never here: the order that they give.

use crate::engine::{Engine, refused};
use crate::ids::PolicyId;
use crate::input::{Refusal, RefusalKind, Reply};
use crate::resource::SchedulingPolicy;
use crate::resources::environments::EXISTS;

impl Engine {
    pub(crate) fn create_policy(&mut self, mut row: SchedulingPolicy) -> Result<Reply, Refusal> {
        if self.state.policies.values().any(|other| other.name == row.name) {
            return Err(refused(RefusalKind::Exists, EXISTS));
        }
        self.state.last.scheduling_policy += 1;
        row.id = PolicyId(self.state.last.scheduling_policy);
        row.version = 1;
        let id = row.id;
        self.state.policies.insert(id, row);
        self.batch.policy(id);
        Ok(Reply::SchedulingPolicy(id))
    }

    pub(crate) fn update_policy(&mut self, mut row: SchedulingPolicy) -> Result<Reply, Refusal> {
        let Some(old) = self.state.policies.get_mut(&row.id).filter(|old| old.version == row.version) else {
            return Ok(Reply::Stale);
        };
        if old.kind != row.kind {
            let message =
                format!("scheduling policy {} cannot change its kind, create another one", old.name);
            return Err(refused(RefusalKind::WrongState, message));
        }
        row.name = old.name.clone();
        row.version += 1;
        let id = row.id;
        *old = row;
        self.state.agenda.all = true;
        self.batch.policy(id);
        Ok(Reply::SchedulingPolicy(id))
    }

    pub(crate) fn delete_policy(&mut self, id: PolicyId) -> Result<Reply, Refusal> {
        let Some(policy) = self.state.policies.get(&id) else { return Ok(Reply::Done) };
        if let Some(queue) = self.state.queues.values().find(|queue| queue.row.policy == Some(id)) {
            let message = format!(
                "Cannot delete, scheduling policy {} is used by job queue {}",
                policy.name, queue.row.name
            );
            return Err(refused(RefusalKind::InUse, message));
        }
        self.state.policies.remove(&id);
        self.batch.policy(id);
        Ok(Reply::Done)
    }
}
