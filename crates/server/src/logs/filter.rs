//! FilterLogEvents: events of many streams of a group, by time, a page at a time.
//!
//! Streams are opened only when the time comes at which they were made and closed when they have no more, so the work
//! of a page depends on what ran at that time and not on how many streams there are. A token is the place of the last
//! event that was looked at, so it never ages. Never here: what a pattern means (`pattern`).

use super::api::{EVENT_OVERHEAD, Logs, PAGE_BYTES, PAGE_EVENTS, invalid, limit, unreadable};
use super::catalog::{RangeQuery, StreamRow};
use super::file::{LogFile, Walk};
use super::pattern::Pattern;
use crate::error::ApiError;
use batchyard_model::logs::{FilterLogEventsRequest, FilterLogEventsResponse, FilteredLogEvent};
use batchyard_supervisor::format::{from_hex, to_hex};
use sha2::{Digest, Sha256};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

/// Bytes of events that one call looks at; a pattern that matches little gives a short page with a token.
const SCAN_BYTES: usize = 64 << 20;
/// Rows that are read from the catalogue at once.
const ROWS: usize = 200;
/// Bytes of events that all open streams together hold in memory, roughly.
const HELD_BYTES: usize = 1 << 20;

/// The order of events: time, stream, place in the stream. Within a stream the time is the greatest so far, so that
/// the order holds when the clock was set back.
type Place = (i64, String, u64);

/// An event that waits for its turn.
struct Waiting {
    order_ms: i64,
    at_ms: i64,
    offset: u64,
    message: String,
    bytes: usize,
}

/// An open stream.
struct Source {
    row: StreamRow,
    id: u64,
    file: LogFile,
    next: u64,
    newest: i64,
    waiting: VecDeque<Waiting>,
}

/// Streams that were not opened yet, by the time at which they were made.
struct Rows<'a> {
    logs: &'a Logs,
    group: &'a str,
    prefix: Option<&'a str>,
    start_ms: i64,
    /// Before this no stream has anything that earlier pages did not have.
    from_ms: i64,
    end_ms: i64,
    pending: VecDeque<StreamRow>,
    after: Option<(i64, String)>,
    more: bool,
}

/// All that is read from, in the order of events.
struct Merge<'a> {
    rows: Rows<'a>,
    from: Option<Place>,
    open: HashMap<u64, Source>,
    heads: BinaryHeap<Reverse<(Place, u64)>>,
    opened: u64,
}

impl Logs {
    /// A page of a group's events by time, oldest first; both ends of the range are inclusive. Without a token in the
    /// answer there is nothing more now.
    ///
    /// # Errors
    /// No such group or stream; a pattern or token that cannot be read; `startFromHead: false`, which does not work yet.
    pub fn filter_log_events(
        &self,
        input: &FilterLogEventsRequest,
    ) -> Result<FilterLogEventsResponse, ApiError> {
        let group = self.group(input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
        if input.start_from_head == Some(false) {
            return Err(invalid(
                "startFromHead: false does not work yet; leave it out and events come oldest first",
            ));
        }
        let pattern = Pattern::parse(input.filter_pattern.as_deref().unwrap_or_default())?;
        let from = input.next_token.as_deref().map(place_of_token).transpose()?;
        let rows = self.rows(&group.name, input, from.as_ref())?;
        let mut merge = Merge { rows, from, open: HashMap::new(), heads: BinaryHeap::new(), opened: 0 };
        let (events, token) = page(&mut merge, &pattern, limit(input.limit, PAGE_EVENTS))?;
        Ok(FilterLogEventsResponse {
            events: Some(events),
            next_token: token.as_ref().map(token_of_place),
            searched_log_streams: Some(Vec::new()),
        })
    }

    fn rows<'a>(
        &'a self,
        group: &'a str,
        input: &'a FilterLogEventsRequest,
        from: Option<&Place>,
    ) -> Result<Rows<'a>, ApiError> {
        let mut pending = Vec::new();
        if let Some(names) = &input.log_stream_names {
            if input.log_stream_name_prefix.is_some() {
                return Err(invalid("logStreamNames and logStreamNamePrefix must not be given together"));
            }
            for name in names {
                pending.push(self.stream(group, name)?);
            }
            pending.sort_by(|a, b| (a.created_ms, &a.name).cmp(&(b.created_ms, &b.name)));
            pending.dedup_by(|a, b| a.name == b.name);
        }
        let start_ms = input.start_time.unwrap_or(0);
        Ok(Rows {
            logs: self,
            group,
            prefix: input.log_stream_name_prefix.as_deref(),
            start_ms,
            from_ms: from.map_or(start_ms, |place| place.0.max(start_ms)),
            end_ms: input.end_time.unwrap_or(i64::MAX),
            pending: pending.into(),
            after: None,
            more: input.log_stream_names.is_none(),
        })
    }
}

/// Collects a page; the place is there when something may come behind it.
fn page(
    merge: &mut Merge<'_>,
    pattern: &Pattern,
    limit: usize,
) -> Result<(Vec<FilteredLogEvent>, Option<Place>), ApiError> {
    let (mut events, mut bytes, mut scanned) = (Vec::new(), 0, 0);
    let mut last: Option<Place> = None;
    while let Some((place, id)) = merge.peek()? {
        let Some((row, source_id, waiting)) = merge.head(id) else { break };
        let matches = pattern.matches(&waiting.message);
        let full = matches && (bytes + waiting.bytes > PAGE_BYTES && !events.is_empty());
        if full || events.len() >= limit || scanned >= SCAN_BYTES {
            return Ok((events, last));
        }
        scanned += waiting.bytes;
        if matches {
            bytes += waiting.bytes;
            events.push(FilteredLogEvent {
                event_id: Some(event_id(waiting.at_ms, source_id, waiting.offset)),
                ingestion_time: Some(waiting.at_ms),
                log_stream_name: Some(row.name.clone()),
                message: Some(waiting.message.clone()),
                timestamp: Some(waiting.at_ms),
            });
        }
        last = Some(place);
        merge.advance(id)?;
    }
    Ok((events, None))
}

impl Merge<'_> {
    /// The next event's place, and the stream that has it.
    fn peek(&mut self) -> Result<Option<(Place, u64)>, ApiError> {
        loop {
            let due_ms = self.heads.peek().map(|Reverse((place, _))| place.0);
            match self.rows.next_due(due_ms)? {
                Some(row) => self.open(row)?,
                None => return Ok(self.heads.peek().map(|Reverse(head)| head.clone())),
            }
        }
    }

    fn head(&self, id: u64) -> Option<(&StreamRow, u64, &Waiting)> {
        let source = self.open.get(&id)?;
        Some((&source.row, source.id, source.waiting.front()?))
    }

    fn open(&mut self, row: StreamRow) -> Result<(), ApiError> {
        let logs = self.rows.logs;
        let Some(file) = logs.open(&row)? else { return Ok(()) };
        let next = logs.positions.seek(&logs.path(&row), &file, self.rows.from_ms);
        let next = next.map_err(|error| unreadable(&row, &error))?;
        let digest = Sha256::digest(&row.name);
        let id = digest.iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        let source = Source { row, id, file, next, newest: i64::MIN, waiting: VecDeque::new() };
        self.opened += 1;
        self.open.insert(self.opened, source);
        self.show(self.opened)
    }

    /// Takes the head off a stream.
    fn advance(&mut self, id: u64) -> Result<(), ApiError> {
        self.heads.pop();
        if let Some(source) = self.open.get_mut(&id) {
            source.waiting.pop_front();
        }
        self.show(id)
    }

    /// Puts a stream's next event among the heads, or closes the stream when it has none.
    fn show(&mut self, id: u64) -> Result<(), ApiError> {
        let budget = (HELD_BYTES / self.open.len().max(1)).clamp(8 << 10, 256 << 10);
        let Some(source) = self.open.get_mut(&id) else { return Ok(()) };
        if source.waiting.is_empty() {
            source.fill(&self.rows, self.from.as_ref(), budget)?;
        }
        match source.waiting.front() {
            Some(first) => {
                let place = (first.order_ms, source.row.name.clone(), first.offset);
                self.heads.push(Reverse((place, id)));
            }
            None => {
                self.open.remove(&id);
            }
        }
        Ok(())
    }
}

impl Source {
    /// Reads on, past what earlier pages had.
    fn fill(&mut self, rows: &Rows<'_>, from: Option<&Place>, budget: usize) -> Result<(), ApiError> {
        let (mut held, mut newest) = (0, self.newest);
        let (waiting, name) = (&mut self.waiting, &self.row.name);
        let walked = self.file.forward(self.next, |offset, record| {
            if held >= budget {
                return Walk::Stop;
            }
            newest = newest.max(record.at_ms);
            let seen = from.is_some_and(|(ms, stream, at)| (newest, name, offset) <= (*ms, stream, *at));
            if !seen && (rows.start_ms..=rows.end_ms).contains(&record.at_ms) && newest <= rows.end_ms {
                let bytes = record.text.len() + EVENT_OVERHEAD;
                held += bytes;
                let message = String::from_utf8_lossy(record.text).into_owned();
                waiting.push_back(Waiting { order_ms: newest, at_ms: record.at_ms, offset, message, bytes });
            }
            if newest > rows.end_ms { Walk::Stop } else { Walk::On }
        });
        self.next = walked.map_err(|error| unreadable(&self.row, &error))?;
        self.newest = newest;
        Ok(())
    }
}

impl Rows<'_> {
    /// The next stream to open, if its time has come: no event of it is older than the stream itself.
    fn next_due(&mut self, due_ms: Option<i64>) -> Result<Option<StreamRow>, ApiError> {
        if self.pending.is_empty() && self.more {
            let rows = self.logs.catalog.streams_in_range(&RangeQuery {
                group: self.group,
                prefix: self.prefix,
                start_ms: self.from_ms,
                end_ms: self.end_ms,
                after: self.after.as_ref().map(|(ms, name)| (*ms, name.as_str())),
                limit: ROWS,
            })?;
            self.more = rows.len() == ROWS;
            self.after = rows.last().map(|row| (row.created_ms, row.name.clone()));
            self.pending = rows.into();
        }
        let due = self.pending.front().is_some_and(|row| due_ms.is_none_or(|ms| row.created_ms <= ms));
        Ok(if due { self.pending.pop_front() } else { None })
    }
}

/// 56 digits, the shape that callers know: time, stream, place. Unique in the group and the same whenever asked.
fn event_id(at_ms: i64, stream: u64, offset: u64) -> String {
    format!("{:020}{stream:020}{offset:016}", at_ms.max(0))
}

fn token_of_place((ms, name, offset): &Place) -> String {
    format!("{ms}.{offset}.{}", to_hex(name.as_bytes()))
}

fn place_of_token(token: &str) -> Result<Place, ApiError> {
    let read = || {
        let mut parts = token.splitn(3, '.');
        let (ms, offset) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let name = from_hex("nextToken", parts.next()?).ok()?;
        Some((ms, String::from_utf8(name).ok()?, offset))
    };
    read().ok_or_else(|| invalid("The specified nextToken is invalid."))
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
            FilterLogEventsRequest { filter_pattern: Some("{$.x = 1}".into()), ..ask() },
            FilterLogEventsRequest { next_token: Some("1.x.zz".into()), ..ask() },
            FilterLogEventsRequest { start_from_head: Some(false), ..ask() },
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
    }

    #[test]
    fn many_streams_make_many_rows_of_the_catalogue() {
        let group = TestGroup::new();
        for i in 0..450 {
            group.stream(&format!("s{i:03}"), &[(i, "first"), (i + 100, "second")]);
        }
        let input = FilterLogEventsRequest { limit: Some(100), ..ask() };
        let (messages, pages) = all(&group, input);
        assert_eq!((messages.split(' ').count(), pages), (900, 9));
    }
}
