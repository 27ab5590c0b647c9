//! Where the output's records go: the log of this program, or what else the task says.
//!
//! Never here: gathering lines (output), the ways of each.

use super::fail::Fail;
use super::json_file::JsonFile;
use super::output::Log;
use super::syslog::Syslog;
use batchyard_supervisor::Container;
use batchyard_supervisor::multiline::FirstLine;
use batchyard_supervisor::sink::Sink;

/// A way for records.
pub enum Output {
    /// This program's own log file.
    Own(Log),
    /// A file of JSON objects.
    Json(JsonFile),
    /// A syslog.
    Syslog(Box<Syslog>),
}

impl Output {
    /// What the container's task says. What cannot be reached drops lines, it does not fail the job.
    pub fn open(c: &Container) -> Self {
        match &c.sink {
            Sink::Own => Self::Own(Log::open(&c.log, c.log_cap, c.disk_floor)),
            Sink::JsonFile { max_bytes, files } => Self::Json(JsonFile::open(c, *max_bytes, *files)),
            Sink::Syslog(to) => Self::Syslog(Box::new(Syslog::new(to.clone()))),
        }
    }

    /// Takes records (`log_file`) that are whole and hold `lines` lines of standard output, or error.
    pub fn append(&mut self, error: bool, records: &[u8], lines: u64) {
        match self {
            Self::Own(log) => log.append(records, lines),
            Self::Json(file) => file.append(error, records),
            Self::Syslog(syslog) => syslog.append(error, records),
        }
    }

    /// Says what is still unsaid. Called once, after the last line.
    pub fn finish(&mut self) {
        match self {
            Self::Own(log) => log.finish(),
            Self::Json(file) => file.finish(),
            Self::Syslog(syslog) => syslog.finish(),
        }
    }

    /// Lines dropped so far.
    pub fn dropped(&self) -> u64 {
        match self {
            Self::Own(log) => log.dropped(),
            Self::Json(file) => file.dropped(),
            Self::Syslog(syslog) => syslog.dropped(),
        }
    }
}

/// What begins an event of several lines, where a line is not one.
///
/// # Errors
/// The pattern cannot be read.
pub fn first_line(c: &Container) -> Result<Option<FirstLine>, Fail> {
    let made = c.first_line.as_deref().map(FirstLine::new).transpose();
    made.map_err(|e| {
        Fail::daemon(format_args!(
            "failed to initialize logging driver: awslogs could not parse multiline pattern: {e}"
        ))
    })
}
