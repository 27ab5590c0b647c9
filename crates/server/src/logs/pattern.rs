//! Filter patterns of the unstructured kind: terms, quoted phrases, `?` for one of several, `-` for none of.
//!
//! Upper and lower case are told apart. Patterns for JSON and for columns, and regular expressions, are refused.

use crate::error::{ApiError, ErrorKind};

/// A pattern, ready to be matched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pattern {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl Pattern {
    /// Reads a pattern. Empty matches everything.
    ///
    /// # Errors
    /// `InvalidParameterException`: it is of a kind that does not work yet, or breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let text = text.trim();
        if text.starts_with(['{', '[']) {
            return Err(refused("filter patterns for JSON ({ … }) and for columns ([ … ]) do not work yet"));
        }
        let mut pattern = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            rest = pattern.term(rest)?.trim_start();
        }
        Ok(pattern)
    }

    /// Whether a message matches.
    pub fn matches(&self, message: &str) -> bool {
        self.all.iter().all(|term| message.contains(term))
            && (self.any.is_empty() || self.any.iter().any(|term| message.contains(term)))
            && !self.none.iter().any(|term| message.contains(term))
    }

    /// Takes one term off the front.
    fn term<'t>(&mut self, text: &'t str) -> Result<&'t str, ApiError> {
        let (list, text) = match text.as_bytes()[0] {
            b'?' => (&mut self.any, &text[1..]),
            b'-' => (&mut self.none, &text[1..]),
            _ => (&mut self.all, text),
        };
        let (term, rest) = match text.strip_prefix('"') {
            Some(quoted) => phrase(quoted)?,
            None => word(text)?,
        };
        list.push(term);
        Ok(rest)
    }
}

fn phrase(text: &str) -> Result<(String, &str), ApiError> {
    let mut term = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' if term.is_empty() => break,
            '"' => return Ok((term, &text[at + 1..])),
            '\\' => term.extend(chars.next().map(|(_, escaped)| escaped)),
            c => term.push(c),
        }
    }
    Err(refused("a quoted phrase of the filter pattern is empty or not closed"))
}

fn word(text: &str) -> Result<(String, &str), ApiError> {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let word = &text[..end];
    if word.starts_with('%') {
        return Err(refused("regular expressions in filter patterns do not work yet"));
    }
    if word.is_empty() || !word.chars().all(|c| c.is_alphanumeric() || c == '_') {
        let text = format!("Invalid character(s) in term '{word}': put it in double quotes");
        return Err(refused(&text));
    }
    Ok((word.to_string(), &text[end..]))
}

fn refused(message: &str) -> ApiError {
    ApiError::new(ErrorKind::InvalidParameter, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, message: &str) -> bool {
        Pattern::parse(pattern).expect("a pattern").matches(message)
    }

    #[test]
    fn terms_phrases_alternatives_and_exclusions() {
        assert!(matches("", "anything"));
        assert!(matches("ERROR code", "code 7: ERROR") && !matches("ERROR code", "ERROR"));
        assert!(!matches("error", "ERROR"));
        assert!(matches("\"exit code\"", "the exit code") && !matches("\"exit code\"", "exit  code"));
        assert!(matches("?ERROR ?WARN", "a WARN") && !matches("?ERROR ?WARN", "a NOTE"));
        assert!(matches("job -\"is ok\"", "job failed") && !matches("job -\"is ok\"", "job is ok"));
        assert!(matches(r#""say \"hi\"""#, r#"say "hi""#));
        assert!(matches("  über_1  ", "x über_1 y"));
    }

    #[test]
    fn what_does_not_work_is_refused() {
        for text in ["{ $.a = 1 }", "[a, b]", "%x%", "a.b", "\"open", "\"\"", "-", "?", "a \"", "\"\\"] {
            let error = Pattern::parse(text).expect_err(text);
            assert_eq!(error.kind, ErrorKind::InvalidParameter, "{text}");
        }
    }
}
