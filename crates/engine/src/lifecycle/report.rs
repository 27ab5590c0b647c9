//! What compute backends saw. A report about a task that is not open says nothing new and is ignored. Never here: what
//! an ended attempt means for its job.

use crate::engine::Engine;
use crate::ids::{HostId, TaskId};
use crate::input::{Now, Report};
use crate::job::end::Ending;
use crate::job::status::{Event, JobStatus};
use crate::resource::Host;
use crate::slab::Key;
use std::net::Ipv4Addr;
use std::sync::Arc;

impl Engine {
    pub(crate) fn report(&mut self, report: Report, now: Now) {
        match report {
            Report::HostJoined(host) => self.host_joined(host),
            Report::HostLeft(id) => self.host_left(id, now),
            Report::Progress(texts) => texts.into_iter().for_each(|(task, text)| self.progress(task, text)),
            Report::Addressed { task, address } => self.addressed(task, address),
            Report::Started { task, at_ms } => self.started(task, at_ms),
            Report::Exited { task, exit } => {
                if let Some(attempt) = self.state.attempts.get(&task) {
                    let terminated = self.state.jobs[attempt.key].hot.terminated.as_ref();
                    let ending = Ending::of_exit(&exit, terminated, attempt.row.status_reason.as_ref());
                    self.finish_attempt(task, ending);
                }
            }
            Report::Lost { task, at_ms } => self.lose(task, at_ms),
        }
    }

    fn job_of(&self, task: TaskId) -> Option<Key> {
        self.state.attempts.get(&task).map(|attempt| attempt.key)
    }

    /// New, or of another size. What it runs stays even where it no longer fits.
    fn host_joined(&mut self, host: Host) {
        let state = self.state.hosts.entry(host.id).or_default();
        if state.size.as_ref() != Some(&host) {
            state.size = Some(host);
            self.state.agenda.all = true;
        }
    }

    fn host_left(&mut self, id: HostId, now: Now) {
        let Some(state) = self.state.hosts.get(&id) else { return };
        for task in state.tasks.clone() {
            self.lose(task, now.wall_ms);
        }
        self.state.hosts.remove(&id);
        self.state.agenda.all = true;
    }

    fn lose(&mut self, task: TaskId, at_ms: i64) {
        let Some(attempt) = self.state.attempts.get(&task) else { return };
        let host = self.state.hosts.get(&attempt.row.host).and_then(|state| state.size.as_ref());
        let terminated = self.state.jobs[attempt.key].hot.terminated.as_ref();
        let ending = Ending::of_loss(host.map(|host| &*host.instance_id), at_ms, terminated);
        self.finish_attempt(task, ending);
    }

    fn progress(&mut self, task: TaskId, text: Arc<str>) {
        if let Some(key) = self.job_of(task)
            && self.state.jobs[key].hot.status == JobStatus::Starting
            && self.state.jobs[key].hot.status_reason.as_ref() != Some(&text)
        {
            self.say(key, text);
        }
    }

    fn addressed(&mut self, task: TaskId, address: Ipv4Addr) {
        let Some(attempt) = self.state.attempts.get_mut(&task) else { return };
        if attempt.row.address != Some(address) {
            attempt.row.address = Some(address);
            self.batch.attempt(&attempt.row);
        }
    }

    fn started(&mut self, task: TaskId, at_ms: i64) {
        let Some(key) = self.job_of(task) else { return };
        if self.state.jobs[key].hot.status != JobStatus::Starting {
            return;
        }
        self.advance(key, Event::Started);
        let Some(attempt) = self.state.attempts.get_mut(&task) else { return };
        let job = &mut self.state.jobs[key];
        job.hot.status_reason = None;
        job.hot.started_ms = Some(at_ms);
        attempt.row.started_ms = Some(at_ms);
        self.batch.attempt(&attempt.row);
        self.batch.touch(&mut self.state.jobs, key);
    }
}
