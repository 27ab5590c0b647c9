//! What this process knows of the open attempts: only what spares work; the folders are the truth.

use crate::compute::TaskSpec;
use batchyard_engine::TaskId;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One open attempt.
#[derive(Debug, Clone, Default)]
pub struct Tracked {
    /// Kept until the attempt has a supervisor.
    pub spec: Option<Box<TaskSpec>>,
    /// Its supervisor is a child of this process, whose end is told by the kernel.
    pub spawned: bool,
    /// Started was reported.
    pub started: bool,
    /// Its end was reported.
    pub ended: bool,
    /// Its end is in the rows; its folder goes as soon as its supervisor lets go.
    pub forgotten: bool,
    /// It belongs to no job: nothing of it is reported.
    pub orphan: bool,
    /// Its start waits for its image or for room on the disk; it goes on by `Op::Go`.
    pub waits: bool,
    /// How often its image was pulled for this start.
    pub pulls: u32,
}

/// All open attempts.
#[derive(Debug, Default)]
pub struct TrackedTasks(Mutex<HashMap<TaskId, Tracked>>);

impl TrackedTasks {
    /// What is known of one.
    pub fn get(&self, task: TaskId) -> Option<Tracked> {
        self.lock().get(&task).cloned()
    }

    /// Replaces what is known.
    pub fn put(&self, task: TaskId, tracked: Tracked) {
        self.lock().insert(task, tracked);
    }

    /// Changes what is known, if anything is.
    pub fn change(&self, task: TaskId, change: impl FnOnce(&mut Tracked)) {
        if let Some(tracked) = self.lock().get_mut(&task) {
            change(tracked);
        }
    }

    /// Drops what is known.
    pub fn remove(&self, task: TaskId) {
        self.lock().remove(&task);
    }

    /// Attempts of which this holds.
    pub fn which(&self, mut wanted: impl FnMut(&Tracked) -> bool) -> Vec<TaskId> {
        let all = self.lock();
        all.iter().filter(|(_, t)| wanted(t)).map(|(task, _)| *task).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TaskId, Tracked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
