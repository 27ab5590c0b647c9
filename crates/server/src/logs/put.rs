//! PutLogEvents: a batch of a client's events, checked, judged, stored durably, then answered.
//!
//! Never here: reading them back.

use super::api::{DAY_MS, EVENT_OVERHEAD, Logs, failed, invalid, kept_from};
use super::groups::refused;
use crate::clock;
use crate::error::ApiError;
use crate::store::{LogWrite, LogWritten};
use batchyard_model::logs::{
    InputLogEvent, PutLogEventsRequest, PutLogEventsResponse, RejectedEntityInfo, RejectedLogEventsInfo,
};
use std::ops::Range;

/// Bytes of a batch, messages and 26 for each.
const BATCH_BYTES: usize = 1 << 20;
/// Older than this, events are rejected.
const OLDEST_MS: i64 = 14 * DAY_MS;
/// Further ahead than this too.
const NEWEST_MS: i64 = 2 * 3_600_000;

impl Logs {
    /// Stores a batch of events. Those that are too old or too new are left out and named by the answer.
    ///
    /// # Errors
    /// No such group or stream; a job's stream; a batch that is too large, spans too long, or is not in order.
    pub fn put_log_events(&self, input: PutLogEventsRequest) -> Result<PutLogEventsResponse, ApiError> {
        let events = input.log_events.unwrap_or_default();
        check(&events)?;
        let name = input.log_group_name.unwrap_or_default();
        let group = self.group(Some(&name), None)?;
        let now = clock::wall_ms();
        let (kept, rejected) = sort_out(&events, now, kept_from(&group));
        check_span(&events[kept.clone()])?;
        let kept: Vec<(i64, String)> = events.into_iter().take(kept.end).skip(kept.start).map(pair).collect();
        let next = self.store(name, input.log_stream_name.unwrap_or_default(), kept, now)?;
        Ok(PutLogEventsResponse {
            next_sequence_token: Some(format!("{next:056}")),
            rejected_log_events_info: rejected,
            rejected_entity_info: input
                .entity
                .map(|_| RejectedEntityInfo { error_type: Some("UnsupportedLogGroupType".to_string()) }),
        })
    }

    /// Judged first, stored then: whoever sees the row may look for events in vain, but never the other way.
    fn store(
        &self,
        group: String,
        name: String,
        events: Vec<(i64, String)>,
        ingested_ms: i64,
    ) -> Result<u64, ApiError> {
        let kept = events.iter().map(|(_, message)| message.len() + EVENT_OVERHEAD).sum::<usize>();
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            let group = self.group(Some(&group), None)?;
            self.stream(&group, &name)?;
            return Ok(0);
        };
        let (times_ms, bytes) = ((first.0, last.0), i64::try_from(kept).unwrap_or(i64::MAX));
        let write = LogWrite::Put { group, name, times_ms, ingested_ms, bytes };
        match self.writer.write(write.clone())? {
            LogWritten::Stream(id) => {
                self.events.insert(id, ingested_ms, events).map_err(|error| failed(&error))
            }
            other => refused(&write, other).map(|()| 0),
        }
    }
}

fn pair(event: InputLogEvent) -> (i64, String) {
    (event.timestamp.unwrap_or_default(), event.message.unwrap_or_default())
}

fn at(event: &InputLogEvent) -> i64 {
    event.timestamp.unwrap_or_default()
}

/// What holds for every batch.
fn check(events: &[InputLogEvent]) -> Result<(), ApiError> {
    let size = |e: &InputLogEvent| e.message.as_ref().map_or(0, String::len) + EVENT_OVERHEAD;
    let bytes: usize = events.iter().map(size).sum();
    if bytes > BATCH_BYTES {
        return Err(invalid(format!("Upload too large: {bytes} bytes exceeds limit of {BATCH_BYTES}")));
    }
    if !events.is_sorted_by_key(at) {
        return Err(invalid("Log events in a single PutLogEvents request must be in chronological order."));
    }
    Ok(())
}

/// Only of events that are kept, as AWS says.
fn check_span(events: &[InputLogEvent]) -> Result<(), ApiError> {
    match (events.first(), events.last()) {
        (Some(first), Some(last)) if at(last) - at(first) > DAY_MS => Err(invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        )),
        _ => Ok(()),
    }
}

/// Which events are kept, and what AWS says of the others. `expired_ms` is where the group's retention begins.
fn sort_out(
    events: &[InputLogEvent],
    now: i64,
    expired_ms: i64,
) -> (Range<usize>, Option<RejectedLogEventsInfo>) {
    let before = |ms: i64| events.partition_point(|event| at(event) < ms);
    let (old, expired) = (before(now - OLDEST_MS), before(expired_ms));
    let new = events.partition_point(|event| at(event) <= now + NEWEST_MS);
    let index = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let info = RejectedLogEventsInfo {
        too_old_log_event_end_index: (old > 0).then(|| index(old)),
        expired_log_event_end_index: (expired > 0).then(|| index(expired)),
        too_new_log_event_start_index: (new < events.len()).then(|| index(new)),
    };
    let rejected = info != RejectedLogEventsInfo::default();
    let start = old.max(expired).min(new);
    (start..new, rejected.then_some(info))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(times: &[i64]) -> Vec<InputLogEvent> {
        times.iter().map(|ms| InputLogEvent { timestamp: Some(*ms), message: Some("m".into()) }).collect()
    }

    #[test]
    fn events_out_of_time_are_named_and_left_out() {
        let now = 100 * DAY_MS;
        let events =
            batch(&[now - 15 * DAY_MS, now - 13 * DAY_MS, now, now + NEWEST_MS, now + NEWEST_MS + 1]);
        let (kept, info) = sort_out(&events, now, i64::MIN);
        let info = info.expect("some are rejected");
        assert_eq!((kept, info.too_old_log_event_end_index), (1..4, Some(1)));
        assert_eq!((info.too_new_log_event_start_index, info.expired_log_event_end_index), (Some(4), None));
        let (kept, info) = sort_out(&events, now, now - DAY_MS);
        assert_eq!((kept, info.and_then(|i| i.expired_log_event_end_index)), (2..4, Some(2)));
        assert_eq!(sort_out(&batch(&[now]), now, i64::MIN), (0..1, None));
        assert_eq!(sort_out(&batch(&[0]), now, i64::MIN).0, 1..1);
        assert_eq!(sort_out(&batch(&[i64::MAX]), now, i64::MIN).0, 0..0);
    }

    #[test]
    fn a_batch_is_in_order_small_and_of_a_day() {
        assert!(check(&batch(&[1, 1, 2])).is_ok() && check(&batch(&[2, 1])).is_err());
        assert!(check_span(&batch(&[0, DAY_MS])).is_ok() && check_span(&batch(&[0, DAY_MS + 1])).is_err());
        let large = |n: usize| [InputLogEvent { timestamp: Some(1), message: Some("x".repeat(n)) }];
        assert!(check(&large(BATCH_BYTES - 26)).is_ok());
        let error = check(&large(BATCH_BYTES - 25)).expect_err("too large");
        assert_eq!(error.message, "Upload too large: 1048577 bytes exceeds limit of 1048576");
    }
}
