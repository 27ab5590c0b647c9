//! Patterns for plain text: terms, quoted phrases and regular expressions, `?` for one of several, `-` for none of.
//!
//! Alternatives count only where nothing else must match, as AWS has it.

use super::scan::{Scan, Wrong};
use regex_lite::Regex;

/// A pattern of terms.
#[derive(Debug, Default)]
pub(super) struct Terms {
    all: Vec<Term>,
    any: Vec<Term>,
    none: Vec<Term>,
}

#[derive(Debug)]
enum Term {
    Text(String),
    Regex(Regex),
}

impl Term {
    fn is_in(&self, message: &str) -> bool {
        match self {
            Self::Text(text) => message.contains(text),
            Self::Regex(regex) => regex.is_match(message),
        }
    }
}

impl Terms {
    pub fn matches(&self, message: &str) -> bool {
        self.all.iter().all(|term| term.is_in(message))
            && (self.any.is_empty()
                || !self.all.is_empty()
                || !self.none.is_empty()
                || self.any.iter().any(|term| term.is_in(message)))
            && !self.none.iter().any(|term| term.is_in(message))
    }
}

pub(super) fn parse(text: &str) -> Result<Terms, Wrong> {
    let mut terms = Terms::default();
    let mut scan = Scan::new(text);
    scan.space();
    while !scan.rest.is_empty() {
        let list = if scan.take("?") {
            &mut terms.any
        } else if scan.take("-") {
            &mut terms.none
        } else {
            &mut terms.all
        };
        list.push(term(&mut scan)?);
        scan.space();
    }
    Ok(terms)
}

fn term(scan: &mut Scan<'_>) -> Result<Term, Wrong> {
    match scan.rest.as_bytes().first() {
        Some(b'"') => match scan.quoted()? {
            text if text.is_empty() => Err("a quoted phrase is empty".to_string()),
            text => Ok(Term::Text(text)),
        },
        Some(b'%') => scan.regex().map(Term::Regex),
        _ => word(scan).map(Term::Text),
    }
}

fn word(scan: &mut Scan<'_>) -> Result<String, Wrong> {
    let word = scan.while_(|c| !c.is_whitespace());
    if word.is_empty() || !word.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return Err(format!("Invalid character(s) in term '{word}': put it in double quotes"));
    }
    Ok(word.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, message: &str) -> bool {
        parse(pattern).expect(pattern).matches(message)
    }

    #[test]
    fn terms_phrases_alternatives_and_exclusions() {
        assert!(matches("", "anything"));
        assert!(matches("ERROR code", "code 7: ERROR") && !matches("ERROR code", "ERROR"));
        assert!(!matches("error", "ERROR"));
        assert!(matches("\"exit code\"", "the exit code") && !matches("\"exit code\"", "exit  code"));
        assert!(matches("?ERROR ?WARN", "a WARN") && !matches("?ERROR ?WARN", "a NOTE"));
        assert!(matches("?ERROR ?WARN must", "must be"), "alternatives beside a term are ignored");
        assert!(matches("job -\"is ok\"", "job failed") && !matches("job -\"is ok\"", "job is ok"));
        assert!(matches(r#""say \"hi\"""#, r#"say "hi""#));
        assert!(matches("  über_1  ", "x über_1 y"));
    }

    #[test]
    fn regular_expressions() {
        assert!(matches("%ERR[0-9]+%", "x ERR42 y") && !matches("%ERR[0-9]+%", "ERR"));
        assert!(matches("%^start.*end$% -%skip%", "start to end"));
        assert!(!matches("%^start.*end$% -%skip%", "start skip end"));
        assert!(matches(r"%100\%%", "at 100% now"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in [
            "a.b",
            "\"open",
            "\"\"",
            "-",
            "?",
            "a \"",
            "\"\\",
            "%open",
            "%%",
            "%(a)%",
            "%[%",
            "%é%",
            "%a% %b% %c%",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&format!("%{}%", "a{1000}".repeat(100))).is_err(), "one that would be huge");
    }
}
