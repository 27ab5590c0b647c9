//! GetLogEvents: a page of one stream, and tokens that go on from it in both directions.
//!
//! A token is a direction and a byte offset, so it never ages and an idle stream answers with the token that it was
//! sent. Never here: several streams at once (`filter`).

use super::api::{EVENT_OVERHEAD, Logs, PAGE_BYTES, PAGE_EVENTS, invalid, limit, unreadable};
use super::catalog::StreamRow;
use super::file::{LogFile, START, Walk};
use crate::error::ApiError;
use batchyard_model::logs::{GetLogEventsRequest, GetLogEventsResponse, OutputLogEvent};
use batchyard_supervisor::log_file::Record;
use std::io;

/// Where a page begins and which way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// Forward from this offset.
    Forward(u64),
    /// Backward from this offset.
    Backward(u64),
}

impl From {
    /// `f/` or `b/` and 56 digits, the shape that callers know.
    fn token(self) -> String {
        match self {
            Self::Forward(at) => format!("f/{at:056}/s"),
            Self::Backward(at) => format!("b/{at:056}/s"),
        }
    }

    fn parse(token: &str) -> Result<Self, ApiError> {
        let bad = || invalid("The specified nextToken is invalid.");
        let digits =
            token.strip_suffix("/s").and_then(|t| t.get(2..)).filter(|d| d.len() == 56).ok_or_else(bad)?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        let at = digits.parse::<u64>().map_err(|_| bad())?;
        match &token[..2] {
            "f/" => Ok(Self::Forward(at)),
            "b/" => Ok(Self::Backward(at)),
            _ => Err(bad()),
        }
    }
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
    fn new(input: &GetLogEventsRequest) -> Self {
        Self {
            start_ms: input.start_time.unwrap_or(i64::MIN),
            end_ms: input.end_time.unwrap_or(i64::MAX),
            limit: limit(input.limit, PAGE_EVENTS),
            bytes: 0,
            events: Vec::new(),
        }
    }

    /// Takes a record, unless the page is full.
    fn take(&mut self, record: Record<'_>) -> Walk {
        let bytes = self.bytes + record.text.len() + EVENT_OVERHEAD;
        if self.events.len() >= self.limit || (bytes > PAGE_BYTES && !self.events.is_empty()) {
            return Walk::Stop;
        }
        self.bytes = bytes;
        self.events.push(OutputLogEvent {
            timestamp: Some(record.at_ms),
            ingestion_time: Some(record.at_ms),
            message: Some(String::from_utf8_lossy(record.text).into_owned()),
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
        let name = input.log_stream_name.as_deref().unwrap_or_default();
        let stream = self.stream(&group.name, name)?;
        let token = input.next_token.as_deref().map(From::parse).transpose()?;
        let mut page = Page::new(input);
        let (begin, end) = match self.open(&stream)? {
            Some(file) => {
                let from = match token {
                    Some(token) => check(token, &file).map_err(|error| unreadable(&stream, &error))?,
                    None => None,
                };
                if token.is_some() && from.is_none() {
                    return Err(invalid("The specified nextToken is invalid."));
                }
                self.fill(&mut page, &stream, &file, from, input.start_from_head == Some(true))
                    .map_err(|error| unreadable(&stream, &error))?
            }
            None => (START, START),
        };
        Ok(GetLogEventsResponse {
            events: Some(page.events),
            next_backward_token: Some(From::Backward(begin).token()),
            next_forward_token: Some(From::Forward(end).token()),
        })
    }

    /// Fills the page; returns the offsets before and after it.
    fn fill(
        &self,
        page: &mut Page,
        stream: &StreamRow,
        file: &LogFile,
        from: Option<From>,
        head: bool,
    ) -> io::Result<(u64, u64)> {
        let path = self.path(stream);
        match (from, head) {
            (Some(From::Forward(at)), _) => forward(page, file, at),
            (Some(From::Backward(at)), _) => backward(page, file, at),
            (None, true) if page.start_ms == i64::MIN => forward(page, file, START),
            (None, true) => forward(page, file, self.positions.seek(&path, file, page.start_ms)?),
            (None, false) if page.end_ms == i64::MAX => backward(page, file, file.whole_end()?),
            (None, false) => backward(page, file, self.positions.seek(&path, file, page.end_ms)?),
        }
    }
}

/// The token if a record begins or ends there.
fn check(token: From, file: &LogFile) -> io::Result<Option<From>> {
    let (From::Forward(at) | From::Backward(at)) = token;
    Ok(file.is_boundary(at)?.then_some(token))
}

fn forward(page: &mut Page, file: &LogFile, from: u64) -> io::Result<(u64, u64)> {
    let end = file.forward(from, |_, record| match record.at_ms {
        ms if ms >= page.end_ms => Walk::Stop,
        ms if ms < page.start_ms => Walk::On,
        _ => page.take(record),
    })?;
    Ok((from, end))
}

fn backward(page: &mut Page, file: &LogFile, from: u64) -> io::Result<(u64, u64)> {
    let begin = file.backward(from, |_, record| match record.at_ms {
        ms if ms < page.start_ms => Walk::Stop,
        ms if ms >= page.end_ms => Walk::On,
        _ => page.take(record),
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
        for token in ["x", "f/12/s", &digits(9), &digits(500), &digits(8).replace("f/", "g/"), "ä/1"] {
            let input = GetLogEventsRequest { next_token: Some(token.to_string()), ..ask("s") };
            let error = group.logs.get_log_events(&input).expect_err(token);
            assert_eq!(error.kind, ErrorKind::InvalidParameter, "{token}");
        }
    }
}
