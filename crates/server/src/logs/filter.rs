//! FilterLogEvents: events of many streams of a group, by time, a page at a time.
//!
//! A token is the place of the last event that was looked at and the direction, so it never ages. Never here: what a
//! pattern means (`pattern`), how streams become one sequence (`merge`).

use super::api::{Logs, PAGE_BYTES, PAGE_EVENTS, invalid, kept_from, limit};
use super::get::bad_token;
use super::merge::{Merge, Streams};
use super::pattern::Pattern;
use super::source::{Place, Window};
use crate::error::ApiError;
use batchyard_model::logs::{FilterLogEventsRequest, FilterLogEventsResponse, FilteredLogEvent};
use batchyard_supervisor::format::{from_hex, to_hex};
use std::time::{Duration, Instant};

/// Bytes of events that one call looks at; a pattern that matches little gives a short page with a token.
const SCAN_BYTES: usize = 64 << 20;
/// How long one call looks at events, for patterns that take their time; then, too, the page is short and has a token.
const SCAN_TIME: Duration = Duration::from_secs(1);
/// 2024-01-01: before it AWS does not go newest first.
const NEWEST_FIRST_SINCE_MS: i64 = 1_704_067_200_000;

impl Logs {
    /// A page of a group's events by time; both ends of the range are inclusive. A token decides the direction, else
    /// `startFromHead`. Without a token in the answer there is nothing more now.
    ///
    /// # Errors
    /// No such group or stream; a pattern or token that cannot be read; newest first from before 2024.
    pub fn filter_log_events(
        &self,
        input: &FilterLogEventsRequest,
    ) -> Result<FilterLogEventsResponse, ApiError> {
        let group = self.group(input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
        let from = input.next_token.as_deref().map(place_of_token).transpose()?;
        let newest_first = from.as_ref().map_or(input.start_from_head == Some(false), |from| from.0);
        if newest_first && input.start_time.is_some_and(|ms| ms < NEWEST_FIRST_SINCE_MS) {
            return Err(invalid("startFromHead may be false only when startTime is 2024-01-01 or later"));
        }
        let (names, prefix) = (input.log_stream_names.as_deref(), input.log_stream_name_prefix.as_deref());
        if names.is_some() && prefix.is_some() {
            return Err(invalid("logStreamNames and logStreamNamePrefix must not be given together"));
        }
        let pattern = Pattern::parse(input.filter_pattern.as_deref().unwrap_or_default())?;
        let window = Window {
            start_ms: input.start_time.unwrap_or(0).max(kept_from(&group)),
            end_ms: input.end_time.unwrap_or(i64::MAX),
            newest_first,
            behind: from.map(|from| from.1),
        };
        let mut merge = Merge::new(self, &group, Streams { names, prefix }, window)?;
        let (events, last) = page(&mut merge, &pattern, limit(input.limit, PAGE_EVENTS))?;
        Ok(FilterLogEventsResponse {
            events: Some(events),
            next_token: last.as_ref().map(|place| token_of_place(newest_first, place)),
            searched_log_streams: Some(Vec::new()),
        })
    }
}

/// Collects a page; the place is there when something may come behind it.
pub(super) fn page(
    merge: &mut Merge<'_>,
    pattern: &Pattern,
    limit: usize,
) -> Result<(Vec<FilteredLogEvent>, Option<Place>), ApiError> {
    let (mut events, mut bytes, mut scanned) = (Vec::new(), 0, 0);
    let began = Instant::now();
    let mut last: Option<Place> = None;
    while let Some((place, id)) = merge.peek()? {
        let Some((source, waiting)) = merge.head(id) else { break };
        let over = scanned >= SCAN_BYTES || (scanned > 0 && began.elapsed() >= SCAN_TIME);
        if over || events.len() >= limit {
            return Ok((events, last));
        }
        let matches = pattern.matches(&waiting.message);
        if matches && bytes + waiting.bytes > PAGE_BYTES && !events.is_empty() {
            return Ok((events, last));
        }
        scanned += waiting.bytes;
        if matches {
            bytes += waiting.bytes;
            events.push(FilteredLogEvent {
                event_id: Some(event_id(waiting.at_ms, source.id, waiting.at)),
                ingestion_time: Some(waiting.ingested_ms),
                log_stream_name: Some(source.row.name.clone()),
                message: Some(waiting.message.clone()),
                timestamp: Some(waiting.at_ms),
            });
        }
        last = Some(place);
        merge.advance(id)?;
    }
    Ok((events, None))
}

/// 56 digits, the shape that callers know: time, stream, place. Unique in the group and the same whenever asked.
fn event_id(at_ms: i64, stream: u64, offset: u64) -> String {
    format!("{:020}{stream:020}{offset:016}", at_ms.max(0))
}

fn token_of_place(newest_first: bool, (ms, name, offset): &Place) -> String {
    let way = if newest_first { 'b' } else { 'f' };
    format!("{way}.{ms}.{offset}.{}", to_hex(name.as_bytes()))
}

fn place_of_token(token: &str) -> Result<(bool, Place), ApiError> {
    let read = || {
        let mut parts = token.splitn(4, '.');
        let newest_first = match parts.next()? {
            "f" => false,
            "b" => true,
            _ => return None,
        };
        let (ms, offset) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let name = from_hex("nextToken", parts.next()?).ok()?;
        Some((newest_first, (ms, String::from_utf8(name).ok()?, offset)))
    };
    read().ok_or_else(bad_token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::logs::testing::TestGroup;
    use std::collections::HashSet;

    fn ask() -> FilterLogEventsRequest {
        FilterLogEventsRequest {
            log_group_name: Some("/aws/batch/job".into()),
            ..FilterLogEventsRequest::default()
        }
    }

    /// All pages of a question: the messages, and how many pages it took.
    fn all(group: &TestGroup, mut input: FilterLogEventsRequest) -> (String, usize) {
        let (mut messages, mut ids, mut pages) = (Vec::new(), HashSet::new(), 0);
        loop {
            let answer = group.logs.filter_log_events(&input).expect("a page");
            pages += 1;
            for event in answer.events.into_iter().flatten() {
                let id = event.event_id.expect("an id");
                assert!(id.len() == 56 && ids.insert(id), "an id twice or of another shape");
                messages.push(event.message.expect("a message"));
            }
            input.next_token = answer.next_token;
            if input.next_token.is_none() {
                return (messages.join(" "), pages);
            }
        }
    }

    fn three() -> TestGroup {
        let group = TestGroup::new();
        group.stream("a/1", &[(10, "a10"), (30, "a30"), (50, "a50")]);
        group.stream("b/1", &[(20, "b20"), (30, "b30"), (30, "b30x")]);
        group.stream("a/2", &[(30, "c30"), (60, "c60")]);
        group
    }

    #[test]
    fn streams_are_merged_by_time_whatever_the_page() {
        let group = three();
        group.row_without_file("empty");
        let expected = "a10 b20 a30 c30 b30 b30x a50 c60";
        for limit in 1..=9 {
            let (messages, pages) = all(&group, FilterLogEventsRequest { limit: Some(limit), ..ask() });
            assert_eq!(messages, expected, "{limit}");
            assert_eq!(pages, 8usize.div_ceil(limit as usize), "{limit}");
            let newest = FilterLogEventsRequest { limit: Some(limit), start_from_head: Some(false), ..ask() };
            let (messages, pages) = all(&group, newest);
            let reversed: Vec<&str> = expected.rsplit(' ').collect();
            assert_eq!(messages, reversed.join(" "), "{limit}");
            assert_eq!(pages, 8usize.div_ceil(limit as usize), "{limit}");
        }
    }

    #[test]
    fn the_range_is_inclusive_and_streams_are_chosen_by_name_or_prefix() {
        let group = three();
        group.done("a/1", 10, 50);
        let ranged = FilterLogEventsRequest { start_time: Some(20), end_time: Some(50), ..ask() };
        assert_eq!(all(&group, ranged.clone()).0, "b20 a30 c30 b30 b30x a50");
        let prefix = FilterLogEventsRequest { log_stream_name_prefix: Some("a/".into()), ..ranged.clone() };
        assert_eq!(all(&group, prefix).0, "a30 c30 a50");
        let names = Some(vec!["a/2".to_string(), "b/1".into(), "a/2".into()]);
        let named = FilterLogEventsRequest { log_stream_names: names, limit: Some(2), ..ranged };
        assert_eq!(all(&group, named).0, "b20 c30 b30 b30x");
        let unknown = FilterLogEventsRequest { log_stream_names: Some(vec!["no".into()]), ..ask() };
        let error = group.logs.filter_log_events(&unknown).expect_err("unknown");
        assert_eq!(error.kind, ErrorKind::ResourceNotFound);
    }

    #[test]
    fn a_pattern_filters_and_a_bad_question_is_refused() {
        let group = three();
        let filtered = FilterLogEventsRequest { filter_pattern: Some("?a ?x".into()), ..ask() };
        assert_eq!(all(&group, filtered).0, "a10 a30 b30x a50");
        let bad = [
            FilterLogEventsRequest { filter_pattern: Some("{$.x = }".into()), ..ask() },
            FilterLogEventsRequest { next_token: Some("f.1.x.zz".into()), ..ask() },
            FilterLogEventsRequest { next_token: Some("x.1.1.61".into()), ..ask() },
            FilterLogEventsRequest { start_from_head: Some(false), start_time: Some(1), ..ask() },
            FilterLogEventsRequest {
                log_stream_names: Some(vec!["a/1".into()]),
                log_stream_name_prefix: Some("a".into()),
                ..ask()
            },
        ];
        for input in bad {
            let error = group.logs.filter_log_events(&input).expect_err("refused");
            assert_eq!(error.kind, ErrorKind::InvalidParameter, "{input:?}");
        }
    }

    /// As `aws logs tail --follow` does it: from the newest time on, leaving out the ids that it has.
    #[test]
    fn a_follower_by_time_sees_every_event_once() {
        let group = TestGroup::new();
        let (a, b) = (group.stream("a", &[]), group.stream("b", &[]));
        let (mut newest, mut ids, mut seen) = (0, HashSet::new(), 0);
        for round in 0..20 {
            a.append(100 + round / 3, b"from a");
            b.append(100 + round / 3, b"from b");
            let input = FilterLogEventsRequest { start_time: Some(newest), ..ask() };
            let answer = group.logs.filter_log_events(&input).expect("a page");
            for event in answer.events.into_iter().flatten() {
                newest = newest.max(event.timestamp.expect("a time"));
                seen += usize::from(ids.insert(event.event_id.expect("an id")));
            }
        }
        assert_eq!(seen, 40);
    }

    #[test]
    fn a_clock_that_was_set_back_neither_hides_nor_repeats_events() {
        let group = TestGroup::new();
        group.stream("s", &[(100, "a"), (110, "b"), (90, "c"), (105, "d"), (120, "e")]);
        group.stream("t", &[(95, "x"), (108, "y"), (115, "z")]);
        let (messages, _) = all(&group, FilterLogEventsRequest { limit: Some(1), ..ask() });
        assert_eq!(messages, "x a y b c d z e");
        let newest = FilterLogEventsRequest { limit: Some(1), start_from_head: Some(false), ..ask() };
        assert_eq!(all(&group, newest).0, "e z d c b y a x");
    }

    #[test]
    fn many_streams_make_many_rows_of_the_catalogue() {
        let group = TestGroup::new();
        let streams: Vec<_> =
            (0..450).map(|i| (format!("s{i:03}"), vec![(i, "first"), (i + 100, "second")])).collect();
        group.streams(&streams, false);
        for head in [true, false] {
            let input = FilterLogEventsRequest { limit: Some(100), start_from_head: Some(head), ..ask() };
            let (messages, pages) = all(&group, input);
            assert_eq!((messages.split(' ').count(), pages), (900, 9), "{head}");
        }
    }

    /// Prints what it takes; the bound is loose, for slow machines.
    #[test]
    fn the_last_minute_of_a_hundred_thousand_streams() {
        const SINCE: i64 = NEWEST_FIRST_SINCE_MS;
        let group = TestGroup::new();
        let rows: Vec<_> = (0..100_000).map(|i| (format!("s{i:06}"), SINCE + i * 1000)).collect();
        group.rows_of_the_past(&rows);
        for i in (99_950..100_000).step_by(5) {
            let at = SINCE + i * 1000;
            group.stream(&format!("t{i:06}"), &[(at, "first"), (at + 100, "second")]);
        }
        let ask = FilterLogEventsRequest {
            start_time: Some(SINCE + 99_940_000),
            end_time: Some(SINCE + 100_000_000),
            ..ask()
        };
        for head in [true, false] {
            let input = FilterLogEventsRequest { start_from_head: Some(head), ..ask.clone() };
            let began = std::time::Instant::now();
            let events = group.logs.filter_log_events(&input).expect("a page").events.expect("events");
            let took = began.elapsed();
            println!("filtered the last minute of 100,000 streams, from head {head}: {took:?}");
            assert_eq!(events.len(), 20);
            assert!(took.as_millis() < 200, "{took:?}");
        }
    }
}
