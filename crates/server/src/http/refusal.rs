//! Answers to what never became a request: text that is not HTTP, headers that are too large or too slow, one
//! connection too many. hyper answers some of these itself, with an empty body and no request id; here that answer is
//! recognised, so that the client gets one it can read.

use super::answer::{Answer, Protocol};
use crate::error::{ApiError, ErrorKind};
use bytes::Bytes;

/// How much of the end of what hyper writes can be its own refusal.
const LONGEST: usize = 256;
/// What a refusal of hyper's says before its date.
const EMPTY: &[u8] = b"\r\ncontent-length: 0\r\ndate: ";
/// A date and the end of a head.
const DATE: usize = b"Tue, 24 Nov 2026 12:34:56 GMT\r\n\r\n".len();

/// Where in `written` a refusal of hyper's own begins, and what it refuses. It is the last thing hyper ever writes, and
/// nothing of ours looks like it: our answers have a body, and end in it.
pub(super) fn find(written: &[u8]) -> Option<(usize, ErrorKind)> {
    if !written.ends_with(b"\r\n\r\n") {
        return None;
    }
    let before_date = written.len().checked_sub(DATE)?;
    if !written[..before_date].ends_with(EMPTY) {
        return None;
    }
    let from = written.len().saturating_sub(LONGEST);
    let start = from + written[from..].windows(9).rposition(|w| w == b"HTTP/1.1 ")?;
    let kind = match written.get(start + 9..start + 12)? {
        b"400" => ErrorKind::Serialization,
        b"414" | b"431" => ErrorKind::HeadersTooLarge,
        _ => return None,
    };
    Some((start, kind))
}

/// A whole answer, as bytes, after which the connection is closed.
pub(super) fn render(kind: ErrorKind) -> Bytes {
    let text = match kind {
        ErrorKind::Serialization => {
            "this is not an HTTP/1.1 request; the endpoint speaks plain HTTP, not TLS"
        }
        ErrorKind::HeadersTooLarge => "the request line or the headers are too large",
        ErrorKind::RequestTimeout => "the request's headers did not arrive in time",
        _ => "too many connections are open; try again later",
    };
    let id = uuid::Uuid::new_v4().to_string();
    Answer::failure(Protocol::Rest, &ApiError::new(kind, text), &id).into_bytes(&id)
}
