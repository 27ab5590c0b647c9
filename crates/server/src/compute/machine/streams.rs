//! Which log streams an attempt has, kept in its folder so that a report after a restart tells the same rows.
//!
//! Never here: reading events (`logs` does that).

use super::task::CONTAINER;
use crate::compute::LogTarget;
use crate::logs::file::LogFile;
use crate::store::LogStreamRow;
use batchyard_engine::TaskId;
use batchyard_supervisor::FormatError;
use batchyard_supervisor::format::{Writer, parse, read};
use std::path::Path;

/// The streams of an attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Streams {
    /// When the attempt's start began, wall milliseconds.
    pub created_ms: i64,
    /// One for each container that has a log.
    pub streams: Vec<Stream>,
}

/// One stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stream {
    /// Log group.
    pub group: String,
    /// Log stream.
    pub stream: String,
    /// The container's name.
    pub container: String,
    /// The log file, relative to the data folder.
    pub path: String,
}

impl Stream {
    /// Where a task's only container writes.
    pub fn of(task: TaskId, target: &LogTarget) -> Self {
        let (group, stream) = (target.group.clone(), target.stream.clone());
        Self { group, stream, container: CONTAINER.to_string(), path: log_path(task, 0) }
    }
}

impl Streams {
    /// The record's text.
    pub fn encode(&self) -> String {
        let mut w = Writer::new("streams");
        w.put("created_ms", self.created_ms);
        for stream in &self.streams {
            w.put("stream", &stream.stream);
            w.put("group", &stream.group);
            w.put("container", &stream.container);
            w.put("path", &stream.path);
        }
        w.finish()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// See [`FormatError`].
    pub fn decode(text: &str) -> Result<Self, FormatError> {
        let mut streams = Self::default();
        for (key, value) in read("streams", text)? {
            match (key.as_str(), streams.streams.last_mut()) {
                ("created_ms", _) => streams.created_ms = parse(&key, &value)?,
                ("stream", _) => streams.streams.push(Stream { stream: value, ..Stream::default() }),
                ("group", Some(last)) => last.group = value,
                ("container", Some(last)) => last.container = value,
                ("path", Some(last)) => last.path = value,
                _ => {}
            }
        }
        Ok(streams)
    }

    /// The rows, with what the log files say now.
    pub fn facts(&self, data: &Path, task: TaskId, done: bool) -> Vec<LogStreamRow> {
        let fact = |s: &Stream| {
            let bounds = LogFile::open(&data.join(&s.path)).ok().flatten().map(|f| f.bounds());
            let bounds = bounds.and_then(Result::ok).unwrap_or_default();
            LogStreamRow {
                group: s.group.clone(),
                name: s.stream.clone(),
                task,
                container: s.container.clone(),
                path: s.path.clone(),
                created_ms: self.created_ms,
                first_event_ms: bounds.first_ms,
                last_event_ms: bounds.last_ms,
                bytes: bounds.bytes,
                done,
            }
        };
        self.streams.iter().map(fact).collect()
    }
}

/// The log file of an attempt's container, relative to the data folder. Two digits of fan-out keep folders small.
pub fn log_path(task: TaskId, container: usize) -> String {
    let name = task.to_string();
    format!("logs/{}/{name}.{container}", &name[..2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_keeps_every_stream() {
        let stream = |n: &str| Stream {
            group: "/aws/batch/job".into(),
            stream: format!("def/{n}/0"),
            container: n.into(),
            path: log_path(TaskId([7; 16]), 0),
        };
        let streams = Streams { created_ms: 12, streams: vec![stream("a"), stream("b")] };
        assert_eq!(Streams::decode(&streams.encode()), Ok(streams));
    }
}
