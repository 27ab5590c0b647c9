//! An image archive as a set of named files inside of a tar, read in any order without unpacking it.
//!
//! Owns the index of members and the opening of packed archives. Never interprets what the members say.

use super::ImageError;
use super::Limits;
use super::error::At;
use super::stream::{self, Packing};
use super::tarstream::TarReader;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path};

/// JSON documents beyond this are refused before they are read.
const DOCUMENT_MAX: u64 = 16 << 20;
/// Links within an archive are followed this far.
const HOPS_MAX: usize = 8;

/// An opened archive.
pub(super) struct Archive {
    file: File,
    entries: u64,
    members: HashMap<String, Member>,
}

enum Member {
    Data { offset: u64, size: u64 },
    Link(String),
}

impl Archive {
    /// Opens a plain or packed tar. A packed one is unpacked into `spool`, a folder of the caller.
    pub(super) fn open(file: File, spool: &Path, limits: &Limits) -> Result<Self, ImageError> {
        let mut start = [0; 6];
        let count = file.read_at(&mut start, 0).at(|| "reading the archive".to_owned())?;
        let file = match stream::packing(&start[..count])? {
            Packing::Plain => file,
            _ => spool_to(stream::unpacked(&file)?, spool, limits)?,
        };
        let (entries, members) = index(&file, limits)?;
        Ok(Self { file, entries, members })
    }

    /// Whether there is a file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// A document as a whole; none if there is no file of this name.
    pub(super) fn document(&self, name: &str) -> Result<Option<Vec<u8>>, ImageError> {
        let Some((_, size)) = self.find(name) else { return Ok(None) };
        if size > DOCUMENT_MAX {
            return Err(ImageError::archive(format!("{name} is longer than {DOCUMENT_MAX} bytes")));
        }
        let mut bytes = Vec::new();
        let doing = || format!("reading {name} of the archive");
        self.member(name)?.read_to_end(&mut bytes).at(doing)?;
        if bytes.len() as u64 == size {
            Ok(Some(bytes))
        } else {
            Err(ImageError::archive(format!("{name} is cut short")))
        }
    }

    /// A reader of one file.
    pub(super) fn member(&self, name: &str) -> Result<impl Read + '_, ImageError> {
        let (offset, size) =
            self.find(name).ok_or_else(|| ImageError::archive(format!("it lacks {name}, which it lists")))?;
        Ok(Range { file: &self.file, offset, left: size })
    }

    /// The whole archive as a stream: it may be a layer itself.
    pub(super) fn whole(&self) -> impl Read + '_ {
        Range { file: &self.file, offset: 0, left: u64::MAX }
    }

    /// Whether there is anything in it.
    pub(super) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    fn find(&self, name: &str) -> Option<(u64, u64)> {
        let mut name = name;
        for _ in 0..HOPS_MAX {
            match self.members.get(name)? {
                Member::Data { offset, size } => return Some((*offset, *size)),
                Member::Link(target) => name = target,
            }
        }
        None
    }
}

/// Writes a stream to a file without a name in the folder.
pub(super) fn spool_to(mut reader: impl Read, folder: &Path, limits: &Limits) -> Result<File, ImageError> {
    let doing = || format!("unpacking the archive into {}", folder.display());
    let path = folder.join("archive.tar");
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).at(doing)?;
    std::fs::remove_file(&path).at(doing)?;
    io::copy(&mut stream::Bounded::new(&mut reader, limits.max_bytes, limits.max_bytes), &mut file)
        .at(doing)?;
    Ok(file)
}

fn index(file: &File, limits: &Limits) -> Result<(u64, HashMap<String, Member>), ImageError> {
    let length = file.metadata().at(|| "reading the archive".to_owned())?.len();
    let mut own = file.try_clone().at(|| "reading the archive".to_owned())?;
    io::Seek::rewind(&mut own)
        .at(|| "reading the archive (it must be a file, or given as a stream)".to_owned())?;
    let mut tar = TarReader::new(BufReader::new(own));
    let mut members = HashMap::new();
    let mut count = 0;
    while let Some(entry) = tar.next()? {
        count += 1;
        if count > limits.max_entries {
            return Err(ImageError::TooBig {
                what: "the number of files in the archive",
                limit: limits.max_entries,
            });
        }
        if entry.offset.checked_add(entry.size).is_none_or(|end| end > length) {
            return Err(ImageError::archive("it is cut short"));
        }
        let Some(name) = normal(Path::new(&*String::from_utf8_lossy(&entry.path)), "") else { continue };
        let link = String::from_utf8_lossy(&entry.link).into_owned();
        let member = match entry.kind {
            0 | b'0' | b'7' => Member::Data { offset: entry.offset, size: entry.size },
            // Old `docker save` writes a layer that two images share once, and links to it from the other.
            b'2' => match normal(Path::new(&link), name.rsplit_once('/').map_or("", |(folder, _)| folder)) {
                Some(target) => Member::Link(target),
                None => continue,
            },
            b'1' => match normal(Path::new(&link), "") {
                Some(target) => Member::Link(target),
                None => continue,
            },
            _ => continue,
        };
        members.insert(name, member);
    }
    if !tar.ended() {
        return Err(ImageError::archive("it is cut short, or empty"));
    }
    Ok((count, members))
}

/// A member's name without `.` and `..`, taken from this folder of the archive; none if it leads out of it.
fn normal(path: &Path, folder: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::ParentDir => drop(parts.pop()?),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

/// A part of a file, read by position: several can be open at once.
struct Range<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Range<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..wanted], self.offset)?;
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
