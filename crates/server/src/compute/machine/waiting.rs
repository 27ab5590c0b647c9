//! What starts wait for, without a thread or a lock: images that are pulled, and room on the disk.
//!
//! One pull for all who want the same image with the same login; it ends when the last of them is gone. Texts for the
//! jobs' reasons go out together: one report, so one commit, at most every five seconds. Nothing here outlives the
//! server: the engine gives every start again, and a pull begins anew with what it had. Never here: fetching (`registry`).

use super::disk;
use super::image::{Images, OnProgress, PullFailure, Wanted, cannot_pull};
use super::work::{Errand, Op};
use crate::compute::{ReportEnvelope, Reports};
use batchyard_engine::{Report, TaskId};
use batchyard_supervisor::disk::{capacity, free};
use futures_util::FutureExt;
use std::collections::{BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

/// Waits before a pull that failed for a passing reason is tried again, after the registry's own tries.
const AGAIN: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(15)];
/// Shortest time between two reports of progress.
pub const TELL_EVERY: Duration = Duration::from_secs(5);
/// How much larger than its transfer an image is taken to be, where room is made for it.
const UNPACKED: u64 = 4;
/// Bytes of a transfer after which free space is looked at again.
const FREE_EVERY: u64 = 16 << 20;
/// How often it is looked for something to tell: what is over sooner is told at no time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// All that starts wait for.
pub struct Waiting {
    images: Arc<dyn Images>,
    errands: UnboundedSender<Errand>,
    /// The data folder, whose disk images lie on.
    data: PathBuf,
    /// Free bytes that must be there for a start, and be left by a pull.
    reserve: u64,
    runtime: Handle,
    state: Mutex<State>,
    making_room: AtomicBool,
}

#[derive(Default)]
struct State {
    pulls: HashMap<Wanted, Pull>,
    texts: HashMap<TaskId, Arc<str>>,
}

struct Pull {
    tasks: BTreeSet<TaskId>,
    meter: Arc<Meter>,
    handle: AbortHandle,
}

/// How far a pull is.
#[derive(Default)]
struct Meter {
    done: AtomicU64,
    total: AtomicU64,
}

impl Waiting {
    /// Nothing yet. Call it within a tokio runtime.
    pub fn new(
        images: Arc<dyn Images>,
        errands: UnboundedSender<Errand>,
        data: PathBuf,
        reserve: u64,
    ) -> Arc<Self> {
        let runtime = Handle::current();
        let state = Mutex::default();
        Arc::new(Self { images, errands, data, reserve, runtime, state, making_room: AtomicBool::new(false) })
    }

    /// Free bytes that a start needs to find.
    pub fn reserve(&self) -> u64 {
        self.reserve
    }

    /// Has `Op::Go` sent to this attempt when the image is there or can't be had.
    pub fn for_image(self: &Arc<Self>, wanted: Wanted, task: TaskId) {
        let mut state = self.state();
        state.texts.remove(&task);
        if let Some(pull) = state.pulls.get_mut(&wanted) {
            pull.tasks.insert(task);
            return;
        }
        let meter = Arc::new(Meter::default());
        let (me, key, counted) = (self.clone(), wanted.clone(), meter.clone());
        let handle = self.runtime.spawn(async move {
            let pulled = AssertUnwindSafe(me.pull(&key, &counted)).catch_unwind().await;
            let panicked = |_| {
                Err(PullFailure { text: "the pull was cut off".into(), temporary: false, disk_full: false })
            };
            me.pulled(&key, pulled.unwrap_or_else(panicked));
        });
        state
            .pulls
            .insert(wanted, Pull { tasks: BTreeSet::from([task]), meter, handle: handle.abort_handle() });
    }

    /// What its job's reason says until something else is said.
    pub fn say(&self, task: TaskId, text: String) {
        self.state().texts.insert(task, text.into());
    }

    /// This attempt waits no more. A pull that nobody waits for ends.
    pub fn leave(&self, task: TaskId) {
        let mut state = self.state();
        state.texts.remove(&task);
        state.pulls.retain(|_, pull| {
            let wanted = !pull.tasks.remove(&task) || !pull.tasks.is_empty();
            if !wanted {
                pull.handle.abort();
            }
            wanted
        });
    }

    /// Ends all pulls: the server goes.
    pub fn end(&self) {
        self.state().pulls.drain().for_each(|(_, pull)| pull.handle.abort());
    }

    /// Has unused images removed in the background, unless that is being done.
    pub fn make_room(self: &Arc<Self>, bytes: u64) {
        if !self.making_room.swap(true, Ordering::Relaxed) {
            let me = self.clone();
            self.runtime.spawn_blocking(move || {
                me.images.make_room(bytes);
                me.making_room.store(false, Ordering::Relaxed);
            });
        }
    }

    async fn pull(self: &Arc<Self>, wanted: &Wanted, meter: &Arc<Meter>) -> Result<(), PullFailure> {
        for pause in AGAIN {
            match self.pull_once(wanted, meter).await {
                Err(failure) if failure.temporary || failure.disk_full => {
                    tracing::warn!(
                        image = wanted.reference,
                        error = failure.text,
                        "a pull failed; trying again"
                    );
                }
                result => return result,
            }
            sleep(pause).await;
        }
        self.pull_once(wanted, meter).await
    }

    async fn pull_once(self: &Arc<Self>, wanted: &Wanted, meter: &Arc<Meter>) -> Result<(), PullFailure> {
        meter.done.store(0, Ordering::Relaxed);
        meter.total.store(0, Ordering::Relaxed);
        let full = Arc::new(Notify::new());
        let pull = self.images.pull(wanted.clone(), self.watch(meter.clone(), full.clone()));
        let total = || meter.total.load(Ordering::Relaxed);
        let result = tokio::select! {
            result = pull => result,
            () = full.notified() => {
                if capacity(&self.data).is_some_and(|all| all < total()) {
                    // Whatever goes to make room, it would not be enough.
                    let size = disk::megabytes(total());
                    let text = format!("{}: {size} MB to fetch, more than this machine's disk has", wanted.reference);
                    return Err(PullFailure { text, temporary: false, disk_full: false });
                }
                let size = disk::megabytes(total());
                let text = format!("{}: {size} MB to fetch: no space left on device", wanted.reference);
                Err(PullFailure { text, temporary: true, disk_full: true })
            }
        };
        if result.as_ref().is_err_and(|failure| failure.disk_full) {
            let (images, bytes) =
                (self.images.clone(), total().saturating_mul(UNPACKED).saturating_add(self.reserve));
            // The next try finds what this gives back.
            let _ = tokio::task::spawn_blocking(move || images.make_room(bytes)).await;
        }
        result
    }

    /// Counts, and looks at the disk as soon as the size is known and now and then. Unpacked it is more, how much nobody
    /// knows: what can't fit even packed is not begun, and unpacking looks for itself.
    fn watch(&self, meter: Arc<Meter>, full: Arc<Notify>) -> OnProgress {
        let (data, reserve, looked) = (self.data.clone(), self.reserve, AtomicU64::new(0));
        Arc::new(move |done, total| {
            meter.done.store(done, Ordering::Relaxed);
            let first = meter.total.swap(total, Ordering::Relaxed) == 0;
            if total > 0 && (first || done >= looked.load(Ordering::Relaxed).saturating_add(FREE_EVERY)) {
                looked.store(done, Ordering::Relaxed);
                let needed = total.saturating_sub(done).saturating_add(reserve);
                if free(&data).is_some_and(|free| free < needed) {
                    full.notify_one();
                }
            }
        })
    }

    fn pulled(&self, wanted: &Wanted, result: Result<(), PullFailure>) {
        let result = result.map_err(|failure| Arc::from(cannot_pull(&failure.text)));
        let tasks = self.state().pulls.remove(wanted).map(|pull| pull.tasks);
        for task in tasks.into_iter().flatten() {
            let _ = self.errands.send(Errand::Later(Duration::ZERO, Op::Go(task, result.clone())));
        }
    }

    fn texts(&self) -> HashMap<TaskId, Arc<str>> {
        let state = self.state();
        let mut texts = state.texts.clone();
        for (wanted, pull) in &state.pulls {
            let text: Arc<str> = pull.meter.tell(&wanted.reference).into();
            texts.extend(pull.tasks.iter().map(|task| (*task, text.clone())));
        }
        texts
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meter {
    fn tell(&self, reference: &str) -> String {
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        match (disk::megabytes(done), disk::megabytes(total)) {
            (_, 0) => format!("pulling {reference}"),
            (_, size) if done >= total => format!("unpacking {size} MB"),
            (so_far, size) => format!("pulling {so_far} of {size} MB"),
        }
    }
}

/// Tells what changed, for all jobs at once.
pub async fn tell(waiting: Arc<Waiting>, reports: Reports) {
    let (mut told, mut at) = (HashMap::new(), None::<Instant>);
    loop {
        sleep(LOOK_EVERY).await;
        if at.is_some_and(|at| at.elapsed() < TELL_EVERY) {
            continue;
        }
        let texts = waiting.texts();
        let news = texts.iter().filter(|(task, text)| told.get(*task) != Some(*text));
        let news: Vec<_> = news.map(|(task, text)| (*task, text.clone())).collect();
        told = texts;
        if !news.is_empty() {
            at = Some(Instant::now());
            let _ = reports.send(ReportEnvelope { report: Report::Progress(news), streams: Vec::new() });
        }
    }
}

#[cfg(test)]
mod tests;
