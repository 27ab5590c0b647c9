//! `serviceRole`: names become ARNs, and none is the service-linked role (spec infrastructure §1.3). Whether a role is
//! there is nobody's question here.

use batchyard_model::arn::{iam_role, service_linked_role};

/// What every ARN of the service-linked role ends with, in whichever account a template was written for.
const SERVICE_LINKED: &str = ":role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch";
const SERVICE_LINKED_NAME: &str = "AWSServiceRoleForBatch";

/// The ARN of the role that was given. A managed environment without one has the service-linked role; an unmanaged one
/// has none.
pub(super) fn service_role(account: &str, given: Option<&str>, managed: bool) -> Option<String> {
    match given.filter(|role| !role.is_empty()) {
        None => managed.then(|| service_linked_role(account)),
        // Only IAM itself makes roles of this name.
        Some(SERVICE_LINKED_NAME) => Some(service_linked_role(account)),
        Some(arn) if arn.starts_with("arn:") => Some(arn.to_string()),
        Some(name) => Some(iam_role(account, name.trim_start_matches('/'))),
    }
}

/// It is the service-linked role.
pub(super) fn is_service_linked(role: &str) -> bool {
    role.ends_with(SERVICE_LINKED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_becomes_its_arn() {
        let role = |given, managed| service_role("111122223333", given, managed);
        let linked =
            "arn:aws:iam::111122223333:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch";
        assert_eq!(role(None, true).as_deref(), Some(linked));
        assert_eq!(role(Some(""), true).as_deref(), Some(linked));
        assert_eq!(role(Some("AWSServiceRoleForBatch"), true).as_deref(), Some(linked));
        assert_eq!(role(None, false), None);
        for (given, arn) in [
            ("batch", "arn:aws:iam::111122223333:role/batch"),
            ("service-role/Batch", "arn:aws:iam::111122223333:role/service-role/Batch"),
            ("/service-role/Batch", "arn:aws:iam::111122223333:role/service-role/Batch"),
            ("arn:aws:iam::444455556666:role/theirs", "arn:aws:iam::444455556666:role/theirs"),
        ] {
            assert_eq!(role(Some(given), true).as_deref(), Some(arn));
            assert!(!is_service_linked(arn));
        }
        assert!(is_service_linked(&linked.replace("111122223333", "444455556666")));
    }
}
