//! The tiny init: first process of a container that asked for one. It forwards signals, reaps, and ends as the job ends.
//!
//! Never here: starting the job, which its other half does.

use crate::run::fail::{During, Fail};
use crate::run::sys::{self, Side};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{DumpableBehavior, Pid, WaitOptions, set_dumpable_behavior, wait};

/// Copies the process. The copy returns and becomes the job; the original becomes the init and never returns.
pub fn split() -> Result<(), Fail> {
    let all: Vec<i32> = (1..=64).filter(|s| !matches!(*s, libc::SIGKILL | libc::SIGSTOP)).collect();
    // Before the copy, so that no signal is missed.
    let signals = sys::signal_fd(&all).during("listen for signals")?;
    // Nothing of this program is for the job to look at.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).during("close the init's memory")?;
    match sys::clone(0, None).during("start the job beside its init")? {
        Side::Child => {
            rustix::process::setsid().during("start a session")?;
            Ok(())
        }
        Side::Parent(job) => sys::exit(serve(job, signals)),
    }
}

fn serve(job: Pid, signals: rustix::fd::OwnedFd) -> i32 {
    use rustix::fd::AsRawFd;
    // The output's pipes must end with the job, and the report's with its exec.
    sys::close_all_but(&[signals.as_raw_fd()]);
    if let Ok(null) = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()) {
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
    loop {
        let mut fds = [PollFd::new(&signals, PollFlags::IN)];
        let _ = poll(&mut fds, None);
        for signal in sys::read_signals(&signals) {
            if signal != libc::SIGCHLD {
                sys::kill(job, signal);
            }
        }
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == job {
                return crate::run::code_of(status);
            }
        }
    }
}
