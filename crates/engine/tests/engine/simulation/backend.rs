//! A compute backend of maps. It carries out effects as the contract says (idempotent by attempt) and watches that the
//! engine keeps its side: no attempt is started twice, no job runs twice at once.

use crate::common::store::Store;
use batchyard_engine::input::{ContainerExit, TaskExit, Why};
use batchyard_engine::{Effect, HostId, Report, StartTask, TaskId};
use std::collections::{BTreeMap, BTreeSet};

/// What is left of an attempt on its host.
#[derive(Debug, Clone)]
pub enum Container {
    Runs,
    /// Its exit record.
    Ended(TaskExit),
    /// No record, no process.
    Lost,
}

#[derive(Debug, Default)]
pub struct Backend {
    containers: BTreeMap<TaskId, (StartTask, Container)>,
    /// What a stop was asked for.
    stopping: BTreeSet<TaskId>,
    forgotten: BTreeSet<TaskId>,
}

impl Backend {
    pub fn carry_out(&mut self, effect: Effect, store: &Store) {
        match effect {
            Effect::Start(start) => self.start(start, store),
            Effect::Stop { task, .. } => {
                assert!(!self.forgotten.contains(&task), "a stop of what is over");
                self.stopping.insert(task);
            }
            Effect::Forget { task, .. } => {
                let row =
                    store.attempts.values().find(|row| row.task == task).expect("a row of what is forgotten");
                assert!(row.stopped_ms.is_some(), "forgotten before its end is in the rows");
                assert!(self.forgotten.insert(task), "forgotten twice");
                self.containers.remove(&task);
            }
            Effect::Wake(_) => {}
        }
    }

    fn start(&mut self, start: StartTask, store: &Store) {
        assert!(!self.forgotten.contains(&start.task), "started again after its end: {start:?}");
        if self.containers.contains_key(&start.task) {
            return;
        }
        let row = &store.attempts[&(start.job, start.attempt)];
        assert_eq!((row.task, row.host, row.environment), (start.task, start.host, start.environment));
        assert_eq!(row.stopped_ms, None, "the start of an attempt that is over");
        let twin = self.containers.values().find(|(s, c)| s.job == start.job && matches!(c, Container::Runs));
        assert!(twin.is_none(), "job {} runs twice: {twin:?}", start.job.0);
        self.containers.insert(start.task, (start, Container::Runs));
    }

    /// What the server does at start: attempts that the engine does not name are swept away, the end of the others is
    /// told again, the rest is started unless it runs.
    pub fn resume(&mut self, effects: Vec<Effect>, store: &Store) -> Vec<Report> {
        let open: BTreeSet<TaskId> = store.open_attempts().map(|row| row.task).collect();
        let gone: Vec<TaskId> = self.containers.keys().filter(|task| !open.contains(task)).copied().collect();
        for task in gone {
            let (_, container) = self.containers.remove(&task).expect("just seen");
            assert!(!matches!(container, Container::Runs), "{task} runs and is over in the rows");
            self.forgotten.insert(task);
        }
        let starts = effects.iter().filter(|effect| matches!(effect, Effect::Start(_))).count();
        assert_eq!(starts, open.len(), "every open attempt is resumed once");
        effects.into_iter().for_each(|effect| self.carry_out(effect, store));
        let ends = self.containers.iter().filter_map(|(&task, (_, container))| match container {
            Container::Runs => None,
            Container::Ended(exit) => Some(Report::Exited { task, exit: exit.clone() }),
            Container::Lost => Some(Report::Lost { task, at_ms: 7 }),
        });
        ends.collect()
    }

    pub fn running(&self) -> Vec<TaskId> {
        let runs = self.containers.iter().filter(|(_, (_, container))| matches!(container, Container::Runs));
        runs.map(|(task, _)| *task).collect()
    }

    pub fn is_stopping(&self, task: TaskId) -> bool {
        self.stopping.contains(&task)
    }

    pub fn becomes(&mut self, task: TaskId, container: Container) {
        if let Some(entry) = self.containers.get_mut(&task) {
            entry.1 = container;
        }
    }

    /// Its containers are gone without a trace.
    pub fn host_left(&mut self, host: HostId) {
        for (start, container) in self.containers.values_mut() {
            if start.host == host {
                *container = Container::Lost;
            }
        }
    }

    /// Everything that is left ends as it was asked to.
    pub fn end_all(&mut self, now_ms: i64) -> Vec<Report> {
        let end = |(&task, (_, container)): (&TaskId, &(StartTask, Container))| match container {
            Container::Lost => Report::Lost { task, at_ms: now_ms },
            Container::Ended(exit) => Report::Exited { task, exit: exit.clone() },
            Container::Runs => Report::Exited { task, exit: exit(Why::Stopped, Some(137), false, now_ms) },
        };
        self.containers.iter().map(end).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.containers.is_empty()
    }
}

pub fn exit(why: Why, code: Option<i32>, oom: bool, now_ms: i64) -> TaskExit {
    let started_ms = code.map(|_| now_ms - 10);
    let containers = vec![ContainerExit { name: "default".into(), code, oom, disk_full: None }];
    TaskExit { why, started_ms, stopped_ms: now_ms, containers }
}
