//! What is done with one attempt: start, stop, look, forget. Every step first asks the folder what is so already.
//!
//! All steps of one attempt run one after another on the same worker, so nothing here races with itself; it may race
//! with supervisors and with a server that died, and the folder's lock decides that. A start needs no sync to disk,
//! see `boot`. Never here: which attempts there should be (the engine), when to look (`watch`).

use super::cgroup;
use super::disk_limit::DiskLimits;
use super::folder::{Claim, Fate, Folder};
use super::image::{Images, cannot_pull};
use super::network::Networks;
use super::prepare::Prepared;
use super::task::{self, Common};
use super::tracked::{Tracked, TrackedTasks};
use super::waiting::Waiting;
use super::work::{Errand, Op};
use crate::clock::wall_ms;
use crate::compute::{ReportEnvelope, Reports, TaskSpec};
use crate::crash::point;
use batchyard_engine::input::{ContainerExit, TaskExit, Why};
use batchyard_engine::{Report, TaskId};
use batchyard_supervisor::{self as records, Exit};
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// Seconds that an attempt gets which belongs to nobody any more.
const ORPHAN_GRACE_S: u32 = 10;
/// How long after the grace a supervisor may take to end its container.
const UNHEARD: Duration = Duration::from_secs(15);
/// How soon something is tried again that the disk refused.
const LATER: Duration = Duration::from_secs(2);

/// Everything that steps need. Shared by the workers.
pub struct Attempts {
    /// The data folder, absolute.
    pub data: PathBuf,
    /// The folder of attempt folders.
    pub attempts: PathBuf,
    /// Where folders go that are to be deleted.
    pub trash: PathBuf,
    /// The supervisor program.
    pub program: PathBuf,
    /// What task files have in common.
    pub common: Common,
    /// Where images come from.
    pub images: Arc<dyn Images>,
    /// Where reports go.
    pub reports: Reports,
    /// Attempts that are open, as far as this process knows.
    pub tracked: TrackedTasks,
    /// How a job's own disk is limited.
    pub disk_limits: DiskLimits,
    /// Most bytes of it for jobs that name none; 0: no limit.
    pub job_disk: u64,
    /// Networks of jobs' own.
    pub networks: Networks,
    /// What starts wait for.
    pub waiting: Arc<Waiting>,
    /// For whoever does things later.
    pub errands: UnboundedSender<Errand>,
}

impl Attempts {
    /// Does one step.
    pub fn work(&self, op: Op) {
        match op {
            Op::Start(spec) => self.start(*spec),
            Op::Stop(task, grace_s) => self.stop(task, grace_s),
            Op::Force(task) => self.force(task),
            Op::Forget(task) => self.forget(task),
            Op::Look(task) => self.look(task),
            Op::Check(task) => self.check(task),
            Op::Reaped(task) => {
                // Killed during the set-up, it leaves a copy of itself that holds the lock a moment longer, and nobody
                // tells when that one ends: from here on it is looked for like one that was found again.
                self.tracked.change(task, |t| t.spawned = false);
                self.check(task);
            }
            Op::Orphan(task) => self.orphan(task),
            Op::Go(task, result) => self.go(task, result),
        }
    }

    pub(super) fn folder(&self, task: TaskId) -> Folder {
        Folder::of(&self.attempts, task)
    }

    fn start(&self, spec: TaskSpec) {
        let task = spec.start.task;
        self.tracked.put(task, Tracked { spec: Some(Box::new(spec.clone())), ..Tracked::default() });
        point("before_folder");
        let folder = self.folder(task);
        let claim = folder.make().and_then(|()| {
            point("after_folder");
            folder.claim()
        });
        match claim {
            Ok(Claim::Held(lock)) => self.start_locked(&folder, &spec, lock),
            // A supervisor has it. What it wrote so far is told at once, its end by whoever watches it.
            Ok(Claim::Busy) => self.look(task),
            Err(error) => {
                tracing::error!(%task, %error, "an attempt's folder cannot be made; trying again");
                self.waiting.say(task, format!("waiting for the disk of this machine: {error}"));
                self.tracked.change(task, |t| t.waits = true);
                self.later(LATER, Op::Go(task, Ok(())));
            }
        }
    }

    /// Goes on with a start that waited, unless it was stopped meanwhile.
    fn go(&self, task: TaskId, result: Result<(), Arc<str>>) {
        let Some(spec) = self.tracked.get(task).filter(|t| t.waits && !t.ended).and_then(|t| t.spec) else {
            return;
        };
        self.tracked.change(task, |t| t.waits = false);
        let folder = self.folder(task);
        match (folder.make().and_then(|()| folder.claim()), result) {
            (Ok(Claim::Held(lock)), Ok(())) => self.start_locked(&folder, &spec, lock),
            (Ok(Claim::Held(_lock)), Err(text)) => {
                self.never_ran(task, &folder, records::Why::StartFailed, Some(text.to_string()));
            }
            (Ok(Claim::Busy), _) => self.look(task),
            (Err(error), result) => {
                tracing::error!(%task, %error, "an attempt's folder cannot be made; trying again");
                self.tracked.change(task, |t| t.waits = true);
                self.later(LATER, Op::Go(task, result));
            }
        }
    }

    /// Starts the supervisor, unless the folder says that this attempt had its turn.
    fn start_locked(&self, folder: &Folder, spec: &TaskSpec, lock: File) {
        let task = spec.start.task;
        point("after_lock");
        match folder.fate() {
            Ok(Fate::Fresh) => {}
            Ok(fate) => return self.settle(task, folder, fate),
            Err(error) => {
                tracing::error!(%task, %error, "an attempt's records cannot be read; trying again");
                return self.later(LATER, Op::Start(Box::new(spec.clone())));
            }
        }
        let child = match self.prepare(folder, spec) {
            Ok(Prepared::Written(network)) => self.spawn(folder, lock, network),
            Ok(Prepared::Waits(what)) => return self.wait(task, what, lock),
            Err(reason) => Err(reason),
        };
        match child {
            Ok(child) => {
                point("after_spawn");
                self.tell_address(task);
                self.tracked.change(task, |t| {
                    t.spec = None;
                    t.spawned = true;
                });
                self.errand(Errand::Watch(task, child));
            }
            Err(reason) => self.never_ran(task, folder, records::Why::StartFailed, Some(reason)),
        }
    }

    /// Nothing, unless it has a network of its own.
    fn tell_address(&self, task: TaskId) {
        if let Some(address) = self.networks.address_of(task) {
            self.send(Report::Addressed { task, address }, Vec::new());
        }
    }

    /// Ends an attempt that no supervisor had. The caller holds the lock.
    fn never_ran(&self, task: TaskId, folder: &Folder, why: records::Why, text: Option<String>) {
        let exit = Exit {
            why,
            text,
            started_ms: None,
            stopped_ms: wall_ms(),
            containers: vec![records::ContainerExit {
                name: task::CONTAINER.to_string(),
                code: None,
                oom: false,
                disk_full: None,
                dropped_lines: 0,
                peak_memory: None,
            }],
        };
        point("before_own_record");
        if let Err(error) = folder.write_exit(&exit) {
            // Told all the same: if this server dies before the report is in the rows, the next one decides anew.
            tracing::error!(%task, %error, "the exit record of an attempt that never ran cannot be written");
        }
        self.ended(task, folder, exit);
    }

    fn stop(&self, task: TaskId, grace_s: u32) {
        point("before_stop");
        let folder = self.folder(task);
        let done = folder.make().and_then(|()| match folder.claim()? {
            Claim::Busy => {
                let grace_s = own_grace(&folder).unwrap_or(grace_s);
                let patience = Duration::from_secs(u64::from(grace_s)) + UNHEARD;
                self.later(patience, Op::Force(task));
                folder.ask_to_stop(grace_s)
            }
            Claim::Held(_lock) => {
                match folder.fate()? {
                    Fate::Fresh | Fate::StopWanted => {
                        self.never_ran(task, &folder, records::Why::Stopped, None)
                    }
                    fate => self.settle(task, &folder, fate),
                }
                Ok(())
            }
        });
        if let Err(error) = done {
            tracing::error!(%task, %error, "an attempt cannot be stopped; trying again");
            self.later(LATER, Op::Stop(task, grace_s));
        }
        point("after_stop");
    }

    /// A supervisor that does not get to its work (stopped, killed while a job holds a thread of it in the kernel) ends
    /// nothing. With its processes gone the container ends, and the usual ways tell how.
    fn force(&self, task: TaskId) {
        let folder = self.folder(task);
        let ended = matches!(folder.fate(), Ok(Fate::Ended(_) | Fate::Lost(_)));
        if ended || !folder.exists() || !matches!(folder.claim(), Ok(Claim::Busy)) {
            return;
        }
        tracing::warn!(%task, "an attempt did not end when asked to; ending its processes");
        let cgroup = folder.task().map_or_else(|| format!("{}/{task}", self.common.cgroup), |t| t.cgroup);
        cgroup::clear(&cgroup);
        self.later(UNHEARD, Op::Force(task));
    }

    fn forget(&self, task: TaskId) {
        point("before_forget");
        let folder = self.folder(task);
        match folder.claim() {
            Ok(Claim::Held(_lock)) => self.discard(task, &folder),
            // The supervisor has written its record and clears up; its end is watched.
            Ok(Claim::Busy) => {
                let known = self.tracked.get(task).unwrap_or_default();
                return self.tracked.put(task, Tracked { ended: true, forgotten: true, ..known });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%task, %error, "an ended attempt's folder cannot be removed"),
        }
        self.tracked.remove(task);
    }

    /// Takes the folder out of sight at once; deleting a writable layer may take long.
    fn discard(&self, task: TaskId, folder: &Folder) {
        let target = self.trash.join(format!("{task}.{}", wall_ms()));
        match fs::rename(folder.path(), &target) {
            Ok(()) => {
                self.networks.release(task);
                point("after_forget");
                self.errand(Errand::Delete(target, format!("{}/{task}", self.common.cgroup)));
            }
            Err(error) => tracing::warn!(%task, %error, "an ended attempt's folder cannot be removed"),
        }
    }

    /// Reports what the records say that was not reported yet.
    fn look(&self, task: TaskId) {
        let Some(known) = self.tracked.get(task).filter(|known| !known.orphan) else { return };
        let folder = self.folder(task);
        match folder.fate() {
            Ok(Fate::Ended(exit)) if !known.ended => self.ended(task, &folder, exit),
            Ok(Fate::Begun(Some(started))) if !known.started => {
                self.tracked.change(task, |t| {
                    t.spec = None;
                    t.started = true;
                });
                let report = Report::Started { task, at_ms: started.at_ms };
                self.send(report, folder.streams().facts(&self.data, task, false));
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%task, %error, "an attempt's records cannot be read"),
        }
    }

    /// Looks, and finds out whether the supervisor lives.
    fn check(&self, task: TaskId) {
        self.look(task);
        let open = |known: &Tracked| !known.waits && (!known.ended || known.forgotten);
        let Some(known) = self.tracked.get(task).filter(open) else { return };
        let folder = self.folder(task);
        let lock = match folder.claim() {
            Ok(Claim::Held(lock)) => lock,
            Ok(Claim::Busy) => return,
            Err(error) => {
                tracing::warn!(%task, %error, "an attempt's lock cannot be reached");
                return;
            }
        };
        if known.orphan || known.forgotten {
            self.discard(task, &folder);
            self.tracked.remove(task);
            return;
        }
        match (folder.fate(), known.spec) {
            (Ok(Fate::Fresh), Some(spec)) => self.start_locked(&folder, &spec, lock),
            (Ok(Fate::Fresh), None) => {
                let words = folder
                    .last_words()
                    .unwrap_or_else(|| "it said nothing, as when it is killed".to_string());
                let reason = format!("CannotStartContainerError: the supervisor ended at once: {words}");
                self.never_ran(task, &folder, records::Why::StartFailed, Some(reason));
            }
            (Ok(fate), _) => self.settle(task, &folder, fate),
            (Err(error), _) => tracing::warn!(%task, %error, "an attempt's records cannot be read"),
        }
    }

    /// Tells how an attempt ended that nobody runs any more. The caller holds the lock and saw this fate after taking it.
    fn settle(&self, task: TaskId, folder: &Folder, fate: Fate) {
        match fate {
            Fate::Ended(exit) => self.ended(task, folder, exit),
            Fate::Lost(at_ms) => self.lost(task, folder, at_ms),
            Fate::Fresh | Fate::StopWanted => self.never_ran(task, folder, records::Why::Stopped, None),
            Fate::Begun(_) => match folder.unrenamed_exit() {
                Some(exit) => self.never_renamed(task, folder, exit),
                None => self.find_lost(task, folder),
            },
        }
    }

    fn never_renamed(&self, task: TaskId, folder: &Folder, exit: Exit) {
        if let Err(error) = folder.write_exit(&exit) {
            tracing::error!(%task, %error, "a finished exit record cannot be put in its place");
        }
        self.ended(task, folder, exit);
    }

    fn find_lost(&self, task: TaskId, folder: &Folder) {
        let cgroup = folder.task().map_or_else(|| format!("{}/{task}", self.common.cgroup), |t| t.cgroup);
        if !cgroup::clear(&cgroup) {
            tracing::error!(%task, cgroup, "processes of a lost attempt do not die; looking again");
            return self.later(LATER, Op::Check(task));
        }
        point("before_lost");
        let at_ms = wall_ms();
        if let Err(error) = folder.write_lost(at_ms) {
            tracing::error!(%task, %error, "it cannot be written down that an attempt is lost; looking again");
            return self.later(LATER, Op::Check(task));
        }
        point("after_lost");
        self.lost(task, folder, at_ms);
    }

    /// Ends and removes what belongs to no open attempt.
    fn orphan(&self, task: TaskId) {
        let folder = self.folder(task);
        match folder.claim() {
            Ok(Claim::Held(_lock)) => {
                let cgroup =
                    folder.task().map_or_else(|| format!("{}/{task}", self.common.cgroup), |t| t.cgroup);
                cgroup::clear(&cgroup);
                self.discard(task, &folder);
            }
            Ok(Claim::Busy) => {
                tracing::warn!(%task, "an attempt runs that no job has; stopping it");
                self.tracked.put(task, Tracked { orphan: true, ..Tracked::default() });
                if let Err(error) = folder.ask_to_stop(ORPHAN_GRACE_S) {
                    tracing::error!(%task, %error, "an attempt that no job has cannot be stopped");
                }
            }
            Err(error) => {
                tracing::warn!(%task, %error, "an attempt's folder that no job has cannot be removed")
            }
        }
    }

    fn ended(&self, task: TaskId, folder: &Folder, exit: Exit) {
        let report = Report::Exited { task, exit: translate(exit) };
        self.over(task, folder, report);
    }

    fn lost(&self, task: TaskId, folder: &Folder, at_ms: i64) {
        self.over(task, folder, Report::Lost { task, at_ms });
    }

    fn over(&self, task: TaskId, folder: &Folder, report: Report) {
        self.waiting.leave(task);
        self.tracked.change(task, |t| {
            t.spec = None;
            t.ended = true;
        });
        self.send(report, folder.streams().facts(&self.data, task, true));
    }

    fn send(&self, report: Report, streams: Vec<crate::store::LogStreamRow>) {
        point(match &report {
            Report::Started { .. } => "before_report.started",
            _ => "before_report.ended",
        });
        // Nobody listens any more: the server is shutting down, and the next one asks the folder again.
        let _ = self.reports.send(ReportEnvelope { report, streams });
    }

    pub(super) fn later(&self, after: Duration, op: Op) {
        self.errand(Errand::Later(after, op));
    }

    fn errand(&self, errand: Errand) {
        let _ = self.errands.send(errand);
    }
}

/// Seconds that this attempt has between its stop signal and SIGKILL; the engine knows only the usual ones.
fn own_grace(folder: &Folder) -> Option<u32> {
    u32::try_from(folder.task()?.stop_grace_s).ok()
}

/// The engine's view of an exit record.
pub(in crate::compute) fn translate(exit: Exit) -> TaskExit {
    let why = match exit.why {
        records::Why::Exit => Why::Exit,
        records::Why::Timeout => Why::Timeout,
        records::Why::Stopped => Why::Stopped,
        records::Why::StartFailed => {
            Why::StartFailed(exit.text.unwrap_or_else(|| cannot_pull("unknown reason")).into())
        }
    };
    let container = |c: records::ContainerExit| ContainerExit {
        name: c.name.into(),
        code: c.code,
        oom: c.oom,
        disk_full: c.disk_full,
    };
    TaskExit {
        why,
        started_ms: exit.started_ms,
        stopped_ms: exit.stopped_ms,
        containers: exit.containers.into_iter().map(container).collect(),
    }
}
