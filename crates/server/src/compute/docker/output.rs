//! A container's output into the attempt's log file, every line once.
//!
//! The daemon always tells the same lines in the same order, so as many as the file already has are passed over when
//! they are read again: after a server's death, or when the connection broke. Never here: asking the daemon.

use crate::logs::file::{LogFile, START, Walk};
use batchyard_supervisor::log_file::{MAGIC, MAX_TEXT, OVERHEAD, push_record};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A log file under way.
pub struct Output {
    file: File,
    /// Lines still to be passed over.
    skip: u64,
    bytes: u64,
    cap: u64,
    /// Lines that the cap kept out.
    dropped: u64,
    /// What has no end of line yet, of stdout and of stderr, and when it began.
    partial: [(Vec<u8>, i64); 2],
}

impl Output {
    /// Opens or makes the file; what a crash cut off at its end goes. `cap`: bytes after which lines are dropped, 0: none.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn open(path: &Path, cap: u64) -> io::Result<Self> {
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).mode(0o600).open(path)?;
        let (mut skip, mut bytes) = (0, START);
        match LogFile::open(path)? {
            Some(log) => {
                log.forward(START, |_, record| {
                    skip += 1;
                    bytes += (record.text.len() + OVERHEAD) as u64;
                    Walk::On
                })?;
                file.set_len(bytes)?;
            }
            None => {
                file.set_len(0)?;
                file.write_all(&MAGIC)?;
            }
        }
        Ok(Self { file, skip, bytes, cap, dropped: 0, partial: Default::default() })
    }

    /// Takes what came on stdout (0) or stderr (1): a line, or a piece of a long one.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn push(&mut self, stream: usize, at_ms: i64, text: &[u8]) -> io::Result<()> {
        let (mut line, mut began) = std::mem::take(&mut self.partial[stream]);
        if line.is_empty() {
            began = at_ms;
        }
        line.extend_from_slice(text);
        let whole = line.last() == Some(&b'\n');
        if whole {
            line.pop();
        }
        while line.len() > MAX_TEXT {
            let rest = line.split_off(MAX_TEXT);
            self.record(began, &line)?;
            line = rest;
        }
        if whole {
            return self.record(began, &line);
        }
        self.partial[stream] = (line, began);
        Ok(())
    }

    /// The container has ended: what has no end of line is a line too.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn finish(&mut self) -> io::Result<()> {
        for (line, began) in std::mem::take(&mut self.partial) {
            if !line.is_empty() {
                self.record(began, &line)?;
            }
        }
        match self.dropped {
            0 => Ok(()),
            lines => {
                let text = format!("batchyard: {lines} lines were dropped (log cap of {} bytes)", self.cap);
                self.write(crate::clock::wall_ms(), text.as_bytes())
            }
        }
    }

    fn record(&mut self, at_ms: i64, text: &[u8]) -> io::Result<()> {
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(());
        }
        let size = (text.len() + OVERHEAD) as u64;
        if self.cap > 0 && self.bytes + size > self.cap {
            // Shorter lines after it would break the order of what is passed over later.
            self.bytes = self.bytes.max(self.cap);
            self.dropped += 1;
            return Ok(());
        }
        self.write(at_ms, text)
    }

    fn write(&mut self, at_ms: i64, text: &[u8]) -> io::Result<()> {
        let mut record = Vec::with_capacity(text.len() + OVERHEAD);
        push_record(&mut record, at_ms, text);
        self.file.write_all(&record)?;
        self.bytes += record.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::machine::testing::TempFolder;

    fn lines(path: &Path) -> Vec<(i64, String)> {
        let mut lines = Vec::new();
        let file = LogFile::open(path).expect("read").expect("there");
        file.forward(START, |_, r| {
            lines.push((r.at_ms, String::from_utf8_lossy(r.text).into_owned()));
            Walk::On
        })
        .expect("read");
        lines
    }

    #[test]
    fn what_is_read_again_is_written_once_and_a_cut_off_record_anew() {
        let folder = TempFolder::new();
        let path = folder.path().join("aa/log.0");
        let mut output = Output::open(&path, 0).expect("open");
        output.push(0, 1, b"one\n").expect("write");
        output.push(0, 2, b"tw").expect("write");
        output.push(1, 3, b"err\n").expect("write");
        drop(output);
        let size = fs::metadata(&path).expect("there").len();
        OpenOptions::new().append(true).open(&path).expect("open").write_all(&[9, 0, 0]).expect("write");
        let mut output = Output::open(&path, 0).expect("open");
        assert_eq!(fs::metadata(&path).expect("there").len(), size);
        output.push(0, 1, b"one\n").expect("write");
        output.push(0, 2, b"tw").expect("write");
        output.push(1, 3, b"err\n").expect("write");
        output.push(0, 4, b"o\n").expect("write");
        output.push(0, 5, b"end").expect("write");
        output.finish().expect("write");
        let expected = [(1, "one"), (3, "err"), (2, "two"), (5, "end")];
        assert_eq!(lines(&path), expected.map(|(at, text)| (at, text.to_string())));
    }

    #[test]
    fn after_the_cap_nothing_is_written() {
        let folder = TempFolder::new();
        let path = folder.path().join("log.0");
        let mut output = Output::open(&path, 60).expect("open");
        for text in ["0123456789\n", "0123456789012345678901\n", "a\n"] {
            output.push(0, 1, text.as_bytes()).expect("write");
        }
        assert_eq!(lines(&path).len(), 1);
    }
}
