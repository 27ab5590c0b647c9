//! From a body to valid, typed input, and from an answer to a body.
//!
//! Never here: rules between members; handlers have those.

use super::service::Service;
use crate::error::ApiError;
use batchyard_model::Validate;
use batchyard_model::arn::{ArnKind, name_or_arn};
use batchyard_model::limits::{MAX_DESCRIBE, MAX_TAGS, RESERVED_TAG_PREFIX};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Reads and checks an input. An empty body is an empty input.
pub fn read<T: DeserializeOwned + Validate>(body: &[u8]) -> Result<T, ApiError> {
    let input: T = crate::wire::parse(body)?;
    check(&input)?;
    Ok(input)
}

/// Holds an input to the service model.
pub fn check(input: &impl Validate) -> Result<(), ApiError> {
    input.check().map_err(|violations| ApiError::wrapped(violations.to_string()))
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
        "{member} must be 1 to 128 letters, digits, hyphens and underscores and begin with a letter or digit, got {:?}",
        clip(name)
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

/// Tags to set: at most 50, in AWS's characters, keys not beginning `aws:` (spec infrastructure §5.4). Lengths are in the
/// model.
pub fn check_tags(tags: &Option<BTreeMap<String, String>>) -> Result<(), ApiError> {
    let Some(tags) = tags else { return Ok(()) };
    if tags.len() > MAX_TAGS {
        return Err(ApiError::wrapped(format!("tags must be at most {MAX_TAGS}, got {}", tags.len())));
    }
    for (key, value) in tags {
        if reserved(key) {
            return Err(ApiError::wrapped(format!(
                "tags: the key {key:?} begins with the reserved prefix aws:"
            )));
        }
        if !key.chars().chain(value.chars()).all(is_tag_character) {
            return Err(ApiError::wrapped(format!(
                "tags: keys and values are made of letters, digits, spaces and _ . : / = + - @, got {key:?} with {value:?}"
            )));
        }
    }
    Ok(())
}

/// Whether AWS keeps such keys for itself, in any letter case.
pub fn reserved(key: &str) -> bool {
    key.get(..RESERVED_TAG_PREFIX.len()).is_some_and(|p| p.eq_ignore_ascii_case(RESERVED_TAG_PREFIX))
}

/// Letters, marks that belong to them, numbers and separators of any script, and a few signs: what AWS takes in tags.
fn is_tag_character(c: char) -> bool {
    c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c)
}

/// What a client sent, short enough for a message.
pub fn clip(text: &str) -> &str {
    text.char_indices().nth(300).map_or(text, |(end, _)| &text[..end])
}

/// Names out of names and ARNs, in their order, each once. What can't be a name here is nowhere, which Describe shows as
/// nothing.
pub fn names_here(
    service: &Service,
    kind: ArnKind,
    member: &str,
    texts: &[String],
) -> Result<Vec<String>, ApiError> {
    if texts.len() > MAX_DESCRIBE {
        return Err(ApiError::wrapped(format!(
            "{member} must have at most {MAX_DESCRIBE} items, got {}",
            texts.len()
        )));
    }
    let mut names: Vec<String> = Vec::new();
    for text in texts {
        let Ok(reference) = name_or_arn(kind, text) else { continue };
        if reference.is_in(&service.region, &service.account) && !names.contains(&reference.name) {
            names.push(reference.name);
        }
    }
    Ok(names)
}

/// The name of what a member names by name or ARN. `None`: an ARN of another account or Region, where nothing of ours is.
pub fn name_here(
    service: &Service,
    kind: ArnKind,
    member: &str,
    text: &str,
) -> Result<Option<String>, ApiError> {
    let reference =
        name_or_arn(kind, text).map_err(|e| ApiError::wrapped(format!("{member} {:?}: {e}", clip(text))))?;
    Ok(reference.is_in(&service.region, &service.account).then_some(reference.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_repeat_no_novels() {
        assert_eq!(clip("ä"), "ä");
        assert_eq!(clip(&"ä".repeat(100_000)), "ä".repeat(300));
    }

    #[test]
    fn tags_in_the_characters_of_aws() {
        let one = |key: &str, value: &str| check_tags(&Some([(key.into(), value.into())].into()));
        for good in ["a", "team:cost/centre", "a+b=c-d@e_f.g", "zwei Wörter", "プロジェクト", "проект 7", "½"]
        {
            assert_eq!(one(good, good), Ok(()), "{good}");
        }
        for bad in ["a,b", "a;b", "tab\there", "line\nend", "☃", "😀", "a\u{0}b", "<a>", "\u{fffd}", "#"]
        {
            assert!(one(bad, "").is_err() && one("k", bad).is_err(), "{bad:?}");
        }
        for bad in ["aws:x", "AWS:", "aWs:cloudformation"] {
            assert!(one(bad, "").unwrap_err().message.contains("reserved"), "{bad}");
        }
        assert_eq!(one("awsome", "aws:value is fine"), Ok(()));
        let many = (0..51).map(|n| (n.to_string(), String::new())).collect();
        assert!(check_tags(&Some(many)).is_err());
    }
}
