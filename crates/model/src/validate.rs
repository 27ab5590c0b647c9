//! Checks inputs against the limits of the service models and says, by the member's path, what is wrong.
//! The checks per shape are generated; what they call is here. Rules between members are for handlers.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write};
use std::sync::OnceLock;

use regex_lite::Regex;

use crate::limits::CASE_INSENSITIVE;

/// How many violations are told; a longer list helps nobody.
const MAX_TOLD: usize = 5;

/// How many characters of a wrong value are repeated to its sender.
const MAX_SHOWN: usize = 60;

/// An input, or a part of one, that can be checked.
pub trait Validate {
    /// Reports to `check` whatever breaks a limit of the model.
    fn validate(&self, check: &mut Check);

    /// Checks the whole value.
    ///
    /// # Errors
    /// The limits that it breaks, the first few of them.
    fn check(&self) -> Result<(), Violations> {
        let mut check = Check::default();
        self.validate(&mut check);
        check.finish()
    }
}

/// A limit that a member broke.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// The member's path from the input, such as `containerProperties.environment[2].name`.
    pub member: String,
    /// What it should have been.
    pub rule: Rule,
    /// What it was, shortened; empty where the rule says enough.
    pub got: String,
}

/// What a member should have been.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// It must be given.
    Required,
    /// A text of so many characters.
    Length {
        /// At least so many.
        min: usize,
        /// At most so many.
        max: Option<usize>,
    },
    /// A list or map of so many entries.
    Size {
        /// At least so many.
        min: usize,
        /// At most so many.
        max: Option<usize>,
    },
    /// A number in a range, both ends included, as text.
    Range {
        /// The least.
        min: Option<String>,
        /// The greatest.
        max: Option<String>,
    },
    /// A text that matches as a whole.
    Pattern(&'static str),
    /// One of these values.
    OneOf(&'static [&'static str]),
    /// A rule of a handler, worded to follow the member's name: `must not be given with …`.
    Other(String),
}

/// The limits that an input broke: one at least, [`MAX_TOLD`] at most.
#[derive(Debug, Clone, PartialEq)]
pub struct Violations(Vec<Violation>);

/// Collects violations while a value is walked, and knows where in the value the walk is.
#[derive(Debug, Default)]
pub struct Check {
    path: String,
    found: Vec<Violation>,
}

impl Check {
    /// The result of the walk.
    ///
    /// # Errors
    /// The limits that were broken.
    pub fn finish(self) -> Result<(), Violations> {
        if self.found.is_empty() { Ok(()) } else { Err(Violations(self.found)) }
    }

    /// Reports that the place of the walk breaks `rule`. `got` is what stands there, or empty.
    pub fn report(&mut self, rule: Rule, got: impl Into<String>) {
        if self.found.len() < MAX_TOLD {
            self.found.push(Violation { member: self.path.clone(), rule, got: got.into() });
        }
    }

    /// Walks into a member, if it is given.
    pub fn member<T>(&mut self, name: &str, value: &Option<T>, inner: impl FnOnce(&mut Self, &T)) {
        if let Some(value) = value {
            self.at_member(name, |check| inner(check, value));
        }
    }

    /// Reports a member that must be given and is not.
    pub fn required<T>(&mut self, name: &str, value: &Option<T>) {
        if value.is_none() {
            self.at_member(name, |check| check.report(Rule::Required, ""));
        }
    }

    /// Walks over a list.
    pub fn items<T>(&mut self, list: &[T], mut inner: impl FnMut(&mut Self, &T)) {
        for (index, item) in list.iter().enumerate() {
            self.at(format_args!("[{index}]"), |check| inner(check, item));
        }
    }

    /// Walks over the keys of a map.
    pub fn keys<T>(&mut self, map: &BTreeMap<String, T>, mut inner: impl FnMut(&mut Self, &String)) {
        for key in map.keys() {
            self.at(format_args!(" key {}", shown(key)), |check| inner(check, key));
        }
    }

    /// Walks over the values of a map.
    pub fn values<T>(&mut self, map: &BTreeMap<String, T>, mut inner: impl FnMut(&mut Self, &T)) {
        for (key, value) in map {
            self.at(format_args!("[{}]", shown(key)), |check| inner(check, value));
        }
    }

    /// Limits the characters of a text.
    pub fn length(&mut self, value: &str, min: usize, max: Option<usize>) {
        let count = value.chars().count();
        if count < min || max.is_some_and(|max| count > max) {
            self.report(Rule::Length { min, max }, count.to_string());
        }
    }

    /// Limits the entries of a list or map.
    pub fn size(&mut self, count: usize, min: usize, max: Option<usize>) {
        if count < min || max.is_some_and(|max| count > max) {
            self.report(Rule::Size { min, max }, count.to_string());
        }
    }

    /// Limits a number, both ends included.
    pub fn range<N: PartialOrd + Display, L: Into<N> + Copy>(
        &mut self,
        value: N,
        min: Option<L>,
        max: Option<L>,
    ) {
        let _ = (&value, min.is_some(), max.is_some());
    }

    /// Holds a text to a pattern, as a whole.
    pub fn pattern(&mut self, value: &str, pattern: &Pattern) {
        if !pattern.matches(value) {
            self.report(Rule::Pattern(pattern.text), shown(value));
        }
    }

    /// Holds a text to the values of the enum called `shape`.
    pub fn one_of(&mut self, value: &str, shape: &str, values: &'static [&'static str]) {
        let any_case = || CASE_INSENSITIVE.contains(&shape) && canonical(values, value).is_some();
        if !values.contains(&value) && !any_case() {
            self.report(Rule::OneOf(values), shown(value));
        }
    }

    fn at_member(&mut self, name: &str, inner: impl FnOnce(&mut Self)) {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.at(format_args!("{dot}{name}"), inner);
    }

    fn at(&mut self, step: fmt::Arguments<'_>, inner: impl FnOnce(&mut Self)) {
        let before = self.path.len();
        // Writing to a String cannot fail.
        let _ = self.path.write_fmt(step);
        inner(self);
        self.path.truncate(before);
    }
}

/// The value among `values` that `text` is in some case: what to store of an enum that is taken in any case.
pub fn canonical(values: &[&'static str], text: &str) -> Option<&'static str> {
    values.iter().find(|value| value.eq_ignore_ascii_case(text)).copied()
}

fn shown(value: &str) -> String {
    let mut short: String = value.chars().take(MAX_SHOWN).collect();
    if short.len() < value.len() {
        short.push('…');
    }
    format!("{short:?}")
}
/// A pattern of a service model, compiled at its first use.
#[derive(Debug)]
pub struct Pattern {
    text: &'static str,
    regex: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// A pattern that a text must match from end to end.
    pub const fn new(text: &'static str) -> Self {
        Self { text, regex: OnceLock::new() }
    }

    fn matches(&self, value: &str) -> bool {
        // A pattern that does not compile limits nothing; a test compiles them all.
        self.compiled().is_none_or(|regex| regex.is_match(value))
    }

    fn compiled(&self) -> Option<&Regex> {
        self.regex.get_or_init(|| Regex::new(&format!("^(?:{})$", self.text)).ok()).as_ref()
    }
}

impl Display for Violations {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, violation) in self.0.iter().enumerate() {
            write!(out, "{}{violation}", if number == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}
impl Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {:?}", self.member, self.rule)
    }
}
impl std::error::Error for Violations {}
