//! Time limits of a queue's head (`jobStateTimeLimitActions`, spec jobs §1.5, infrastructure §3.3). Never here: why a
//! head waits.

use crate::effect::Effect;
use crate::engine::Engine;
use crate::ids::QueueId;
use crate::input::Now;
use crate::queue::Queue;
use crate::queue::waiting::Share;
use crate::resource::LimitCause;
use crate::slab::Key;
use std::sync::Arc;

/// A head and the cause for which it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blocked {
    /// The head.
    pub key: Key,
    /// What it waits for.
    pub cause: LimitCause,
    /// Since when, monotonic milliseconds.
    since_ms: u64,
    /// The tick that was asked for, monotonic milliseconds.
    wake_ms: Option<u64>,
}

impl Queue {
    /// When a head is given up, monotonic milliseconds. Never where no limit is set for what it waits for.
    fn gives_up_ms(&self, blocked: &Blocked) -> Option<u64> {
        let limits = self.row.time_limits.iter().filter(|limit| limit.cause == blocked.cause);
        limits.map(|limit| blocked.since_ms.saturating_add(u64::from(limit.max_s) * 1000)).min()
    }
}

impl Engine {
    /// The head of a line waits for this cause. Its clock starts where the head or the cause is another than before.
    pub(crate) fn head_waits(
        &mut self,
        id: QueueId,
        share: &Share,
        key: Key,
        cause: Option<LimitCause>,
        now: Now,
    ) {
        let Some(queue) = self.state.queues.get_mut(&id) else { return };
        let Some(line) = queue.waiting.line_mut(share) else { return };
        let same = |blocked: &Blocked| blocked.key == key && Some(blocked.cause) == cause;
        if !line.blocked.as_ref().is_some_and(same) {
            line.blocked = cause.map(|cause| Blocked { key, cause, since_ms: now.mono_ms, wake_ms: None });
        }
        let Some(mut blocked) = line.blocked else { return };
        let due = queue.gives_up_ms(&blocked);
        if let Some(at) = due
            && blocked.wake_ms != due
        {
            blocked.wake_ms = due;
            self.batch.effect(Effect::Wake(at));
        }
        if let Some(line) = queue.waiting.line_mut(share) {
            line.blocked = Some(blocked);
        }
    }

    /// Ends heads that have waited too long. Looks at every line, of which there are a few dozen as a rule.
    pub(crate) fn give_up_heads(&mut self, now: Now) {
        let mut doomed: Vec<Blocked> = Vec::new();
        for queue in self.state.queues.values().filter(|queue| !queue.row.time_limits.is_empty()) {
            let blocked = queue.waiting.lines().filter_map(|(_, line)| line.blocked);
            doomed.extend(blocked.filter(|b| queue.gives_up_ms(b).is_some_and(|at| at <= now.mono_ms)));
        }
        for blocked in doomed {
            let reason: Arc<str> =
                format!("Canceled by JobStateTimeLimit action due to reason: {}", blocked.cause.name())
                    .into();
            self.fail_waiting(blocked.key, reason, now);
        }
    }
}
