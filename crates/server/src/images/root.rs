//! A folder that is filled from untrusted paths: everything happens relative to open folders, and no symbolic
//! link is ever followed, so nothing outside of the root can be reached whatever was planted inside.
//!
//! Owns path safety and overlay marks. Never knows about archives.

use super::ImageError;
use super::error::At;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, XattrFlags, fsetxattr, mkdirat, mknodat, openat, statat,
    unlinkat,
};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Nesting beyond this is refused: it bounds open folders while a tree is removed.
const DEPTH_MAX: usize = 256;
const PATH_MAX: usize = 4096;

/// A path inside of the root, checked: plain names only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inside(Vec<Vec<u8>>);

impl Inside {
    /// Checks a path of an archive: no `..`. Empty and `.` parts fall away, and so a slash at the front, which some builders
    /// write (ko).
    pub(super) fn parse(path: &[u8]) -> Result<Self, ImageError> {
        let refuse = |reason: &str| Err(ImageError::entry(path, reason));
        if path.len() >= PATH_MAX || path.contains(&0) {
            return refuse("its path is too long or holds a NUL");
        }
        let parts: Vec<_> =
            path.split(|b| *b == b'/').filter(|p| !matches!(p, [] | [b'.'])).map(<[u8]>::to_vec).collect();
        if parts.iter().any(|p| p == b"..") {
            return refuse("its path holds `..`");
        }
        if parts.len() > DEPTH_MAX {
            return refuse("its path is nested too deeply");
        }
        Ok(Self(parts))
    }

    /// The folder and the name; none for the root itself.
    pub(super) fn split(&self) -> Option<(Inside, &[u8])> {
        let (name, parent) = self.0.split_last()?;
        Some((Inside(parent.to_vec()), name))
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.join(&b'/')
    }
}

/// The root, with the folder that was used last kept open (archives list folder by folder).
pub(super) struct Root {
    root: OwnedFd,
    last: Option<(Inside, OwnedFd)>,
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Root {
    /// Opens an existing folder as root.
    pub(super) fn open(path: &Path) -> Result<Self, ImageError> {
        let root = openat(CWD, path, FOLDER, Mode::empty()).at(|| format!("opening {}", path.display()))?;
        Ok(Self { root, last: None })
    }

    /// The root folder itself.
    pub(super) fn top(&self) -> &OwnedFd {
        &self.root
    }

    /// Opens the folder at this path, making missing ones (mode 0755) on the way. A symbolic link or file on the
    /// way is refused; a whiteout on the way becomes a folder that hides what lies below it.
    pub(super) fn folder(&mut self, path: &Inside) -> Result<OwnedFd, ImageError> {
        if let Some((_, fd)) = self.last.as_ref().filter(|(at, _)| at == path) {
            return fd.try_clone().at(|| "duplicating a folder".to_owned());
        }
        let mut here = self.root.try_clone().at(|| "duplicating a folder".to_owned())?;
        for part in &path.0 {
            here = enter(&here, part, path)?;
        }
        let kept = here.try_clone().at(|| "duplicating a folder".to_owned())?;
        self.last = Some((path.clone(), kept));
        Ok(here)
    }

    /// Opens the folder at this path only if all of it is there already.
    pub(super) fn existing(&mut self, path: &Inside) -> Result<OwnedFd, ImageError> {
        let mut here = self.root.try_clone().at(|| "duplicating a folder".to_owned())?;
        for part in &path.0 {
            here = openat(&here, part.as_slice(), FOLDER, Mode::empty())
                .map_err(|error| blocked(error, path))?;
        }
        Ok(here)
    }

    /// Takes away whatever has this name. Forgets the open folder, which may have been inside of it.
    pub(super) fn clear(&mut self, parent: &OwnedFd, name: &[u8]) -> Result<(), ImageError> {
        match unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {
                self.last = None;
                remove_tree(parent, name, 0)
            }
            Err(error) => Err(error).at(|| format!("replacing {}", text(name))),
        }
    }
}

/// What has this name in the folder, links not followed.
pub(super) fn look(parent: &OwnedFd, name: &[u8]) -> Result<Option<Stat>, ImageError> {
    match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error).at(|| format!("looking at {}", text(name))),
    }
}

/// The file type.
pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Overlayfs's mark for "nothing here, whatever lies below".
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    kind(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Makes the mark.
pub(super) fn make_whiteout(parent: &OwnedFd, name: &[u8]) -> Result<(), ImageError> {
    mknodat(parent, name, FileType::CharacterDevice, Mode::empty(), 0)
        .at(|| format!("marking {} as removed", text(name)))
}

/// The attribute of opaque folders: overlayfs reads another one for those who are root of a user namespace only.
pub(super) fn opaque_mark() -> &'static str {
    if crate::rootless::user().is_some() { "user.overlay.opaque" } else { "trusted.overlay.opaque" }
}

/// Marks a folder as hiding what the layers below have in it.
pub(super) fn make_opaque(folder: impl AsFd) -> Result<(), ImageError> {
    fsetxattr(folder, opaque_mark(), b"y", XattrFlags::empty())
        .at(|| format!("marking a folder as opaque (needs a file system with attributes: {})", opaque_mark()))
}

/// Makes a folder, or opens the one that is there; a whiteout gives way to an opaque folder.
pub(super) fn make_folder(parent: &OwnedFd, name: &[u8]) -> Result<OwnedFd, ImageError> {
    let hidden = match look(parent, name)? {
        Some(stat) if is_whiteout(&stat) => {
            unlinkat(parent, name, AtFlags::empty()).at(|| format!("replacing {}", text(name)))?;
            true
        }
        _ => false,
    };
    match mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error).at(|| format!("making the folder {}", text(name))),
    }
    let folder =
        openat(parent, name, FOLDER, Mode::empty()).at(|| format!("opening the folder {}", text(name)))?;
    if hidden {
        make_opaque(&folder)?;
    }
    Ok(folder)
}

fn enter(parent: &OwnedFd, name: &[u8], path: &Inside) -> Result<OwnedFd, ImageError> {
    match openat(parent, name, FOLDER, Mode::empty()) {
        Ok(folder) => Ok(folder),
        Err(Errno::NOENT) => make_folder(parent, name),
        Err(Errno::NOTDIR) if look(parent, name)?.is_some_and(|stat| is_whiteout(&stat)) => {
            make_folder(parent, name)
        }
        Err(error) => Err(blocked(error, path)),
    }
}

fn blocked(error: Errno, path: &Inside) -> ImageError {
    match error {
        Errno::LOOP | Errno::NOTDIR => ImageError::entry(
            &path.bytes(),
            "its path leads through a symbolic link or something else that is no folder",
        ),
        Errno::NOENT => {
            ImageError::entry(&path.bytes(), "it refers to a folder that the layer does not have")
        }
        error => ImageError::Io { what: format!("opening {}", text(&path.bytes())), source: error.into() },
    }
}

fn remove_tree(parent: &OwnedFd, name: &[u8], depth: usize) -> Result<(), ImageError> {
    let failed = || format!("removing {}", text(name));
    if depth > DEPTH_MAX {
        return Err(ImageError::entry(name, "it is nested too deeply"));
    }
    let folder = openat(parent, name, FOLDER, Mode::empty()).at(failed)?;
    let mut names = Vec::new();
    for entry in Dir::read_from(&folder).at(failed)? {
        let entry = entry.at(failed)?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    for inner in names {
        match unlinkat(&folder, inner.as_slice(), AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::ISDIR | Errno::PERM) => remove_tree(&folder, &inner, depth + 1)?,
            Err(error) => return Err(error).at(failed),
        }
    }
    unlinkat(parent, name, AtFlags::REMOVEDIR).at(failed)
}

fn text(bytes: &[u8]) -> String {
    OsStr::from_bytes(bytes).to_string_lossy().into_owned()
}
