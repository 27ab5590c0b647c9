//! Whether the log beside the database is whole, before SQLite reads it.
//!
//! SQLite stops at the first frame whose checksum is wrong and forgets what follows, without a word. That is right for a
//! write that was cut off, which nobody was answered, and wrong for damage in the middle. The two can be told apart: a
//! transaction is synced before the next one is written, so only the last one can be cut off. What follows it in the same
//! log was answered. Format: SQLite's "WAL-mode File Format". Never here: reading pages.

use super::{FILE, StoreError};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
const MAGIC: u32 = 0x377f_0682;

/// Refuses a log of which answered writes can't be read any more.
///
/// # Errors
/// It is damaged, or the disk does not give it.
pub(super) fn check(path: &Path) -> Result<(), StoreError> {
    match File::open(path) {
        Ok(file) => match first_damage(BufReader::with_capacity(1 << 20, file)).map_err(StoreError::File)? {
            Some(what) => Err(StoreError::Damaged { verdict: format!("{FILE}-wal: {what}") }),
            None => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::File(error)),
    }
}

/// What is wrong with it, if anything but its end is.
fn first_damage(mut log: impl Read) -> io::Result<Option<String>> {
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? || header == [0; HEADER] {
        return Ok(None);
    }
    let big = match word(&header, 0) {
        MAGIC => false,
        magic if magic == MAGIC | 1 => true,
        _ => return Ok(Some("its header is not one of SQLite's".into())),
    };
    let mut sum = checksum(big, (0, 0), &header[..24]);
    let size = word(&header, 8) as usize;
    if sum != (word(&header, 24), word(&header, 28)) || !(512..=65_536).contains(&size) {
        return Ok(Some("the checksum of its header is wrong".into()));
    }
    let salt = &header[16..24];
    let mut frame = vec![0; FRAME_HEADER + size];
    // The first frame that does not fit, and whether the transaction that it is in has been seen to its end.
    let (mut bad, mut over, mut number) = (None, false, 0u32);
    while fill(&mut log, &mut frame)? {
        number += 1;
        // Frames of an older log, which this one has not yet written over, have another salt.
        let same_log = &frame[8..16] == salt;
        if let Some(bad) = bad {
            if same_log && over {
                return Ok(Some(format!("frame {bad} is damaged, and writes after it were answered")));
            }
            over |= same_log && word(&frame, 4) != 0;
            continue;
        }
        sum = checksum(big, checksum(big, sum, &frame[..8]), &frame[FRAME_HEADER..]);
        if !same_log || sum != (word(&frame, 16), word(&frame, 20)) {
            bad = Some(number);
            over = same_log && word(&frame, 4) != 0;
        }
    }
    Ok(None)
}

/// SQLite's checksum, gone on with from `sum`. `bytes` is a multiple of eight.
fn checksum(big: bool, (mut a, mut b): (u32, u32), bytes: &[u8]) -> (u32, u32) {
    for pair in bytes.chunks_exact(8) {
        let [x, y] = [0, 4].map(|at| if big { word(pair, at) } else { word(pair, at).swap_bytes() });
        a = a.wrapping_add(x).wrapping_add(b);
        b = b.wrapping_add(y).wrapping_add(a);
    }
    (a, b)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// Reads all of `buffer`; false at the end, where less is left.
fn fill(log: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::machine::testing::TempFolder;

    /// A log of ten transactions of SQLite's own.
    fn log() -> Vec<u8> {
        let folder = TempFolder::new();
        let path = folder.path().join("x");
        let db = rusqlite::Connection::open(&path).unwrap();
        db.pragma_update(None, "journal_mode", "WAL").unwrap();
        db.execute_batch("CREATE TABLE t (a)").unwrap();
        for _ in 0..9 {
            db.execute("INSERT INTO t VALUES (randomblob(9000))", []).unwrap();
        }
        std::fs::read(folder.path().join("x-wal")).unwrap()
    }

    /// Where frame `index` begins.
    fn frame(index: usize) -> usize {
        HEADER + index * (FRAME_HEADER + 4096)
    }

    #[test]
    fn a_whole_log_and_one_that_is_cut_off_pass() {
        let whole = log();
        assert!(whole.len() > frame(20));
        assert_eq!(first_damage(&whole[..]).unwrap(), None);
        for length in (0..whole.len()).step_by(997) {
            assert_eq!(first_damage(&whole[..length]).unwrap(), None, "cut at {length}");
        }
        for kept in [0, 10, 2000] {
            let mut torn = whole.clone();
            let from = torn.len() - FRAME_HEADER - 4096 + kept;
            torn[from..].fill(0);
            assert_eq!(first_damage(&torn[..]).unwrap(), None, "zeros after {kept} bytes of the last frame");
        }
        assert_eq!(first_damage(&vec![0; frame(3)][..]).unwrap(), None);
    }

    #[test]
    fn damage_before_the_last_transaction_is_seen_wherever_it_is() {
        let whole = log();
        for at in (4..frame(12)).step_by(811).chain([0, 9, 17, 25, frame(5), frame(5) + 5, frame(5) + 9]) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x40;
            assert!(first_damage(&damaged[..]).unwrap().is_some(), "a flipped bit in byte {at}");
        }
        let mut hole = whole.clone();
        hole[frame(4)..frame(8)].fill(0);
        assert!(first_damage(&hole[..]).unwrap().is_some());
    }

    #[test]
    fn what_an_older_log_left_behind_the_end_is_none_of_its_frames() {
        let (mut whole, older) = (log(), log());
        whole.truncate(frame(10));
        whole.extend_from_slice(&older[frame(10)..]);
        assert_eq!(first_damage(&whole[..]).unwrap(), None);
    }
}
