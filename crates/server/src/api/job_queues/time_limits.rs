//! `jobStateTimeLimitActions`: what may be set (spec infrastructure §3.3). Never here: carrying it out; the engine does.

use crate::error::ApiError;
use batchyard_engine::resource::{LimitCause, TimeLimit};
use batchyard_model::batch::JobStateTimeLimitAction;
use batchyard_model::limits::STATE_TIME_LIMIT_SECONDS;

/// Causes that only queues with service environments know.
const OF_SERVICES: [&str; 2] =
    ["MISCONFIGURATION:SERVICE_ENVIRONMENT_MAX_RESOURCE", "MISCONFIGURATION:QUOTA_MANAGEMENT_LIMIT_EXCEEDED"];
/// What is done with a job of a compute environment; TERMINATE is for service jobs.
const CANCEL: &str = "CANCEL";

/// The actions as they are shown, and what the engine needs of them.
pub(super) fn checked(
    actions: &[JobStateTimeLimitAction],
) -> Result<(Vec<JobStateTimeLimitAction>, Vec<TimeLimit>), ApiError> {
    let (mut shown, mut limits) = (Vec::new(), Vec::<TimeLimit>::new());
    for (index, action) in actions.iter().enumerate() {
        let limit = limit(index, action)?;
        if limits.iter().any(|other| other.cause == limit.cause) {
            let name = limit.cause.name();
            return Err(ApiError::wrapped(format!("jobStateTimeLimitActions has two entries for {name}")));
        }
        limits.push(limit);
        shown.push(JobStateTimeLimitAction { action: Some(CANCEL.to_string()), ..action.clone() });
    }
    Ok((shown, limits))
}

fn limit(index: usize, action: &JobStateTimeLimitAction) -> Result<TimeLimit, ApiError> {
    let at = format!("jobStateTimeLimitActions[{index}]");
    let reason = action.reason.as_deref().unwrap_or_default();
    let Some(cause) = LimitCause::from_name(reason) else {
        let whose = if OF_SERVICES.contains(&reason) {
            "which only a job queue with a service environment can have"
        } else {
            "which is none that a limit can be set for"
        };
        let known = LimitCause::ALL.map(LimitCause::name).join(", ");
        return Err(ApiError::wrapped(format!(
            "Invalid job reason: {at}.reason is {:?}, {whose}; use one of {known}",
            crate::api::input::clip(reason)
        )));
    };
    let seconds = action.max_time_seconds.unwrap_or_default();
    if !STATE_TIME_LIMIT_SECONDS.contains(&seconds) {
        return Err(ApiError::wrapped(format!(
            "{at}.maxTimeSeconds must be between 600 and 86400, got {seconds}"
        )));
    }
    if !action.action.as_deref().is_some_and(|action| action.eq_ignore_ascii_case(CANCEL)) {
        return Err(ApiError::wrapped(format!(
            "{at}.action must be CANCEL, TERMINATE is for job queues with a service environment"
        )));
    }
    Ok(TimeLimit { cause, max_s: seconds.unsigned_abs() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(reason: &str, seconds: i32, action: &str) -> JobStateTimeLimitAction {
        JobStateTimeLimitAction {
            action: Some(action.into()),
            max_time_seconds: Some(seconds),
            reason: Some(reason.into()),
            state: Some("RUNNABLE".into()),
        }
    }

    #[test]
    fn what_can_be_set() {
        let all = LimitCause::ALL.map(|cause| action(cause.name(), 600, "cancel"));
        let (shown, limits) = checked(&all).unwrap();
        assert!(shown.iter().all(|a| a.action.as_deref() == Some("CANCEL")));
        assert_eq!(
            limits.iter().map(|l| (l.cause, l.max_s)).collect::<Vec<_>>(),
            LimitCause::ALL.map(|c| (c, 600))
        );
        assert!(checked(&[action(LimitCause::ALL[0].name(), 86_400, "CANCEL")]).is_ok());
    }

    #[test]
    fn what_cannot() {
        let name = LimitCause::Capacity.name();
        let twice = [action(name, 600, "CANCEL"), action(name, 700, "CANCEL")];
        assert!(checked(&twice).unwrap_err().message.contains("two entries"));
        for (bad, words) in [
            (action("because", 600, "CANCEL"), "Invalid job reason"),
            (action(OF_SERVICES[0], 600, "CANCEL"), "service environment"),
            (action("MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS", 600, "CANCEL"), "Invalid job reason"),
            (action(name, 599, "CANCEL"), "[0].maxTimeSeconds"),
            (action(name, 86_401, "CANCEL"), "[0].maxTimeSeconds"),
            (action(name, -1, "CANCEL"), "[0].maxTimeSeconds"),
            (action(name, 600, "TERMINATE"), "must be CANCEL"),
        ] {
            let message = checked(&[bad]).unwrap_err().message;
            assert!(message.contains(words), "{message}");
        }
    }
}
