//! What a supervisor reports: that the container runs, and how the attempt ended.
//!
//! Times are wall-clock milliseconds since the epoch, stamped by the supervisor; the same values reach the engine and
//! the rows. Never here: AWS's texts for what happened (the engine has those).

use crate::format::{FormatError, Writer, parse, read};
use std::str::FromStr;

/// Written once the container's own program runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The container's first process as this host sees it. Only for people; the lock tells what lives.
    pub pid: u32,
}

/// Why an attempt ended. The retry rules need it: a timeout is never retried, whatever its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The container ended by itself.
    Exit,
    /// The supervisor ended it because its time was over.
    Timeout,
    /// The supervisor ended it because the server asked.
    Stopped,
    /// It never ran; `text` says why.
    StartFailed,
}

impl Why {
    fn name(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Timeout => "timeout",
            Self::Stopped => "stopped",
            Self::StartFailed => "start_failed",
        }
    }
}

impl FromStr for Why {
    type Err = ();

    fn from_str(s: &str) -> Result<Self, ()> {
        [Self::Exit, Self::Timeout, Self::Stopped, Self::StartFailed]
            .into_iter()
            .find(|w| w.name() == s)
            .ok_or(())
    }
}

/// How one container of the attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerExit {
    /// Its name in the task.
    pub name: String,
    /// Exit code, 128 + signal when a signal ended it. Absent when no process of it ever ran.
    pub code: Option<i32>,
    /// The kernel killed at least one of its processes for memory.
    pub oom: bool,
    /// It failed with no room left to write: on its own disk of so many bytes, or (0) on the host's.
    pub disk_full: Option<u64>,
    /// Lines that were dropped because the log reached its cap or the disk its floor.
    pub dropped_lines: u64,
    /// Most memory used at once, in bytes, when the cgroup tells.
    pub peak_memory: Option<u64>,
}

/// The exit record of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Why it ended.
    pub why: Why,
    /// With [`Why::StartFailed`]: the reason in the words of the ECS agent, as spec jobs §1.5 lists them.
    pub text: Option<String>,
    /// When the container's program began, absent if it never did.
    pub started_ms: Option<i64>,
    /// When it ended.
    pub stopped_ms: i64,
    /// Each container, in the task's order.
    pub containers: Vec<ContainerExit>,
}

impl Started {
    /// The record's text.
    pub fn encode(&self) -> String {
        let mut w = Writer::new("started");
        w.put("at_ms", self.at_ms);
        w.put("pid", self.pid);
        w.finish()
    }

    /// Reads the record. Errors: see [`FormatError`].
    pub fn decode(text: &str) -> Result<Self, FormatError> {
        let (mut at_ms, mut pid) = (None, None);
        for (key, value) in read("started", text)? {
            match key.as_str() {
                "at_ms" => at_ms = Some(parse(&key, &value)?),
                "pid" => pid = Some(parse(&key, &value)?),
                _ => {}
            }
        }
        Ok(Self {
            at_ms: at_ms.ok_or(FormatError::Missing { key: "at_ms" })?,
            pid: pid.ok_or(FormatError::Missing { key: "pid" })?,
        })
    }
}

impl Exit {
    /// The record's text. `container` opens each container; the lines after it are that container's.
    pub fn encode(&self) -> String {
        let mut w = Writer::new("exit");
        w.put("why", self.why.name());
        w.put_some("text", self.text.as_ref());
        w.put_some("started_ms", self.started_ms);
        w.put("stopped_ms", self.stopped_ms);
        for c in &self.containers {
            w.put("container", &c.name);
            w.put_some("code", c.code);
            w.put("oom", u8::from(c.oom));
            w.put_some("disk_full", c.disk_full);
            w.put("dropped_lines", c.dropped_lines);
            w.put_some("peak_memory", c.peak_memory);
        }
        w.finish()
    }

    /// Reads the record. Errors: see [`FormatError`].
    pub fn decode(text: &str) -> Result<Self, FormatError> {
        let (mut why, mut stopped) = (None, None);
        let mut exit =
            Self { why: Why::Exit, text: None, started_ms: None, stopped_ms: 0, containers: Vec::new() };
        for (key, value) in read("exit", text)? {
            match (key.as_str(), exit.containers.last_mut()) {
                ("why", None) => why = Some(parse::<Why>(&key, &value)?),
                ("text", None) => exit.text = Some(value),
                ("started_ms", None) => exit.started_ms = Some(parse(&key, &value)?),
                ("stopped_ms", None) => stopped = Some(parse(&key, &value)?),
                ("container", _) => exit.containers.push(ContainerExit {
                    name: value,
                    code: None,
                    oom: false,
                    disk_full: None,
                    dropped_lines: 0,
                    peak_memory: None,
                }),
                ("code", Some(c)) => c.code = Some(parse(&key, &value)?),
                ("oom", Some(c)) => c.oom = value == "1",
                ("disk_full", Some(c)) => c.disk_full = Some(parse(&key, &value)?),
                ("dropped_lines", Some(c)) => c.dropped_lines = parse(&key, &value)?,
                ("peak_memory", Some(c)) => c.peak_memory = Some(parse(&key, &value)?),
                _ => {}
            }
        }
        exit.why = why.ok_or(FormatError::Missing { key: "why" })?;
        exit.stopped_ms = stopped.ok_or(FormatError::Missing { key: "stopped_ms" })?;
        Ok(exit)
    }
}
