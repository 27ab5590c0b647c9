//! Checks inputs against the limits of the service models and says, by the member's path, what is wrong.
//! The checks per shape are generated; what they call is here. Rules between members are for handlers.

mod pattern;
#[cfg(test)]
mod tests;
mod violation;

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write};

pub use pattern::Pattern;
pub use violation::{Rule, Violation, Violations};

use crate::limits::{CASE_INSENSITIVE, MAY_BE_EMPTY};
use violation::shown;

/// How many violations are told; a longer list helps nobody.
const MAX_TOLD: usize = 5;

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

/// Collects violations while a value is walked, and knows where in the value the walk is.
///
/// Handlers use it for the rules that the models do not state: walk to the member, then `report`, `range`, ….
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
        Violations::from_found(self.found)
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

    /// Limits the entries of a list or map of the shape called `shape`.
    pub fn size(&mut self, count: usize, shape: &str, min: usize, max: Option<usize>) {
        let too_few = count < min && !(count == 0 && MAY_BE_EMPTY.contains(&shape));
        if too_few || max.is_some_and(|max| count > max) {
            self.report(Rule::Size { min, max }, count.to_string());
        }
    }

    /// Limits a number, both ends included.
    pub fn range<N: PartialOrd + Display>(&mut self, value: N, min: Option<N>, max: Option<N>) {
        let too_small = min.as_ref().is_some_and(|min| value < *min);
        if too_small || max.as_ref().is_some_and(|max| value > *max) {
            let text = |bound: Option<N>| bound.map(|bound| bound.to_string());
            self.report(Rule::Range { min: text(min), max: text(max) }, value.to_string());
        }
    }

    /// Holds a text to a pattern, from end to end.
    pub fn pattern(&mut self, value: &str, pattern: &Pattern) {
        if !pattern.matches(value) {
            self.report(Rule::Pattern(pattern.text()), shown(value));
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
