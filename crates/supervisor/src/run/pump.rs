//! The thread that carries the container's output into its log.
//!
//! A thread of its own, because a job can hold the kernel's lock of its end of a pipe for as long as it likes (a
//! `sendfile` from a source that gives nothing): whoever reads then waits without hearing any signal. Stops and
//! timeouts must not wait with it. It is started after the container was made, so nothing is ever forked beside it.
//! Never here: the layout of the log (`output`), the container's end (the watch).

use super::fail::{During, Fail};
use super::lines::Lines;
use super::sink::Output;
use batchyard_supervisor::multiline::FirstLine;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use std::thread::{Builder, JoinHandle};

/// Read from a pipe at once.
const BUFFER: usize = 64 * 1024;
/// Read from a pipe after the container's end: more than any pipe holds, but not endless, should a process elsewhere
/// have got hold of it.
const MAX_DRAIN: usize = 4 * 1024 * 1024;
/// What the thread needs beside its buffers.
const STACK: usize = 128 * 1024;
/// Seconds that the rest of the output may take after the container's end.
const PATIENCE_S: i64 = 30;

/// The running thread.
pub struct Pump {
    thread: JoinHandle<Output>,
    /// Closing it tells the thread that the container has ended.
    finish: OwnedFd,
    /// Closed by the thread's end.
    done: OwnedFd,
}

impl Pump {
    /// Starts carrying.
    pub fn start(out: OwnedFd, err: OwnedFd, log: Output, first: Option<FirstLine>) -> Result<Self, Fail> {
        let (ended, finish) = pipe_with(PipeFlags::CLOEXEC).during("make a pipe")?;
        let (done, guard) = pipe_with(PipeFlags::CLOEXEC).during("make a pipe")?;
        let carry = move || {
            let _guard = guard;
            carry(
                [(Some(out), Lines::new(false, first.clone())), (Some(err), Lines::new(true, first))],
                &ended,
                log,
            )
        };
        let thread = Builder::new().stack_size(STACK).spawn(carry);
        let thread = thread.map_err(|e| Fail::daemon(format_args!("start the log's thread: {e}")))?;
        Ok(Self { thread, finish, done })
    }

    /// Waits until all output is in the log. Nothing when a pipe can't be read even now, which only a process outside
    /// of the container can bring about: then its last lines are given up.
    pub fn finish(self) -> Option<Output> {
        drop(self.finish);
        let patience = Timespec { tv_sec: PATIENCE_S, tv_nsec: 0 };
        loop {
            match poll(&mut [PollFd::new(&self.done, PollFlags::IN)], Some(&patience)) {
                Err(Errno::INTR) => {}
                Ok(0) => {
                    eprintln!("the container's output can't be read to its end");
                    return None;
                }
                _ => return self.thread.join().ok(),
            }
        }
    }
}

type Pipe = (Option<OwnedFd>, Lines);

fn carry(mut pipes: [Pipe; 2], ended: &OwnedFd, mut log: Output) -> Output {
    let mut buffer = vec![0; BUFFER];
    while pipes.iter().any(|(pipe, _)| pipe.is_some()) {
        let (over, ready) = wait(ended, &pipes);
        if over {
            break;
        }
        for ((pipe, lines), ready) in pipes.iter_mut().zip(ready) {
            if ready && pipe.as_ref().is_some_and(|p| !lines.pump(p, &mut log, &mut buffer)) {
                *pipe = None;
            }
            lines.ring(&mut log);
        }
    }
    for (pipe, lines) in &mut pipes {
        drain(pipe.take(), lines, &mut log, &mut buffer);
    }
    log
}

/// Whether the container has ended, and which pipes have something.
fn wait(ended: &OwnedFd, pipes: &[Pipe; 2]) -> (bool, [bool; 2]) {
    let mut fds = vec![PollFd::new(ended, PollFlags::IN)];
    fds.extend(pipes.iter().filter_map(|(pipe, _)| pipe.as_ref()).map(|fd| PollFd::new(fd, PollFlags::IN)));
    let patience = pipes.iter().filter_map(|(_, lines)| lines.patience()).min();
    let patience = patience.and_then(|left| Timespec::try_from(left).ok());
    if poll(&mut fds, patience.as_ref()).is_err() {
        return (false, [false; 2]);
    }
    let mut hit = fds.iter().map(|f| !f.revents().is_empty());
    let over = hit.next().unwrap_or(false);
    let ready = pipes.each_ref().map(|(pipe, _)| pipe.is_some() && hit.next().unwrap_or(false));
    (over, ready)
}

/// Reads what is left in a pipe whose writers are dead.
fn drain(pipe: Option<OwnedFd>, lines: &mut Lines, log: &mut Output, buffer: &mut [u8]) {
    if let Some(pipe) = pipe {
        let mut left = MAX_DRAIN;
        loop {
            match rustix::io::read(&pipe, &mut *buffer) {
                Ok(n) if n > 0 && left > 0 => {
                    lines.take(&buffer[..n], log);
                    left = left.saturating_sub(n);
                }
                Err(Errno::INTR) => {}
                _ => break,
            }
        }
    }
    lines.finish(log);
}
