//! An engine with a store and a clock beside it. After every step it checks the engine against itself, the rows against
//! the rules and that nothing more is said.

use super::store::Store;
use super::words;
use batchyard_engine::change::Change;
use batchyard_engine::input::{
    Command, ContainerExit, Dependency, Found, StopRequest, Submission, TaskExit, Why,
};
use batchyard_engine::job::retry::RetryStrategy;
use batchyard_engine::resource::{ComputeEnvironment, Host, JobDefinition, JobQueue, Platform};
use batchyard_engine::{
    AttemptRow, DefinitionId, Effect, Engine, HostId, Input, JobHot, JobId, JobStatus, JobUuid, Now, Refusal,
    Reply, Report, TaskId,
};
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct World {
    pub engine: Engine,
    pub store: Store,
    pub now: Now,
    /// What the last step gave.
    pub changes: Vec<Change>,
    pub effects: Vec<Effect>,
    /// The hosts that are there.
    pub hosts: BTreeMap<HostId, Host>,
    uuids: u32,
    starts: u32,
}

impl World {
    /// From lists divided by commas, see [`words`]. Comes with a definition `d`.
    pub fn new(hosts: &str, environments: &str, queues: &str) -> Self {
        let now = Now { wall_ms: 1_000_000, mono_ms: 0 };
        let mut world = Self {
            engine: Engine::new(1, Store::default().open_rows(), now),
            store: Store::default(),
            now,
            changes: Vec::new(),
            effects: Vec::new(),
            hosts: BTreeMap::new(),
            uuids: 0,
            starts: 1,
        };
        for text in list(environments) {
            world.done(Command::CreateComputeEnvironment(words::environment(text)));
        }
        for text in list(queues) {
            let queue = world.queue_row(text);
            world.done(Command::CreateJobQueue(queue));
        }
        for text in list(hosts) {
            world.join(text);
        }
        world.register("d");
        world
    }

    pub fn queue_row(&self, text: &str) -> JobQueue {
        let (mut queue, names) = words::queue(text);
        queue.environments = names.into_iter().map(|name| self.environment(name).id).collect();
        queue
    }

    /// A queue of this name over an environment of this name whose cluster is not there.
    pub fn queue_of_a_cluster(&mut self, name: &str) {
        let create = Command::CreateComputeEnvironment(words::environment(&format!("{name} 4 eks")));
        let Reply::ComputeEnvironment(id) = self.engine.handle(Input::Command(create), self.now) else {
            panic!("no environment {name}");
        };
        let (queue, _) = words::queue(&format!("{name} 1"));
        self.done(Command::CreateJobQueue(JobQueue { environments: vec![id], ..queue }));
    }

    pub fn environment(&self, name: &str) -> ComputeEnvironment {
        self.store.environments.values().find(|e| &*e.name == name).expect("an environment").clone()
    }

    pub fn queue(&self, name: &str) -> JobQueue {
        self.store.queues.values().find(|q| &*q.name == name).expect("a queue").clone()
    }

    pub fn register(&mut self, name: &str) -> Reply {
        let definition = JobDefinition {
            id: DefinitionId(0),
            name: name.into(),
            revision: 0,
            active: false,
            created_ms: 0,
            deregistered_ms: None,
            body: "{}".into(),
        };
        self.done(Command::RegisterJobDefinition(definition))
    }

    /// A host, see [`words`].
    pub fn join(&mut self, text: &str) {
        let (mut host, joined) = words::host(text);
        host.environment = joined.map(|name| self.environment(name).id);
        self.hosts.insert(host.id, host.clone());
        self.report(Report::HostJoined(host));
    }

    pub fn leave(&mut self, host: i64) {
        self.hosts.remove(&HostId(host));
        self.report(Report::HostLeft(HostId(host)));
    }

    /// The engine, and nothing else, begins anew from the rows.
    pub fn restart(&mut self) {
        self.starts += 1;
        self.now.mono_ms = 0;
        self.engine = Engine::new(u128::from(self.starts), self.store.open_rows(), self.now);
        self.engine.check().expect("rows that fit together");
        for host in self.hosts.values() {
            self.engine.handle(Input::Report(Report::HostJoined(host.clone())), self.now);
        }
        self.step();
    }

    /// A submission to fill in and give to [`Self::send`].
    pub fn job(&mut self, text: &str) -> Submission {
        let (queue, needs) = text.trim().split_once(' ').expect("a queue and a size");
        self.uuids += 1;
        Submission {
            uuid: JobUuid((u128::from(self.uuids) << 64).to_be_bytes()),
            name: text.into(),
            queue: self.queue(queue).id,
            definition: DefinitionId(1),
            platform: Platform::Ec2,
            depends_on: Vec::new(),
            array: None,
            needs: words::needs(needs),
            retry: RetryStrategy::default(),
            timeout_s: None,
            share: None,
            priority: 0,
            overrides_priority: false,
            fails: None,
            account: "1".into(),
            submitter: "me".into(),
            body: "{}".into(),
        }
    }

    /// Jobs of one batch, by commas; ids count from 1.
    pub fn submit(&mut self, jobs: &str) {
        for text in list(jobs) {
            let job = self.job(text);
            let reply = self.engine.handle(Input::Command(Command::Submit(Box::new(job))), self.now);
            assert!(matches!(reply, Reply::Job(_)), "{text}: {reply:?}");
        }
        self.step();
    }

    /// One job with so many attempts.
    pub fn submit_with(&mut self, text: &str, retry: RetryStrategy) {
        let job = Submission { retry, ..self.job(text) };
        self.done(Command::Submit(Box::new(job)));
    }

    /// One job that depends on others; ids count from 1. Those that have ended are told as the rows have them.
    pub fn submit_after(&mut self, text: &str, on: &[i64]) -> Reply {
        let dependency = |job: &i64| {
            let (row, hot) = &self.store.jobs[&JobId(*job)];
            let found = match hot.status {
                JobStatus::Succeeded => Found::Succeeded,
                JobStatus::Failed => Found::Failed,
                _ => Found::Open,
            };
            Dependency { job: row.uuid.into(), each: None, found }
        };
        let depends_on = on.iter().map(dependency).collect();
        let job = Submission { depends_on, ..self.job(text) };
        self.send(Command::Submit(Box::new(job)))
    }

    /// A command and its step.
    pub fn send(&mut self, command: Command) -> Reply {
        let reply = self.engine.handle(Input::Command(command), self.now);
        self.step();
        reply
    }

    pub fn done(&mut self, command: Command) -> Reply {
        let reply = self.send(command);
        assert!(!matches!(reply, Reply::Stale | Reply::Refused(_)), "{reply:?}");
        self.settle();
        reply
    }

    /// The turn that a change of resources asks for; what it gives is added to the last step's.
    pub fn settle(&mut self) {
        let asked = |effect: &Effect| matches!(effect, Effect::Wake(_));
        if !self.store.unsettled() {
            return;
        }
        let (changes, mut effects) = (std::mem::take(&mut self.changes), std::mem::take(&mut self.effects));
        effects.retain(|effect| !asked(effect));
        self.step();
        self.changes.splice(0..0, changes);
        self.effects.splice(0..0, effects);
    }

    pub fn refused(&mut self, command: Command) -> Refusal {
        match self.send(command) {
            Reply::Refused(refusal) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }

    pub fn report(&mut self, report: Report) {
        self.engine.handle(Input::Report(report), self.now);
        self.step();
    }

    /// Ends a batch, commits it, and sees that there was nothing more to say.
    pub fn step(&mut self) {
        self.engine.schedule(self.now);
        self.engine.check().expect("an engine that hangs together before the commit");
        (self.changes, self.effects) = self.engine.take();
        self.store.commit(&self.changes);
        self.engine.committed();
        self.engine.check().expect("an engine that hangs together after the commit");
        if !self.effects.iter().any(|effect| matches!(effect, Effect::Wake(_))) {
            self.engine.schedule(self.now);
            assert_eq!(self.engine.take(), (vec![], vec![]), "silence");
        }
        self.now.wall_ms += 1000;
        self.now.mono_ms += 1000;
    }

    /// Nothing came of the last step.
    pub fn silent(&self) -> bool {
        self.changes.is_empty() && self.effects.is_empty()
    }

    /// The newest attempt of a job.
    pub fn attempt(&self, job: i64) -> &AttemptRow {
        let mut rows = self.store.attempts.range((JobId(job), 0)..=(JobId(job), u32::MAX));
        rows.next_back().map(|(_, row)| row).expect("an attempt")
    }

    pub fn task(&self, job: i64) -> TaskId {
        self.attempt(job).task
    }

    pub fn started(&mut self, job: i64) {
        self.report(Report::Started { task: self.task(job), at_ms: self.now.wall_ms });
    }

    /// The newest attempt of a job exits with this code, having run for a second.
    pub fn exits(&mut self, job: i64, code: i32) {
        self.ends(job, Why::Exit, Some(code));
    }

    pub fn ends(&mut self, job: i64, why: Why, code: Option<i32>) {
        let exit = self.exit(why, code);
        self.report(Report::Exited { task: self.task(job), exit });
    }

    pub fn exit(&self, why: Why, code: Option<i32>) -> TaskExit {
        let started_ms = (!matches!(why, Why::StartFailed(_))).then_some(self.now.wall_ms - 1000);
        let container = ContainerExit { name: "default".into(), code, oom: false, disk_full: None };
        TaskExit { why, started_ms, stopped_ms: self.now.wall_ms, containers: vec![container] }
    }

    pub fn stop_request(&self, job: i64, reason: &str) -> StopRequest {
        StopRequest { job: self.store.jobs[&JobId(job)].0.uuid.into(), reason: reason.into() }
    }

    pub fn cancel(&mut self, job: i64, reason: &str) {
        let request = self.stop_request(job, reason);
        assert_eq!(self.send(Command::Cancel(request)), Reply::Done);
    }

    pub fn terminate(&mut self, job: i64, reason: &str) {
        let request = self.stop_request(job, reason);
        assert_eq!(self.send(Command::Terminate(request)), Reply::Done);
    }

    /// Where jobs are, by job: `1@h1 3@h2`.
    pub fn placed(&self) -> String {
        let at = |row: &AttemptRow| format!("{}@h{}", row.job.0, row.host.0);
        self.store.open_attempts().map(at).collect::<Vec<_>>().join(" ")
    }

    /// In which environments, by job: `1@a 3@b`.
    pub fn environments(&self) -> String {
        let at =
            |row: &AttemptRow| format!("{}@{}", row.job.0, self.store.environments[&row.environment].name);
        self.store.open_attempts().map(at).collect::<Vec<_>>().join(" ")
    }

    /// `RUNNABLE`, `FAILED (the reason)`.
    pub fn status(&self, job: i64) -> String {
        let JobHot { status, status_reason, .. } = self.store.job(job);
        match status_reason {
            Some(reason) => format!("{} ({reason})", status.name()),
            None => status.name().to_owned(),
        }
    }

    /// What a step asked for, without ids: `Start 1.2@h1`, `Stop 1`, `Forget 1`.
    pub fn asked(&self) -> String {
        let job = |task: &TaskId| {
            self.store.attempts.values().find(|row| row.task == *task).map_or(0, |row| row.job.0)
        };
        let words = self.effects.iter().map(|effect| match effect {
            Effect::Start(start) => format!("Start {}.{}@h{}", start.job.0, start.attempt, start.host.0),
            Effect::Stop { task, grace_s, .. } => format!("Stop {} {grace_s}", job(task)),
            Effect::Forget { task, .. } => format!("Forget {}", job(task)),
            Effect::Wake(at) => format!("Wake {at}"),
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

pub fn attempts(attempts: u32) -> RetryStrategy {
    RetryStrategy { attempts, rules: Arc::from([]) }
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}
