//! A strict reader of tar streams: ustar, GNU long names and PAX headers.
//!
//! Owns framing. The field formats come from the `tar` crate; its own entry iterator is not used because it
//! reads extension headers of any size into memory, splits PAX records at newlines (extended attributes are
//! binary) and skips over data by reading it. Never touches the file system.

use super::ImageError;
use super::error::At;
use std::fs::File;
use std::io::{self, BufReader, Read};
use tar::{EntryType, Header};

const BLOCK: u64 = 512;
/// Long names and PAX headers beyond this are no honest archive's.
const EXTENSION_MAX: u64 = 1 << 20;

/// What the tar entry is about.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// The path as written.
    pub(super) path: Vec<u8>,
    /// The target of a symbolic or hard link.
    pub(super) link: Vec<u8>,
    /// The type flag.
    pub(super) kind: u8,
    /// Bytes of data that follow.
    pub(super) size: u64,
    /// Where the data begins in the stream.
    pub(super) offset: u64,
    /// Permission bits, with setuid, setgid and sticky.
    pub(super) mode: u32,
    /// Owner.
    pub(super) uid: u64,
    /// Group.
    pub(super) gid: u64,
    /// Modification time: seconds since 1970 and nanoseconds.
    pub(super) mtime: (i64, u32),
    /// Extended attributes, name and value.
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A reader that can go forward without handing out the bytes.
pub(super) trait Skip: Read + Sized {
    /// Goes forward by `count` bytes; may go past the end without an error.
    fn skip(&mut self, count: u64) -> io::Result<()> {
        io::copy(&mut self.by_ref().take(count), &mut io::sink()).map(drop)
    }
}

impl Skip for BufReader<File> {
    fn skip(&mut self, count: u64) -> io::Result<()> {
        let count = i64::try_from(count).map_err(|_| io::Error::other("an entry is too long"))?;
        self.seek_relative(count)
    }
}

/// Reads entries one by one; as a [`Read`] it gives the current entry's data.
pub(super) struct TarReader<R> {
    inner: R,
    position: u64,
    remaining: u64,
    padding: u64,
    ended: bool,
}

/// What extension headers said about the entry that follows them.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<(i64, u32)>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<R: Skip> TarReader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, position: 0, remaining: 0, padding: 0, ended: false }
    }

    /// The next entry, after skipping what is left of the current one; none at the end of the archive.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, ImageError> {
        let mut extensions = Extensions::default();
        let mut pending = false;
        loop {
            self.skip_rest()?;
            let Some(header) = self.header()? else {
                return if pending { Err(truncated()) } else { Ok(None) };
            };
            let kind = header.entry_type();
            let size = if header_only(kind) { 0 } else { field(&header.as_old().size, header.entry_size())? };
            self.frame(size)?;
            if kind.is_gnu_longname() {
                extensions.path = Some(trim_nul(self.extension()?));
            } else if kind.is_gnu_longlink() {
                extensions.link = Some(trim_nul(self.extension()?));
            } else if kind.is_pax_local_extensions() {
                extensions.read_pax(&self.extension()?)?;
            } else if kind.is_pax_global_extensions() {
                // Holds comments in practice (a commit's id); nothing here is taken from it.
                self.extension()?;
                continue;
            } else {
                let entry = build(&header, extensions, size)?;
                self.frame(entry.size)?;
                return Ok(Some(Entry { offset: self.position, ..entry }));
            }
            pending = true;
        }
    }

    /// Whether the mark was seen that ends an archive. Layers may lack it (their digest is checked), an archive
    /// without it may have been cut off between two entries.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    fn frame(&mut self, size: u64) -> Result<(), ImageError> {
        let end = size
            .checked_next_multiple_of(BLOCK)
            .ok_or_else(|| ImageError::archive("an entry is too long"))?;
        self.remaining = size;
        self.padding = end - size;
        Ok(())
    }

    fn skip_rest(&mut self) -> Result<(), ImageError> {
        let rest = self.remaining.saturating_add(self.padding);
        if rest > 0 {
            self.inner.skip(rest).at(|| "reading the archive".to_owned())?;
            self.position = self.position.saturating_add(rest);
        }
        (self.remaining, self.padding) = (0, 0);
        Ok(())
    }

    /// The next header block; none at a zero block or where the stream ends between entries.
    fn header(&mut self) -> Result<Option<Header>, ImageError> {
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        let mut filled = 0;
        while filled < block.len() {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).at(|| "reading the archive".to_owned()),
            }
        }
        self.position += filled as u64;
        if filled == 0 || block.iter().all(|b| *b == 0) {
            self.ended = filled > 0;
            return Ok(None);
        }
        if filled < block.len() {
            return Err(truncated());
        }
        let sum: u32 = block
            .iter()
            .enumerate()
            .map(|(at, b)| if (148..156).contains(&at) { 32 } else { u32::from(*b) })
            .sum();
        if header.cksum().ok() != Some(sum) {
            return Err(ImageError::archive("this is not a tar archive, or it is damaged (header checksum)"));
        }
        Ok(Some(header))
    }

    fn extension(&mut self) -> Result<Vec<u8>, ImageError> {
        if self.remaining > EXTENSION_MAX {
            return Err(ImageError::archive(format!(
                "an extension header is longer than {EXTENSION_MAX} bytes"
            )));
        }
        let mut data = Vec::new();
        let wanted = self.remaining;
        self.read_to_end(&mut data).at(|| "reading the archive".to_owned())?;
        if data.len() as u64 == wanted { Ok(data) } else { Err(truncated()) }
    }
}

impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.inner.read(&mut buffer[..wanted])?;
        if count == 0 {
            return Err(io::Error::other(truncated()));
        }
        self.remaining -= count as u64;
        self.position += count as u64;
        Ok(count)
    }
}

/// Links, folders, devices and pipes carry no data, whatever their size field says: so reads Go, in which
/// nearly every tool that writes images is made, and two readings of one archive must not differ.
fn header_only(kind: EntryType) -> bool {
    matches!(kind.as_byte(), b'1'..=b'6')
}

fn build(header: &Header, extensions: Extensions, size: u64) -> Result<Entry, ImageError> {
    let kind = header.entry_type();
    if kind.is_gnu_sparse() {
        return Err(sparse());
    }
    let mtime = header.mtime().ok().and_then(|s| i64::try_from(s).ok()).unwrap_or(0);
    Ok(Entry {
        path: extensions.path.unwrap_or_else(|| header.path_bytes().into_owned()),
        link: extensions
            .link
            .or_else(|| header.link_name_bytes().map(|l| l.into_owned()))
            .unwrap_or_default(),
        kind: kind.as_byte(),
        size: extensions.size.filter(|_| !header_only(kind)).unwrap_or(size),
        offset: 0,
        mode: field(&header.as_old().mode, header.mode())? & 0o7777,
        uid: extensions.uid.map_or_else(|| field(&header.as_old().uid, header.uid()), Ok)?,
        gid: extensions.gid.map_or_else(|| field(&header.as_old().gid, header.gid()), Ok)?,
        mtime: extensions.mtime.unwrap_or((mtime, 0)),
        xattrs: extensions.xattrs,
    })
}

impl Extensions {
    /// Takes in one PAX header: records `LENGTH KEY=VALUE\n`, the length counting the whole record.
    fn read_pax(&mut self, mut data: &[u8]) -> Result<(), ImageError> {
        while !data.is_empty() && data[0] != 0 {
            let (record, rest) =
                split_record(data).ok_or_else(|| ImageError::archive("a PAX record is malformed"))?;
            data = rest;
            let (key, value) = record;
            self.take(key, value)?;
        }
        Ok(())
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), ImageError> {
        const XATTR: &[u8] = b"SCHILY.xattr.";
        let number = || {
            let text = std::str::from_utf8(value).ok().and_then(|t| t.parse::<u64>().ok());
            text.map(Some).ok_or_else(|| ImageError::archive("a number in a PAX header is malformed"))
        };
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = number()?,
            b"uid" => self.uid = number()?,
            b"gid" => self.gid = number()?,
            b"mtime" => self.mtime = parse_time(value),
            _ if key.starts_with(b"GNU.sparse.") => return Err(sparse()),
            _ if key.starts_with(XATTR) => self.xattrs.push((key[XATTR.len()..].to_vec(), value.to_vec())),
            _ => {}
        }
        Ok(())
    }
}

type Record<'a> = (&'a [u8], &'a [u8]);

fn split_record(data: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let space = data.iter().take(20).position(|b| *b == b' ')?;
    let length: usize = std::str::from_utf8(&data[..space]).ok()?.parse().ok()?;
    let record = data.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|b| *b == b'=')?;
    Some(((&record[..equals], &record[equals + 1..]), &data[length..]))
}

/// `seconds[.fraction]`, the seconds may be negative.
fn parse_time(value: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanos: u32 = digits.parse().ok()?;
    match (whole.starts_with('-'), nanos) {
        (true, 1..) => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos)),
        _ => Some((seconds, nanos)),
    }
}

fn trim_nul(mut text: Vec<u8>) -> Vec<u8> {
    let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
    text.truncate(end);
    text
}

fn truncated() -> ImageError {
    ImageError::archive("it ends in the middle of an entry")
}

fn sparse() -> ImageError {
    ImageError::archive("it holds sparse entries: make it again without `tar --sparse`")
}

/// A number of the header; one left blank is nought, as some writers do where it does not matter.
fn field<T: Default>(raw: &[u8], parsed: io::Result<T>) -> Result<T, ImageError> {
    if raw.iter().all(|b| matches!(b, 0 | b' ')) {
        return Ok(T::default());
    }
    parsed.map_err(|error| ImageError::archive(format!("a header field is malformed: {error}")))
}
