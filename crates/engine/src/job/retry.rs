//! The retry strategy of a job (spec jobs §7). Never here: what a failed attempt's texts are.

use std::sync::Arc;

/// `retryStrategy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryStrategy {
    /// All attempts, the first included; 1 to 10.
    pub attempts: u32,
    /// `evaluateOnExit`, tried in order; the first that matches decides, none: try again.
    pub rules: Arc<[RetryRule]>,
}

impl Default for RetryStrategy {
    fn default() -> Self {
        Self { attempts: 1, rules: Arc::from([]) }
    }
}

/// One entry of `evaluateOnExit`; all of its patterns must match. A trailing `*` matches any rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryRule {
    /// RETRY, else EXIT.
    pub retry: bool,
    /// Against the attempt's `statusReason`.
    pub on_status_reason: Option<Arc<str>>,
    /// Against the container's `reason`.
    pub on_reason: Option<Arc<str>>,
    /// Against the decimal exit code.
    pub on_exit_code: Option<Arc<str>>,
}

/// A failed attempt as the rules see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FailedAttempt<'a> {
    /// Its number, from 1.
    pub number: u32,
    /// Its `statusReason`.
    pub status_reason: &'a str,
    /// Its container's `reason`.
    pub reason: Option<&'a str>,
    /// Its container's exit code.
    pub exit_code: Option<i32>,
}

impl RetryStrategy {
    /// Whether another attempt follows this one.
    pub(crate) fn wants_another(&self, failed: FailedAttempt<'_>) -> bool {
        failed.number < self.attempts
            && self.rules.iter().find(|rule| rule.matches(failed)).is_none_or(|rule| rule.retry)
    }
}

impl RetryRule {
    fn matches(&self, failed: FailedAttempt<'_>) -> bool {
        let code = failed.exit_code.map(|code| code.to_string());
        // `onReason: "*"` is in wide use for "anything else", so it takes an absent reason, too.
        let reason = |pattern: &str| failed.reason.map_or(pattern == "*", |text| fits(pattern, text));
        self.on_status_reason.as_deref().is_none_or(|pattern| fits(pattern, failed.status_reason))
            && self.on_reason.as_deref().is_none_or(reason)
            && self.on_exit_code.as_deref().is_none_or(|p| code.as_deref().is_some_and(|code| fits(p, code)))
    }
}

/// A pattern is the whole text, or its beginning when it ends in `*`. A `*` elsewhere is a plain character.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => text.starts_with(beginning),
        None => pattern == text,
    }
}

#[cfg(test)]
mod tests;
