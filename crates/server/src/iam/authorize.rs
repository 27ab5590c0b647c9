//! The one function that decides access. Policies are not there yet: the account's root may do everything in its
//! account, nobody else may do anything.

use crate::error::{ApiError, ErrorKind};
use std::sync::Arc;

/// Who signed a request. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The account, twelve digits.
    pub account: Arc<str>,
    /// The principal's ARN, such as `arn:aws:iam::123456789012:root`.
    pub arn: Arc<str>,
    /// The access key that signed.
    pub access_key_id: Arc<str>,
}

impl Principal {
    /// The root of an account.
    pub fn root(account: &str, access_key_id: &str) -> Self {
        let arn = batchyard_model::arn::iam_root(account);
        Self { account: account.into(), arn: arn.into(), access_key_id: access_key_id.into() }
    }

    /// Whether this is its account's root.
    pub fn is_root(&self) -> bool {
        self.arn.ends_with(":root")
    }
}

/// What policies may compare beside action and resources: condition keys and their values (spec infrastructure §8.1).
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// Condition keys with their values, such as `("batch:ShareIdentifier", "blue")`.
    pub keys: &'a [(&'a str, &'a str)],
}

/// Decides whether `principal` may do `action` (such as `batch:SubmitJob`) on every one of `resources` (ARNs; none
/// means `*`). Every request passes here before it changes or shows anything.
///
/// # Errors
/// `AccessDeniedException`, in AWS's words, naming the first resource that is out of reach.
pub fn authorize(
    principal: &Principal,
    action: &str,
    resources: &[&str],
    _context: &Context<'_>,
) -> Result<(), ApiError> {
    let foreign = resources.iter().find(|arn| !in_account(arn, &principal.account));
    if principal.is_root() && foreign.is_none() {
        return Ok(());
    }
    let resource = foreign.or(resources.first()).copied().unwrap_or("*");
    Err(ApiError::new(
        ErrorKind::AccessDenied,
        format!(
            "User: {} is not authorized to perform: {action} on resource: {resource} because no identity-based \
             policy allows the {action} action",
            principal.arn
        ),
    ))
}

/// Whether `resource` lies in `account`. What is no ARN, or names no account, belongs to whoever asks.
fn in_account(resource: &str, account: &str) -> bool {
    let mut parts = resource.splitn(6, ':');
    if parts.next() != Some("arn") {
        return true;
    }
    parts.nth(3).is_none_or(|owner| owner.is_empty() || owner == account)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "arn:aws:batch:us-east-1:123456789012:job-queue/q";

    #[test]
    fn root_may_everything_in_its_account() {
        let root = Principal::root("123456789012", "AKID");
        let context = Context::default();
        assert_eq!(authorize(&root, "batch:ListJobs", &[], &context), Ok(()));
        assert_eq!(authorize(&root, "batch:SubmitJob", &[QUEUE, "*"], &context), Ok(()));
    }

    #[test]
    fn another_account_is_out_of_reach() {
        let root = Principal::root("210987654321", "AKID");
        let error = authorize(&root, "batch:SubmitJob", &[QUEUE], &Context::default()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::AccessDenied);
        assert!(
            error.message.starts_with(
                "User: arn:aws:iam::210987654321:root is not authorized to perform: batch:SubmitJob on resource: \
                 arn:aws:batch:us-east-1:123456789012:job-queue/q because"
            ),
            "{error}"
        );
    }

    #[test]
    fn nobody_else_may_anything() {
        let mut user = Principal::root("123456789012", "AKID");
        user.arn = "arn:aws:iam::123456789012:user/eve".into();
        assert!(authorize(&user, "batch:ListJobs", &[], &Context::default()).is_err());
    }
}
