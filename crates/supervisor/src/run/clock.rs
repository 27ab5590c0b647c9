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

/// A wall-clock time of UTC as in `2026-11-25T12:00:00.123000000Z`, with nine digits, as Docker writes it.
pub fn rfc3339(at_ms: i64) -> String {
    rfc3339_with(at_ms, 9)
}

/// The same with so many digits of the second's fraction.
pub fn rfc3339_with(at_ms: i64, digits: usize) -> String {
    let t = calendar(at_ms, false);
    let fraction = format!(".{:09}", at_ms.rem_euclid(1000) * 1_000_000);
    let fraction = if digits == 0 { "" } else { &fraction[..=digits.min(9)] };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{fraction}Z",
        i64::from(t.tm_year) + 1900,
        t.tm_mon + 1,
        t.tm_mday,
        t.tm_hour,
        t.tm_min,
        t.tm_sec
    )
}

/// A wall-clock time of this machine's zone as syslogs have it, `Nov 25 12:00:00`.
pub fn stamp(at_ms: i64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let t = calendar(at_ms, true);
    let month = usize::try_from(t.tm_mon).ok().and_then(|m| MONTHS.get(m)).unwrap_or(&"Jan");
    format!("{month} {:2} {:02}:{:02}:{:02}", t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec)
}

fn calendar(at_ms: i64, local: bool) -> libc::tm {
    let seconds = at_ms.div_euclid(1000);
    // SAFETY: all-zero bytes are a `tm`.
    let mut t: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both only read the number and write the structure, which lives across the call.
    unsafe {
        if local {
            libc::localtime_r(&raw const seconds, &raw mut t);
        } else {
            libc::gmtime_r(&raw const seconds, &raw mut t);
        }
    }
    t
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
