//! Group commit at its barest: many submitters, one thread that appends what waits and syncs once for all of it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc;
use tokio::sync::oneshot;

struct Item {
    record: Vec<u8>,
    done: oneshot::Sender<()>,
}

/// Hands records to the committing thread.
#[derive(Clone)]
pub struct Log(mpsc::Sender<Item>);

impl Log {
    /// Starts the committing thread over a new file.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        let mut file = Preallocated { file: File::create(path)?, at: 0, allocated: 0 };
        let (sender, receiver) = mpsc::channel::<Item>();
        std::thread::spawn(move || {
            let (mut batch, mut bytes) = (Vec::new(), Vec::new());
            while let Ok(first) = receiver.recv() {
                batch.push(first);
                batch.extend(receiver.try_iter().take(4095));
                bytes.clear();
                for item in &batch {
                    bytes.extend_from_slice(&(item.record.len() as u32).to_le_bytes());
                    bytes.extend_from_slice(&item.record);
                }
                file.append(&bytes).expect("the log's disk takes writes");
                batch.drain(..).for_each(|item| {
                    let _ = item.done.send(());
                });
            }
        });
        Ok(Self(sender))
    }

    /// Returns once the record is on disk.
    pub async fn write(&self, record: Vec<u8>) {
        let (done, durable) = oneshot::channel();
        self.0.send(Item { record, done }).expect("the committing thread lives");
        durable.await.expect("the committing thread lives");
    }
}

/// A file that is filled with zeros ahead of its end, so that a commit changes neither size nor extents.
struct Preallocated {
    file: File,
    at: u64,
    allocated: u64,
}

impl Preallocated {
    const STEP: u64 = 64 << 20;

    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let end = self.at + bytes.len() as u64;
        if end > self.allocated {
            let zeros = vec![0u8; 1 << 20];
            while self.allocated < end + Self::STEP {
                self.file.write_all_at(&zeros, self.allocated)?;
                self.allocated += zeros.len() as u64;
            }
            self.file.sync_all()?;
        }
        self.file.write_all_at(bytes, self.at)?;
        self.at = end;
        self.file.sync_data()
    }
}
