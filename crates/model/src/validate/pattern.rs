//! The patterns of the service models. They are held to whole texts, as AWS holds them, anchored or not.

use std::sync::OnceLock;

use regex_lite::Regex;

/// A pattern, compiled at its first use.
#[derive(Debug)]
pub struct Pattern {
    text: &'static str,
    regex: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// A pattern in the syntax of the regex library.
    pub const fn new(text: &'static str) -> Self {
        Self { text, regex: OnceLock::new() }
    }

    /// The pattern as it was written.
    pub fn text(&self) -> &'static str {
        self.text
    }

    /// Whether `value` matches from end to end.
    pub fn matches(&self, value: &str) -> bool {
        // A pattern that does not compile limits nothing; a test compiles every generated one.
        self.compiled().is_none_or(|regex| regex.is_match(value))
    }

    pub(crate) fn compiled(&self) -> Option<&Regex> {
        self.regex.get_or_init(|| Regex::new(&format!(r"\A(?:{})\z", self.text)).ok()).as_ref()
    }
}
