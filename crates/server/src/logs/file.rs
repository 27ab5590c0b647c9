//! Reads the log file of one container: forward and backward from a position, a page at a time.
//!
//! The file may be written at the same time; a record that is cut off at its end does not count yet. A damaged place
//! ends what can be read in that direction. Never here: streams, tokens, time ranges.

use batchyard_supervisor::log_file::{self, MAGIC, MAX_TEXT, OVERHEAD, Record};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How much is read at once: small pages stay cheap, and the longest record still fits after one growth.
const CHUNK: usize = 64 * 1024;

/// An open log file.
#[derive(Debug)]
pub struct LogFile {
    file: File,
    end: u64,
}

/// First and last event and the size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Time of the first event.
    pub first_ms: Option<i64>,
    /// Time of the last event.
    pub last_ms: Option<i64>,
    /// Size of the file.
    pub bytes: u64,
}

/// Whether a walk goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// The record counts; give the next.
    On,
    /// The record was not taken: the walk ends before it.
    Stop,
}

impl LogFile {
    /// Opens a log file. None: it is not there (yet), or too young to have its first bytes.
    ///
    /// # Errors
    /// The disk does not give it, or it is no log file.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let end = file.metadata()?.len();
        if end < START {
            return Ok(None);
        }
        let mut magic = [0; MAGIC.len()];
        file.read_exact_at(&mut magic, 0)?;
        if magic != MAGIC {
            let text = format!("{} is not a log file of a known version", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(Some(Self { file, end }))
    }

    /// Where the file ended when it was opened; a record may be cut off there.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// First and last event. The last is found from the end, or by walking when a cut-off record lies there.
    ///
    /// # Errors
    /// The disk does not give it.
    pub fn bounds(&self) -> io::Result<Bounds> {
        let mut first_ms = None;
        self.forward(START, |_, record| {
            first_ms = Some(record.at_ms);
            Walk::Stop
        })?;
        let mut last_ms = None;
        self.backward(self.whole_end()?, |_, record| {
            last_ms = Some(record.at_ms);
            Walk::Stop
        })?;
        Ok(Bounds { first_ms, last_ms, bytes: self.end })
    }

    /// Walks forward from a position (a record's begin, or [`START`]); `visit` gets each record's position. Returns
    /// where the walk ended: the begin of the record that was not taken, or the end of the last whole one.
    ///
    /// # Errors
    /// The disk does not give it.
    pub fn forward(&self, from: u64, mut visit: impl FnMut(u64, Record<'_>) -> Walk) -> io::Result<u64> {
        let mut at = from.max(START);
        let mut buffer = Vec::new();
        let mut want = CHUNK;
        loop {
            self.read(at, want, &mut buffer)?;
            let mut used = 0;
            while let Some(record) = log_file::first(&buffer[used..]) {
                if visit(at + used as u64, record) == Walk::Stop {
                    return Ok(at + used as u64);
                }
                used += record.size;
            }
            at += used as u64;
            let more = at + ((buffer.len() - used) as u64) < self.end;
            if !more || (used == 0 && want > MAX_TEXT + OVERHEAD) {
                return Ok(at);
            }
            want = if used == 0 { MAX_TEXT + OVERHEAD + 1 } else { CHUNK };
        }
    }

    /// Walks backward from a position (a record's end); `visit` gets the position where each record begins. Returns
    /// the end of the record that was not taken, or where the first one begins.
    ///
    /// # Errors
    /// The disk does not give it.
    pub fn backward(&self, from: u64, mut visit: impl FnMut(u64, Record<'_>) -> Walk) -> io::Result<u64> {
        let mut at = from.min(self.end);
        let mut buffer = Vec::new();
        let mut want = CHUNK as u64;
        while at > START {
            let begin = at.saturating_sub(want).max(START);
            self.read(begin, (at - begin) as usize, &mut buffer)?;
            let mut left = buffer.len();
            while let Some(record) = log_file::last(&buffer[..left]) {
                let begins = begin + (left - record.size) as u64;
                if visit(begins, record) == Walk::Stop {
                    return Ok(begin + left as u64);
                }
                left -= record.size;
            }
            let stuck = left == buffer.len();
            at = begin + left as u64;
            if stuck && (begin == START || want > CHUNK as u64) {
                break;
            }
            want = if stuck { (MAX_TEXT + OVERHEAD) as u64 } else { CHUNK as u64 };
        }
        Ok(at)
    }

    /// The end of the last whole record: the file's end, unless a record is being written there.
    ///
    /// # Errors
    /// The disk does not give it.
    pub fn whole_end(&self) -> io::Result<u64> {
        let mut at_end = self.end == START;
        self.backward(self.end, |_, _| {
            at_end = true;
            Walk::Stop
        })?;
        if at_end { Ok(self.end) } else { self.forward(START, |_, _| Walk::On) }
    }

    /// Whether a record begins or ends at this position. Reads a few bytes.
    ///
    /// # Errors
    /// The disk does not give it.
    pub fn is_boundary(&self, at: u64) -> io::Result<bool> {
        if at == START {
            return Ok(true);
        }
        if at > self.end || at < START + OVERHEAD as u64 {
            return Ok(false);
        }
        let length = self.u32_at(at - 4)?;
        let size = u64::from(length) + OVERHEAD as u64;
        Ok(at >= START + size && self.u32_at(at - size)? == length)
    }

    fn u32_at(&self, at: u64) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn read(&self, at: u64, length: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
        let length = length.min(usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX));
        buffer.resize(length, 0);
        let mut filled = 0;
        while filled < length {
            match self.file.read_at(&mut buffer[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer.truncate(filled);
        Ok(())
    }
}

/// Where the first record begins.
pub const START: u64 = MAGIC.len() as u64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::testing::TestLog;

    fn forward(file: &LogFile, from: u64) -> (Vec<String>, u64) {
        let mut lines = Vec::new();
        let end = file.forward(from, |_, r| {
            lines.push(String::from_utf8_lossy(r.text).into_owned());
            Walk::On
        });
        (lines, end.expect("readable"))
    }

    fn backward(file: &LogFile, from: u64) -> Vec<String> {
        let mut lines = Vec::new();
        let walked = file.backward(from, |_, r| {
            lines.push(String::from_utf8_lossy(r.text).into_owned());
            Walk::On
        });
        assert_eq!(walked.expect("readable"), START);
        lines
    }

    #[test]
    fn both_directions_see_every_record_across_chunks_and_of_full_length() {
        let log = TestLog::new();
        let long = "x".repeat(MAX_TEXT);
        let lines: Vec<String> = (0..5000)
            .map(|i| if i % 1000 == 7 { long.clone() } else { format!("line {i} {}", "y".repeat(i % 90)) })
            .collect();
        for (i, line) in lines.iter().enumerate() {
            log.append(i as i64, line.as_bytes());
        }
        let file = LogFile::open(log.path()).expect("open").expect("there");
        let (seen, end) = forward(&file, START);
        assert!(seen == lines && end == file.end());
        let mut seen = backward(&file, end);
        seen.reverse();
        assert!(seen == lines);
        let bounds = file.bounds().expect("bounds");
        assert_eq!((bounds.first_ms, bounds.last_ms), (Some(0), Some(4999)));
    }

    #[test]
    fn a_record_that_is_being_written_does_not_count_yet() {
        let log = TestLog::new();
        log.append(1, b"whole");
        let whole = std::fs::metadata(log.path()).expect("there").len();
        for cut in 1..20 {
            log.append(2, b"second");
            log.cut(whole + cut);
            let file = LogFile::open(log.path()).expect("open").expect("there");
            assert_eq!(forward(&file, START), (vec!["whole".to_string()], whole), "cut {cut}");
            assert_eq!(file.whole_end().expect("end"), whole, "cut {cut}");
            assert_eq!(file.bounds().expect("bounds").last_ms, Some(1), "cut {cut}");
            log.cut(whole);
        }
    }

    #[test]
    fn an_empty_or_missing_file_is_an_empty_stream_and_another_file_is_an_error() {
        let log = TestLog::new();
        let file = LogFile::open(log.path()).expect("open").expect("there");
        assert_eq!(forward(&file, START), (vec![], START));
        assert_eq!(file.bounds().expect("bounds"), Bounds { bytes: START, ..Bounds::default() });
        log.cut(3);
        assert!(LogFile::open(log.path()).expect("young").is_none());
        std::fs::write(log.path(), "something else").expect("written");
        assert!(LogFile::open(log.path()).is_err());
        std::fs::remove_file(log.path()).expect("removed");
        assert!(LogFile::open(log.path()).expect("missing").is_none());
    }

    #[test]
    fn boundaries_are_known() {
        let log = TestLog::new();
        log.append(1, b"one");
        log.append(2, b"two");
        let file = LogFile::open(log.path()).expect("open").expect("there");
        let good: Vec<u64> = (0..60).filter(|at| file.is_boundary(*at).expect("read")).collect();
        assert_eq!(good, [8, 27, 46]);
    }
}
