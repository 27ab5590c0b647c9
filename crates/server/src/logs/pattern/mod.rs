//! Filter patterns: terms, JSON (`{ … }`) and columns (`[ … ]`), as CloudWatch Logs reads them.
//!
//! Upper and lower case are told apart. Never here: events and pages.

mod columns;
mod compare;
mod json;
mod scan;
mod terms;

use crate::error::{ApiError, ErrorKind};

/// A pattern, ready to be matched.
#[derive(Debug)]
pub struct Pattern(Kind);

#[derive(Debug)]
enum Kind {
    Terms(terms::Terms),
    Json(json::Condition),
    Columns(columns::Columns),
}

impl Pattern {
    /// Reads a pattern. Empty matches everything.
    ///
    /// # Errors
    /// `InvalidParameterException`: it breaks the grammar; the text says where.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let text = text.trim();
        let kind = match text.as_bytes().first() {
            Some(b'{') => json::parse(text).map(Kind::Json),
            Some(b'[') => columns::parse(text).map(Kind::Columns),
            _ => terms::parse(text).map(Kind::Terms),
        };
        let kind = kind.map_err(|what| {
            ApiError::new(ErrorKind::InvalidParameter, format!("Invalid filter pattern: {what}"))
        })?;
        Ok(Self(kind))
    }

    /// Whether a message matches.
    pub fn matches(&self, message: &str) -> bool {
        match &self.0 {
            Kind::Terms(terms) => terms.matches(message),
            Kind::Json(condition) => {
                // Most lines are no JSON: told by the first character.
                message.trim_start().starts_with(['{', '['])
                    && serde_json::from_str(message).is_ok_and(|value| condition.matches(&value))
            }
            Kind::Columns(columns) => columns.matches(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_the_grammar_is_refused_and_never_a_panic() {
        let seeds = [
            "{ $.a = 1 && ($.b[0].c IS NULL || $.d != \"x*\") }",
            "[ip, user != \"a b\", status = 4* || status = %5..%, ..., n > 1e3]",
            "?ERROR -\"a \\\" b\" %^x[0-9]+$% w",
        ];
        for seed in seeds {
            assert!(Pattern::parse(seed).is_ok(), "{seed}");
            for cut in (0..seed.len()).filter(|at| seed.is_char_boundary(*at)) {
                let _ = Pattern::parse(&seed[..cut]);
                let _ = Pattern::parse(&seed[cut..]);
                let _ = Pattern::parse(&format!("{}é\"%{}", &seed[..cut], &seed[cut..]));
            }
        }
        let deep = format!("{{ {}$.a = 1{} }}", "(".repeat(400), ")".repeat(400));
        assert!(Pattern::parse(&deep).is_err());
    }
}
