//! Comparing a value with what a pattern says: numbers, texts with wildcards, regular expressions.
//!
//! Never here: where the value comes from (`json`, `columns`).

use super::scan::{Scan, Wrong};
use regex_lite::Regex;

/// An operator and what is on its right.
#[derive(Debug)]
pub(super) enum Test {
    /// `=`; negated: `!=`.
    Equal { to: Value, not: bool },
    /// `<`, `<=`, `>`, `>=`: the orders that fit, and the number.
    Order { less: bool, equal: bool, than: f64 },
}

#[derive(Debug)]
pub(super) enum Value {
    Number(f64),
    /// The parts between the wildcards.
    Text(Vec<String>),
    Regex(Regex),
}

impl Test {
    /// Reads an operator and its value; `ends` says which characters a bare word does not hold.
    pub fn parse(scan: &mut Scan<'_>, ends: impl Fn(char) -> bool) -> Result<Self, Wrong> {
        for (text, not) in [("!=", true), ("=", false)] {
            if scan.take(text) {
                return Ok(Self::Equal { to: value(scan, ends)?, not });
            }
        }
        for (text, less, equal) in
            [("<=", true, true), (">=", false, true), ("<", true, false), (">", false, false)]
        {
            if scan.take(text) {
                return match value(scan, ends)? {
                    Value::Number(than) => Ok(Self::Order { less, equal, than }),
                    _ => Err(format!("{text} compares numbers only")),
                };
            }
        }
        Err(scan.wrong("=, !=, <, <=, > or >="))
    }

    /// Of a text: a number is compared as one if the text is one.
    pub fn matches_text(&self, text: &str) -> bool {
        match self {
            Self::Equal { to: Value::Number(to), not } => number(text).is_some_and(|n| n == *to) != *not,
            Self::Equal { to: Value::Text(parts), not } => like(text, parts) != *not,
            Self::Equal { to: Value::Regex(regex), not } => regex.is_match(text) != *not,
            Self::Order { .. } => number(text).is_some_and(|n| self.matches_number(n)),
        }
    }

    /// Of a number.
    pub fn matches_number(&self, n: f64) -> bool {
        match self {
            Self::Order { less: true, equal, than } => n < *than || (*equal && n == *than),
            Self::Order { less: false, equal, than } => n > *than || (*equal && n == *than),
            Self::Equal { to: Value::Number(to), not } => (n == *to) != *not,
            Self::Equal { .. } => self.matches_text(&n.to_string()),
        }
    }
}

fn value(scan: &mut Scan<'_>, ends: impl Fn(char) -> bool) -> Result<Value, Wrong> {
    scan.space();
    match scan.rest.as_bytes().first() {
        Some(b'"') => scan.quoted().map(|text| Value::Text(parts(&text))),
        Some(b'%') => scan.regex().map(Value::Regex),
        _ => match scan.while_(|c| !c.is_whitespace() && !ends(c)) {
            "" => Err(scan.wrong("a value")),
            word => Ok(number(word).map_or_else(|| Value::Text(parts(word)), Value::Number)),
        },
    }
}

fn number(text: &str) -> Option<f64> {
    // Rust reads "inf" and "nan" as numbers too.
    let begins = text.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit() || c == '.');
    text.parse().ok().filter(|_| begins)
}

fn parts(text: &str) -> Vec<String> {
    text.split('*').map(str::to_string).collect()
}

/// Whether a text is these parts with anything between them.
fn like(text: &str, parts: &[String]) -> bool {
    let [first, middle @ .., last] = parts else {
        return parts.first().is_some_and(|only| only == text);
    };
    let Some(rest) = text.strip_prefix(first.as_str()) else { return false };
    let Some(mut rest) = rest.strip_suffix(last.as_str()) else { return false };
    for part in middle {
        match rest.find(part.as_str()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_anything() {
        let cases = [
            ("abc", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "abbc", true),
            ("a*a", "a", false),
            ("*", "", true),
            ("*b*", "abc", true),
            ("*b*b*", "abc", false),
            ("4*", "404", true),
            ("a", "ab", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(like(text, &parts(pattern)), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn words_are_no_numbers() {
        assert_eq!((number("1e3"), number("-2.5"), number(".5")), (Some(1000.0), Some(-2.5), Some(0.5)));
        assert_eq!((number("inf"), number("nan"), number("-"), number("1x")), (None, None, None, None));
    }
}
