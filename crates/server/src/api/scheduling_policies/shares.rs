//! The rules of a policy's members, and their defaults (spec infrastructure §4.1). Never here: policies as resources.

use super::Given;
use crate::error::ApiError;
use batchyard_engine::resource::PolicyKind;
use batchyard_model::batch::{FairsharePolicy, QuotaSharePolicy, ShareAttributes};
use batchyard_model::limits::MAX_SHARE_IDENTIFIER;

/// Seconds of usage that count, a week at most.
const DECAY_SECONDS: std::ops::RangeInclusive<i32> = 0..=604_800;
/// Percent.
const RESERVATION: std::ops::RangeInclusive<i32> = 0..=99;
const WEIGHT: std::ops::RangeInclusive<f64> = 0.0001..=999.9999;
const USUAL_WEIGHT: f64 = 1.0;
/// Entries of `shareDistribution`, as many as there can be active shares.
const MAX_SHARES: usize = 500;

/// At most one of both, checked and with defaults. `None`: neither is given.
pub(super) fn checked(
    fairshare: Option<FairsharePolicy>,
    quota: Option<QuotaSharePolicy>,
) -> Result<Option<Given>, ApiError> {
    match (fairshare, quota) {
        (Some(_), Some(_)) => {
            Err(ApiError::wrapped("only one of fairsharePolicy and quotaSharePolicy can be given"))
        }
        (Some(policy), None) => Ok(Some((PolicyKind::FairShare, Some(fair(policy)?), None))),
        (None, quota) => Ok(quota.map(|quota| (PolicyKind::QuotaShare, None, Some(quota)))),
    }
}

fn fair(policy: FairsharePolicy) -> Result<FairsharePolicy, ApiError> {
    let decay = policy.share_decay_seconds.unwrap_or(0);
    if !DECAY_SECONDS.contains(&decay) {
        return Err(ApiError::wrapped(format!(
            "fairsharePolicy.shareDecaySeconds must be between 0 and 604800, got {decay}"
        )));
    }
    let reservation = policy.compute_reservation.unwrap_or(0);
    if !RESERVATION.contains(&reservation) {
        return Err(ApiError::wrapped(format!(
            "fairsharePolicy.computeReservation must be between 0 and 99, got {reservation}"
        )));
    }
    let mut shares = policy.share_distribution.unwrap_or_default();
    if shares.len() > MAX_SHARES {
        return Err(ApiError::wrapped(format!(
            "fairsharePolicy.shareDistribution must have at most {MAX_SHARES} entries, got {}",
            shares.len()
        )));
    }
    for (index, share) in shares.iter_mut().enumerate() {
        check_share(index, share)?;
    }
    apart(&shares)?;
    Ok(FairsharePolicy {
        compute_reservation: Some(reservation),
        share_decay_seconds: Some(decay),
        share_distribution: Some(shares),
    })
}

fn check_share(index: usize, share: &mut ShareAttributes) -> Result<(), ApiError> {
    let at = format!("fairsharePolicy.shareDistribution[{index}]");
    let identifier = share.share_identifier.as_deref().unwrap_or_default();
    let fixed = stem(identifier);
    let good = !identifier.is_empty()
        && identifier.len() <= MAX_SHARE_IDENTIFIER
        && fixed.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !good {
        return Err(ApiError::wrapped(format!(
            "{at}.shareIdentifier must be 1 to {MAX_SHARE_IDENTIFIER} letters and digits that may end in *"
        )));
    }
    let weight = *share.weight_factor.get_or_insert(USUAL_WEIGHT);
    if !WEIGHT.contains(&weight) {
        return Err(ApiError::wrapped(format!(
            "{at}.weightFactor must be between 0.0001 and 999.9999, got {weight}"
        )));
    }
    Ok(())
}

/// No share may belong to two entries.
fn apart(shares: &[ShareAttributes]) -> Result<(), ApiError> {
    let mut names: Vec<&str> = shares.iter().filter_map(|s| s.share_identifier.as_deref()).collect();
    names.sort_unstable_by_key(|name| stem(name));
    // Sorted by stem, whatever a prefix covers stands right behind it, or is the same as it.
    for pair in names.windows(2) {
        let (first, second) = (pair[0], pair[1]);
        let same =
            stem(first) == stem(second) && (first == second || first.ends_with('*') || second.ends_with('*'));
        if same || (first.ends_with('*') && stem(second).starts_with(stem(first))) {
            return Err(ApiError::wrapped(format!(
                "fairsharePolicy.shareDistribution: {first:?} and {second:?} overlap, a share can belong to one entry only"
            )));
        }
    }
    Ok(())
}

fn stem(identifier: &str) -> &str {
    identifier.strip_suffix('*').unwrap_or(identifier)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(names: &[&str]) -> FairsharePolicy {
        let share = |name: &&str| ShareAttributes {
            share_identifier: Some(name.to_string()),
            ..ShareAttributes::default()
        };
        FairsharePolicy {
            share_distribution: Some(names.iter().map(share).collect()),
            ..FairsharePolicy::default()
        }
    }

    #[test]
    fn identifiers_may_not_overlap() {
        for good in [&["A", "B"][..], &["UserA*", "UserB*"], &["ab", "a"], &["*"], &[]] {
            assert!(fair(shares(good)).is_ok(), "{good:?}");
        }
        for bad in [
            &["A", "A"][..],
            &["UserA*", "UserA1"],
            &["UserA1", "x", "UserA*"],
            &["A*", "A"],
            &["A", "A*"],
            &["A*", "AB*"],
            &["*", "z"],
            &["A*", "AA", "AB"],
        ] {
            assert!(fair(shares(bad)).unwrap_err().message.contains("overlap"), "{bad:?}");
        }
    }

    #[test]
    fn identifiers_are_letters_and_digits() {
        let long = "x".repeat(256);
        for bad in ["", "a-b", "a*b", "**", "ä", "a b", &long] {
            let error = fair(shares(&[bad])).unwrap_err().message;
            assert!(error.contains("shareDistribution[0].shareIdentifier"), "{error}");
        }
        assert!(fair(shares(&[&long[1..]])).is_ok());
    }

    #[test]
    fn ranges_and_defaults() {
        let full = fair(shares(&["a"])).unwrap();
        assert_eq!((full.share_decay_seconds, full.compute_reservation), (Some(0), Some(0)));
        assert_eq!(full.share_distribution.unwrap()[0].weight_factor, Some(1.0));
        for (decay, good) in [(-1, false), (0, true), (604_800, true), (604_801, false)] {
            let policy = FairsharePolicy { share_decay_seconds: Some(decay), ..shares(&[]) };
            assert_eq!(fair(policy).is_ok(), good, "{decay}");
        }
        for (percent, good) in [(-1, false), (99, true), (100, false)] {
            let policy = FairsharePolicy { compute_reservation: Some(percent), ..shares(&[]) };
            assert_eq!(fair(policy).is_ok(), good, "{percent}");
        }
        for (weight, good) in [(0.0, false), (0.0001, true), (999.9999, true), (1000.0, false), (-1.0, false)]
        {
            let mut policy = shares(&["a"]);
            policy.share_distribution.as_mut().unwrap()[0].weight_factor = Some(weight);
            assert_eq!(fair(policy).is_ok(), good, "{weight}");
        }
    }
}
