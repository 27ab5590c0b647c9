//! How much one client may send, and how long it may take: the numbers of the front door.

use std::time::Duration;

/// The limits of connections and requests.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Request line and headers, in bytes. 8192 at least.
    pub head_bytes: usize,
    /// A body, in bytes.
    pub body_bytes: usize,
    /// What is read and thrown away of a body that is too large, in bytes, so that its sender reads the answer.
    pub discard_bytes: usize,
    /// Open connections; one more is answered 503 and closed.
    pub connections: u32,
    /// From a request's first byte, or from accepting, to the end of its headers.
    pub head_time: Duration,
    /// From the end of the headers to the end of the body.
    pub body_time: Duration,
    /// For the client to take some of an answer.
    pub write_time: Duration,
    /// For a connection between two requests.
    pub idle_time: Duration,
    /// For requests in progress when the server stops.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 32 << 10,
            body_bytes: 1 << 20,
            discard_bytes: 8 << 20,
            connections: 10_000,
            head_time: Duration::from_secs(20),
            body_time: Duration::from_secs(30),
            write_time: Duration::from_secs(30),
            idle_time: Duration::from_secs(120),
            drain_time: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// How often a connection is looked at for the times above: a quarter of the shortest, so that a request costs no
    /// timer and a limit is overshot by little.
    pub(super) fn tick(&self) -> Duration {
        (self.head_time.min(self.write_time).min(self.idle_time) / 4).max(Duration::from_millis(5))
    }
}
