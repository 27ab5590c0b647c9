//! Deleting a tree that a stranger made: of any depth, with any names, pointing anywhere.
//!
//! Works flat: a folder that is not empty is first moved to the top of the tree, so that neither stack nor path grows
//! with the depth. What a crash leaves lies below the same top and is deleted by the next call. Never here: which trees
//! are deleted, and links are never followed.

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, renameat, statat, unlinkat};
use rustix::io::Errno;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Deletes a folder with all that is in it, or a file. Goes on past what cannot be deleted. Blocks.
///
/// # Errors
/// The first thing that stayed; `NotFound` when there is nothing of this name.
pub fn remove(path: &Path) -> io::Result<()> {
    let top = match open(CWD, path) {
        Ok(top) => top,
        // A file, or a link, which goes itself.
        Err(Errno::NOTDIR | Errno::LOOP) => return std::fs::remove_file(path),
        Err(error) => return Err(error.into()),
    };
    let mut tree = Tree {
        top,
        prefix: format!("{}-", uuid::Uuid::new_v4().simple()),
        next: 0,
        waiting: Vec::new(),
        first_error: None,
    };
    tree.empty_top();
    while let Some(number) = tree.waiting.pop() {
        tree.remove_moved(number);
    }
    let gone = std::fs::remove_dir(path);
    tree.first_error.map_or(gone, |error| Err(error.into()))
}

/// Refuses what is no folder, links to folders included.
fn open(parent: impl AsFd, name: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

struct Tree {
    top: OwnedFd,
    /// Of the names under which folders lie at the top; nothing else has it.
    prefix: String,
    next: u64,
    /// Folders at the top that are still to be emptied, by the number in their name.
    waiting: Vec<u64>,
    first_error: Option<Errno>,
}

impl Tree {
    fn empty_top(&mut self) {
        let top = match self.top.try_clone() {
            Ok(top) => top,
            Err(error) => return self.failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
        };
        // A listing that changes while it is read may leave something out.
        while self.pass(&top) > 0 {}
    }

    fn remove_moved(&mut self, number: u64) {
        let name = self.name(number);
        let folder = match open(&self.top, &name) {
            Ok(folder) => folder,
            Err(error) => return self.failed(error),
        };
        loop {
            let handled = self.pass(&folder);
            match unlinkat(&self.top, &name, AtFlags::REMOVEDIR) {
                Ok(()) => return,
                Err(Errno::NOTEMPTY | Errno::EXIST) if handled > 0 => {}
                Err(error) => return self.failed(error),
            }
        }
    }

    /// Reads a folder once and takes out of it what it can. Returns the number of things taken.
    fn pass(&mut self, folder: &OwnedFd) -> u64 {
        let entries = match Dir::read_from(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.failed(error);
                return 0;
            }
        };
        let mut taken = 0;
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.failed(error);
                    break;
                }
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") || name.to_bytes().starts_with(self.prefix.as_bytes())
            {
                continue;
            }
            match self.take(folder, name, entry.file_type()) {
                Ok(()) => taken += 1,
                Err(Errno::NOENT) => {}
                Err(error) => self.failed(error),
            }
        }
        taken
    }

    /// Deletes a file, a link, an empty folder; moves another folder to the top.
    fn take(&mut self, folder: &OwnedFd, name: &CStr, kind: FileType) -> Result<(), Errno> {
        let kind = match kind {
            FileType::Unknown => {
                FileType::from_raw_mode(statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode)
            }
            known => known,
        };
        if kind != FileType::Directory {
            return unlinkat(folder, name, AtFlags::empty());
        }
        match unlinkat(folder, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            done => return done,
        }
        let number = self.next;
        self.next += 1;
        renameat(folder, name, &self.top, self.name(number))?;
        self.waiting.push(number);
        Ok(())
    }

    fn name(&self, number: u64) -> String {
        format!("{}{number}", self.prefix)
    }

    fn failed(&mut self, error: Errno) {
        self.first_error.get_or_insert(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::machine::testing::TempFolder;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// In a thread with little stack, where anything that recurses overflows it.
    fn remove_with_little_stack(path: &Path) -> io::Result<()> {
        let path = path.to_path_buf();
        let thread = std::thread::Builder::new().stack_size(128 << 10);
        thread.spawn(move || remove(&path)).expect("a thread").join().expect("an end")
    }

    /// As a job does it: no path is ever longer than a few names, yet the trees add up.
    fn deep(folder: &Path, depth: usize) {
        let mut below: Option<std::path::PathBuf> = None;
        for chunk in 0..depth.div_ceil(500) {
            let top = folder.join(format!("c{chunk}"));
            let mut bottom = top.clone();
            bottom.extend(std::iter::repeat_n("d", 499));
            fs::create_dir_all(&bottom).expect("a chunk");
            if let Some(below) = below.replace(top) {
                fs::rename(below, bottom.join("d")).expect("chunks together");
            }
        }
    }

    #[test]
    fn a_tree_far_deeper_than_the_stack_goes() {
        let temp = TempFolder::new();
        let tree = temp.path().join("tree");
        fs::create_dir(&tree).unwrap();
        deep(&tree, 20_000);
        remove_with_little_stack(&tree).unwrap();
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
    }

    #[test]
    fn links_go_and_what_they_point_to_stays() {
        let temp = TempFolder::new();
        let (outside, tree) = (temp.path().join("outside"), temp.path().join("tree"));
        fs::create_dir_all(outside.join("folder")).unwrap();
        fs::write(outside.join("folder/file"), "kept").unwrap();
        fs::create_dir_all(tree.join("a/b")).unwrap();
        for (target, link) in [("folder", "a/b/folder"), ("folder/file", "a/file"), ("folder", "top")] {
            symlink(outside.join(target), tree.join(link)).unwrap();
        }
        fs::hard_link(outside.join("folder/file"), tree.join("a/hard")).unwrap();
        remove(&tree).unwrap();
        assert!(!tree.exists());
        assert_eq!(fs::read_to_string(outside.join("folder/file")).unwrap(), "kept");
        // A link in place of the whole tree.
        symlink(outside.join("folder"), &tree).unwrap();
        remove(&tree).unwrap();
        assert!(tree.symlink_metadata().is_err() && outside.join("folder/file").exists());
        assert_eq!(remove(&tree).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn many_folders_and_what_a_crash_left_go_too() {
        let temp = TempFolder::new();
        let tree = temp.path().join("tree");
        for number in 0..300 {
            fs::create_dir_all(tree.join(format!("wide/{number}/x/y"))).unwrap();
            fs::write(tree.join(format!("wide/{number}/x/file")), "x").unwrap();
        }
        // Another call's moved folder, not emptied yet.
        fs::create_dir_all(tree.join("0123456789abcdef0123456789abcdef-7/rest/of/it")).unwrap();
        remove(&tree).unwrap();
        assert!(!tree.exists());
    }
}
