//! Reading a request's body whole, under its limits.

use super::limits::Limits;
use crate::error::{ApiError, ErrorKind};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

/// A body that was not taken.
pub(super) struct Refused {
    /// The answer.
    pub error: ApiError,
    /// Some of it was left unread, so the connection cannot go on.
    pub unread: bool,
}

/// The whole body. One that came in one piece is not copied.
///
/// A body that is too large is read to its end and thrown away, as far as the limits allow, because a client that is
/// still sending when the connection closes never sees the answer. A client that waits for `100 Continue` is told at
/// once.
pub(super) async fn read(body: Incoming, limits: &Limits, waits: bool) -> Result<Bytes, Refused> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let stated = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if stated > limits.body_bytes && (waits || stated > limits.discard_bytes) {
        return Err(too_large(limits, true));
    }
    match tokio::time::timeout(limits.body_time, collect(body, limits)).await {
        Ok(result) => result,
        Err(_) => {
            let text = format!("the body did not arrive within {} s", limits.body_time.as_secs_f32());
            Err(Refused { error: ApiError::new(ErrorKind::RequestTimeout, text), unread: true })
        }
    }
}

async fn collect(mut body: Incoming, limits: &Limits) -> Result<Bytes, Refused> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut total = 0usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        total = total.saturating_add(data.len());
        if total > limits.discard_bytes.max(limits.body_bytes) {
            return Err(too_large(limits, true));
        } else if total > limits.body_bytes {
            first = Bytes::new();
            rest = BytesMut::new();
        } else if first.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.reserve(
                    total + usize::try_from(body.size_hint().lower()).unwrap_or(0).min(limits.body_bytes),
                );
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
    }
    if total > limits.body_bytes {
        return Err(too_large(limits, false));
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

fn too_large(limits: &Limits, unread: bool) -> Refused {
    let text = format!("the request body is larger than {} bytes", limits.body_bytes);
    Refused { error: ApiError::new(ErrorKind::TooLarge, text), unread }
}

fn broken(error: &hyper::Error) -> Refused {
    let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    let text = format!("the request body cannot be read: {cause}");
    Refused { error: ApiError::new(ErrorKind::Serialization, text), unread: true }
}
