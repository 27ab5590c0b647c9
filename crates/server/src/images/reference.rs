//! Image references: what people write (`busybox`) and the one form under which the store files it
//! (`docker.io/library/busybox:latest`).
//!
//! Owns the grammar. It never looks anything up.

use super::ImageError;
use super::digest::Digest;
use std::fmt;

/// A normalised image reference.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    host: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

const HUB: &str = "docker.io";
const LIBRARY: &str = "library/";
const LATEST: &str = "latest";
const NAME_MAX: usize = 255;
const TAG_MAX: usize = 128;

impl Reference {
    /// Normalises a reference: host `docker.io` where none is written, `library/` before a one-word name there,
    /// tag `latest` where neither tag nor digest is written.
    ///
    /// # Errors
    /// [`ImageError::BadReference`] naming the part that breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        parse(text).map_err(|reason| ImageError::BadReference { reference: text.to_owned(), reason })
    }

    /// The registry's host, with its port if one is written.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository at that host, such as `library/busybox`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag. Absent only where a digest is given alone.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest (`sha256:<hex>`), which wins over the tag.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_ref().map(Digest::as_str)
    }

    /// The shortest text that means the same: `busybox:latest`.
    pub fn familiar(&self) -> String {
        let full = self.to_string();
        let short = full.strip_prefix("docker.io/").unwrap_or(&full);
        short.strip_prefix(LIBRARY).unwrap_or(short).to_owned()
    }

    pub(super) fn pinned(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same without its digest: what an image is filed under.
    pub(super) fn tagged(&self) -> Self {
        let tag = self.tag.clone().or_else(|| Some(LATEST.to_owned()));
        Self { tag, digest: None, ..self.clone() }
    }
}

impl Reference {
    /// The same without its tag: the digest alone, for a reference that has one.
    pub(super) fn without_tag(&self) -> Self {
        Self { tag: None, ..self.clone() }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// A bare `sha256:<hex>`, which names an image by content alone.
pub(super) fn bare_digest(text: &str) -> Option<Digest> {
    Digest::parse(text).ok()
}

fn parse(text: &str) -> Result<Reference, String> {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (
            rest,
            Some(
                Digest::parse(digest)
                    .map_err(|_| "the digest after @ must be sha256: and 64 hex digits".to_owned())?,
            ),
        ),
        None => (text, None),
    };
    // A colon before the last slash belongs to the host's port.
    let slash = rest.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match rest[slash..].find(':') {
        Some(at) => (&rest[..slash + at], Some(&rest[slash + at + 1..])),
        None => (rest, None),
    };
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    let (host, path) = split_host(name);
    check_host(host)?;
    check_path(path)?;
    let library = if host == HUB && !path.contains('/') { LIBRARY } else { "" };
    let tag = tag.map(str::to_owned).or_else(|| digest.is_none().then(|| LATEST.to_owned()));
    let repository = format!("{library}{path}");
    if host.len() + repository.len() >= NAME_MAX {
        return Err(format!("the name is longer than {NAME_MAX} characters"));
    }
    Ok(Reference { host: host.to_owned(), repository, tag, digest })
}

/// The first part is a host when it could not be the start of a repository's name, or is `localhost`.
fn split_host(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some(("index.docker.io" | "registry-1.docker.io", path)) => (HUB, path),
        Some((first, path))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (first, path)
        }
        _ => (HUB, name),
    }
}

fn check_host(host: &str) -> Result<(), String> {
    let (name, port) = match (host.starts_with('['), host.rfind(':')) {
        (true, _) => match host.find(']') {
            Some(end) => (&host[..=end], host[end + 1..].strip_prefix(':')),
            None => return Err(format!("the host {host:?} lacks its closing bracket")),
        },
        (false, Some(at)) => (&host[..at], Some(&host[at + 1..])),
        (false, None) => (host, None),
    };
    let port_ok = port.is_none_or(|p| p.parse::<u16>().is_ok_and(|n| n > 0));
    let inner = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    let name_ok = match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        }),
    };
    if port_ok && name_ok { Ok(()) } else { Err(format!("{host:?} is not a registry host")) }
}

/// Lower-case words joined by one period, one or two underscores or any number of dashes.
fn check_path(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("the name is empty".to_owned());
    }
    for part in path.split('/') {
        if !part_ok(part) {
            return Err(format!(
                "{part:?} in the name must be lower-case letters and digits, joined by '.', '_', '__' or '-'"
            ));
        }
    }
    if path.len() == 64 && Digest::from_hex(path).is_some() {
        return Err("a name of 64 hex digits is taken for an image id".to_owned());
    }
    Ok(())
}

fn part_ok(part: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = part.bytes().next().is_some_and(word) && part.bytes().last().is_some_and(word);
    ends && part
        .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .all(|joint| matches!(joint, "" | "." | "_" | "__") || joint.bytes().all(|b| b == b'-'))
}

fn check_tag(tag: &str) -> Result<(), String> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let ok = tag.len() <= TAG_MAX
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'));
    if ok {
        return Ok(());
    }
    Err(format!(
        "the tag {tag:?} must be 1 to {TAG_MAX} letters, digits, '_', '.' or '-', not starting with '.' or '-'"
    ))
}
