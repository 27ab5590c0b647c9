//! What a connection is doing and since when, kept by those who see it happen, so that one slow look now and then is
//! enough to find a client that is too slow.

use super::limits::Limits;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use tokio::time::Instant;

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The client's headers.
    Head = 0,
    /// The client's next request.
    Idle = 1,
    /// Us: the body (which has its own limit) or the handler (which has none).
    Handling = 2,
    /// The client, to take the answer.
    Answering = 3,
}

/// The state of one connection. The parts are set by its own task only; relaxed order is enough.
#[derive(Debug)]
pub(super) struct Life {
    born: Instant,
    /// The phase in the lowest two bits, milliseconds from `born` to its start above.
    state: AtomicU64,
    /// There may be input that nobody reads any more.
    unread: AtomicBool,
}

impl Life {
    pub fn new() -> Self {
        Self {
            born: Instant::now(),
            state: AtomicU64::new(Phase::Head as u64),
            unread: AtomicBool::new(false),
        }
    }

    /// Something was read.
    pub fn read(&self) {
        if self.phase() == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    /// A request's head is there.
    pub fn handling(&self) {
        self.enter(Phase::Handling);
    }

    /// The answer is known.
    pub fn answering(&self) {
        self.enter(Phase::Answering);
    }

    /// The client took some of the answer.
    pub fn written(&self) {
        if self.phase() == Phase::Answering {
            self.enter(Phase::Answering);
        }
    }

    /// The client took all that there was.
    pub fn flushed(&self) {
        if self.phase() == Phase::Answering {
            self.enter(Phase::Idle);
        }
    }

    /// Whether a request's head has begun, or is waited for, and is not whole.
    pub fn in_head(&self) -> bool {
        self.phase() == Phase::Head
    }

    /// Input will be left over when the connection ends.
    pub fn leave_unread(&self) {
        self.unread.store(true, Relaxed);
    }

    pub fn has_unread(&self) -> bool {
        self.unread.load(Relaxed)
    }

    /// The phase that has lasted longer than it may.
    pub fn overdue(&self, limits: &Limits) -> Option<Phase> {
        let state = self.state.load(Relaxed);
        let phase = phase_of(state);
        let limit = match phase {
            Phase::Head => limits.head_time,
            Phase::Idle => limits.idle_time,
            Phase::Answering => limits.write_time,
            Phase::Handling => return None,
        };
        let lasted = self.now().saturating_sub(state >> 2);
        (u128::from(lasted) >= limit.as_millis()).then_some(phase)
    }

    fn phase(&self) -> Phase {
        phase_of(self.state.load(Relaxed))
    }

    fn enter(&self, phase: Phase) {
        self.state.store(self.now() << 2 | phase as u64, Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX >> 2)
    }
}

fn phase_of(state: u64) -> Phase {
    match state & 3 {
        0 => Phase::Head,
        1 => Phase::Idle,
        2 => Phase::Handling,
        _ => Phase::Answering,
    }
}
