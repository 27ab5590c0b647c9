//! From a JSON body to a typed input, for every service alike. Never here: checking its limits.

use crate::error::{ApiError, ErrorKind};
use serde::de::DeserializeOwned;

/// Reads a body. An empty one is an empty object.
///
/// # Errors
/// A [`ErrorKind::Serialization`] that names the member which can't be read.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // Checked as a whole: the reader of JSON looks only at the texts that it keeps.
    let text = std::str::from_utf8(body).map_err(|error| {
        let text = format!("the body can't be read: it is not UTF-8 at byte {}", error.valid_up_to());
        ApiError::new(ErrorKind::Serialization, text)
    })?;
    let text = if text.bytes().all(|byte| byte.is_ascii_whitespace()) { "{}" } else { text };
    serde_json::from_str(text).map_err(|_| unreadable::<T>(text))
}

/// Reads once more, slower, to name the member that has the wrong type.
fn unreadable<T: DeserializeOwned>(body: &str) -> ApiError {
    let mut reader = serde_json::Deserializer::from_str(body);
    let text = match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(error) if error.path().iter().next().is_some() => {
            // Where the text is no JSON, the last step is not known.
            let path = error.path().to_string();
            format!("{} can't be read: {}", path.strip_suffix(".?").unwrap_or(&path), error.inner())
        }
        Err(error) => format!("the body can't be read: {}", error.inner()),
        Ok(_) => "the body can't be read: something follows the JSON object".to_string(),
    };
    ApiError::new(ErrorKind::Serialization, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use batchyard_model::batch::SubmitJobRequest;

    fn refused(body: &[u8]) -> String {
        let error = parse::<SubmitJobRequest>(body).expect_err("a bad body");
        assert_eq!(error.kind, ErrorKind::Serialization);
        error.message
    }

    #[test]
    fn nothing_is_an_empty_object() {
        for body in [&b""[..], b" \r\n\t", b"{}"] {
            assert_eq!(parse(body), Ok(SubmitJobRequest::default()));
        }
    }

    #[test]
    fn the_member_is_named() {
        let text = refused(br#"{"containerOverrides":{"environment":[{"name":7}]}}"#);
        assert!(text.starts_with("containerOverrides.environment[0].name can't be read: "), "{text}");
        let text = refused(br#"{"containerOverrides":{"vcpus":0x10}}"#);
        assert!(text.starts_with("containerOverrides can't be read: "), "{text}");
        let text = refused(br#"{"timeout":{"attemptDurationSeconds":2147483648}}"#);
        assert!(text.starts_with("timeout.attemptDurationSeconds can't be read: "), "{text}");
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        for body in [&b"[]"[..], b"{} {}", b"{", b"\xef\xbb\xbf{}", b"null"] {
            assert!(refused(body).contains("can't be read: "), "{body:?}");
        }
        // Also where no member is kept.
        assert!(refused(b"{\"x\":\"\xff\"}").ends_with("not UTF-8 at byte 6"));
    }
}
