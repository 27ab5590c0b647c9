//! The log file of a container's output.
//!
//! The job is never blocked: what cannot be written is dropped and counted, and a record says so. Never here: the
//! layout of records (`log_file` of the library), where lines come from (`lines`), other ways for them (`sink`).

use super::clock;
use batchyard_supervisor::log_file::{MAGIC, Record, first, push_record};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::time::Duration;

/// How long the free space of the disk is believed.
const SPACE_CHECK: Duration = Duration::from_secs(1);

/// Whether a disk has room for more of a log.
pub struct Room {
    floor: u64,
    /// The last answer, and when it was given.
    last: (bool, Duration),
}

impl Room {
    /// A disk of which so many bytes stay free; 0: all of it may be filled.
    pub fn new(floor: u64) -> Self {
        Self { floor, last: (true, Duration::ZERO) }
    }

    /// Whether the file's disk is above its floor, asked at most once a second.
    pub fn is_left(&mut self, file: impl AsFd) -> bool {
        let now = clock::since_boot();
        if self.floor > 0 && (self.last.1.is_zero() || now.saturating_sub(self.last.1) >= SPACE_CHECK) {
            let free = rustix::fs::fstatvfs(file).map_or(u64::MAX, |s| s.f_bavail.saturating_mul(s.f_frsize));
            self.last = (free >= self.floor, now);
        }
        self.last.0
    }
}

/// The records in a buffer of whole ones.
pub fn records(mut bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let record = first(bytes)?;
        bytes = &bytes[record.size..];
        Some(record)
    })
}

/// Where lines go.
pub struct Log {
    /// The file and its size up to the last whole record. Absent: output is thrown away, as asked.
    file: Option<(OwnedFd, u64)>,
    cap: u64,
    /// The cap was reached.
    capped: bool,
    room: Room,
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
        Self { file, cap, capped: false, room: Room::new(floor), unsaid: 0, dropped: 0, why: "" }
    }

    /// Lines dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Appends records that are already encoded and hold `lines` lines.
    pub fn append(&mut self, records: &[u8], lines: u64) {
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

    fn has_room(&mut self) -> bool {
        self.file.as_ref().is_none_or(|(file, _)| self.room.is_left(file))
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
