//! Pulls that many wait for, against a registry that does as it is told.

use super::*;
use std::sync::atomic::AtomicUsize;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A registry whose pulls do what `then` says, after `gate` opens.
struct Registry {
    begun: AtomicUsize,
    ended: Arc<AtomicUsize>,
    gate: Arc<Notify>,
    results: Mutex<Vec<Result<(), PullFailure>>>,
    size: u64,
    room_made: AtomicUsize,
}

struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Images for Registry {
    fn claim(&self, _: &str, _: super::super::image::Claiming<'_>) -> Result<bool, String> {
        Ok(false)
    }

    fn pull(&self, _: Wanted, progress: OnProgress) -> super::super::image::Pulling {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let (gate, size) = (self.gate.clone(), self.size);
        let result = self.results.lock().expect("results").pop().unwrap_or(Ok(()));
        let ended = OnDrop(self.ended.clone());
        Box::pin(async move {
            let _ended = ended;
            progress(0, size);
            progress(size / 2, size);
            gate.notified().await;
            result
        })
    }

    fn make_room(&self, _: u64) {
        self.room_made.fetch_add(1, Ordering::SeqCst);
    }
}

fn fixture(
    size: u64,
    results: Vec<Result<(), PullFailure>>,
) -> (Arc<Registry>, Arc<Waiting>, UnboundedReceiver<Errand>) {
    let registry = Arc::new(Registry {
        begun: AtomicUsize::new(0),
        ended: Arc::default(),
        gate: Arc::default(),
        results: Mutex::new(results),
        size,
        room_made: AtomicUsize::new(0),
    });
    let (errands, mailbox) = unbounded_channel();
    let waiting = Waiting::new(registry.clone(), errands, std::env::temp_dir(), 1 << 20);
    (registry, waiting, mailbox)
}

fn wanted(reference: &str) -> Wanted {
    Wanted { reference: reference.into(), secret: None }
}

fn task(number: u8) -> TaskId {
    TaskId([number; 16])
}

/// Who is told to go on, and with what.
async fn gone_on(mailbox: &mut UnboundedReceiver<Errand>) -> (TaskId, Result<(), Arc<str>>) {
    match mailbox.recv().await.expect("an errand") {
        Errand::Later(_, Op::Go(task, result)) => (task, result),
        other => panic!("{other:?}"),
    }
}

fn passing() -> Result<(), PullFailure> {
    Err(PullFailure { text: "503".into(), temporary: true, disk_full: false })
}

#[tokio::test(start_paused = true)]
async fn many_wait_for_one_pull() {
    let (registry, waiting, mut mailbox) = fixture(980_000_000, Vec::new());
    (1..=50).for_each(|number| waiting.for_image(wanted("a"), task(number)));
    waiting.for_image(wanted("b"), task(99));
    tokio::task::yield_now().await;
    let texts = waiting.texts();
    assert_eq!(&*texts[&task(50)], "pulling 490 of 980 MB");
    assert_eq!((texts.len(), registry.begun.load(Ordering::SeqCst)), (51, 2));
    registry.gate.notify_waiters();
    let mut told = BTreeSet::new();
    for _ in 0..51 {
        let (task, result) = gone_on(&mut mailbox).await;
        assert_eq!(result, Ok(()));
        told.insert(task);
    }
    assert_eq!((told.len(), waiting.texts().len()), (51, 0));
}

#[tokio::test(start_paused = true)]
async fn a_pull_ends_with_the_last_who_waits() {
    let (registry, waiting, _mailbox) = fixture(1000, Vec::new());
    waiting.for_image(wanted("a"), task(1));
    waiting.for_image(wanted("a"), task(2));
    tokio::task::yield_now().await;
    waiting.leave(task(1));
    tokio::task::yield_now().await;
    assert_eq!(registry.ended.load(Ordering::SeqCst), 0);
    waiting.leave(task(2));
    tokio::task::yield_now().await;
    assert_eq!((registry.ended.load(Ordering::SeqCst), waiting.texts().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_tried_again_before_it_counts() {
    let (registry, waiting, mut mailbox) = fixture(1000, vec![Ok(()), passing(), passing()]);
    registry.gate.notify_one();
    waiting.for_image(wanted("a"), task(1));
    let opened = tokio::spawn({
        let gate = registry.gate.clone();
        async move {
            loop {
                sleep(Duration::from_millis(100)).await;
                gate.notify_waiters();
            }
        }
    });
    assert_eq!(gone_on(&mut mailbox).await.1, Ok(()));
    assert_eq!(registry.begun.load(Ordering::SeqCst), 3);

    registry.results.lock().expect("results").extend([Ok(()), passing(), passing(), passing()]);
    waiting.for_image(wanted("a"), task(1));
    let text = gone_on(&mut mailbox).await.1.expect_err("given up");
    assert_eq!(&*text, "CannotPullContainerError: Error response from daemon: 503");
    registry.results.lock().expect("results").clear();
    let refused = Err(PullFailure { text: "denied".into(), temporary: false, disk_full: false });
    registry.results.lock().expect("results").push(refused);
    waiting.for_image(wanted("a"), task(1));
    assert!(gone_on(&mut mailbox).await.1.expect_err("refused").ends_with("denied"));
    assert_eq!(registry.begun.load(Ordering::SeqCst), 7, "at once");
    opened.abort();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_fit_is_not_begun() {
    let all = capacity(&std::env::temp_dir()).expect("a size");
    let (registry, waiting, mut mailbox) = fixture(all - 1, Vec::new());
    waiting.for_image(wanted("a"), task(1));
    let text = gone_on(&mut mailbox).await.1.expect_err("no room");
    assert!(text.contains("no space left on device"), "{text}");
    assert!(registry.room_made.load(Ordering::SeqCst) >= 1);
    // What all of the disk could not hold costs no image its place.
    let (registry, waiting, mut mailbox) = fixture(1 << 62, Vec::new());
    waiting.for_image(wanted("a"), task(1));
    let text = gone_on(&mut mailbox).await.1.expect_err("never");
    assert!(text.ends_with("more than this machine's disk has"), "{text}");
    assert_eq!(registry.room_made.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn texts_of_many_are_one_report_every_five_seconds() {
    let (_registry, waiting, _mailbox) = fixture(2_000_000, Vec::new());
    let (reports, mut told) = unbounded_channel();
    let teller = tokio::spawn(tell(waiting.clone(), reports));
    (1..=50).for_each(|number| waiting.for_image(wanted("a"), task(number)));
    let began = tokio::time::Instant::now();
    let Report::Progress(first) = told.recv().await.expect("a report").report else { panic!() };
    assert_eq!(first.len(), 50);
    waiting.say(task(60), "waiting for disk: 1 MiB free, 2 MiB needed".into());
    let Report::Progress(second) = told.recv().await.expect("a report").report else { panic!() };
    assert_eq!(second.len(), 1, "only what is new: {second:?}");
    assert!(began.elapsed() >= TELL_EVERY, "{:?}", began.elapsed());
    teller.abort();
}
