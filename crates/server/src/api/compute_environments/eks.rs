//! `eksConfiguration`: its form (spec infrastructure §6.1). Never here: whether there is such a cluster; the engine says
//! that there is none.

use super::tidy::spell;
use crate::error::ApiError;
use batchyard_model::batch::{EksAccessEntry, EksConfiguration, enums};

/// Characters of a namespace.
const MOST_NAMESPACE: usize = 63;

/// The configuration as it is stored.
///
/// # Errors
/// The cluster is not named, or the namespace can't be Batch's.
pub(super) fn checked(mut configuration: EksConfiguration) -> Result<EksConfiguration, ApiError> {
    if configuration.eks_cluster_arn.as_deref().is_none_or(str::is_empty) {
        return Err(ApiError::wrapped("eksConfiguration.eksClusterArn must not be empty"));
    }
    check_namespace(configuration.kubernetes_namespace.as_deref().unwrap_or_default())?;
    configuration.access_entry = configuration.access_entry.map(access_entry);
    Ok(configuration)
}

/// In AWS's letters, without what only Describe has.
pub(super) fn access_entry(mut entry: EksAccessEntry) -> EksAccessEntry {
    spell(&mut entry.desired_state, enums::EKS_ACCESS_ENTRY_DESIRED_STATE);
    entry.status = None;
    entry
}

fn check_namespace(name: &str) -> Result<(), ApiError> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = name.bytes().next().is_some_and(inner) && name.bytes().last().is_some_and(inner);
    let letters = name.bytes().all(|b| inner(b) || b == b'-');
    if !(ends && letters && name.len() <= MOST_NAMESPACE) {
        return Err(ApiError::wrapped(format!(
            "eksConfiguration.kubernetesNamespace must be 1 to {MOST_NAMESPACE} lower-case letters, digits and hyphens, a hyphen neither first nor last, got {name:?}"
        )));
    }
    if name == "default" || name.starts_with("kube-") {
        return Err(ApiError::wrapped(format!(
            "eksConfiguration.kubernetesNamespace must not be default nor begin with kube-, got {name:?}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces() {
        for good in ["batch", "a", "my-batch-1", "1x", "defaults", &"n".repeat(63)] {
            assert!(check_namespace(good).is_ok(), "{good}");
        }
        for bad in ["", "default", "kube-system", "-a", "a-", "A", "a_b", "a.b", &"n".repeat(64)] {
            assert!(check_namespace(bad).is_err(), "{bad}");
        }
    }
}
