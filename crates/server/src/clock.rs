//! The one place that knows the time. Never here: what it is used for.

use batchyard_engine::Now;
use batchyard_supervisor::hooks;
use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

static ZERO: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Wall and monotonic time, as the engine takes them.
pub fn now() -> Now {
    Now { wall_ms: wall_ms(), mono_ms: u64::try_from(ZERO.elapsed().as_millis()).unwrap_or(u64::MAX) }
}

/// Milliseconds since the epoch; 0 on a clock before it.
pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX).saturating_add(hooks::wall_offset_ms())
}
