//! What definitions and submissions have in common: retries, timeouts, priorities (spec jobs §2.1, §7).
//!
//! Never here: containers.

use crate::error::ApiError;
use batchyard_model::batch::*;
use batchyard_model::limits::{
    ATTEMPTS, MAX_EVALUATE_ON_EXIT, MAX_EXIT_PATTERN, MIN_TIMEOUT_SECONDS, SCHEDULING_PRIORITY,
};

/// Whether consumable resources are asked for.
pub fn has_consumables(properties: &Option<ConsumableResourceProperties>) -> bool {
    properties.as_ref().and_then(|p| p.consumable_resource_list.as_ref()).is_some_and(|l| !l.is_empty())
}

/// The range of a priority, called `member` by its sender.
pub fn check_priority(priority: Option<i32>, member: &str) -> Result<(), ApiError> {
    match priority.filter(|p| !SCHEDULING_PRIORITY.contains(p)) {
        Some(p) => Err(ApiError::wrapped(format!("{member} must be between 0 and 9999, got {p}"))),
        None => Ok(()),
    }
}

/// `retryStrategy` as AWS shows it: with its list even when empty.
pub fn shown_retry(mut retry: RetryStrategy) -> RetryStrategy {
    retry.evaluate_on_exit.get_or_insert_default();
    retry
}

/// The rules of `retryStrategy` (spec jobs §7).
pub fn check_retry(retry: &Option<RetryStrategy>) -> Result<(), ApiError> {
    let Some(retry) = retry else { return Ok(()) };
    let attempts = retry
        .attempts
        .ok_or_else(|| ApiError::wrapped("RetryAttempts must be provided with retry strategy"))?;
    if !ATTEMPTS.contains(&attempts) {
        return Err(ApiError::wrapped(format!(
            "retryStrategy.attempts must be between 1 and 10, got {attempts}"
        )));
    }
    let rules = retry.evaluate_on_exit.as_deref().unwrap_or_default();
    if rules.len() > MAX_EVALUATE_ON_EXIT {
        return Err(ApiError::wrapped(format!(
            "retryStrategy.evaluateOnExit must have at most 5 entries, got {}",
            rules.len()
        )));
    }
    rules.iter().enumerate().try_for_each(|(i, rule)| check_rule(i, rule))
}

fn check_rule(index: usize, rule: &EvaluateOnExit) -> Result<(), ApiError> {
    let digits = |p: &str| p.bytes().all(|b| b.is_ascii_digit());
    let members = [
        ("onStatusReason", &rule.on_status_reason, false),
        ("onReason", &rule.on_reason, false),
        ("onExitCode", &rule.on_exit_code, true),
    ];
    for (member, pattern, numeric) in members {
        let Some(pattern) = pattern else { continue };
        let fixed = pattern.strip_suffix('*').unwrap_or(pattern);
        let long = pattern.chars().count() > MAX_EXIT_PATTERN;
        if long || fixed.contains('*') || (numeric && !digits(fixed)) || pattern.is_empty() {
            return Err(ApiError::wrapped(format!(
                "retryStrategy.evaluateOnExit[{index}].{member} must be {} of at most 512 characters that may end in *, got {pattern:?}",
                if numeric { "digits" } else { "a text" }
            )));
        }
    }
    Ok(())
}

/// The rule of `timeout` (spec jobs §7).
pub fn check_timeout(timeout: &Option<JobTimeout>) -> Result<(), ApiError> {
    match timeout.as_ref().and_then(|t| t.attempt_duration_seconds).filter(|s| *s < MIN_TIMEOUT_SECONDS) {
        Some(s) => {
            Err(ApiError::wrapped(format!("timeout.attemptDurationSeconds must be at least 60, got {s}")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spec jobs §7: a `*` only at the end, codes in digits, any letter case of the action.
    #[test]
    fn patterns_of_retry() {
        let text = |on_exit_code: Option<&str>, on_reason: Option<&str>| {
            let rule = EvaluateOnExit {
                action: Some("exit".into()),
                on_exit_code: on_exit_code.map(Into::into),
                on_reason: on_reason.map(Into::into),
                ..Default::default()
            };
            let retry = RetryStrategy { attempts: Some(2), evaluate_on_exit: Some(vec![rule]) };
            check_retry(&Some(retry)).map_or_else(|e| e.message, |()| "fine".to_string())
        };
        for code in ["0", "13*", "*"] {
            assert_eq!(text(Some(code), None), "fine", "{code}");
        }
        for code in ["", "a", "1*3", "-1"] {
            assert!(text(Some(code), None).contains("evaluateOnExit[0].onExitCode must be digits"), "{code}");
        }
        for reason in ["*", "Host EC2*", "Task failed (x).", &"r".repeat(512)] {
            assert_eq!(text(None, Some(reason)), "fine", "{reason}");
        }
        for reason in ["", "a*b", &"r".repeat(513)] {
            assert!(text(None, Some(reason)).contains("onReason must be a text"), "{reason}");
        }
    }
}
