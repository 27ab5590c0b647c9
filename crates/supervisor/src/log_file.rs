//! The log file of one container: records that are appended by its supervisor and read by anybody.
//!
//! Layout: the 8 bytes of [`MAGIC`], then records. A record is `u32` length of the text, `i64` milliseconds since the
//! epoch, the text without its newline, and the same `u32` length again so that the file can be walked from its end;
//! integers are little-endian. A record that is cut off at the end of the file (being written, or a crash) does not
//! count. Positions are byte offsets; they never change once written, which makes them the tokens of GetLogEvents.
//! Never here: groups, streams and tokens (the server's logs have those).

/// First bytes of every log file; the last digit is the version of the layout.
pub const MAGIC: [u8; 8] = *b"BYLOG\0\0\x01";
/// Bytes that a record has beside its text.
pub const OVERHEAD: usize = 16;
/// Longest text of a record: CloudWatch's 256 KiB event less its own 26 bytes. A longer line is split.
pub const MAX_TEXT: usize = 262_118;

/// Appends the bytes of one record to `out`. `text` is at most [`MAX_TEXT`] long.
pub fn push_record(out: &mut Vec<u8>, at_ms: i64, text: &[u8]) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&at_ms.to_le_bytes());
    out.extend_from_slice(text);
    out.extend_from_slice(&length);
}

/// A record as it lies in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// When the line was read, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The line without its newline; any bytes.
    pub text: &'a [u8],
    /// Bytes of the whole record.
    pub size: usize,
}

/// The record that begins at the start of `bytes`; nothing when it is cut off or no record.
pub fn first(bytes: &[u8]) -> Option<Record<'_>> {
    let length = u32_at(bytes, 0)? as usize;
    let end = 12usize.checked_add(length)?;
    if length > MAX_TEXT || u32_at(bytes, end)? as usize != length {
        return None;
    }
    let at_ms = i64::from_le_bytes(bytes.get(4..12)?.try_into().ok()?);
    Some(Record { at_ms, text: bytes.get(12..end)?, size: length + OVERHEAD })
}

/// The record that ends at the end of `bytes`; nothing when `bytes` holds no whole one.
pub fn last(bytes: &[u8]) -> Option<Record<'_>> {
    let length = u32_at(bytes, bytes.len().checked_sub(4)?)? as usize;
    first(bytes.get(bytes.len().checked_sub(length.checked_add(OVERHEAD)?)?..)?)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
