//! Percent encoding, hexadecimal and the compact date, as SigV4 wants them.

use std::borrow::Cow;

/// The parts of a query, still encoded. A part without `=` has an empty value; empty parts are left out.
pub(super) fn raw_pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|part| !part.is_empty()).map(|part| part.split_once('=').unwrap_or((part, "")))
}

/// The names and values of a query or form, decoded; bytes that are not UTF-8 become U+FFFD.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    let lossy = |raw| String::from_utf8_lossy(&decode_bytes(raw, true)).into_owned();
    raw_pairs(query).map(|(key, value)| (lossy(key), lossy(value))).collect()
}

/// A percent-encoded path segment as text. `None`: not UTF-8.
pub fn decode(raw: &str) -> Option<String> {
    String::from_utf8(decode_bytes(raw, false).into_owned()).ok()
}

/// The canonical encoding of a part of a query, whatever encoding it came in.
pub(super) fn recode(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    encode(&decode_bytes(raw, true), b"", &mut out);
    out
}

/// Appends `bytes` with all but letters, digits, `-._~` and what is in `safe` percent-encoded.
pub(super) fn encode(bytes: &[u8], safe: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || safe.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

/// Decodes `%XX`, and `+` as a blank where asked. A `%` without two hexadecimal digits stays.
fn decode_bytes(raw: &str, plus_is_blank: bool) -> Cow<'_, [u8]> {
    let bytes = raw.as_bytes();
    let encoded = |b: &u8| *b == b'%' || (plus_is_blank && *b == b'+');
    if !bytes.iter().any(encoded) {
        return bytes.into();
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = |offset: usize| bytes.get(at + offset).and_then(|b| digit(*b));
        match (bytes[at], pair(1), pair(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                at += 2;
            }
            (b'+', ..) if plus_is_blank => out.push(b' '),
            (other, ..) => out.push(other),
        }
        at += 1;
    }
    out.into()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

/// A signature's 32 bytes from lower-case hexadecimal.
pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    let text = text.as_bytes();
    let mut out = [0; 32];
    if text.len() != 64 || text.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

/// Unix seconds of `YYYYMMDDTHHMMSSZ`.
pub(super) fn time(stamp: &str) -> Option<i64> {
    let bytes = stamp.as_bytes();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to]
            .iter()
            .try_fold(0i16, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i16::from(b - b'0')))
    };
    let small = |from: usize| number(from, from + 2).and_then(|n| i8::try_from(n).ok());
    let civil =
        jiff::civil::DateTime::new(number(0, 4)?, small(4)?, small(6)?, small(9)?, small(11)?, small(13)?, 0)
            .ok()?;
    Some(jiff::tz::Offset::UTC.to_timestamp(civil).ok()?.as_second())
}

/// `YYYYMMDDTHHMMSSZ` of Unix seconds. Times that no calendar holds read as the epoch.
pub(super) fn stamp(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}
