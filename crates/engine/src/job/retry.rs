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
