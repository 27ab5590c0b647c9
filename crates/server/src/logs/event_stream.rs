//! The framing of `application/vnd.amazon.eventstream`: a message is its length and that of its headers, a checksum of
//! both, headers, the payload, and a checksum of all of it; integers are big-endian.
//!
//! Never here: what messages say.

use bytes::Bytes;
use flate2::Crc;
use serde::Serialize;

/// The type of a header's value: a text.
const TEXT: u8 = 7;

/// A message with an event.
pub(super) fn event(kind: &str, payload: &impl Serialize) -> Bytes {
    let payload = serde_json::to_vec(payload).expect("a model's structure is JSON");
    let headers = [(":message-type", "event"), (":event-type", kind), (":content-type", "application/json")];
    message(&headers, &payload)
}

/// A message with an exception, which is the last one.
pub(super) fn exception(kind: &str, text: &str) -> Bytes {
    let payload = serde_json::json!({ "message": text }).to_string();
    let headers =
        [(":message-type", "exception"), (":exception-type", kind), (":content-type", "application/json")];
    message(&headers, payload.as_bytes())
}

fn message(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut fields = Vec::new();
    for (name, value) in headers {
        // Both are ours and short.
        fields.push(name.len() as u8);
        fields.extend_from_slice(name.as_bytes());
        fields.push(TEXT);
        fields.extend_from_slice(&(value.len() as u16).to_be_bytes());
        fields.extend_from_slice(value.as_bytes());
    }
    let length = 12 + fields.len() + payload.len() + 4;
    let mut out = Vec::with_capacity(length);
    out.extend_from_slice(&(length as u32).to_be_bytes());
    out.extend_from_slice(&(fields.len() as u32).to_be_bytes());
    out.extend_from_slice(&checksum(&out));
    out.extend_from_slice(&fields);
    out.extend_from_slice(payload);
    out.extend_from_slice(&checksum(&out));
    out.into()
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_checksums_fit() {
        let bytes = event("x", &serde_json::json!({"a": 1}));
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four"));
        assert_eq!(number(0) as usize, bytes.len());
        assert_eq!(&bytes[12 + number(4) as usize..bytes.len() - 4], br#"{"a":1}"#);
        assert_eq!(&bytes[12..26], b"\x0d:message-type");
        assert_eq!(bytes[8..12], checksum(&bytes[..8]));
        assert_eq!(bytes[bytes.len() - 4..], checksum(&bytes[..bytes.len() - 4]));
        assert_eq!(checksum(b"123456789"), 0xCBF4_3926u32.to_be_bytes(), "the CRC-32 that AWS means");
    }
}
