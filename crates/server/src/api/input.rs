//! From a body to valid, typed input, and from an answer to a body.
//!
//! Never here: rules between members; handlers have those.

use crate::error::ApiError;
use batchyard_model::Validate;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads and checks an input. An empty body is an empty input.
pub fn read<T: DeserializeOwned + Validate>(body: &[u8]) -> Result<T, ApiError> {
    let input: T = crate::wire::parse(body)?;
    input.check().map_err(|violations| ApiError::wrapped(violations.to_string()))?;
    Ok(input)
}

/// An answer's body.
pub fn answer<T: Serialize>(value: &T) -> Result<Bytes, ApiError> {
    match serde_json::to_vec(value) {
        Ok(text) => Ok(text.into()),
        Err(error) => {
            tracing::error!(%error, "an answer can't be written as JSON");
            Err(ApiError::server())
        }
    }
}

/// A member that validation has found to be there.
pub fn required<'a, T>(value: &'a Option<T>, member: &str) -> Result<&'a T, ApiError> {
    value.as_ref().ok_or_else(|| ApiError::wrapped(format!("{member} is required")))
}

/// Holds the name of a new resource to AWS's pattern (spec infrastructure §5.3).
pub fn new_name<'a>(value: &'a Option<String>, member: &str) -> Result<&'a str, ApiError> {
    let name = required(value, member)?;
    if batchyard_model::arn::is_name(name) {
        return Ok(name);
    }
    Err(ApiError::wrapped(format!(
        "{member} must be 1 to 128 letters, digits, hyphens and underscores and begin with a letter or digit, got {name:?}"
    )))
}

/// `state`, ENABLED when absent; any letter case.
pub fn state(value: &Option<String>) -> batchyard_engine::resource::State {
    match value {
        Some(s) if s.eq_ignore_ascii_case("DISABLED") => batchyard_engine::resource::State::Disabled,
        _ => batchyard_engine::resource::State::Enabled,
    }
}

/// `state` as AWS writes it.
pub fn state_name(state: batchyard_engine::resource::State) -> String {
    match state {
        batchyard_engine::resource::State::Enabled => "ENABLED".into(),
        batchyard_engine::resource::State::Disabled => "DISABLED".into(),
    }
}

/// `status` as AWS writes it.
pub fn status_name(status: batchyard_engine::resource::Status) -> String {
    use batchyard_engine::resource::Status as S;
    let name = match status {
        S::Creating => "CREATING",
        S::Updating => "UPDATING",
        S::Deleting => "DELETING",
        S::Valid => "VALID",
        S::Invalid => "INVALID",
    };
    name.into()
}

/// Tags on create: at most 50, keys not beginning `aws:` (spec infrastructure §5.4).
pub fn check_tags(tags: &Option<std::collections::BTreeMap<String, String>>) -> Result<(), ApiError> {
    use batchyard_model::limits::{MAX_TAGS, RESERVED_TAG_PREFIX};
    let Some(tags) = tags else { return Ok(()) };
    if tags.len() > MAX_TAGS {
        return Err(ApiError::wrapped(format!("tags must be at most {MAX_TAGS}, got {}", tags.len())));
    }
    let reserved = |k: &str| k.get(..4).is_some_and(|p| p.eq_ignore_ascii_case(RESERVED_TAG_PREFIX));
    match tags.keys().find(|k| reserved(k)) {
        Some(key) => {
            Err(ApiError::wrapped(format!("tags: the key {key:?} begins with the reserved prefix aws:")))
        }
        None => Ok(()),
    }
}
