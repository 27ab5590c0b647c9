//! One pull however many ask: who comes later waits for the one under way and sees its progress.
//!
//! Never here: what a pull does.

use super::{Login, OnProgress, Progress, PullError, Pulled};
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What is the same pull: the image, and who asks.
pub type Key = (String, Option<Login>);

/// Hears how far the pull is.
pub type Report = Arc<dyn Fn(Progress) + Send + Sync>;

/// The pulls under way.
#[derive(Default)]
pub struct Shared(Arc<Mutex<HashMap<Key, Weak<Pull>>>>);

/// One under way. Ended with the last who waits for it.
struct Pull {
    state: watch::Receiver<State>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
enum State {
    Going(Progress),
    Over(Result<Pulled, PullError>),
}

impl Drop for Pull {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// Waits for the pull of this key, which `make` begins when there is none.
    pub async fn join<F>(
        &self,
        key: Key,
        on_progress: OnProgress<'_>,
        make: impl FnOnce(Report) -> F,
    ) -> Result<Pulled, PullError>
    where
        F: Future<Output = Result<Pulled, PullError>> + Send + 'static,
    {
        let pull = self.find_or_begin(key, make);
        let mut state = pull.state.clone();
        loop {
            let now = state.borrow_and_update().clone();
            match now {
                State::Over(result) => return result,
                State::Going(progress) => on_progress(progress),
            }
            if state.changed().await.is_err() {
                return Err(PullError::temporary("the pull was broken off"));
            }
        }
    }

    fn find_or_begin<F>(&self, key: Key, make: impl FnOnce(Report) -> F) -> Arc<Pull>
    where
        F: Future<Output = Result<Pulled, PullError>> + Send + 'static,
    {
        let mut pulls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pull) = pulls.get(&key).and_then(Weak::upgrade)
            && matches!(*pull.state.borrow(), State::Going(_))
        {
            return pull;
        }
        pulls.retain(|_, pull| pull.strong_count() > 0);
        let (tell, state) = watch::channel(State::Going(Progress::default()));
        let tell = Arc::new(tell);
        let progress = Arc::clone(&tell);
        let report: Report = Arc::new(move |at| {
            progress.send_if_modified(|state| match state {
                State::Going(was) if *was != at => {
                    *was = at;
                    true
                }
                _ => false,
            });
        });
        let pulling = make(report);
        let task = tokio::spawn(async move {
            let result = pulling.await;
            tell.send_replace(State::Over(result));
        });
        let pull = Arc::new(Pull { state, task });
        pulls.insert(key, Arc::downgrade(&pull));
        pull
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;

    fn done() -> Pulled {
        Pulled { reference: "r".into(), digest: "d".into(), layers: 1, new_layers: 1, fetched_bytes: 7 }
    }

    #[tokio::test]
    async fn those_who_ask_at_once_share_one_pull() {
        let (shared, count, go) = (Shared::default(), AtomicUsize::new(0), Arc::new(Notify::new()));
        let ask = || {
            shared.join(("a".into(), None), &|_| (), |report| {
                count.fetch_add(1, Ordering::Relaxed);
                let go = Arc::clone(&go);
                async move {
                    report(Progress { done: 1, total: 7 });
                    go.notified().await;
                    Ok(done())
                }
            })
        };
        let release = async { go.notify_one() };
        let (first, second, ()) = tokio::join!(ask(), ask(), release);
        assert_eq!((first, second, count.load(Ordering::Relaxed)), (Ok(done()), Ok(done()), 1));
        go.notify_one();
        assert_eq!(ask().await, Ok(done()), "one that is over is begun anew");
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_pull_that_nobody_waits_for_ends() {
        let shared = Shared::default();
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let pull = shared.join(("a".into(), None), &|_| (), move |_| async move {
            let _held = held;
            std::future::pending().await
        });
        assert!(tokio::time::timeout(std::time::Duration::from_millis(20), pull).await.is_err());
        while Arc::strong_count(&alive) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
