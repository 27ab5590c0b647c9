//! Who does the steps: a few threads, each attempt always on the same one, so that its steps keep their order.
//!
//! The steps block on files and on `posix_spawn`, which is why they are not async tasks. Never here: what a step does.

use super::attempt::Attempts;
use crate::compute::TaskSpec;
use batchyard_engine::TaskId;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use std::{io, thread};

/// A step of one attempt.
#[derive(Debug)]
pub enum Op {
    /// Run it, unless it runs or ran.
    Start(Box<TaskSpec>),
    /// End it, with this grace in seconds.
    Stop(TaskId, u32),
    /// It was asked to stop and should long have ended: end its processes over its supervisor's head.
    Force(TaskId),
    /// Its end is in the rows.
    Forget(TaskId),
    /// There is news in its folder.
    Look(TaskId),
    /// Find out whether its supervisor lives.
    Check(TaskId),
    /// Its supervisor, a child of this process, has ended.
    Reaped(TaskId),
    /// It belongs to no job.
    Orphan(TaskId),
    /// What its start waited for is there, or why it can't be had.
    Go(TaskId, Result<(), Arc<str>>),
}

/// Something for the async side.
#[derive(Debug)]
pub enum Errand {
    /// Do this step after so long.
    Later(Duration, Op),
    /// Wait for the end of this supervisor, then check its attempt.
    Watch(TaskId, Child),
    /// Delete this folder, and this cgroup if it was left over.
    Delete(PathBuf, String),
}

/// The threads' mailboxes. They end when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Workers(Arc<[Sender<Op>]>);

impl Workers {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn spawn(count: usize, attempts: &Arc<Attempts>) -> io::Result<Self> {
        let one = |index: usize| {
            let (sender, receiver) = channel();
            let attempts = Arc::clone(attempts);
            let builder = thread::Builder::new().name(format!("attempts-{index}")).stack_size(512 * 1024);
            builder.spawn(move || run(&attempts, &receiver)).map(|_| sender)
        };
        (0..count).map(one).collect::<io::Result<Vec<_>>>().map(|senders| Self(senders.into()))
    }

    /// Hands a step to its attempt's thread.
    pub fn send(&self, op: Op) {
        let task = match &op {
            Op::Start(spec) => spec.start.task,
            Op::Stop(task, _)
            | Op::Force(task)
            | Op::Forget(task)
            | Op::Look(task)
            | Op::Check(task)
            | Op::Reaped(task)
            | Op::Orphan(task)
            | Op::Go(task, _) => *task,
        };
        // Task ids are random, so any byte spreads them.
        let _ = self.0[usize::from(task.0[15]) % self.0.len()].send(op);
    }
}

fn run(attempts: &Attempts, mailbox: &Receiver<Op>) {
    while let Ok(op) = mailbox.recv() {
        attempts.work(op);
    }
}
