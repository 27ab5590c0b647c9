//! One random thing that happens.

use super::Simulation;
use super::backend::{self, Container};
use crate::common::words;
use batchyard_engine::input::{
    ArraySpec, Command, Dependency, EnvironmentUpdate, Found, StopRequest, Submission, Why,
};
use batchyard_engine::job::retry::{RetryRule, RetryStrategy};
use batchyard_engine::resource::{
    ComputeEnvironment, FairShare, JobQueue, LimitCause, State, Status, TimeLimit,
};
use batchyard_engine::{
    DefinitionId, HostId, Input, JobHot, JobId, JobRef, JobRow, JobStatus, JobUuid, Report,
};

impl Simulation {
    pub fn random_input(&mut self) {
        match self.random.below(100) {
            0..25 => self.submit(),
            25..70 => self.report_of_a_task(),
            70..76 => self.told_again(),
            76..84 => self.stop(),
            84..88 => self.host(),
            88..94 => self.environment(),
            94..98 => self.queue(),
            98 => self.policy(),
            _ => self.definition(),
        }
    }

    fn command(&mut self, command: Command) {
        self.world.engine.handle(Input::Command(command), self.world.now);
    }

    fn report(&mut self, report: Report) {
        self.told.push(report.clone());
        if self.told.len() > 40 {
            self.told.remove(0);
        }
        self.world.engine.handle(Input::Report(report), self.world.now);
    }

    fn submit(&mut self) {
        let queues: Vec<String> = self.world.store.queues.values().map(|q| q.name.to_string()).collect();
        let Some(queue) = self.random.pick(&queues) else { return };
        let usual = ["0.5x100", "1x512", "1x1024", "2x2048", "3x100"];
        let large = ["2x8192", "9x1"];
        let sizes = if self.random.once_in(30) { &large[..] } else { &usual };
        let size = self.random.pick(sizes);
        let job = self.world.job(&format!("{queue} {}", size.unwrap_or("1x1")));
        let definition = DefinitionId(1 + self.random.below(3) as i64);
        let definition = if self.random.once_in(10) { definition } else { DefinitionId(1) };
        let attempts = 1 + self.random.below(3) as u32;
        let rules = self.random_rules();
        let retry = RetryStrategy { attempts, rules: rules.into() };
        let mut depends_on = self.random_dependencies();
        let mut array = None;
        if self.random.once_in(6) {
            // Around the border of a segment, too.
            let size = self.random.pick(&[2, 3, 5, 7, 300]).unwrap_or(2);
            array = Some(ArraySpec { size, sequential: self.random.once_in(3) });
            depends_on.extend(self.random_counterparts(size));
        }
        let shared = self.world.queue(&queue).policy.is_some();
        let share = self.random.pick(&["a", "b1", "b2", "c"]).filter(|_| shared).map(Into::into);
        let priority = self.random.below(3) as i16;
        let job = Submission { share, priority, ..job };
        self.command(Command::Submit(Box::new(Submission { retry, definition, depends_on, array, ..job })));
    }

    /// Sometimes an array of this size for N_TO_N.
    fn random_counterparts(&mut self, size: u32) -> Option<Dependency> {
        let same = |(row, _): &&(JobRow, JobHot)| row.array.as_ref().is_some_and(|array| array.size == size);
        let arrays: Vec<JobId> = self.world.store.jobs.values().filter(same).map(|(_, hot)| hot.id).collect();
        let other = self.random.pick(&arrays).filter(|_| self.random.once_in(2))?;
        let store = &self.world.store;
        let failed =
            store.children_of(other).into_iter().zip(0..).filter(|((s, _), _)| *s == JobStatus::Failed);
        let each = Some(failed.map(|(_, index)| (index, index)).collect());
        let (row, hot) = &store.jobs[&other];
        Some(Dependency { job: row.uuid.into(), each, found: found(hot.status) })
    }

    /// Mostly none; else up to three jobs, mostly open ones, as the rows have them now, which may be a step too old.
    fn random_dependencies(&mut self) -> Vec<Dependency> {
        let mut dependencies = Vec::new();
        let states = if self.random.once_in(4) { &JobStatus::ALL[..] } else { &JobStatus::ALL[..5] };
        while dependencies.len() < 3 && self.random.once_in(4) {
            let Some(job) = self.random.pick(&self.world.store.jobs_in(states)) else { break };
            let (job, status) = self.named(job);
            dependencies.push(Dependency { job, each: None, found: found(status) });
        }
        dependencies
    }

    /// What names a job; of an array half of the time one of its children, row or no row.
    fn named(&mut self, job: JobId) -> (JobRef, JobStatus) {
        let store = &self.world.store;
        let (row, hot) = &store.jobs[&job];
        if let Some(child) = store.child_of(job) {
            return (JobRef { uuid: row.uuid, index: Some(child.index) }, hot.status);
        }
        if row.array.is_some() && self.random.once_in(2) {
            let children = store.children_of(job);
            let index = self.random.below(children.len());
            return (JobRef { uuid: row.uuid, index: Some(index as u32) }, children[index].0);
        }
        (row.uuid.into(), hot.status)
    }

    fn random_rules(&mut self) -> Vec<RetryRule> {
        let mut rules = Vec::new();
        while self.random.once_in(3) {
            let mut maybe =
                |texts: &[&str]| self.random.pick(texts).filter(|t| !t.is_empty()).map(Into::into);
            let on_status_reason = maybe(&["", "Host EC2*", "Essential*", "Task failed to start"]);
            let (on_reason, on_exit_code) = (maybe(&["", "*", "OutOfMemory*"]), maybe(&["", "", "1*", "3"]));
            let retry = self.random.once_in(2);
            rules.push(RetryRule { retry, on_status_reason, on_reason, on_exit_code });
        }
        rules
    }

    fn report_of_a_task(&mut self) {
        let Some(task) = self.random.pick(&self.backend.running()) else { return };
        let at_ms = self.world.now.wall_ms;
        let why = if self.backend.is_stopping(task) { Why::Stopped } else { Why::Exit };
        let exit = match self.random.below(12) {
            0..3 => return self.report(Report::Started { task, at_ms }),
            3 => return self.report(Report::Progress(vec![(task, "pulling the image".into())])),
            4 => {
                self.backend.becomes(task, Container::Lost);
                return self.report(Report::Lost { task, at_ms });
            }
            5 => backend::exit(Why::Timeout, Some(137), false, at_ms),
            6 => backend::exit(Why::StartFailed("CannotPullContainerError: no".into()), None, false, at_ms),
            7 => backend::exit(why, Some(137), true, at_ms),
            8 => backend::exit(why, Some(3), false, at_ms),
            _ => backend::exit(why, Some(0), false, at_ms),
        };
        self.backend.becomes(task, Container::Ended(exit.clone()));
        self.report(Report::Exited { task, exit });
    }

    /// A report about a task is told twice or late. (Hosts come and go once.)
    fn told_again(&mut self) {
        let about_tasks = |report: &&Report| !matches!(report, Report::HostJoined(_) | Report::HostLeft(_));
        let told: Vec<Report> = self.told.iter().filter(about_tasks).cloned().collect();
        if let Some(report) = self.random.pick(&told) {
            self.report(report);
        }
    }

    fn stop(&mut self) {
        let open = [JobStatus::Pending, JobStatus::Runnable, JobStatus::Starting, JobStatus::Running];
        let states = if self.random.once_in(5) { &JobStatus::ALL[..] } else { &open };
        let job = self.random.pick(&self.world.store.jobs_in(states));
        let job = job.map_or(JobUuid([255; 16]).into(), |job| self.named(job).0);
        let request = StopRequest { job, reason: "not wanted".into() };
        let cancel = self.random.once_in(2);
        self.command(if cancel { Command::Cancel(request) } else { Command::Terminate(request) });
    }

    fn host(&mut self) {
        let id = HostId(1 + self.random.below(4) as i64);
        let there = self.world.hosts.contains_key(&id);
        if there && self.random.once_in(2) {
            self.world.hosts.remove(&id);
            self.backend.host_left(id);
            return self.report(Report::HostLeft(id));
        }
        let size = self.random.pick(&["4x4096", "2x8192", "2x2048", "1x512"]).unwrap_or("1x1");
        let mut host = words::host(&format!("h{} {size}", id.0)).0;
        let lab = self.world.store.environments.values().find(|e| !e.managed).map(|e| e.id);
        host.environment = if id.0 == 3 { lab } else { None };
        self.world.hosts.insert(id, host.clone());
        self.report(Report::HostJoined(host));
    }

    fn environment(&mut self) {
        let rows: Vec<ComputeEnvironment> = self.world.store.environments.values().cloned().collect();
        let Some(mut row) = self.random.pick(&rows) else { return };
        let in_use = self.world.store.queues.values().any(|queue| queue.environments.contains(&row.id));
        if !in_use && row.state == State::Disabled && self.random.once_in(2) {
            return self.command(Command::DeleteComputeEnvironment(row.id));
        }
        match self.random.below(12) {
            0 => return self.command(Command::DeleteComputeEnvironment(row.id)),
            1 => return self.command(Command::CreateComputeEnvironment(words::environment("c 2"))),
            2 => row.status = Status::Invalid,
            3 => row.max_vcpus_milli = row.max_vcpus_milli.map(|_| 1000 * (1 + self.random.below(6)) as u64),
            4 => row.version = row.version.wrapping_sub(1),
            _ => (row.status, row.state) = (Status::Valid, self.on_or_off()),
        }
        let end_jobs = self.random.once_in(6);
        self.command(Command::UpdateComputeEnvironment(EnvironmentUpdate { row, end_jobs }));
    }

    fn queue(&mut self) {
        let rows: Vec<JobQueue> = self.world.store.queues.values().cloned().collect();
        let Some(mut row) = self.random.pick(&rows) else { return };
        let environments: Vec<_> = self.world.store.environments.keys().copied().collect();
        match self.random.below(24) {
            0 => return self.command(Command::DeleteJobQueue(row.id)),
            1..3 => {
                let (mut new, _) =
                    words::queue(self.random.pick(&["high 10", "low 1", "new 5"]).unwrap_or("new 5"));
                new.environments.extend(self.random.pick(&environments));
                return self.command(Command::CreateJobQueue(new));
            }
            3..6 => row.priority = self.random.below(12) as i32,
            6..9 => {
                row.environments.clear();
                row.environments.extend(self.random.pick(&environments));
                row.environments.extend(self.random.pick(&environments));
                row.environments.dedup();
            }
            9..12 => {
                let causes =
                    self.random.pick(&[&LimitCause::ALL[..], &LimitCause::ALL[2..], &[]]).unwrap_or(&[]);
                row.time_limits = causes.iter().map(|&cause| TimeLimit { cause, max_s: 600 }).collect();
            }
            _ => row.state = self.on_or_off(),
        }
        self.command(Command::UpdateJobQueue(row));
    }

    /// Other weights, another decay, another reservation.
    fn policy(&mut self) {
        let Some(mut row) = self.world.store.policies.values().next().cloned() else { return };
        let mut weights = std::collections::BTreeMap::from([("b*".into(), 5_000)]);
        weights.extend(self.random.pick(&[20_000, 1]).map(|weight| ("a".into(), weight)));
        let decay_s = self.random.pick(&[0, 60, 100_000]).unwrap_or(0);
        let compute_reservation = self.random.pick(&[0, 30, 90]).unwrap_or(0);
        row.fair_share = Some(FairShare { decay_s, compute_reservation, weights });
        self.command(Command::UpdateSchedulingPolicy(row));
    }

    fn on_or_off(&mut self) -> State {
        if self.random.once_in(4) { State::Disabled } else { State::Enabled }
    }

    fn definition(&mut self) {
        let id = DefinitionId(2 + self.random.below(4) as i64);
        if self.random.once_in(2) {
            return self.command(Command::DeregisterJobDefinition(id));
        }
        let mut row = self.world.store.definitions[&DefinitionId(1)].clone();
        row.name = self.random.pick(&["d", "e"]).unwrap_or("d").into();
        self.command(Command::RegisterJobDefinition(row));
    }
}

fn found(status: JobStatus) -> Found {
    match status {
        JobStatus::Succeeded => Found::Succeeded,
        JobStatus::Failed => Found::Failed,
        _ => Found::Open,
    }
}
