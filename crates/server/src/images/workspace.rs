//! The store's lock, and the folders in which imports are half made.
//!
//! Owns mutual exclusion between threads and processes, and that whatever a killed import left goes away.
//! Never looks into what is being made.

use super::ImageError;
use super::error::At;
use crate::trash;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The store's lock, held until dropped. The kernel lets go of it when the process dies.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock. Held shortly, except while leftovers are removed at start.
    pub(super) fn take(dir: &Path) -> Result<Self, ImageError> {
        Self::wait(dir, FlockOperation::LockExclusive)
    }

    /// Waits until nobody changes the store, and keeps it so. Many may hold this at once.
    pub(super) fn share(dir: &Path) -> Result<Self, ImageError> {
        Self::wait(dir, FlockOperation::LockShared)
    }

    fn wait(dir: &Path, how: FlockOperation) -> Result<Self, ImageError> {
        let path = dir.join("lock");
        let doing = || format!("locking {}", path.display());
        let file = File::options().create(true).truncate(false).write(true).open(&path).at(doing)?;
        while let Err(error) = flock(&file, how) {
            if error != rustix::io::Errno::INTR {
                return Err(error).at(doing);
            }
        }
        Ok(Self { _file: file })
    }
}

/// A folder of one import, locked as long as the import lives, removed at its end.
pub(super) struct Workspace {
    path: PathBuf,
    _held: File,
    count: AtomicU64,
}

impl Workspace {
    /// Makes one. Takes the store's lock, so that no cleaning process sees it before it is held.
    pub(super) fn new(dir: &Path) -> Result<Self, ImageError> {
        let lock = Lock::take(dir)?;
        Self::under(dir, &lock)
    }

    /// Makes one while the store's lock is held.
    pub(super) fn under(dir: &Path, _lock: &Lock) -> Result<Self, ImageError> {
        let path = dir.join("tmp").join(uuid::Uuid::new_v4().simple().to_string());
        let doing = || format!("making {}", path.display());
        fs::create_dir(&path).at(doing)?;
        let held = File::open(&path).at(doing)?;
        flock(&held, FlockOperation::NonBlockingLockExclusive).at(doing)?;
        Ok(Self { path, _held: held, count: AtomicU64::new(0) })
    }

    /// The folder itself.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A path in it that was not given out before.
    pub(super) fn fresh(&self) -> PathBuf {
        self.path.join(self.count.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// Makes all that was written durable, before it is moved to where it is believed.
    pub(super) fn sync(&self) -> Result<(), ImageError> {
        rustix::fs::syncfs(&self._held).at(|| format!("syncing {}", self.path.display()))
    }
}

/// Files of an abandoned pull that may come late: as many as layers are fetched at once, and one to be sure.
const LATE_FILES: usize = 5;

impl Drop for Workspace {
    fn drop(&mut self) {
        let mut removed = trash::remove(&self.path);
        // An abandoned pull may just now be making a file in it; with the folder gone it can make no more.
        for _ in 0..LATE_FILES {
            if !removed.as_ref().is_err_and(|error| error.kind() == ErrorKind::DirectoryNotEmpty) {
                break;
            }
            removed = trash::remove(&self.path);
        }
        if let Err(error) = removed {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the folder of an image import");
        }
    }
}

/// Removes what imports left that no longer run.
pub(super) fn clean(dir: &Path, _lock: &Lock) -> Result<(), ImageError> {
    let tmp = dir.join("tmp");
    let doing = || format!("removing leftovers in {}", tmp.display());
    for entry in fs::read_dir(&tmp).at(doing)? {
        let path = entry.at(doing)?.path();
        let folder = match File::open(&path) {
            // Its import has just ended: that takes no lock.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            folder => folder.at(doing)?,
        };
        if flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            tracing::info!(path = %path.display(), "removing what an unfinished image import left");
            match trash::remove(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                result => result.at(doing)?,
            }
        }
    }
    Ok(())
}
