//! The container's output: from its two pipes, line by line, as records.
//!
//! Lines that belong together (a stack trace and the line before it) are one record where the task says what begins one.
//! Never here: where records go (`sink`), the pipes' polling (`pump`).

use super::clock;
use super::sink::Output;
use batchyard_supervisor::log_file::{MAX_TEXT, push_record};
use batchyard_supervisor::multiline::FirstLine;
use rustix::fd::AsFd;
use rustix::io::Errno;
use std::time::Duration;

/// How long an event of several lines waits for its next line, Docker's time.
const TOGETHER: Duration = Duration::from_secs(5);

/// One pipe's lines. A line is kept until its newline, its greatest length, or the end.
pub struct Lines {
    error: bool,
    partial: Vec<u8>,
    event: Option<Event>,
}

/// Lines that belong together so far.
struct Event {
    first: FirstLine,
    text: Vec<u8>,
    /// When its first line came, by either clock. Absent: there is none.
    began: Option<(i64, Duration)>,
}

/// Records that are ready.
#[derive(Default)]
struct Ready {
    records: Vec<u8>,
    lines: u64,
}

impl Ready {
    fn push(&mut self, at_ms: i64, text: &[u8]) {
        push_record(&mut self.records, at_ms, text);
        self.lines += 1;
    }
}

impl Event {
    fn add(&mut self, at_ms: i64, line: &[u8], ready: &mut Ready) {
        if self.first.is(line) || self.text.len() + 1 + line.len() > MAX_TEXT {
            self.end(ready);
        }
        if self.began.is_some() {
            self.text.push(b'\n');
        } else {
            self.began = Some((at_ms, clock::since_boot()));
        }
        self.text.extend_from_slice(line);
    }

    fn end(&mut self, ready: &mut Ready) {
        if let Some((at_ms, _)) = self.began.take() {
            ready.push(at_ms, &self.text);
            self.text.clear();
        }
    }
}

impl Lines {
    /// Standard output's lines, or those of standard error.
    pub fn new(error: bool, first: Option<FirstLine>) -> Self {
        let event = first.map(|first| Event { first, text: Vec::new(), began: None });
        Self { error, partial: Vec::new(), event }
    }

    /// Reads what the pipe holds now. False at the pipe's end.
    pub fn pump(&mut self, pipe: impl AsFd, to: &mut Output, buffer: &mut [u8]) -> bool {
        match rustix::io::read(pipe, &mut *buffer) {
            Ok(0) => false,
            Ok(n) => {
                self.take(&buffer[..n], to);
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => true,
            Err(e) => {
                eprintln!("read the container's output: {e}");
                false
            }
        }
    }

    /// Takes bytes that came out of the pipe.
    pub fn take(&mut self, bytes: &[u8], to: &mut Output) {
        let now = clock::wall_ms();
        let mut ready = Ready { records: Vec::with_capacity(bytes.len() + 64), lines: 0 };
        let mut pieces = bytes.split(|b| *b == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let mut rest = piece;
            while self.partial.len() + rest.len() > MAX_TEXT {
                let (head, tail) = rest.split_at(MAX_TEXT - self.partial.len());
                self.partial.extend_from_slice(head);
                self.line(now, &mut ready);
                rest = tail;
            }
            self.partial.extend_from_slice(rest);
            if pieces.peek().is_some() {
                self.line(now, &mut ready);
            }
        }
        to.append(self.error, &ready.records, ready.lines);
    }

    /// The line is whole.
    fn line(&mut self, now: i64, ready: &mut Ready) {
        match &mut self.event {
            Some(event) => event.add(now, &self.partial, ready),
            None => ready.push(now, &self.partial),
        }
        self.partial.clear();
    }

    /// How long an event may still wait for its next line.
    pub fn patience(&self) -> Option<Duration> {
        let (_, began) = self.event.as_ref()?.began?;
        Some((began + TOGETHER).saturating_sub(clock::since_boot()))
    }

    /// Ends an event that waited long enough.
    pub fn ring(&mut self, to: &mut Output) {
        if self.patience().is_some_and(|left| left.is_zero()) {
            self.end_event(to);
        }
    }

    fn end_event(&mut self, to: &mut Output) {
        let mut ready = Ready::default();
        self.event.iter_mut().for_each(|event| event.end(&mut ready));
        to.append(self.error, &ready.records, ready.lines);
    }

    /// Takes a last line that has no newline, and ends.
    pub fn finish(&mut self, to: &mut Output) {
        if !self.partial.is_empty() {
            let mut ready = Ready::default();
            self.line(clock::wall_ms(), &mut ready);
            to.append(self.error, &ready.records, ready.lines);
        }
        self.end_event(to);
    }
}
