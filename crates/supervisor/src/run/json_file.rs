//! Docker's log driver `json-file`: an object for each line, `{"log":…,"stream":…,"time":…}`, in a file that is moved
//! away when it is full.
//!
//! Never here: when old ones are removed (the server).

use super::clock;
use super::json::text;
use super::output::{Room, records};
use batchyard_supervisor::Container;
use rustix::io::Errno;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;

/// The file.
pub struct JsonFile {
    path: String,
    file: Option<File>,
    size: u64,
    /// Bytes after which a new one is begun; 0: never.
    max: u64,
    files: u32,
    /// Bytes after which lines are dropped, where no new one is begun; 0: never.
    cap: u64,
    room: Room,
    dropped: u64,
}

impl JsonFile {
    /// Opens or makes it. One that cannot be opened drops every line.
    pub fn open(c: &Container, max: u64, files: u32) -> Self {
        let path = c.log.clone();
        let file = open(&path).map_err(|e| eprintln!("open the log file {path}: {e}")).ok();
        let size = file.as_ref().and_then(|f| f.metadata().ok()).map_or(0, |m| m.len());
        let cap = if max == 0 { c.log_cap } else { 0 };
        Self { path, file, size, max, files: files.max(1), cap, room: Room::new(c.disk_floor), dropped: 0 }
    }

    /// Writes a line for each record.
    pub fn append(&mut self, error: bool, bytes: &[u8]) {
        let mut batch = String::new();
        let mut lines = 0;
        for record in records(bytes) {
            let before = batch.len();
            push(&mut batch, error, record.at_ms, record.text);
            let whole = self.size + batch.len() as u64;
            if self.max > 0 && whole > self.max && (self.size > 0 || lines > 0) {
                let line = batch.split_off(before);
                self.write(&batch, lines);
                self.rotate();
                (batch, lines) = (line, 0);
            } else if self.cap > 0 && whole > self.cap {
                batch.truncate(before);
                self.cap = self.size + before as u64;
                self.dropped += 1;
                continue;
            }
            lines += 1;
        }
        self.write(&batch, lines);
    }

    /// Says how many lines are missing. Neither the cap nor the size of a file counts for that.
    pub fn finish(&mut self) {
        if self.dropped > 0 {
            let (mut line, dropped) = (String::new(), self.dropped);
            let text = format!("batchyard: {dropped} lines were dropped (log cap or disk floor)");
            push(&mut line, true, clock::wall_ms(), text.as_bytes());
            self.write(&line, 1);
            self.dropped = dropped;
        }
    }

    /// Lines dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn write(&mut self, batch: &str, lines: u64) {
        if lines == 0 {
            return;
        }
        let written = match &mut self.file {
            Some(file) if self.room.is_left(&*file) => file.write_all(batch.as_bytes()),
            _ => Err(Errno::NOSPC.into()),
        };
        match written {
            Ok(()) => self.size += batch.len() as u64,
            Err(e) => {
                eprintln!("write the log: {e}");
                self.dropped += lines;
                // No half of a line.
                self.file.as_ref().map(|f| f.set_len(self.size));
            }
        }
    }

    /// Begins a new file: the others get the next number, the last one goes.
    fn rotate(&mut self) {
        let name = |n: u32| if n == 0 { self.path.clone() } else { format!("{}.{n}", self.path) };
        for n in (1..self.files).rev() {
            let _ = std::fs::rename(name(n - 1), name(n));
        }
        if self.files == 1 {
            let _ = std::fs::remove_file(&self.path);
        }
        self.file = open(&self.path).map_err(|e| eprintln!("open the log file {}: {e}", self.path)).ok();
        self.size = 0;
    }
}

fn open(path: &str) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(libc::O_NOFOLLOW).open(path)
}

fn push(batch: &mut String, error: bool, at_ms: i64, line: &[u8]) {
    let stream = if error { "stderr" } else { "stdout" };
    let log = text(format!("{}\n", String::from_utf8_lossy(line)));
    let _ =
        writeln!(batch, "{{\"log\":{log},\"stream\":\"{stream}\",\"time\":\"{}\"}}", clock::rfc3339(at_ms));
}

#[cfg(test)]
mod tests {
    use super::*;
    use batchyard_supervisor::log_file::push_record;

    fn lines(count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        (0..count)
            .for_each(|n| push_record(&mut bytes, 1_700_000_000_123, format!("line {n} \"é\"").as_bytes()));
        bytes
    }

    #[test]
    fn a_full_file_is_moved_away_and_the_oldest_goes() {
        let folder = std::env::temp_dir().join(format!("by-json-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("log").to_string_lossy().into_owned();
        let c = Container { log: path.clone(), ..Container::default() };
        let mut file = JsonFile::open(&c, 200, 3);
        file.append(false, &lines(7));
        file.append(true, &lines(1));
        let read = |suffix: &str| std::fs::read_to_string(format!("{path}{suffix}")).unwrap();
        let line = |n, stream| {
            let time = "2023-11-14T22:13:20.123000000Z";
            format!("{{\"log\":\"line {n} \\\"é\\\"\\u000a\",\"stream\":\"{stream}\",\"time\":\"{time}\"}}\n")
        };
        assert_eq!(read(""), line(6, "stdout") + &line(0, "stderr"));
        assert_eq!(read(".1"), line(4, "stdout") + &line(5, "stdout"));
        assert_eq!(read(".2"), line(2, "stdout") + &line(3, "stdout"));
        assert!(!std::path::Path::new(&format!("{path}.3")).exists());
        assert_eq!(file.dropped(), 0);
        // Without rotation the cap of all logs counts.
        let capped = Container { log: format!("{path}-capped"), log_cap: 150, ..Container::default() };
        let mut file = JsonFile::open(&capped, 0, 1);
        file.append(false, &lines(3));
        assert_eq!((read("-capped"), file.dropped()), (line(0, "stdout"), 2));
        file.finish();
        assert!(read("-capped").lines().last().unwrap().contains("batchyard: 2 lines were dropped"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
