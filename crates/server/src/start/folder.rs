//! The data folder: one server at a time, and what it leaves there for the command line.
//!
//! Never here: what the parts keep in it.

use crate::cli::local;
use anyhow::Context;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a lock that is held is tried again. A child of a server that was just killed has it from its fork to its
/// exec.
const LOCK_TRIES: u32 = 40;
/// The time between two tries: two seconds in all.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The data folder, held by this process.
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes it when missing, and takes its lock.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let make = DirBuilder::new().recursive(true).mode(0o700).create(path);
        make.with_context(|| {
            format!("the data folder {} can't be made; choose another with --data-dir", path.display())
        })?;
        let path = path.canonicalize()?;
        DirBuilder::new().recursive(true).mode(0o700).create(path.join(local::RUN))?;
        let name = path.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&name);
        let lock = lock.with_context(|| {
            format!("{} can't be opened; run the server as the folder's owner", name.display())
        })?;
        if !held(&lock, &mut || std::thread::sleep(LOCK_PAUSE))? {
            anyhow::bail!(
                "another server uses the data folder {}; stop it or choose another with --data-dir",
                path.display()
            );
        }
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells the command line where this server listens and which process it is.
    pub fn announce(&self, url: &str, region: &str) -> anyhow::Result<()> {
        let run = self.path.join(local::RUN);
        write(&run.join(local::PID), &local::pid_line())?;
        write(&run.join(local::ENDPOINT), &format!("{url}\n{region}\n"))
    }

    /// Takes it back; clients then say that no server answers.
    pub fn withdraw(&self) {
        let run = self.path.join(local::RUN);
        for name in [local::ENDPOINT, local::PID] {
            let _ = fs::remove_file(run.join(name));
        }
    }
}

/// Takes the lock, trying again for a while. False: another holds it.
fn held(lock: &File, pause: &mut dyn FnMut()) -> anyhow::Result<bool> {
    for _ in 0..LOCK_TRIES {
        match flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK | Errno::INTR) => pause(),
            Err(error) => return Err(error).context("the lock of the data folder can't be taken"),
        }
    }
    Ok(false)
}

/// Whole or not at all.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(&new, path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::machine::testing::TempFolder;

    fn lock(folder: &TempFolder) -> File {
        File::create(folder.path().join("lock")).unwrap()
    }

    #[test]
    fn a_lock_that_is_let_go_soon_is_waited_for_and_another_servers_is_not() {
        let temp = TempFolder::new();
        let mut other = Some(lock(&temp));
        flock(other.as_ref().unwrap(), FlockOperation::NonBlockingLockExclusive).unwrap();
        let mut pauses = 0;
        assert!(!held(&lock(&temp), &mut || pauses += 1).unwrap());
        assert_eq!(pauses * LOCK_PAUSE, Duration::from_secs(2));
        let mut pauses = 0;
        let mut let_go = || {
            pauses += 1;
            if pauses == 3 {
                other = None;
            } else if pauses > 3 {
                // Another test's child may have it for a moment, as in life.
                std::thread::sleep(LOCK_PAUSE);
            }
        };
        assert!(held(&lock(&temp), &mut let_go).unwrap());
        assert!(pauses >= 3);
        // The whole way, with the lock free.
        Folder::open(temp.path()).unwrap();
    }
}
