//! Which image layers the attempts of this machine have, from their task files.
//!
//! Never here: which image a layer belongs to, and whether anything is removed.

use batchyard_supervisor::{TASK, Task};
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The layers that some attempt folder of this data folder names.
///
/// # Errors
/// A task file can't be read: what it needs is not known, so nothing may be removed.
pub fn layers(data_dir: &Path) -> io::Result<HashSet<PathBuf>> {
    let entries = match fs::read_dir(data_dir.join("attempts")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashSet::new()),
        Err(error) => return Err(error),
    };
    let mut layers = HashSet::new();
    for attempt in entries {
        let path = attempt?.path().join(TASK);
        let named = |error: &dyn std::fmt::Display| io::Error::other(format!("{}: {error}", path.display()));
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            // Not written yet, or no attempt at all.
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
            Err(error) => return Err(named(&error)),
        };
        let task = Task::decode(&text).map_err(|error| named(&error))?;
        layers.extend(task.containers.into_iter().flat_map(|c| c.layers).map(PathBuf::from));
    }
    Ok(layers)
}
