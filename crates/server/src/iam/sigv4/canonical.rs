//! The text that was signed, rebuilt from the request as it came.
//!
//! The path is encoded once more than it was sent (every service but S3 does that), the query is sorted in its
//! encoded form, header values are trimmed and their inner blanks made one.

use super::claim::Claim;
use super::{SignedRequest, text};
use crate::error::{ApiError, ErrorKind};
use hyper::header::HeaderValue;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// What stands for the body in the canonical request: its SHA-256. A presigned request may have signed that its body
/// is not covered.
pub(super) fn body_hash(request: &SignedRequest<'_>, claim: &Claim<'_>) -> Result<String, ApiError> {
    let hash = text::hex(&Sha256::digest(request.body));
    let Some(stated) = request.headers.get("x-amz-content-sha256") else { return Ok(hash) };
    let refuse = |text: String| Err(ApiError::new(ErrorKind::InvalidSignature, text));
    match stated.to_str().unwrap_or_default() {
        stated if stated == hash => Ok(hash),
        UNSIGNED if claim.expires.is_some() => Ok(UNSIGNED.into()),
        UNSIGNED => {
            refuse("x-amz-content-sha256 must be the body's SHA-256: an unsigned body is not taken.".into())
        }
        stated if stated.starts_with("STREAMING-") => refuse(
            "x-amz-content-sha256 must be the body's SHA-256: bodies signed in chunks are not taken.".into(),
        ),
        _ => refuse(format!(
            "The provided 'x-amz-content-sha256' header does not match what was computed: {hash}"
        )),
    }
}

/// The canonical request.
pub(super) fn request(
    request: &SignedRequest<'_>,
    claim: &Claim<'_>,
    body_hash: &str,
) -> Result<String, ApiError> {
    let mut out = String::with_capacity(512);
    out.push_str(request.method);
    out.push('\n');
    text::encode(normal_path(request.path).as_bytes(), b"/", &mut out);
    out.push('\n');
    query(request.query, claim.expires.is_some(), &mut out);
    out.push('\n');
    for name in claim.signed_headers.split(';') {
        header(request, name, &mut out)?;
    }
    out.push('\n');
    out.push_str(&claim.signed_headers);
    out.push('\n');
    out.push_str(body_hash);
    Ok(out)
}

/// The text that the day key signs.
pub(super) fn string_to_sign(claim: &Claim<'_>, canonical: &str) -> String {
    let hash = text::hex(&Sha256::digest(canonical.as_bytes()));
    let Claim { stamp, day, region, service, terminator, .. } = claim;
    ["AWS4-HMAC-SHA256\n", stamp, "\n", day, "/", region, "/", service, "/", terminator, "\n", &hash].concat()
}

/// The path without `.`, `..` and empty segments. A slash at the end stays.
fn normal_path(path: &str) -> Cow<'_, str> {
    if path.is_empty() {
        return "/".into();
    }
    if !path.contains("//") && !path.contains("/.") {
        return path.into();
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let end = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/")).into()
}

fn query(query: &str, presigned: bool, out: &mut String) {
    if query.is_empty() {
        return;
    }
    let mut parts: Vec<(String, String)> = text::raw_pairs(query)
        .filter(|(key, _)| !(presigned && *key == "X-Amz-Signature"))
        .map(|(key, value)| (text::recode(key), text::recode(value)))
        .collect();
    parts.sort_unstable();
    for (at, (key, value)) in parts.iter().enumerate() {
        if at > 0 {
            out.push('&');
        }
        out.push_str(key);
        out.push('=');
        out.push_str(value);
    }
}

/// `name:value` and a line end; several values of one name are joined by commas.
fn header(request: &SignedRequest<'_>, name: &str, out: &mut String) -> Result<(), ApiError> {
    out.push_str(name);
    out.push(':');
    let mut any = false;
    for value in request.headers.get_all(name) {
        if any {
            out.push(',');
        }
        any = true;
        push_trimmed(value, name, out)?;
    }
    if !any {
        let text = format!("header '{name}' is named in SignedHeaders and is not in the request.");
        return Err(ApiError::new(ErrorKind::InvalidSignature, text));
    }
    out.push('\n');
    Ok(())
}

fn push_trimmed(value: &HeaderValue, name: &str, out: &mut String) -> Result<(), ApiError> {
    let value = std::str::from_utf8(value.as_bytes()).map_err(|_| {
        ApiError::new(ErrorKind::InvalidSignature, format!("signed header '{name}' is not valid UTF-8."))
    })?;
    for (at, word) in value.split_ascii_whitespace().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        out.push_str(word);
    }
    Ok(())
}
