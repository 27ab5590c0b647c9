//! From a JSON body to a typed input, for every service alike. Never here: checking its limits.

use crate::error::{ApiError, ErrorKind};
use serde::de::DeserializeOwned;

/// Reads a body. An empty one is an empty object.
///
/// # Errors
/// A [`ErrorKind::Serialization`] that names the member which can't be read.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let body = if body.iter().all(u8::is_ascii_whitespace) { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|_| unreadable::<T>(body))
}

/// Reads once more, slower, to name the member that has the wrong type.
fn unreadable<T: DeserializeOwned>(body: &[u8]) -> ApiError {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let text = match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(error) if error.path().iter().next().is_some() => {
            format!("{} can't be read: {}", error.path(), error.inner())
        }
        Err(error) => format!("the body can't be read: {}", error.inner()),
        Ok(_) => "the body can't be read: something follows the JSON object".to_string(),
    };
    ApiError::new(ErrorKind::Serialization, text)
}
