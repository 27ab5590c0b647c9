//! Turns one layer's tar stream into a folder that overlayfs can stack.
//!
//! Owns what each kind of entry becomes: whiteouts become overlay marks, device nodes are left out. Never
//! checks digests; paths are made safe by `root`.

use super::ImageError;
use super::error::At;
use super::root::{self, Inside, Root};
use super::tarstream::{Entry, Skip, TarReader};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fchmod,
    fchown, fsetxattr, futimens, linkat, mkfifoat, openat, symlinkat, utimensat,
};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

/// What unpacking a layer came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Entries read.
    pub(super) entries: u64,
    /// Bytes of file data written.
    pub(super) bytes: u64,
    /// Device nodes left out.
    pub(super) devices: u64,
}

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Unpacks all entries into an existing empty folder, at most `entries_max` of them.
pub(super) fn unpack<R: Skip>(
    tar: &mut TarReader<R>,
    folder: &Path,
    entries_max: u64,
) -> Result<Tally, ImageError> {
    let mut unpacker = Unpacker {
        root: Root::open(folder)?,
        folders: Vec::new(),
        buffer: vec![0; 128 * 1024],
        own: owners(),
        tally: Tally::default(),
    };
    while let Some(entry) = tar.next()? {
        unpacker.tally.entries += 1;
        if unpacker.tally.entries > entries_max {
            return Err(ImageError::TooBig { what: "the number of files in the image", limit: entries_max });
        }
        unpacker.entry(&entry, tar)?;
        super::instant();
    }
    unpacker.finish()
}

struct Unpacker {
    root: Root,
    /// Mode and time of folders, set at the end: filling a folder changes its time, and may need its mode wider.
    folders: Vec<(Inside, u32, (i64, u32))>,
    buffer: Vec<u8>,
    /// Owners up to this number are set: only root can, and in a user namespace only those that are in it. None: all
    /// files are the caller's.
    own: Option<u32>,
    tally: Tally,
}

impl Unpacker {
    fn entry(&mut self, entry: &Entry, data: &mut impl Read) -> Result<(), ImageError> {
        let path = Inside::parse(&entry.path)?;
        let is_folder = entry.kind == b'5' || (matches!(entry.kind, 0 | b'0') && entry.path.ends_with(b"/"));
        let Some((parent, name)) = path.split() else {
            return if is_folder {
                self.describe_folder(entry, path, None)
            } else {
                Err(ImageError::entry(&entry.path, "only a folder can be the layer's root"))
            };
        };
        if name.starts_with(WHITEOUT) {
            return self.whiteout(entry, &parent, name);
        }
        match entry.kind {
            _ if is_folder => self.folder(entry, &path, &parent, name),
            0 | b'0' | b'7' => self.file(entry, &parent, name, data),
            b'1' => self.hard_link(entry, &path, &parent, name),
            b'2' => self.symlink(entry, &parent, name),
            // A container's /dev is made by its launcher; a device node in an image would hand out the host's
            // devices, and a 0/0 one would pass for a whiteout.
            b'3' | b'4' => {
                self.tally.devices += 1;
                Ok(())
            }
            b'6' => self.fifo(entry, &parent, name),
            other => Err(ImageError::entry(
                &entry.path,
                format!("entries of type {:?} are not supported", char::from(other)),
            )),
        }
    }

    /// A name free for a new entry, in its opened folder.
    fn place(&mut self, parent: &Inside, name: &[u8]) -> Result<OwnedFd, ImageError> {
        let folder = self.root.folder(parent)?;
        self.root.clear(&folder, name)?;
        Ok(folder)
    }

    fn folder(
        &mut self,
        entry: &Entry,
        path: &Inside,
        parent: &Inside,
        name: &[u8],
    ) -> Result<(), ImageError> {
        let above = self.root.folder(parent)?;
        let in_the_way = |stat| root::kind(&stat) != FileType::Directory && !root::is_whiteout(&stat);
        if root::look(&above, name)?.is_some_and(in_the_way) {
            self.root.clear(&above, name)?;
        }
        let folder = root::make_folder(&above, name)?;
        self.describe_folder(entry, path.clone(), Some(folder))
    }

    fn describe_folder(
        &mut self,
        entry: &Entry,
        path: Inside,
        folder: Option<OwnedFd>,
    ) -> Result<(), ImageError> {
        let folder = folder.as_ref().unwrap_or_else(|| self.root.top());
        if let Some(most) = self.own {
            let (uid, gid) = owner(entry, most)?;
            fchown(folder, Some(uid), Some(gid)).at(|| failed(entry))?;
        }
        set_xattrs(folder, entry)?;
        self.folders.push((path, entry.mode, entry.mtime));
        Ok(())
    }

    fn file(
        &mut self,
        entry: &Entry,
        parent: &Inside,
        name: &[u8],
        data: &mut impl Read,
    ) -> Result<(), ImageError> {
        let folder = self.place(parent, name)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file =
            File::from(openat(&folder, name, flags, Mode::from_raw_mode(0o600)).at(|| failed(entry))?);
        loop {
            let count = data.read(&mut self.buffer).at(|| failed(entry))?;
            if count == 0 {
                break;
            }
            file.write_all(&self.buffer[..count]).at(|| failed(entry))?;
            self.tally.bytes += count as u64;
        }
        // In this order: a change of owner takes away setuid and capabilities.
        if let Some(most) = self.own {
            let (uid, gid) = owner(entry, most)?;
            fchown(&file, Some(uid), Some(gid)).at(|| failed(entry))?;
        }
        fchmod(&file, Mode::from_raw_mode(entry.mode)).at(|| failed(entry))?;
        set_xattrs(&file, entry)?;
        futimens(&file, &times(entry.mtime)).at(|| failed(entry))
    }

    fn hard_link(
        &mut self,
        entry: &Entry,
        path: &Inside,
        parent: &Inside,
        name: &[u8],
    ) -> Result<(), ImageError> {
        let target = Inside::parse(&entry.link)?;
        if target == *path {
            return Ok(());
        }
        let Some((target_parent, target_name)) = target.split() else {
            return Err(ImageError::entry(&entry.path, "a hard link cannot lead to the layer's root"));
        };
        let from = self.root.existing(&target_parent)?;
        let linkable = |stat| root::kind(&stat) != FileType::Directory && !root::is_whiteout(&stat);
        if !root::look(&from, target_name)?.is_some_and(linkable) {
            return Err(ImageError::entry(
                &entry.path,
                "it is a hard link to a file that the layer does not have",
            ));
        }
        let folder = self.place(parent, name)?;
        // Without following: a link to a symbolic link is one more name of that link.
        linkat(&from, target_name, &folder, name, AtFlags::empty()).at(|| failed(entry))
    }

    fn symlink(&mut self, entry: &Entry, parent: &Inside, name: &[u8]) -> Result<(), ImageError> {
        let folder = self.place(parent, name)?;
        symlinkat(entry.link.as_slice(), &folder, name).at(|| failed(entry))?;
        self.describe_node(entry, &folder, name)
    }

    fn fifo(&mut self, entry: &Entry, parent: &Inside, name: &[u8]) -> Result<(), ImageError> {
        let folder = self.place(parent, name)?;
        mkfifoat(&folder, name, Mode::from_raw_mode(0o600)).at(|| failed(entry))?;
        chmodat(&folder, name, Mode::from_raw_mode(entry.mode), AtFlags::empty()).at(|| failed(entry))?;
        self.describe_node(entry, &folder, name)
    }

    /// Owner and time of what cannot be opened.
    fn describe_node(&mut self, entry: &Entry, folder: &OwnedFd, name: &[u8]) -> Result<(), ImageError> {
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        if let Some(most) = self.own {
            let (uid, gid) = owner(entry, most)?;
            chownat(folder, name, Some(uid), Some(gid), nofollow).at(|| failed(entry))?;
        }
        utimensat(folder, name, &times(entry.mtime), nofollow).at(|| failed(entry))
    }

    /// `.wh.NAME` hides NAME of the layers below, `.wh..wh..opq` all that they have in its folder. Both say
    /// nothing about what this layer itself has there, wherever in the archive they stand.
    fn whiteout(&mut self, entry: &Entry, parent: &Inside, name: &[u8]) -> Result<(), ImageError> {
        let folder = self.root.folder(parent)?;
        if name == OPAQUE {
            return root::make_opaque(&folder);
        }
        let hidden = &name[WHITEOUT.len()..];
        if hidden.starts_with(WHITEOUT) {
            return Ok(()); // book-keeping of AUFS
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(ImageError::entry(&entry.path, "it is a whiteout without a name"));
        }
        match root::look(&folder, hidden)? {
            None => root::make_whiteout(&folder, hidden),
            Some(stat) if root::kind(&stat) == FileType::Directory => {
                root::make_opaque(root::make_folder(&folder, hidden)?)
            }
            Some(_) => Ok(()),
        }
    }

    fn finish(mut self) -> Result<Tally, ImageError> {
        let doing = || "setting the mode and time of a folder".to_owned();
        for (path, mode, mtime) in std::mem::take(&mut self.folders) {
            let folder = match self.root.existing(&path) {
                Ok(folder) => folder,
                // A later entry took its place.
                Err(ImageError::UnsafeEntry { .. }) => continue,
                Err(error) => return Err(error),
            };
            fchmod(&folder, Mode::from_raw_mode(mode)).at(doing)?;
            futimens(&folder, &times(mtime)).at(doing)?;
        }
        Ok(self.tally)
    }
}

/// The largest owner that can be given.
fn owners() -> Option<u32> {
    let ids = crate::rootless::user().map_or(u32::MAX, |_| batchyard_supervisor::rootless::ids());
    (rustix::process::geteuid().is_root() && ids > 1).then(|| ids - 1)
}

fn owner(entry: &Entry, most: u32) -> Result<(Uid, Gid), ImageError> {
    // The highest number means "leave it as it is" to the system.
    let id = |number: u64| u32::try_from(number).ok().filter(|n| *n != u32::MAX);
    match (id(entry.uid), id(entry.gid)) {
        (Some(uid), Some(gid)) if uid.max(gid) > most => Err(ImageError::entry(
            &entry.path,
            format!(
                "its owner {uid}:{gid} is beyond {most}, the last id that this server's user has (/etc/subuid)"
            ),
        )),
        (Some(uid), Some(gid)) => Ok((Uid::from_raw(uid), Gid::from_raw(gid))),
        _ => Err(ImageError::entry(&entry.path, "its owner is out of range")),
    }
}

/// File capabilities and `user.*`. All others are left out: `trusted.overlay.*` would steer overlayfs, and
/// labels and access lists belong to the host.
fn set_xattrs(file: impl std::os::fd::AsFd, entry: &Entry) -> Result<(), ImageError> {
    for (name, value) in &entry.xattrs {
        let user = name.starts_with(b"user.") && !name.starts_with(b"user.overlay.");
        if !user && name != b"security.capability" {
            continue;
        }
        match fsetxattr(&file, name.as_slice(), value, XattrFlags::empty()) {
            Ok(()) => {}
            // Some file systems keep no attributes of users, and images work without them.
            Err(Errno::OPNOTSUPP) if user => {}
            // The file system's limit for attributes of one file; the disk is not full.
            Err(Errno::NOSPC | Errno::DQUOT | Errno::TOOBIG) => {
                return Err(ImageError::entry(
                    &entry.path,
                    "this file system takes no extended attributes of that size",
                ));
            }
            Err(error) => {
                return Err(error).at(|| format!("{} ({})", failed(entry), String::from_utf8_lossy(name)));
            }
        }
    }
    Ok(())
}

fn times((seconds, nanos): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos.into() };
    Timestamps { last_access: time, last_modification: time }
}

fn failed(entry: &Entry) -> String {
    format!("unpacking {}", String::from_utf8_lossy(&entry.path))
}
