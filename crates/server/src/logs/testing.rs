//! A log file of their own for tests of this folder.

use batchyard_supervisor::log_file::{MAGIC, push_record};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::compute::machine::testing::TempFolder;

/// A log file that goes with its value.
pub struct TestLog {
    path: PathBuf,
    _folder: TempFolder,
}

impl TestLog {
    /// An empty one.
    pub fn new() -> Self {
        let folder = TempFolder::new();
        let path = folder.path().join("log");
        std::fs::write(&path, MAGIC).expect("written");
        Self { path, _folder: folder }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One more record.
    pub fn append(&self, at_ms: i64, text: &[u8]) {
        let mut bytes = Vec::new();
        push_record(&mut bytes, at_ms, text);
        let mut file = OpenOptions::new().append(true).open(&self.path).expect("open");
        file.write_all(&bytes).expect("appended");
    }

    /// Leaves only so many bytes.
    pub fn cut(&self, length: u64) {
        OpenOptions::new().write(true).open(&self.path).and_then(|f| f.set_len(length)).expect("cut");
    }
}
