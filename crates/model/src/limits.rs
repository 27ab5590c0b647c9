//! Limits that the service models do not state. Handlers apply them; the numbers live here only.

/// Enums whose values are taken in any case (by shape name).
///
/// `RetryAction` is documented so (spec jobs §7). The others are treated so by AWS's own tooling, and a client that
/// relies on it loses nothing here (spec infrastructure §1.1). What is stored is the handler's business.
pub const CASE_INSENSITIVE: &[&str] = &[
    "CRAllocationStrategy",
    "CRUpdateAllocationStrategy",
    "ContainerInsights",
    "EksAccessEntryDesiredState",
    "JobStateTimeLimitActionsAction",
    "RetryAction",
    "ServiceJobRetryAction",
    "UserdataType",
];
