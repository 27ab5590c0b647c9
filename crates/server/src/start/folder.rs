//! The data folder: one server at a time, and what it leaves there for the command line.
//!
//! Never here: what the parts keep in it.

use crate::cli::local;
use anyhow::Context;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

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
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            anyhow::anyhow!(
                "another server uses the data folder {}; stop it or choose another with --data-dir",
                path.display()
            )
        })?;
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

/// Whole or not at all.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(&new, path)?;
    Ok(())
}
