//! Reading a pattern's text from left to right, and the parts that all kinds share.
//!
//! Never here: what the parts mean.

use regex_lite::{Regex, RegexBuilder};

/// What is wrong with a pattern, for the caller.
pub(super) type Wrong = String;

/// Expressions in one pattern, as AWS has it.
const MOST_REGEXES: usize = 2;
/// Memory that a compiled expression may take, in bytes.
const REGEX_BYTES: usize = 1 << 14;

/// The rest of a pattern.
#[derive(Debug)]
pub(super) struct Scan<'t> {
    pub rest: &'t str,
    regexes: usize,
}

impl<'t> Scan<'t> {
    pub fn new(rest: &'t str) -> Self {
        Self { rest, regexes: 0 }
    }

    pub fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes this text, after space, if it comes next.
    pub fn take(&mut self, text: &str) -> bool {
        self.space();
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes a keyword of letters, whatever its case, if it comes next and ends there.
    pub fn keyword(&mut self, word: &str) -> bool {
        self.space();
        let found = self.rest.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
        let ends = self.rest.get(word.len()..).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
        if found && ends {
            self.rest = &self.rest[word.len()..];
        }
        found && ends
    }

    /// What must come next.
    pub fn expect(&mut self, text: &str) -> Result<(), Wrong> {
        if self.take(text) { Ok(()) } else { Err(self.wrong(text)) }
    }

    /// Says what should have come here.
    pub fn wrong(&self, wanted: &str) -> Wrong {
        let here: String = self.rest.chars().take(20).collect();
        let here = if here.is_empty() { "its end".to_string() } else { format!("'{here}'") };
        format!("expected {wanted} at {here}")
    }

    /// The characters up to one that does not belong.
    pub fn while_(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// A text in double quotes, whose first is next. A backslash lets the next character stand for itself.
    pub fn quoted(&mut self) -> Result<String, Wrong> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                '\\' => text.extend(chars.next().map(|(_, escaped)| escaped)),
                c => text.push(c),
            }
        }
        Err("a text in double quotes is not closed".to_string())
    }

    /// A regular expression between percent signs, whose first is next. AWS has no brackets and no letters but ASCII.
    pub fn regex(&mut self) -> Result<Regex, Wrong> {
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find(|(_, c)| {
            let ends = *c == '%' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        let Some((end, _)) = end else {
            return Err("a regular expression is not closed by %".to_string());
        };
        let text = self.rest[1..end].replace("\\%", "%");
        self.rest = &self.rest[end + 1..];
        if text.is_empty() {
            return Err("a regular expression is empty".to_string());
        }
        if !text.is_ascii() || text.contains(['(', ')']) {
            return Err(format!("the regular expression '{text}' has round brackets or is not ASCII"));
        }
        self.regexes += 1;
        if self.regexes > MOST_REGEXES {
            return Err(format!("it has more than {MOST_REGEXES} regular expressions"));
        }
        let regex = RegexBuilder::new(&text).size_limit(REGEX_BYTES).build();
        regex.map_err(|error| format!("the regular expression '{text}' can't be used: {error}"))
    }
}
