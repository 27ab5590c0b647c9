//! One stream as a source of events in order, oldest or newest first, a little in memory at a time.
//!
//! The order is by time, stream and place in the stream. Within a file the time is the greatest so far, so that the
//! order holds when the clock was set back; newest first is the same order the other way round. Never here: several
//! streams at once (`merge`).

use super::api::{EVENT_OVERHEAD, Logs, failed, unreadable};
use super::catalog::StreamRow;
use super::file::{LogFile, START, Walk};
use crate::error::ApiError;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

/// Time, stream, place in the stream.
pub(super) type Place = (i64, String, u64);

/// Which events are wanted, both ends inclusive.
#[derive(Debug, Clone)]
pub(super) struct Window {
    pub start_ms: i64,
    pub end_ms: i64,
    pub newest_first: bool,
    /// Earlier pages had this place and all before it.
    pub behind: Option<Place>,
}

impl Window {
    /// The times that are still of interest.
    pub fn times(&self) -> (i64, i64) {
        match &self.behind {
            Some(place) if self.newest_first => (self.start_ms, self.end_ms.min(place.0)),
            Some(place) => (self.start_ms.max(place.0), self.end_ms),
            None => (self.start_ms, self.end_ms),
        }
    }

    fn wants(&self, order_ms: i64, at_ms: i64, stream: &str, at: u64) -> bool {
        let seen = self.behind.as_ref().is_some_and(|(ms, name, place)| {
            let (here, there) = ((order_ms, stream, at), (*ms, name.as_str(), *place));
            if self.newest_first { here >= there } else { here <= there }
        });
        !seen && (self.start_ms..=self.end_ms).contains(&at_ms) && order_ms <= self.end_ms
    }
}

/// An event that waits for its turn.
pub(super) struct Waiting {
    pub order_ms: i64,
    pub at_ms: i64,
    pub ingested_ms: i64,
    pub at: u64,
    pub message: String,
    pub bytes: usize,
}

enum From {
    /// A file, open or to be opened again, and the offset up to which it was read.
    File { path: PathBuf, file: Option<LogFile>, next: u64, newest: i64 },
    /// The event store, and the event up to which it was read.
    Stored { next: (i64, u64) },
}

/// An open stream.
pub(super) struct Source {
    pub row: StreamRow,
    /// Stands for the stream in event ids.
    pub id: u64,
    pub waiting: VecDeque<Waiting>,
    from: From,
}

impl Source {
    /// Opens a stream; none when nothing was written yet.
    pub fn open(logs: &Logs, row: StreamRow, window: &Window) -> Result<Option<Self>, ApiError> {
        let (start_ms, end_ms) = window.times();
        let from = if row.path.as_os_str().is_empty() {
            let end = (end_ms.saturating_add(1), 0);
            From::Stored { next: if window.newest_first { end } else { (start_ms, 0) } }
        } else {
            let Some((path, file)) = logs.open(&row)? else { return Ok(None) };
            let to = if window.newest_first { end_ms.saturating_add(1) } else { start_ms };
            let next = match to {
                i64::MAX => file.whole_end(),
                _ => logs.positions.seek(&path, &file, to),
            };
            let next = next.map_err(|error| unreadable(&row, &error))?;
            From::File { path, file: Some(file), next, newest: i64::MIN }
        };
        let digest = Sha256::digest(&row.name);
        let id = digest.iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        Ok(Some(Self { row, id, waiting: VecDeque::new(), from }))
    }

    /// The next event.
    pub fn head(&self, window: &Window) -> Option<&Waiting> {
        if window.newest_first { self.waiting.back() } else { self.waiting.front() }
    }

    /// Takes it away.
    pub fn advance(&mut self, window: &Window) {
        if window.newest_first {
            self.waiting.pop_back();
        } else {
            self.waiting.pop_front();
        }
    }

    /// Reads on, past what earlier pages had, until about `budget` bytes wait or nothing is left. With `close` its file
    /// is not kept open meanwhile.
    pub fn fill(&mut self, logs: &Logs, window: &Window, budget: usize, close: bool) -> Result<(), ApiError> {
        let (name, waiting) = (&self.row.name, &mut self.waiting);
        let (path, file, next, newest) = match &mut self.from {
            From::Stored { next } => {
                return stored(logs, self.row.id, name, next, waiting, window, budget);
            }
            From::File { path, file, next, newest } => (path, file, next, newest),
        };
        let mut read = || {
            let opened = match file.take() {
                Some(file) => Some(file),
                None => LogFile::open(path)?,
            };
            // It is gone: retention or a removal was faster.
            let Some(opened) = opened else { return Ok(()) };
            if window.newest_first {
                let before = |at| logs.positions.before(path, &opened, at);
                backward(&opened, next, before, name, waiting, window, budget)?;
            } else {
                forward(&opened, next, newest, name, waiting, window, budget)?;
            }
            *file = (!close).then_some(opened);
            io::Result::Ok(())
        };
        read().map_err(|error| unreadable(&self.row, &error))
    }
}

fn stored(
    logs: &Logs,
    stream: i64,
    name: &str,
    next: &mut (i64, u64),
    waiting: &mut VecDeque<Waiting>,
    window: &Window,
    budget: usize,
) -> Result<(), ApiError> {
    let (start_ms, end_ms) = window.times();
    let (first, last) = ((start_ms, 0), (end_ms.saturating_add(1), 0));
    let range = if window.newest_first { (first, *next) } else { (*next, last) };
    let mut held = 0;
    let read = logs.events.read(stream, range, window.newest_first, |event| {
        if held >= budget {
            return false;
        }
        *next = (event.at_ms, event.seq);
        if window.wants(event.at_ms, event.at_ms, name, event.seq) {
            let bytes = event.message.len() + EVENT_OVERHEAD;
            held += bytes;
            let (at_ms, ingested_ms, at) = (event.at_ms, event.ingested_ms, event.seq);
            let one = Waiting { order_ms: at_ms, at_ms, ingested_ms, at, message: event.message, bytes };
            if window.newest_first { waiting.push_front(one) } else { waiting.push_back(one) }
        }
        true
    });
    read.map_err(|error| failed(&error))
}

fn of_record(order_ms: i64, at: u64, at_ms: i64, text: &[u8]) -> Waiting {
    let message = String::from_utf8_lossy(text).into_owned();
    Waiting { order_ms, at_ms, ingested_ms: at_ms, at, message, bytes: text.len() + EVENT_OVERHEAD }
}

fn forward(
    file: &LogFile,
    next: &mut u64,
    newest: &mut i64,
    name: &str,
    waiting: &mut VecDeque<Waiting>,
    window: &Window,
    budget: usize,
) -> io::Result<()> {
    let (mut held, mut greatest) = (0, *newest);
    *next = file.forward(*next, |at, record| {
        if held >= budget {
            return Walk::Stop;
        }
        greatest = greatest.max(record.at_ms);
        if window.wants(greatest, record.at_ms, name, at) {
            held += record.text.len() + EVENT_OVERHEAD;
            waiting.push_back(of_record(greatest, at, record.at_ms, record.text));
        }
        if greatest > window.end_ms { Walk::Stop } else { Walk::On }
    })?;
    *newest = greatest;
    Ok(())
}

/// Walks a block of the file forward, from a place whose greatest time is known, and keeps its end.
fn backward(
    file: &LogFile,
    next: &mut u64,
    before: impl Fn(u64) -> io::Result<(u64, i64)>,
    name: &str,
    waiting: &mut VecDeque<Waiting>,
    window: &Window,
    budget: usize,
) -> io::Result<()> {
    while waiting.is_empty() && *next > START {
        let (from, known) = before(*next)?;
        let (mut held, mut greatest, mut cut) = (0, known, false);
        file.forward(from, |at, record| {
            if at >= *next {
                return Walk::Stop;
            }
            greatest = greatest.max(record.at_ms);
            if window.wants(greatest, record.at_ms, name, at) {
                waiting.push_back(of_record(greatest, at, record.at_ms, record.text));
                held += record.text.len() + EVENT_OVERHEAD;
            }
            while held > budget && waiting.len() > 1 {
                held -= waiting.pop_front().map_or(0, |one| one.bytes);
                cut = true;
            }
            Walk::On
        })?;
        *next = match waiting.front() {
            Some(first) if cut => first.at,
            // What lies before is older than all that is wanted.
            _ if known < window.start_ms => START,
            _ => from,
        };
    }
    Ok(())
}
