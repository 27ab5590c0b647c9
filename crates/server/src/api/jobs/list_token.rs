//! `nextToken` of ListJobs: where in its order a listing stands, so that what is submitted meanwhile shifts nothing.
//!
//! Never here: the rows.

use crate::error::ApiError;
use crate::store::Position;
use batchyard_supervisor::format::{from_hex, to_hex};

const OPERATION: &str = "ListJobs";

/// The token of a page that ended here. `kind` names the listing's order; a token goes on only with its own.
pub fn encode(kind: char, at: &Position) -> String {
    to_hex(format!("{OPERATION}:{kind}:{}:{}:{}", at.id, at.created_ms, at.name).as_bytes())
}

/// Where a token's page ended; none without a token.
pub fn decode(kind: char, token: Option<&str>) -> Result<Option<Position>, ApiError> {
    match token.filter(|t| !t.is_empty()) {
        None => Ok(None),
        Some(token) => {
            position(kind, token).map(Some).ok_or_else(|| ApiError::wrapped("nextToken is not valid"))
        }
    }
}

fn position(kind: char, token: &str) -> Option<Position> {
    let text = String::from_utf8(from_hex("nextToken", token).ok()?).ok()?;
    let text = text.strip_prefix(OPERATION)?.strip_prefix(':')?.strip_prefix(kind)?.strip_prefix(':')?;
    let mut parts = text.splitn(3, ':');
    let (id, created) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(Position { id, created_ms: created, name: parts.next()?.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_back_only_to_its_order() {
        let at = Position { id: 7, created_ms: 1000, name: "a".into() };
        let token = encode('n', &at);
        assert_eq!(decode('n', Some(&token)).unwrap(), Some(at));
        assert_eq!(decode('n', None).unwrap(), None);
        assert_eq!(decode('n', Some("")).unwrap(), None);
        for (kind, token) in [('s', token.as_str()), ('n', "zz"), ('n', "00"), ('n', "é")] {
            assert!(decode(kind, Some(token)).is_err(), "{token}");
        }
    }
}
