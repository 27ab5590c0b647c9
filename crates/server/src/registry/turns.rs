//! Whose turn it is to fetch layers: so many images of one registry at once, so that one that is slow or silent holds up
//! its own images and no others.
//!
//! Never here: what is done in a turn.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns at all registries.
pub struct Turns {
    of_each: usize,
    of: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Turns {
    /// `of_each` at once at each registry, one at least.
    pub fn new(of_each: usize) -> Self {
        Self { of_each: of_each.max(1), of: Mutex::default() }
    }

    /// Waits for a turn at this registry; dropping it ends it. None: no more are given.
    pub async fn take(&self, registry: &str) -> Option<OwnedSemaphorePermit> {
        let turns = {
            let mut all = self.of.lock().unwrap_or_else(PoisonError::into_inner);
            // Who has or waits for one holds on to it.
            all.retain(|_, turns| Arc::strong_count(turns) > 1);
            let turns = all.entry(registry.to_string());
            turns.or_insert_with(|| Arc::new(Semaphore::new(self.of_each))).clone()
        };
        turns.acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_registry_has_its_own_turns_and_is_forgotten_after_the_last() {
        let turns = Turns::new(2);
        let now = |registry: &'static str| turns.take(registry).now_or_never().flatten();
        let (first, second) = (now("a"), now("a"));
        assert!(first.is_some() && second.is_some() && now("a").is_none());
        assert!(now("b").is_some(), "another registry does not wait");
        drop(first);
        assert!(now("a").is_some());
        drop(second);
        let _other = now("c");
        assert_eq!(turns.of.lock().expect("no panic").len(), 1);
    }
}
