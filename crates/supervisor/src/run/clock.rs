//! The two clocks: the wall clock for what people read, the boot clock for every duration.
//!
//! Never here: comparing wall-clock times, because that clock may be set back.

use batchyard_supervisor::hooks;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use std::time::Duration;

/// Milliseconds since the epoch.
pub fn wall_ms() -> i64 {
    let t = clock_gettime(ClockId::Realtime);
    t.tv_sec
        .saturating_mul(1000)
        .saturating_add(t.tv_nsec / 1_000_000)
        .saturating_add(hooks::wall_offset_ms())
}

/// Time since boot, sleep of the machine included.
pub fn since_boot() -> Duration {
    let t = clock_gettime(ClockId::Boottime);
    Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// A descriptor that becomes readable at a moment of the boot clock.
pub struct Alarm {
    fd: OwnedFd,
}

impl Alarm {
    /// An alarm that is not set.
    pub fn new() -> Result<Self, Errno> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self { fd: timerfd_create(TimerfdClockId::Boottime, flags)? })
    }

    /// The descriptor to poll.
    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Sets it to `at`, or off. A moment in the past rings at once.
    pub fn set(&self, at: Option<Duration>) {
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = at.map_or(zero, |at| Timespec {
            tv_sec: i64::try_from(at.as_secs()).unwrap_or(i64::MAX),
            // Zero would turn it off.
            tv_nsec: i64::from(at.subsec_nanos().max(1)),
        });
        let timer = Itimerspec { it_interval: zero, it_value: value };
        if let Err(e) = timerfd_settime(&self.fd, TimerfdTimerFlags::ABSTIME, &timer) {
            eprintln!("set timer: {e}");
        }
    }
}
