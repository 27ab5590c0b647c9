//! What stands for a job whose first process is not the supervisor's own child: signals in, exit code out.
//!
//! Never here: starting the job.

use super::clock;
use super::sys;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, wait};
use std::time::Duration;

/// Tells a keeper without a pid namespace to end all that it keeps. (SIGKILL would end only the keeper.)
pub const END_ALL: i32 = 64;

/// Every signal that can be listened for.
pub fn all_signals() -> Vec<i32> {
    (1..=64).filter(|s| !matches!(*s, libc::SIGKILL | libc::SIGSTOP)).collect()
}

/// Passes signals on to `job` until it ends; gives its code. With `alive`, a pipe whose end means that the supervisor
/// is dead, everything that this process keeps is ended with the job, with the supervisor, and at [`END_ALL`]; without
/// it, the kernel does that when this process ends.
pub fn serve(job: Pid, signals: &OwnedFd, alive: Option<&OwnedFd>) -> i32 {
    let keep: Vec<i32> = std::iter::once(signals).chain(alive).map(|fd| fd.as_raw_fd()).collect();
    // The pipes of output and report must end with the job.
    sys::close_all_but(&keep);
    if let Ok(null) = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()) {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
    loop {
        let mut fds = vec![PollFd::new(signals, PollFlags::IN)];
        fds.extend(alive.map(|fd| PollFd::new(fd, PollFlags::empty())));
        let _ = poll(&mut fds, None);
        let orphaned = fds.get(1).is_some_and(|fd| !fd.revents().is_empty());
        for signal in sys::read_signals(signals) {
            match signal {
                END_ALL if alive.is_some() => sys::kill(job, libc::SIGKILL),
                libc::SIGCHLD => {}
                other => sys::kill(job, other),
            }
        }
        if orphaned {
            end_children(Duration::MAX);
            return 128 + libc::SIGKILL;
        }
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == job {
                if alive.is_some() {
                    end_children(Duration::MAX);
                }
                return super::code_of(status);
            }
        }
    }
}

/// Kills this process's children, and theirs as they become its own (it is a subreaper), until none is left or
/// `patience` is over. True when none is left.
pub fn end_children(patience: Duration) -> bool {
    let until = clock::since_boot().saturating_add(patience);
    loop {
        children().into_iter().for_each(|pid| sys::kill(pid, libc::SIGKILL));
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Err(Errno::CHILD) => return true,
                _ => break,
            }
        }
        if clock::since_boot() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn children() -> Vec<Pid> {
    let own = rustix::process::getpid();
    let parent_of = |pid: i32| -> Option<i32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Behind the name, which may hold anything, come state and parent.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    let every = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let every = every.filter_map(|e| e.file_name().to_string_lossy().parse::<i32>().ok());
    every
        .filter(|pid| parent_of(*pid) == Some(own.as_raw_nonzero().get()))
        .filter_map(Pid::from_raw)
        .collect()
}
