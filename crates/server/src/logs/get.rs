//! GetLogEvents: a page of one stream, and tokens that go on from it in both directions.
//!
//! A token is a direction, its stream and a place in it that never changes, so it never ages and an idle stream answers
//! with the token that it was sent. Never here: several streams at once (`filter`).

use super::api::{
    EVENT_OVERHEAD, Logs, PAGE_BYTES, PAGE_EVENTS, failed, invalid, kept_from, limit, unreadable,
};
use super::catalog::{GroupRow, StreamRow};
use super::file::{LogFile, START, Walk};
use crate::error::ApiError;
use batchyard_model::logs::{GetLogEventsRequest, GetLogEventsResponse, OutputLogEvent};
use sha2::{Digest, Sha256};
use std::io;
use std::path::Path;

/// A place in a stream. In a file it is the offset, and the time is 0; of stored events it is the number of the event
/// that was given last, with its time.
type Place = (i64, u64);

/// The last of all places.
const END: Place = (i64::MAX, u64::MAX);

/// Where a page begins and which way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token {
    forward: bool,
    stream: u64,
    place: Place,
}

impl Token {
    /// `f/` or `b/` and 56 digits, the shape that callers know.
    fn text(self) -> String {
        let way = if self.forward { 'f' } else { 'b' };
        format!("{way}/{:016}{:020}{:020}/s", self.stream, self.place.0, self.place.1)
    }

    /// Reads a token of this stream.
    fn parse(token: &str, stream: u64) -> Result<Self, ApiError> {
        let read = || {
            let digits = token.strip_suffix("/s")?.get(2..).filter(|d| d.len() == 56)?;
            if !digits.bytes().all(|b| b.is_ascii_digit()) || digits[..16].parse::<u64>().ok()? != stream {
                return None;
            }
            let place = (digits[16..36].parse().ok()?, digits[36..].parse().ok()?);
            let forward = match &token[..2] {
                "f/" => true,
                "b/" => false,
                _ => return None,
            };
            Some(Self { forward, stream, place })
        };
        read().ok_or_else(bad_token)
    }
}

pub(super) fn bad_token() -> ApiError {
    invalid("The specified nextToken is invalid.")
}

/// 16 digits that stand for a stream, and for no other that had or will have its name.
fn mark(group: &GroupRow, stream: &StreamRow) -> u64 {
    let digest = Sha256::digest(format!("{} {} {}", group.name, stream.created_ms, stream.name));
    let number = digest.iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    number % 10_000_000_000_000_000
}

/// The events of a page, as they are collected.
struct Page {
    start_ms: i64,
    end_ms: i64,
    limit: usize,
    bytes: usize,
    events: Vec<OutputLogEvent>,
}

impl Page {
    fn new(input: &GetLogEventsRequest, kept_from: i64) -> Self {
        Self {
            start_ms: input.start_time.unwrap_or(i64::MIN).max(kept_from),
            end_ms: input.end_time.unwrap_or(i64::MAX),
            limit: limit(input.limit, PAGE_EVENTS),
            bytes: 0,
            events: Vec::new(),
        }
    }

    /// Takes an event, unless the page is full.
    fn take(&mut self, at_ms: i64, ingested_ms: i64, text: &[u8]) -> Walk {
        let bytes = self.bytes + text.len() + EVENT_OVERHEAD;
        if self.events.len() >= self.limit || (bytes > PAGE_BYTES && !self.events.is_empty()) {
            return Walk::Stop;
        }
        self.bytes = bytes;
        self.events.push(OutputLogEvent {
            timestamp: Some(at_ms),
            ingestion_time: Some(ingested_ms),
            message: Some(String::from_utf8_lossy(text).into_owned()),
        });
        Walk::On
    }
}

impl Logs {
    /// A page of a stream's events, oldest first. Both tokens are always there; the one that leads to nothing new is
    /// the one that was sent. `startTime` is inclusive, `endTime` is not.
    ///
    /// # Errors
    /// No such group or stream; a token that is not one of this stream.
    pub fn get_log_events(&self, input: &GetLogEventsRequest) -> Result<GetLogEventsResponse, ApiError> {
        let group = self.group(input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
        let stream = self.stream(&group, input.log_stream_name.as_deref().unwrap_or_default())?;
        let mark = mark(&group, &stream);
        let token = input.next_token.as_deref().map(|token| Token::parse(token, mark)).transpose()?;
        let mut page = Page::new(input, kept_from(&group));
        let head = input.start_from_head == Some(true);
        let (before, behind) = if self.path(&stream).is_some() {
            self.file_page(&mut page, &stream, token, head)?
        } else {
            self.stored_page(&mut page, &stream, token, head)?
        };
        let next = |forward, place| Some(Token { forward, stream: mark, place }.text());
        Ok(GetLogEventsResponse {
            events: Some(page.events),
            next_backward_token: next(false, before),
            next_forward_token: next(true, behind),
        })
    }

    /// Fills the page from a file; returns the places before and behind it.
    fn file_page(
        &self,
        page: &mut Page,
        stream: &StreamRow,
        token: Option<Token>,
        head: bool,
    ) -> Result<(Place, Place), ApiError> {
        let Some((path, file)) = self.open(stream)? else { return Ok(((0, START), (0, START))) };
        let lost = |error: io::Error| unreadable(stream, &error);
        let from = match token {
            Some(Token { forward, place: (0, at), .. }) if file.is_boundary(at).map_err(lost)? => {
                Some((forward, at))
            }
            Some(_) => return Err(bad_token()),
            None => None,
        };
        let (begin, end) = self.fill(page, &path, &file, from, head).map_err(lost)?;
        Ok(((0, begin), (0, end)))
    }

    /// The offsets before and after what is taken.
    fn fill(
        &self,
        page: &mut Page,
        path: &Path,
        file: &LogFile,
        from: Option<(bool, u64)>,
        head: bool,
    ) -> io::Result<(u64, u64)> {
        let seek = |ms: i64| self.positions.seek(path, file, ms);
        match (from, head) {
            // What lies before the range is passed over by the index, as far as the times rise.
            (Some((true, at)), _) if page.start_ms > i64::MIN => {
                Ok((at, forward(page, file, at.max(seek(page.start_ms)?))?))
            }
            (Some((true, at)), _) => Ok((at, forward(page, file, at)?)),
            (Some((false, at)), _) => backward(page, file, at),
            (None, true) => {
                let at = if page.start_ms == i64::MIN { START } else { seek(page.start_ms)? };
                Ok((at, forward(page, file, at)?))
            }
            (None, false) if page.end_ms == i64::MAX => backward(page, file, file.whole_end()?),
            (None, false) => backward(page, file, seek(page.end_ms)?),
        }
    }

    /// Fills the page from stored events; returns the places before and behind it.
    fn stored_page(
        &self,
        page: &mut Page,
        stream: &StreamRow,
        token: Option<Token>,
        head: bool,
    ) -> Result<(Place, Place), ApiError> {
        let first = (page.start_ms, 0);
        let last = if page.end_ms == i64::MAX { END } else { (page.end_ms, 0) };
        let (forward, from) = match token {
            Some(token) => (token.forward, token.place),
            None if head => (true, (page.start_ms.max(0), 0)),
            None => (false, last),
        };
        let range = if forward { (from.max(first), last) } else { (first, from.min(last)) };
        let mut ends: Option<(Place, Place)> = None;
        let read = self.events.read(stream.id, range, !forward, |event| {
            if page.take(event.at_ms, event.ingested_ms, event.message.as_bytes()) == Walk::Stop {
                return false;
            }
            let place = (event.at_ms, event.seq);
            ends = Some(ends.map_or((place, place), |(one, other)| (one.min(place), other.max(place))));
            true
        });
        read.map_err(|error| failed(&error))?;
        if !forward {
            page.events.reverse();
        }
        // Before the first question finds anything, what comes later must still lie behind the forward token.
        let nothing = if token.is_none() && !forward {
            ((page.start_ms.max(0), 0), (page.start_ms.max(0), 0))
        } else {
            (from, from)
        };
        Ok(ends.unwrap_or(nothing))
    }
}

fn forward(page: &mut Page, file: &LogFile, from: u64) -> io::Result<u64> {
    file.forward(from, |_, record| match record.at_ms {
        ms if ms >= page.end_ms => Walk::Stop,
        ms if ms < page.start_ms => Walk::On,
        ms => page.take(ms, ms, record.text),
    })
}

fn backward(page: &mut Page, file: &LogFile, from: u64) -> io::Result<(u64, u64)> {
    let begin = file.backward(from, |_, record| match record.at_ms {
        ms if ms < page.start_ms => Walk::Stop,
        ms if ms >= page.end_ms => Walk::On,
        ms => page.take(ms, ms, record.text),
    })?;
    page.events.reverse();
    Ok((begin, from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::logs::testing::TestGroup;

    fn ask(stream: &str) -> GetLogEventsRequest {
        GetLogEventsRequest {
            log_group_name: Some("/aws/batch/job".into()),
            log_stream_name: Some(stream.into()),
            start_from_head: Some(true),
            ..GetLogEventsRequest::default()
        }
    }

    fn messages(answer: &GetLogEventsResponse) -> Vec<&str> {
        answer.events.iter().flatten().filter_map(|e| e.message.as_deref()).collect()
    }

    #[test]
    fn a_follower_sees_every_line_once_and_the_same_token_when_idle() {
        let group = TestGroup::new();
        let log = group.stream("s", &[]);
        let mut input = ask("s");
        let mut seen = Vec::new();
        for round in 0..3 {
            for i in 0..5 {
                log.append(round, format!("{round}.{i}").as_bytes());
            }
            input.limit = Some(2);
            for _ in 0..4 {
                let answer = group.logs.get_log_events(&input).expect("a page");
                seen.extend(messages(&answer).into_iter().map(str::to_string));
                input.next_token = answer.next_forward_token;
            }
            let idle = group.logs.get_log_events(&input).expect("a page");
            assert_eq!(idle.next_forward_token, input.next_token);
            assert!(messages(&idle).is_empty());
        }
        let expected: Vec<String> = (0..3).flat_map(|r| (0..5).map(move |i| format!("{r}.{i}"))).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_default_is_the_newest_page_and_goes_back_to_the_first() {
        let group = TestGroup::new();
        group.stream("s", &[(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")]);
        let mut input = GetLogEventsRequest { start_from_head: None, limit: Some(2), ..ask("s") };
        let first = group.logs.get_log_events(&input).expect("a page");
        assert_eq!(messages(&first), ["d", "e"]);
        let mut pages = Vec::new();
        input.next_token = first.next_backward_token.clone();
        for _ in 0..3 {
            let answer = group.logs.get_log_events(&input).expect("a page");
            pages.push(messages(&answer).join(""));
            let same = answer.next_backward_token == input.next_token;
            assert_eq!(same, messages(&answer).is_empty());
            input.next_token = answer.next_backward_token;
        }
        assert_eq!(pages, ["bc", "a", ""]);
        input.next_token = first.next_forward_token;
        assert!(messages(&group.logs.get_log_events(&input).expect("a page")).is_empty());
    }

    #[test]
    fn start_is_inclusive_and_end_is_not_in_both_directions() {
        let group = TestGroup::new();
        group.stream("s", &[(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")]);
        for head in [true, false] {
            let input = GetLogEventsRequest {
                start_from_head: Some(head),
                start_time: Some(2),
                end_time: Some(4),
                ..ask("s")
            };
            let answer = group.logs.get_log_events(&input).expect("a page");
            assert_eq!(messages(&answer), ["b", "c"], "{head}");
            let token = if head { answer.next_forward_token } else { answer.next_backward_token };
            let again = GetLogEventsRequest { next_token: token.clone(), ..input };
            let idle = group.logs.get_log_events(&again).expect("a page");
            assert!(messages(&idle).is_empty());
            assert_eq!(if head { idle.next_forward_token } else { idle.next_backward_token }, token);
        }
    }

    #[test]
    fn a_page_ends_at_a_mebibyte_and_holds_one_event_at_least() {
        let group = TestGroup::new();
        let log = group.stream("s", &[]);
        for i in 0..6 {
            log.append(i, "x".repeat(250_000).as_bytes());
        }
        let answer = group.logs.get_log_events(&ask("s")).expect("a page");
        assert_eq!(messages(&answer).len(), 4);
    }

    #[test]
    fn a_stream_without_a_file_is_empty_and_its_tokens_stay_good() {
        let group = TestGroup::new();
        group.row_without_file("s");
        let empty = group.logs.get_log_events(&ask("s")).expect("a page");
        assert!(empty.events.is_some_and(|events| events.is_empty()));
        let log = group.stream("s", &[]);
        log.append(1, b"\xffnot \xf0 text");
        let input = GetLogEventsRequest { next_token: empty.next_forward_token, ..ask("s") };
        let answer = group.logs.get_log_events(&input).expect("a page");
        assert_eq!(messages(&answer), ["\u{fffd}not \u{fffd} text"]);
    }

    #[test]
    fn bad_tokens_are_refused() {
        let group = TestGroup::new();
        group.stream("s", &[(1, "a")]);
        let digits = |n: u64| format!("f/{n:056}/s");
        let good = group.logs.get_log_events(&ask("s")).expect("a page").next_forward_token.expect("a token");
        group.stream("other", &[(1, "a")]);
        let other = group.logs.get_log_events(&ask("other")).expect("a page").next_forward_token;
        let moved = good.replace("25/s", "24/s");
        let turned = good.replace("f/", "g/");
        let other = other.expect("a token");
        assert!(moved != good && turned != good && other != good);
        for token in ["x", "f/12/s", &digits(9), &moved, &turned, &other, "ä/1"] {
            let input = GetLogEventsRequest { next_token: Some(token.to_string()), ..ask("s") };
            let error = group.logs.get_log_events(&input).expect_err(token);
            assert_eq!(error.kind, ErrorKind::InvalidParameter, "{token}");
        }
    }
}
