//! Readers that layers and archives pass through: digest, size bound, decompression.
//!
//! Owns what is told from the first bytes of a stream. Never knows what the bytes mean.

use super::ImageError;
use super::digest::Digest;
use super::error::At;
use super::tarstream::Skip;
use batchyard_supervisor::disk::free;
use sha2::{Digest as _, Sha256};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// Computes the digest of what is read through it.
pub(super) struct Hashing<R> {
    inner: R,
    hasher: Sha256,
    count: u64,
}

impl<R: Read> Hashing<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, hasher: Sha256::new(), count: 0 }
    }

    /// Reads what is left, then tells the digest and the length of the whole stream.
    pub(super) fn finish(mut self, what: &str) -> Result<(Digest, u64), ImageError> {
        io::copy(&mut self, &mut io::sink()).at(|| format!("reading {what}"))?;
        Ok((Digest::finish(self.hasher), self.count))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.count += count as u64;
        Ok(count)
    }
}

impl<R: Read> Skip for &mut Hashing<R> {}

/// Fails once more than a number of bytes came through.
pub(super) struct Bounded<'a, R> {
    inner: R,
    left: u64,
    limit: u64,
    /// Where what comes through is written, and how much must stay free there.
    disk: (&'a Path, u64),
    /// Bytes since that was looked at.
    unlooked: u64,
}

/// Bytes after which free space is looked at again.
const LOOK_EVERY: u64 = 4 << 20;

impl<'a, R: Read> Bounded<'a, R> {
    /// `left` bytes may still pass of a `limit` that is named when they are used up.
    pub(super) fn new(inner: R, left: u64, limit: u64) -> Self {
        Self { inner, left, limit, disk: (Path::new("/"), 0), unlooked: 0 }
    }

    /// Fails, too, when less than so many bytes are free on the disk of this path, to which all of it is written.
    pub(super) fn onto(self, path: &'a Path, keep_free: u64) -> Self {
        Self { disk: (path, keep_free), ..self }
    }

    fn look(&mut self) -> io::Result<()> {
        let (path, keep) = self.disk;
        self.unlooked = 0;
        if keep == 0 || free(path).is_none_or(|free| free >= keep) {
            return Ok(());
        }
        let text = format!("no space left on device (disk_reserve_bytes keeps {} MiB free)", keep >> 20);
        Err(io::Error::new(io::ErrorKind::StorageFull, text))
    }
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.unlooked += count as u64;
        if self.unlooked >= LOOK_EVERY {
            self.look()?;
        }
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => {
                let limit = self.limit;
                return Err(io::Error::other(ImageError::TooBig {
                    what: "the size of the unpacked image",
                    limit,
                }));
            }
        }
        Ok(count)
    }
}

/// How a stream is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// Tells the packing from the first bytes of a stream (six are enough, fewer are a plain stream).
pub(super) fn packing(start: &[u8]) -> Result<Packing, ImageError> {
    match start {
        [0x1f, 0x8b, ..] => Ok(Packing::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Ok(Packing::Zstd),
        // A skippable frame, which zstd:chunked may begin with.
        [low, 0x2a, 0x4d, 0x18, ..] if (0x50..=0x5f).contains(low) => Ok(Packing::Zstd),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Err(unsupported("xz")),
        [b'B', b'Z', b'h', ..] => Err(unsupported("bzip2")),
        [b'P', b'K', 3, 4, ..] => Err(unsupported("zip")),
        _ => Ok(Packing::Plain),
    }
}

fn unsupported(name: &str) -> ImageError {
    ImageError::archive(format!("it is packed with {name}: unpack it, or use gzip or zstd"))
}

/// The plain bytes of a stream that may be packed with gzip or zstd.
pub(super) fn unpacked<'a, R: Read + 'a>(inner: R) -> Result<Box<dyn Read + 'a>, ImageError> {
    let mut inner = BufReader::with_capacity(128 * 1024, inner);
    let start = inner.fill_buf().at(|| "reading the archive".to_owned())?;
    Ok(match packing(start)? {
        Packing::Plain => Box::new(inner),
        // Several members in one stream: pigz does not make them, seekable formats do.
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(inner)),
        Packing::Zstd => {
            Box::new(zstd::stream::read::Decoder::with_buffer(inner).at(|| "starting zstd".to_owned())?)
        }
    })
}
