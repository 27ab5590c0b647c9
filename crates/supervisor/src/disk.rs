//! Room on a disk: what is free, and a limit of what a container may write as the task file has it.
//!
//! The limit holds for one folder, in which its writable layer and its volumes without a path lie. Never here: setting
//! it (the program beside this library does that).

use crate::format::{FormatError, escape_part, parse, unescape_part};
use std::path::Path;

/// Bytes that an ordinary user may still write where `path` lies. Absent: the system doesn't say.
pub fn free(path: &Path) -> Option<u64> {
    rustix::fs::statvfs(path).ok().map(|s| s.f_bavail.saturating_mul(s.f_frsize))
}

/// Bytes of the whole file system where `path` lies. Absent: the system doesn't say.
pub fn capacity(path: &Path) -> Option<u64> {
    rustix::fs::statvfs(path).ok().map(|s| s.f_blocks.saturating_mul(s.f_frsize))
}

/// A folder with a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Most bytes in it.
    pub bytes: u64,
    /// The folder, made by the supervisor.
    pub folder: String,
    /// How the limit is kept.
    pub kind: DiskKind,
}

/// How a limit is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskKind {
    /// By the file system's project quota, under this project id.
    Quota(u32),
    /// By a file with a file system of that size, mounted where only the attempt sees it, and gone with it.
    Image(String),
}

impl Disk {
    /// Bytes TAB kind TAB folder TAB id or path.
    pub(crate) fn encode(&self) -> String {
        let (kind, of) = match &self.kind {
            DiskKind::Quota(id) => ("quota", id.to_string()),
            DiskKind::Image(path) => ("image", path.clone()),
        };
        format!("{}\t{kind}\t{}\t{of}", self.bytes, escape_part(&self.folder))
    }

    pub(crate) fn decode(value: &str) -> Result<Self, FormatError> {
        let bad = || FormatError::Value { key: "disk".to_string() };
        let mut parts = value.splitn(4, '\t');
        let mut next = || parts.next().ok_or_else(bad);
        let (bytes, kind, folder, of) = (next()?, next()?, next()?, next()?);
        let kind = match kind {
            "quota" => DiskKind::Quota(parse("disk", of)?),
            "image" => DiskKind::Image(of.to_string()),
            _ => return Err(bad()),
        };
        Ok(Self { bytes: parse("disk", bytes)?, folder: unescape_part(folder), kind })
    }
}
