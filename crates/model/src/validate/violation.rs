//! What was wrong with an input, as data and as one sentence for its sender. It does not decide what is wrong.

use std::fmt::{self, Display};

/// How many characters of a wrong text are repeated to its sender.
const MAX_SHOWN: usize = 60;

/// A limit that a member broke. Its text is one sentence: `retryStrategy.attempts must be at most 10, got 11`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The member's path from the input, such as `containerProperties.environment[2].name`.
    pub member: String,
    /// What it should have been.
    pub rule: Rule,
    /// What it was: a number, a count, or a text in quotes and shortened. Empty where the rule says enough.
    pub got: String,
}

/// What a member should have been.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// A number in a range, both ends included.
    Range {
        /// The least.
        min: Option<String>,
        /// The greatest.
        max: Option<String>,
    },
    /// A text that matches from end to end.
    Pattern(&'static str),
    /// One of these values.
    OneOf(&'static [&'static str]),
    /// A rule that no model states, worded to follow the member's name: `must not be given with arrayProperties`.
    Other(String),
}

/// The limits that an input broke: at least one, and a handful at most. Its text joins theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    pub(super) fn from_found(found: Vec<Violation>) -> Result<(), Self> {
        if found.is_empty() { Ok(()) } else { Err(Self(found)) }
    }

    /// Each of them, in the order of the input's members by name.
    pub fn iter(&self) -> std::slice::Iter<'_, Violation> {
        self.0.iter()
    }
}

impl From<Violation> for Violations {
    fn from(only: Violation) -> Self {
        Self(vec![only])
    }
}

impl std::error::Error for Violation {}
impl std::error::Error for Violations {}

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
        let member = if self.member.is_empty() { "the input" } else { &self.member };
        write!(out, "{member} {}", self.rule)?;
        if self.got.is_empty() { Ok(()) } else { write!(out, ", got {}", self.got) }
    }
}

impl Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required => out.write_str("is required"),
            Self::Length { min, max } => write_count(out, *min, *max, "character", "characters"),
            Self::Size { min, max } => write_count(out, *min, *max, "entry", "entries"),
            Self::Range { min: Some(min), max: Some(max) } => write!(out, "must be between {min} and {max}"),
            Self::Range { min: Some(min), max: None } => write!(out, "must be at least {min}"),
            Self::Range { min: None, max: Some(max) } => write!(out, "must be at most {max}"),
            Self::Range { min: None, max: None } => out.write_str("must be a number"),
            Self::Pattern(text) => write!(out, "must match {text}"),
            Self::OneOf([only]) => write!(out, "must be {only}"),
            Self::OneOf(values) => write!(out, "must be one of {}", values.join(", ")),
            Self::Other(text) => out.write_str(text),
        }
    }
}

fn write_count(
    out: &mut fmt::Formatter<'_>,
    min: usize,
    max: Option<usize>,
    one: &str,
    many: &str,
) -> fmt::Result {
    let unit = |count: usize| if count == 1 { one } else { many };
    match (min, max) {
        (0, Some(max)) => write!(out, "must have at most {max} {}", unit(max)),
        (min, None) => write!(out, "must have at least {min} {}", unit(min)),
        (min, Some(max)) if min == max => write!(out, "must have {max} {}", unit(max)),
        (min, Some(max)) => write!(out, "must have {min} to {max} {many}"),
    }
}

/// A text as it is repeated to its sender: in quotes, escaped, not too long.
pub(super) fn shown(value: &str) -> String {
    let mut short: String = value.chars().take(MAX_SHOWN).collect();
    if short.len() < value.len() {
        short.push('…');
    }
    format!("{short:?}")
}
