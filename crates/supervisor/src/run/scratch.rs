//! The scratch folder: empty before the container, emptied after it.
//!
//! A job chose the names and depth in it: nothing is followed, nothing recurses. Never here: what is mounted from it.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::CString;

/// Makes the folder, or empties it when something is in it.
pub fn prepare(path: &str) -> std::io::Result<()> {
    if !usable(path) {
        return Err(Errno::INVAL.into());
    }
    std::fs::create_dir_all(path)?;
    if std::fs::read_dir(path)?.next().is_some() {
        empty(path)?;
    }
    Ok(())
}

/// Empties the folder. What cannot be removed is left and said; somebody else may be at it too.
pub fn clear(path: &str) {
    if !usable(path) {
        return;
    }
    match empty(path) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(e) => eprintln!("empty scratch folder {path}: {e}"),
    }
}

/// A mistake in a task must not empty the host.
fn usable(path: &str) -> bool {
    let steps = std::path::Path::new(path).components();
    path.starts_with('/') && !path.split('/').any(|p| p == "..") && steps.count() > 2
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Walks with one descriptor and a list of names, since trees may be deeper than descriptors or stack last.
fn empty(path: &str) -> Result<(), Errno> {
    let mut here = rustix::fs::open(path, FOLDER, Mode::empty())?;
    // Of each folder on the way down: its name, and the folders beside those above it that are still to be removed.
    let mut way: Vec<CString> = Vec::new();
    let mut todo = vec![remove_files(&here)?];
    loop {
        match todo.last_mut().and_then(Vec::pop) {
            Some(name) => {
                if rustix::fs::unlinkat(&here, &name, AtFlags::REMOVEDIR).is_ok() {
                    continue;
                }
                here = rustix::fs::openat(&here, &name, FOLDER, Mode::empty())?;
                todo.push(remove_files(&here)?);
                way.push(name);
            }
            None => {
                todo.pop();
                let Some(name) = way.pop() else { return Ok(()) };
                here = rustix::fs::openat(&here, "..", FOLDER, Mode::empty())?;
                rustix::fs::unlinkat(&here, &name, AtFlags::REMOVEDIR)?;
            }
        }
    }
}

/// Removes everything in the folder but the folders, and names those.
fn remove_files(folder: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let mut folders = Vec::new();
    for entry in Dir::read_from(folder.as_fd())? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if entry.file_type() == FileType::Directory {
            folders.push(name.to_owned());
            continue;
        }
        match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => folders.push(name.to_owned()),
            Err(e) => return Err(e),
            Ok(()) => {}
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_scratch_folder_is_refused() {
        for path in ["", "/", "/home", "a/b/c", "/a/../..", "/./.", "//"] {
            assert!(prepare(path).is_err(), "{path}");
        }
    }

    #[test]
    fn deep_trees_and_links_are_removed_and_not_followed() {
        let top = std::env::temp_dir().join(format!("by-scratch-{}", std::process::id()));
        let outside = top.join("outside");
        let scratch = top.join("scratch");
        std::fs::create_dir_all(&outside).unwrap();
        std::fs::write(outside.join("keep"), "").unwrap();
        prepare(scratch.to_str().unwrap()).unwrap();
        std::os::unix::fs::symlink(&outside, scratch.join("link")).unwrap();
        let mut at = rustix::fs::open(&scratch, FOLDER, Mode::empty()).unwrap();
        // Deeper than descriptors last by default, and than a path may be long.
        for _ in 0..1100 {
            rustix::fs::mkdirat(&at, "deep", Mode::RWXU).unwrap();
            at = rustix::fs::openat(&at, "deep", FOLDER, Mode::empty()).unwrap();
        }
        drop(at);
        std::fs::create_dir_all(scratch.join("deep/beside/more")).unwrap();
        prepare(scratch.to_str().unwrap()).unwrap();
        assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
        assert!(outside.join("keep").exists());
        std::fs::remove_dir_all(top).unwrap();
    }
}
