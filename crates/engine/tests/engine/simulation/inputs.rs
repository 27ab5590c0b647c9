//! One random thing that happens.

use super::Simulation;
use super::backend::{self, Container};
use crate::common::words;
use batchyard_engine::input::{Command, Dependency, EnvironmentUpdate, Found, StopRequest, Submission, Why};
use batchyard_engine::job::retry::{RetryRule, RetryStrategy};
use batchyard_engine::resource::{ComputeEnvironment, JobQueue, LimitCause, State, Status, TimeLimit};
use batchyard_engine::{DefinitionId, HostId, Input, JobStatus, JobUuid, Report};

impl Simulation {
    pub fn random_input(&mut self) {
        match self.random.below(100) {
            0..25 => self.submit(),
            25..70 => self.report_of_a_task(),
            70..76 => self.told_again(),
            76..84 => self.stop(),
            84..88 => self.host(),
            88..94 => self.environment(),
            94..99 => self.queue(),
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
        let depends_on = self.random_dependencies();
        self.command(Command::Submit(Box::new(Submission { retry, definition, depends_on, ..job })));
    }

    /// Mostly none; else up to three jobs, mostly open ones, as the rows have them now, which may be a step too old.
    fn random_dependencies(&mut self) -> Vec<Dependency> {
        let mut dependencies = Vec::new();
        let states = if self.random.once_in(4) { &JobStatus::ALL[..] } else { &JobStatus::ALL[..5] };
        while dependencies.len() < 3 && self.random.once_in(4) {
            let Some(job) = self.random.pick(&self.world.store.jobs_in(states)) else { break };
            let (row, hot) = &self.world.store.jobs[&job];
            let found = match hot.status {
                JobStatus::Succeeded => Found::Succeeded,
                JobStatus::Failed => Found::Failed,
                _ => Found::Open,
            };
            dependencies.push(Dependency { job: row.uuid, found });
        }
        dependencies
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
        let uuid = job.map_or(JobUuid([255; 16]), |job| self.world.store.jobs[&job].0.uuid);
        let request = StopRequest { job: uuid, reason: "not wanted".into() };
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
