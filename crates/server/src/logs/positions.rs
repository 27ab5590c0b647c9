//! Where in a log file a time begins: a sparse index of each file that was asked about, kept in memory.
//!
//! Records have no fixed size, so a time is found by walking; the index remembers a place each 64 KiB, further on
//! in a file each thousandth of the way, so that only the first question walks far. It keeps the greatest time up to each place, which makes it right even when the clock
//! was set back in between. Never here: what is done with the events.

use super::file::{LogFile, START, Walk};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes between two places, at least.
const STEP: u64 = 64 << 10;
/// Files whose index is kept; beyond that, all are dropped and made again as needed.
const MAX_FILES: usize = 1024;

/// Places in ascending order: everything before the position is older than or as old as the time.
type Places = Arc<Mutex<Vec<(u64, i64)>>>;

/// The indexes of files.
#[derive(Debug, Default)]
pub struct Positions(Mutex<HashMap<PathBuf, Places>>);

impl Positions {
    /// The position of the first record at or after `from_ms`, or the end of the last whole record.
    ///
    /// # Errors
    /// The disk does not give the file.
    pub fn seek(&self, path: &Path, file: &LogFile, from_ms: i64) -> io::Result<u64> {
        let places = self.places(path);
        let mut places = lock(&places, file);
        let older = places.partition_point(|(_, newest)| *newest < from_ms);
        let from = older.checked_sub(1).map_or((START, i64::MIN), |i| places[i]);
        walk(&mut places, file, from, |_, at_ms| at_ms >= from_ms)
    }

    /// A place before a position, not far from it, from which to walk to it, and the greatest time before that place.
    ///
    /// # Errors
    /// The disk does not give the file.
    pub fn before(&self, path: &Path, file: &LogFile, position: u64) -> io::Result<(u64, i64)> {
        let places = self.places(path);
        let mut places = lock(&places, file);
        let known = places.last().copied().unwrap_or((START, i64::MIN));
        if known.0 + STEP < position {
            walk(&mut places, file, known, |at, _| at >= position)?;
        }
        let behind = places.partition_point(|(at, _)| *at < position);
        Ok(behind.checked_sub(1).map_or((START, i64::MIN), |i| places[i]))
    }

    fn places(&self, path: &Path) -> Places {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if files.len() >= MAX_FILES && !files.contains_key(path) {
            files.clear();
        }
        Arc::clone(files.entry(path.to_path_buf()).or_default())
    }
}

fn lock<'p>(places: &'p Places, file: &LogFile) -> MutexGuard<'p, Vec<(u64, i64)>> {
    let mut places = places.lock().unwrap_or_else(PoisonError::into_inner);
    // Places lie at or before the file's end unless the file was replaced by a shorter one.
    if places.last().is_some_and(|(at, _)| *at > file.end()) {
        places.clear();
    }
    places
}

/// Walks from a place to where `found` says, remembering places on the way.
fn walk(
    places: &mut Vec<(u64, i64)>,
    file: &LogFile,
    (from, mut newest): (u64, i64),
    found: impl Fn(u64, i64) -> bool,
) -> io::Result<u64> {
    let mut last = places.last().map_or(START, |(at, _)| *at);
    file.forward(from, |at, record| {
        if at >= last + STEP.max(last >> 10) {
            places.push((at, newest));
            last = at;
        }
        if found(at, record.at_ms) {
            return Walk::Stop;
        }
        newest = newest.max(record.at_ms);
        Walk::On
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::testing::TestLog;

    #[test]
    fn every_time_is_found_with_and_without_an_index() {
        let log = TestLog::new();
        let text = "z".repeat(100_000);
        for i in 0..60 {
            log.append(i * 10, text.as_bytes());
        }
        let file = LogFile::open(log.path()).expect("open").expect("there");
        let mut begins = Vec::new();
        file.forward(START, |at, record| {
            begins.push((at, record.at_ms));
            Walk::On
        })
        .expect("walk");
        let positions = Positions::default();
        for from in [595, 300, 0, 301, 590, 591, 45, -5, 299] {
            let expected = begins.iter().find(|(_, ms)| *ms >= from).map_or(file.end(), |(at, _)| *at);
            assert_eq!(positions.seek(log.path(), &file, from).expect("seek"), expected, "{from}");
        }
        let places = positions.places(log.path());
        let places = places.lock().expect("whole");
        assert!(places.len() > 3 && places.is_sorted(), "{places:?}");
    }

    #[test]
    fn a_clock_that_was_set_back_hides_nothing() {
        let log = TestLog::new();
        let text = "z".repeat(200_000);
        for i in 0..20 {
            log.append(1000 + i, text.as_bytes());
        }
        for i in 0..20 {
            log.append(500 + i, text.as_bytes());
        }
        log.append(2000, b"later");
        let file = LogFile::open(log.path()).expect("open").expect("there");
        let positions = Positions::default();
        let end = positions.seek(log.path(), &file, 3000).expect("seek");
        assert_eq!(end, file.end());
        assert_eq!(positions.seek(log.path(), &file, 600).expect("seek"), START);
        assert_eq!(positions.seek(log.path(), &file, 2000).expect("seek"), end - 16 - 5);
    }
}
