//! The watch over a container from its launch to its end: its reports, time limit and stop requests.
//!
//! One poll loop. The first cause of an end wins, a later one may only shorten the grace. Never here: the making of
//! containers, output (pump), records (but `started`, which must be written while the job runs).

use super::child::{FAILED, READY};
use super::clock::{self, Alarm};
use super::fail::{During, Fail};
use super::folder::Folder;
use super::keeper;
use super::launch::Launched;
use super::limits::Limits;
use super::sys;
use batchyard_supervisor::hooks::point;
use batchyard_supervisor::{Container, Driver, Started, Task, Why};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};
use std::time::Duration;

/// How soon what was killed and still lives is killed again.
const KILL_AGAIN: Duration = Duration::from_secs(1);

/// How it ended.
pub struct Ended {
    /// Why.
    pub why: Why,
    /// With a failed start: the reason.
    pub failure: Option<Fail>,
    /// When the program began to run.
    pub started_ms: Option<i64>,
    /// When the container ended.
    pub stopped_ms: i64,
    /// Its code, when its program ran.
    pub code: Option<i32>,
}

impl Ended {
    /// The stop was there before the start.
    pub fn stopped_before_start() -> Self {
        Self { why: Why::Stopped, failure: None, started_ms: None, stopped_ms: clock::wall_ms(), code: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The root is being made.
    SettingUp,
    /// It was let go and has not yet become the program.
    Going,
    /// The program runs, or ran.
    Running,
}

/// The watch.
pub struct Watch<'a> {
    folder: &'a Folder,
    task: &'a Task,
    container: &'a Container,
    limits: &'a Limits,
    signals: OwnedFd,
    control: Option<OwnedFd>,
    alarm: Alarm,
    phase: Phase,
    cause: Option<Why>,
    failure: Option<Fail>,
    report: Vec<u8>,
    started_ms: Option<i64>,
    timeout_at: Option<Duration>,
    kill_at: Option<Duration>,
    /// Ends the container at once: for a keeper without a pid namespace a request, only then SIGKILL.
    kill_signal: i32,
    killed: bool,
}

impl<'a> Watch<'a> {
    /// A watch that has seen nothing yet.
    pub fn new(
        folder: &'a Folder,
        task: &'a Task,
        container: &'a Container,
        limits: &'a Limits,
        signals: OwnedFd,
        control: Option<OwnedFd>,
    ) -> Result<Self, Fail> {
        Ok(Self {
            folder,
            task,
            container,
            limits,
            signals,
            control,
            alarm: Alarm::new().during("make a timer")?,
            phase: Phase::SettingUp,
            cause: None,
            failure: None,
            report: Vec::new(),
            started_ms: None,
            timeout_at: None,
            kill_at: None,
            kill_signal: if task.driver == Driver::Process { keeper::END_ALL } else { libc::SIGKILL },
            killed: false,
        })
    }

    /// Follows the container to its end.
    pub fn follow(mut self, launched: Launched) -> Ended {
        let Launched { pid, go, status } = launched;
        let mut status = Some(status);
        let status_of_end = loop {
            let ready = self.wait(status.as_ref());
            if ready.status {
                self.read_report(&mut status, pid, &go);
            }
            if ready.control {
                self.drain_control();
                self.look_for_stop(pid);
            }
            self.ring(pid);
            if ready.signals
                && let Some(end) = self.take_signals(pid)
            {
                break end;
            }
        };
        let stopped_ms = clock::wall_ms();
        // What it said last may not have been read yet.
        self.read_report(&mut status, pid, &go);
        self.ended(status_of_end, stopped_ms)
    }

    fn wait(&self, status: Option<&OwnedFd>) -> Ready {
        let mut fds =
            vec![PollFd::new(&self.signals, PollFlags::IN), PollFd::new(self.alarm.fd(), PollFlags::IN)];
        let optional = [status, self.control.as_ref()];
        fds.extend(optional.iter().flatten().map(|fd| PollFd::new(*fd, PollFlags::IN)));
        let result = poll(&mut fds, None);
        if result.is_err() {
            fds.iter_mut().for_each(PollFd::clear_revents);
        }
        let mut hit = fds.iter().map(|f| !f.revents().is_empty());
        let signals = hit.next().unwrap_or(false);
        hit.next();
        let mut next = |fd: Option<&OwnedFd>| fd.is_some() && hit.next().unwrap_or(false);
        let [status, control] = optional.map(&mut next);
        Ready { signals, status, control }
    }

    /// Hears what the first process says about itself.
    fn read_report(&mut self, pipe: &mut Option<OwnedFd>, pid: Pid, go: &OwnedFd) {
        let mut bytes = [0; 4096];
        while let Some(fd) = pipe {
            match rustix::io::read(&*fd, &mut bytes[..]) {
                Ok(0) => {
                    *pipe = None;
                    self.report_ended(pid);
                }
                Ok(n) => {
                    self.report.extend_from_slice(&bytes[..n]);
                    if self.report.first() == Some(&READY) {
                        self.report.remove(0);
                        self.let_go(pid, go);
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    fn let_go(&mut self, pid: Pid, go: &OwnedFd) {
        if self.phase != Phase::SettingUp || self.cause.is_some() {
            return;
        }
        point("supervisor.before_go");
        let result = self.limits.join_last(self.container, pid);
        match result.and_then(|()| rustix::io::write(go, b"g").during("let the container go")) {
            Ok(_) => self.phase = Phase::Going,
            Err(fail) => {
                self.failure = Some(fail);
                sys::kill(pid, libc::SIGKILL);
            }
        }
    }

    /// The report's pipe is closed: by the exec of the program, or by a death on the way there.
    fn report_ended(&mut self, pid: Pid) {
        if let Some((&FAILED, text)) = self.report.split_first() {
            self.failure = Some(Fail(String::from_utf8_lossy(text).into_owned()));
            return;
        }
        if self.phase != Phase::Going {
            return;
        }
        self.phase = Phase::Running;
        point("supervisor.before_started");
        let at_ms = clock::wall_ms();
        self.started_ms = Some(at_ms);
        let limit = self.task.timeout_s.map(Duration::from_secs);
        self.timeout_at = limit.map(|limit| clock::since_boot().saturating_add(limit));
        let started = Started { at_ms, pid: pid.as_raw_nonzero().get().unsigned_abs() };
        if let Err(e) = self.folder.write_started(&started) {
            eprintln!("write the started record: {e}");
        }
        point("supervisor.after_started");
        if let Some(socket) = &self.task.wake {
            self.folder.wake(socket, &self.task.task_id);
        }
        if self.cause.is_some() {
            self.ask_to_stop(pid);
        }
        self.set_alarm();
    }

    fn drain_control(&mut self) {
        let mut buffer = [0; 64];
        let Some(control) = &self.control else { return };
        loop {
            match rustix::io::read(control, &mut buffer[..]) {
                Ok(0) | Err(Errno::AGAIN) => return,
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => {
                    eprintln!("read the control FIFO: {e}");
                    self.control = None;
                    return;
                }
            }
        }
    }

    fn look_for_stop(&mut self, pid: Pid) {
        if let Some(grace) = self.folder.stop_request(self.task.stop_grace_s) {
            self.stop(pid, Why::Stopped, grace);
        }
    }

    fn take_signals(&mut self, pid: Pid) -> Option<WaitStatus> {
        let mut end = None;
        for signal in sys::read_signals(&self.signals) {
            match signal {
                libc::SIGTERM | libc::SIGINT => self.stop(pid, Why::Stopped, self.task.stop_grace_s),
                libc::SIGHUP => self.look_for_stop(pid),
                _ => {}
            }
        }
        while let Ok(Some((who, status))) = wait(WaitOptions::NOHANG) {
            if who == pid {
                end = Some(status);
            }
        }
        end
    }

    /// Acts on the moments that have come.
    fn ring(&mut self, pid: Pid) {
        let now = clock::since_boot();
        if self.kill_at.is_some_and(|at| at <= now) {
            // The first process alone is not enough: it may wait, deaf, for another one of the job.
            sys::kill(pid, if self.killed { libc::SIGKILL } else { self.kill_signal });
            self.killed = true;
            self.limits.kill_all();
            self.kill_at = Some(now.saturating_add(KILL_AGAIN));
            self.set_alarm();
        }
        if self.timeout_at.is_some_and(|at| at <= now) {
            self.timeout_at = None;
            self.stop(pid, Why::Timeout, self.task.stop_grace_s);
        }
    }

    /// Begins to end the container, or hurries its end.
    fn stop(&mut self, pid: Pid, why: Why, grace_s: u64) {
        point("supervisor.before_stop");
        let first = self.cause.is_none();
        self.cause.get_or_insert(why);
        let at = clock::since_boot().saturating_add(Duration::from_secs(grace_s));
        if first || self.kill_at.is_some_and(|old| at < old) {
            self.kill_at = Some(at);
        }
        if self.phase == Phase::SettingUp {
            sys::kill(pid, libc::SIGKILL);
        } else if first && self.phase == Phase::Running {
            self.ask_to_stop(pid);
        }
        self.set_alarm();
    }

    fn ask_to_stop(&self, pid: Pid) {
        let signal = self.container.stop_signal;
        sys::kill(pid, if (1..=64).contains(&signal) { signal } else { libc::SIGTERM });
    }

    fn set_alarm(&self) {
        let timeout = self.timeout_at.filter(|_| self.cause.is_none());
        self.alarm.set(timeout.into_iter().chain(self.kill_at).min());
    }

    fn ended(mut self, status: WaitStatus, stopped_ms: i64) -> Ended {
        let code = super::code_of(status);
        let ran = self.phase == Phase::Running && self.failure.is_none();
        let stopped = self.cause.is_some() && self.phase != Phase::Running;
        if !ran && self.failure.is_none() && !stopped {
            self.failure =
                Some(Fail::runtime(format_args!("container init ended during set-up with code {code}")));
        }
        let why = match (self.cause, &self.failure) {
            (Some(cause), _) if self.failure.is_none() || stopped => cause,
            (_, Some(_)) => Why::StartFailed,
            _ => Why::Exit,
        };
        Ended {
            why,
            failure: self.failure.filter(|_| why == Why::StartFailed),
            started_ms: self.started_ms.filter(|_| ran),
            stopped_ms,
            code: ran.then_some(code),
        }
    }
}

struct Ready {
    signals: bool,
    status: bool,
    control: bool,
}
