//! The container's output: from its two pipes, line by line, into the log file.
//!
//! The job is never blocked: what cannot be written is dropped and counted, and a record says so. Never here: the
//! layout of records (`log_file` of the library), the pipes' polling (the watch).

use super::clock;
use batchyard_supervisor::log_file::{MAGIC, MAX_TEXT, first, push_record};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::time::Duration;

/// How long the free space of the disk is believed.
const SPACE_CHECK: Duration = Duration::from_secs(1);

/// Where lines go.
pub struct Log {
    /// The file and its size up to the last whole record. Absent: output is thrown away, as asked.
    file: Option<(OwnedFd, u64)>,
    cap: u64,
    floor: u64,
    /// The cap was reached.
    capped: bool,
    /// Whether the disk had room, and when that was asked.
    room: (bool, Duration),
    /// Lines dropped since the last record that said so.
    unsaid: u64,
    dropped: u64,
    why: &'static str,
}

impl Log {
    /// Opens or makes the file. A file that cannot be opened drops every line, it does not fail the job.
    pub fn open(path: &str, cap: u64, floor: u64) -> Self {
        let file = if path.is_empty() { Ok(None) } else { open_file(path).map(Some) };
        let file = file.unwrap_or_else(|e| {
            eprintln!("open the log file {path}: {e}");
            None
        });
        let room = (true, Duration::ZERO);
        Self { file, cap, floor, capped: false, room, unsaid: 0, dropped: 0, why: "" }
    }

    /// Lines dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Appends records that are already encoded and hold `lines` lines.
    fn append(&mut self, records: &[u8], lines: u64) {
        if self.file.is_none() || lines == 0 {
            return;
        }
        let (records, lines) = self.under_cap(records, lines);
        if lines == 0 {
            return;
        }
        if !self.has_room() {
            return self.drop_lines(lines, "disk floor");
        }
        if self.unsaid > 0 && !self.capped && !self.say_dropped() {
            return self.drop_lines(lines, "disk floor");
        }
        if !self.write(records) {
            self.drop_lines(lines, "disk floor");
        }
    }

    /// The part of the records that the cap lets in. Once one is over it, none comes in any more.
    fn under_cap<'r>(&mut self, records: &'r [u8], lines: u64) -> (&'r [u8], u64) {
        let size = self.file.as_ref().map_or(0, |f| f.1);
        let room = self.cap.saturating_sub(size);
        if self.cap == 0 || (!self.capped && records.len() as u64 <= room) {
            return (records, lines);
        }
        let (mut end, mut fitting) = (0, 0);
        while let Some(record) = first(&records[end..]).filter(|_| !self.capped) {
            if (end + record.size) as u64 > room {
                break;
            }
            end += record.size;
            fitting += 1;
        }
        self.capped = true;
        self.drop_lines(lines - fitting, "log cap");
        (&records[..end], fitting)
    }

    /// Whether the disk is above its floor, asked at most once a second.
    fn has_room(&mut self) -> bool {
        let Some((file, _)) = &self.file else { return true };
        let now = clock::since_boot();
        if self.floor > 0 && (self.room.1.is_zero() || now.saturating_sub(self.room.1) >= SPACE_CHECK) {
            let free = rustix::fs::fstatvfs(file).map_or(u64::MAX, |s| s.f_bavail.saturating_mul(s.f_frsize));
            self.room = (free >= self.floor, now);
        }
        self.room.0
    }

    fn drop_lines(&mut self, lines: u64, why: &'static str) {
        self.dropped += lines;
        self.unsaid += lines;
        self.why = why;
    }

    /// Writes the record that tells how many lines are missing here. The cap does not count for it.
    fn say_dropped(&mut self) -> bool {
        let reason = match self.why {
            "log cap" => format!("log cap of {} bytes", self.cap),
            other => other.to_string(),
        };
        let mut record = Vec::new();
        let text = format!("batchyard: {} lines were dropped ({reason})", self.unsaid);
        push_record(&mut record, clock::wall_ms(), text.as_bytes());
        let written = self.write(&record);
        if written {
            self.unsaid = 0;
        }
        written
    }

    /// Writes all of it or, as far as a reader can tell, nothing.
    fn write(&mut self, bytes: &[u8]) -> bool {
        let Some((file, size)) = &mut self.file else { return true };
        let mut done = 0;
        while done < bytes.len() {
            match rustix::io::write(&*file, &bytes[done..]) {
                Ok(n) => done += n,
                Err(Errno::INTR) => {}
                Err(e) => {
                    eprintln!("write the log: {e}");
                    // Half a record in the middle would end the file for every reader.
                    if done > 0 && rustix::fs::ftruncate(&*file, *size).is_err() {
                        self.file = None;
                    }
                    return false;
                }
            }
        }
        *size += bytes.len() as u64;
        true
    }

    /// Says what is still unsaid. Called once, after the last line.
    pub fn finish(&mut self) {
        if self.file.is_some() && self.unsaid > 0 {
            self.say_dropped();
        }
    }
}

fn open_file(path: &str) -> Result<(OwnedFd, u64), Errno> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR | Mode::RGRP)?;
    let size = u64::try_from(rustix::fs::fstat(&file)?.st_size).unwrap_or(0);
    if size == 0 {
        rustix::io::write(&file, &MAGIC)?;
    }
    Ok((file, size.max(MAGIC.len() as u64)))
}

/// One pipe's lines. A line is kept until its newline, its greatest length, or the end.
#[derive(Default)]
pub struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Reads what the pipe holds now into the log. False at the pipe's end.
    pub fn pump(&mut self, pipe: impl AsFd, log: &mut Log, buffer: &mut [u8]) -> bool {
        match rustix::io::read(pipe, &mut *buffer) {
            Ok(0) => false,
            Ok(n) => {
                self.take(&buffer[..n], log);
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
    pub fn take(&mut self, bytes: &[u8], log: &mut Log) {
        let now = clock::wall_ms();
        let mut records = Vec::with_capacity(bytes.len() + 64);
        let mut lines = 0;
        let mut pieces = bytes.split(|b| *b == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let mut rest = piece;
            while self.partial.len() + rest.len() > MAX_TEXT {
                let (head, tail) = rest.split_at(MAX_TEXT - self.partial.len());
                self.partial.extend_from_slice(head);
                push_record(&mut records, now, &self.partial);
                lines += 1;
                self.partial.clear();
                rest = tail;
            }
            self.partial.extend_from_slice(rest);
            if pieces.peek().is_some() {
                push_record(&mut records, now, &self.partial);
                lines += 1;
                self.partial.clear();
            }
        }
        log.append(&records, lines);
    }

    /// Writes a last line that has no newline.
    pub fn finish(&mut self, log: &mut Log) {
        if !self.partial.is_empty() {
            let mut record = Vec::new();
            push_record(&mut record, clock::wall_ms(), &self.partial);
            self.partial.clear();
            log.append(&record, 1);
        }
    }
}
