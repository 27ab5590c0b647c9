//! The engine's door: what goes in, what comes out. Never here: what an input does; each has its module.

use crate::batch::Batch;
use crate::capacity::group::Groups;
use crate::capacity::pass::start_effect;
use crate::change::Change;
use crate::effect::Effect;
use crate::ids::TaskId;
use crate::input::{Command, Input, Now, Refusal, RefusalKind, Reply};
use crate::job::Part;
use crate::job::status::JobStatus;
use crate::lifecycle::stop::STOP_GRACE_S;
use crate::random::TaskIds;
use crate::rebuild;
use crate::restore::OpenRows;
use crate::slab::Key;
use crate::state::State;

/// Everything that is not finished, and the rules by which it goes on.
///
/// A batch is: any number of [`Self::handle`], one [`Self::schedule`], one [`Self::take`], the commit of its changes,
/// [`Self::committed`], then answers and effects. After a commit that failed the engine is thrown away and made anew
/// from the rows (invariant 1).
#[derive(Debug)]
pub struct Engine {
    pub(crate) state: State,
    pub(crate) batch: Batch,
    /// Jobs that ended in the batch being written.
    pub(crate) leaving: Vec<Key>,
    /// What does not fit together in the rows it was made from.
    pub(crate) problems: Vec<String>,
    groups: Groups,
    tasks: TaskIds,
}

/// How much there is, for the line at start and for gauges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Jobs that wait for room.
    pub queued: usize,
    /// Jobs that are placed and do not run yet.
    pub starting: usize,
    /// Jobs whose container runs.
    pub running: usize,
    /// Hosts that are there.
    pub hosts: usize,
}

impl Engine {
    /// From all open rows. Hosts are reported afterwards ([`crate::Report::HostJoined`]), before the first
    /// [`Self::schedule`], lest waiting jobs are told that there is no host.
    ///
    /// Ids of attempts are drawn from the seed: a new one at each start.
    pub fn new(seed: u128, rows: OpenRows, now: Now) -> Self {
        let mut engine = Self {
            state: State::new(rows.last_ids),
            batch: Batch::default(),
            leaving: Vec::new(),
            problems: Vec::new(),
            groups: Groups::default(),
            tasks: TaskIds::new(seed),
        };
        rebuild::fill(&mut engine, rows, now);
        engine
    }

    /// Takes in one thing that happened.
    pub fn handle(&mut self, input: Input, now: Now) -> Reply {
        self.batch.now = now;
        let reply = match input {
            Input::Command(command) => self.command(command, now),
            Input::Report(report) => {
                self.report(report, now);
                Reply::Done
            }
            Input::Tick => Reply::Done,
        };
        self.follow_ends(now);
        reply
    }

    fn command(&mut self, command: Command, now: Now) -> Reply {
        let reply = match command {
            Command::CreateComputeEnvironment(row) => self.create_environment(row),
            Command::UpdateComputeEnvironment(update) => self.update_environment(update),
            Command::DeleteComputeEnvironment(id) => self.delete_environment(id),
            Command::CreateJobQueue(row) => self.create_queue(row),
            Command::UpdateJobQueue(row) => self.update_queue(row),
            Command::DeleteJobQueue(id) => self.delete_queue(id),
            Command::CreateSchedulingPolicy(row) => self.create_policy(row),
            Command::UpdateSchedulingPolicy(row) => self.update_policy(row),
            Command::DeleteSchedulingPolicy(id) => self.delete_policy(id),
            Command::RegisterJobDefinition(definition) => Ok(self.register_definition(definition, now)),
            Command::DeregisterJobDefinition(id) => Ok(self.deregister_definition(id, now)),
            Command::Submit(submission) => self.submit(*submission, now),
            Command::Cancel(request) => Ok(self.cancel(&request, now)),
            Command::Terminate(request) => Ok(self.terminate(&request, now)),
        };
        reply.unwrap_or_else(Reply::Refused)
    }

    /// Places what fits, in every group of queues that has something new. Costs nothing when nothing changed; never
    /// more than the heads of a group's queues and what is placed.
    pub fn schedule(&mut self, now: Now) {
        self.batch.now = now;
        self.settle();
        self.come_back_to_settle(now);
        self.give_up_heads(now);
        self.follow_ends(now);
        self.pass_what_is_due(now);
        self.settle_fronts(now);
    }

    fn pass_what_is_due(&mut self, now: Now) {
        if self.state.agenda.is_empty() {
            return;
        }
        self.end_jobs_of_deleted_queues(now);
        let agenda = std::mem::take(&mut self.state.agenda);
        if agenda.all {
            self.groups = Groups::of(&self.state);
        }
        for queues in self.groups.due(&agenda) {
            self.pass(&queues, now);
        }
        self.come_back_for_deleted_queues(now);
    }

    /// What the batch changed, each row once, and what must be done when that is durable.
    pub fn take(&mut self) -> (Vec<Change>, Vec<Effect>) {
        self.leaving.append(&mut self.batch.ended);
        self.batch.drain(&mut self.state)
    }

    /// The batch just taken is durable: jobs that ended with it leave memory.
    pub fn committed(&mut self) {
        for key in std::mem::take(&mut self.leaving) {
            let Some(job) = self.state.jobs.remove(key) else { continue };
            if !matches!(job.part, Part::Child(..)) {
                self.state.by_uuid.remove(&job.uuid);
            }
            self.forget_array(key);
        }
    }

    /// After a restart: every open attempt is to run, unless it runs or ran already, and those that were asked
    /// to end are to end. In the order in which the jobs were submitted.
    pub fn resume(&self) -> Vec<Effect> {
        let mut attempts: Vec<_> = self.state.attempts.values().collect();
        attempts.sort_by_key(|attempt| attempt.row.job);
        let mut effects = Vec::with_capacity(attempts.len());
        for attempt in attempts {
            let job = &self.state.jobs[attempt.key];
            let (task, host) = (attempt.row.task, attempt.row.host);
            effects.push(start_effect(job.named(), job.facts.timeout_s, &attempt.row));
            if job.hot.terminated.is_some() || attempt.row.status_reason.is_some() {
                effects.push(Effect::Stop { task, host, grace_s: STOP_GRACE_S });
            }
        }
        effects
    }

    /// How much there is.
    pub fn counts(&self) -> Counts {
        let status = |wanted: JobStatus| {
            let jobs = self.state.attempts.values().map(|attempt| &self.state.jobs[attempt.key]);
            jobs.filter(|job| job.hot.status == wanted).count()
        };
        Counts {
            queued: self.state.queues.values().map(|queue| queue.waiting.len()).sum(),
            starting: status(JobStatus::Starting),
            running: status(JobStatus::Running),
            hosts: self.state.hosts.values().filter(|host| host.size.is_some()).count(),
        }
    }

    /// An id that no open attempt has.
    pub(crate) fn new_task(&mut self) -> TaskId {
        loop {
            let task = self.tasks.draw();
            if !self.state.attempts.contains_key(&task) {
                return task;
            }
        }
    }
}

/// A refusal of a command.
pub(crate) fn refused(kind: RefusalKind, message: impl Into<String>) -> Refusal {
    Refusal { kind, message: message.into() }
}
