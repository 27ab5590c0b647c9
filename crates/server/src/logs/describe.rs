//! DescribeLogStreams and DescribeLogGroups: pages of rows.
//!
//! Times of a stream that runs come from its file, the row learns them only at its end. Never here: events.

use super::api::{Logs, group_of_identifier, invalid, limit, unreadable};
use super::catalog::{GroupQuery, GroupRow, StreamOrder, StreamQuery, StreamRow};
use crate::error::ApiError;
use batchyard_model::logs::{
    DescribeLogGroupsRequest, DescribeLogGroupsResponse, DescribeLogStreamsRequest,
    DescribeLogStreamsResponse, LogGroup, LogStream,
};

/// Rows on a page unless the caller wants fewer.
const PAGE: usize = 50;

impl Logs {
    /// A page of a group's streams, by name or by the time of their last event.
    ///
    /// # Errors
    /// No such group; a prefix together with the order by last event; a token that is not of this question.
    pub fn describe_log_streams(
        &self,
        input: &DescribeLogStreamsRequest,
    ) -> Result<DescribeLogStreamsResponse, ApiError> {
        let group = self.group(input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
        let order = match input.order_by.as_deref() {
            Some("LastEventTime") => StreamOrder::LastEvent,
            _ => StreamOrder::Name,
        };
        let prefix = input.log_stream_name_prefix.as_deref();
        if prefix.is_some() && order == StreamOrder::LastEvent {
            return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
        }
        let descending = input.descending == Some(true);
        let after = input.next_token.as_deref().map(|token| read_token(token, order)).transpose()?;
        let limit = limit(input.limit, PAGE);
        let rows = self.catalog.streams(&StreamQuery {
            group: group.id,
            prefix,
            order,
            descending,
            after,
            limit: limit + 1,
        })?;
        let next_token = (rows.len() > limit).then(|| write_token(&rows[limit - 1], order));
        let streams = rows.iter().take(limit).map(|row| self.log_stream(&group, row));
        Ok(DescribeLogStreamsResponse { log_streams: Some(streams.collect::<Result<_, _>>()?), next_token })
    }

    fn log_stream(&self, group: &GroupRow, row: &StreamRow) -> Result<LogStream, ApiError> {
        let (mut first, mut last) = (row.first_event_ms, row.last_event_ms);
        if !row.done
            && let Some((_, file)) = self.open(row)?
        {
            let bounds = file.bounds().map_err(|error| unreadable(row, &error))?;
            (first, last) = (bounds.first_ms, bounds.last_ms);
        }
        Ok(LogStream {
            arn: Some(format!("{}:log-stream:{}", self.arn(&group.name), row.name)),
            creation_time: Some(row.created_ms),
            first_event_timestamp: first,
            last_event_timestamp: last,
            last_ingestion_time: row.ingested_ms.or(last),
            log_stream_name: Some(row.name.clone()),
            // AWS stopped counting it per stream.
            stored_bytes: Some(0),
            upload_sequence_token: row.ingested_ms.map(|ms| format!("{ms:056}")),
        })
    }

    /// A page of groups by name, or the groups that are named.
    ///
    /// # Errors
    /// Two ways to choose together; groups of other accounts.
    pub fn describe_log_groups(
        &self,
        input: &DescribeLogGroupsRequest,
    ) -> Result<DescribeLogGroupsResponse, ApiError> {
        if input.include_linked_accounts == Some(true) {
            return Err(invalid("includeLinkedAccounts does not work: there are no other accounts here"));
        }
        let (prefix, contains) =
            (input.log_group_name_prefix.as_deref(), input.log_group_name_pattern.as_deref());
        if prefix.is_some() && contains.is_some() {
            return Err(invalid("logGroupNamePrefix and logGroupNamePattern must not be given together"));
        }
        if let Some(identifiers) = &input.log_group_identifiers {
            if prefix.is_some() || contains.is_some() || input.next_token.is_some() {
                return Err(invalid("logGroupIdentifiers must be given without another choice or a token"));
            }
            return self.named_groups(identifiers);
        }
        let limit = limit(input.limit, PAGE);
        let class = input.log_group_class.as_deref();
        let after = input.next_token.as_deref();
        let rows = self.catalog.groups(&GroupQuery { prefix, contains, class, after, limit: limit + 1 })?;
        let next_token = (rows.len() > limit).then(|| rows[limit - 1].name.clone());
        let groups = rows.iter().take(limit).map(|row| self.log_group(row)).collect();
        Ok(DescribeLogGroupsResponse { log_groups: Some(groups), next_token })
    }

    /// Those that exist of the groups that are named.
    fn named_groups(&self, identifiers: &[String]) -> Result<DescribeLogGroupsResponse, ApiError> {
        let mut names =
            identifiers.iter().map(|one| group_of_identifier(one)).collect::<Result<Vec<_>, _>>()?;
        names.sort_unstable();
        names.dedup();
        let mut groups = Vec::new();
        for name in names {
            groups.extend(self.catalog.group(name)?.map(|row| self.log_group(&row)));
        }
        Ok(DescribeLogGroupsResponse { log_groups: Some(groups), next_token: None })
    }

    fn log_group(&self, row: &GroupRow) -> LogGroup {
        let arn = self.arn(&row.name);
        LogGroup {
            arn: Some(format!("{arn}:*")),
            creation_time: Some(row.created_ms),
            log_group_arn: Some(arn),
            deletion_protection_enabled: Some(row.protected),
            log_group_class: Some(row.class.clone()),
            log_group_name: Some(row.name.clone()),
            metric_filter_count: Some(0),
            retention_in_days: row.retention_days,
            stored_bytes: Some(row.stored_bytes),
            ..LogGroup::default()
        }
    }
}

/// `n/<name>` in the order of names, `e/<time>/<name>` in that of last events.
fn write_token(row: &StreamRow, order: StreamOrder) -> String {
    match order {
        StreamOrder::Name => format!("n/{}", row.name),
        StreamOrder::LastEvent => {
            format!("e/{}/{}", row.last_event_ms.unwrap_or(row.created_ms), row.name)
        }
    }
}

fn read_token(token: &str, order: StreamOrder) -> Result<(i64, &str), ApiError> {
    let read = || match order {
        StreamOrder::Name => Some((0, token.strip_prefix("n/")?)),
        StreamOrder::LastEvent => {
            let (ms, name) = token.strip_prefix("e/")?.split_once('/')?;
            Some((ms.parse().ok()?, name))
        }
    };
    read().ok_or_else(|| invalid("The specified nextToken is invalid."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::logs::testing::TestGroup;

    fn ask() -> DescribeLogStreamsRequest {
        DescribeLogStreamsRequest {
            log_group_name: Some("/aws/batch/job".into()),
            limit: Some(2),
            ..DescribeLogStreamsRequest::default()
        }
    }

    fn names(group: &TestGroup, mut input: DescribeLogStreamsRequest) -> Vec<String> {
        let mut pages = Vec::new();
        loop {
            let answer = group.logs.describe_log_streams(&input).expect("a page");
            let names = answer.log_streams.into_iter().flatten().filter_map(|s| s.log_stream_name);
            pages.push(names.collect::<Vec<_>>().join(" "));
            input.next_token = answer.next_token;
            if input.next_token.is_none() {
                return pages;
            }
        }
    }

    fn group() -> TestGroup {
        let group = TestGroup::new();
        for (name, last) in [("a/1", 50), ("a/2", 20), ("b/1", 40), ("b/2", 20)] {
            group.stream(name, &[(10, "x"), (last, "y")]);
            group.done(name, 10, last);
        }
        group
    }

    #[test]
    fn streams_come_by_name_or_by_last_event_in_both_directions() {
        let group = group();
        assert_eq!(names(&group, ask()), ["a/1 a/2", "b/1 b/2"]);
        let descending = DescribeLogStreamsRequest { descending: Some(true), limit: Some(3), ..ask() };
        assert_eq!(names(&group, descending), ["b/2 b/1 a/2", "a/1"]);
        let by_time = DescribeLogStreamsRequest { order_by: Some("LastEventTime".into()), ..ask() };
        assert_eq!(names(&group, by_time.clone()), ["a/2 b/2", "b/1 a/1"]);
        let newest = DescribeLogStreamsRequest { descending: Some(true), ..by_time };
        assert_eq!(names(&group, newest), ["a/1 b/1", "b/2 a/2"]);
        let prefix = DescribeLogStreamsRequest { log_stream_name_prefix: Some("b".into()), ..ask() };
        assert_eq!(names(&group, prefix), ["b/1 b/2"]);
    }

    #[test]
    fn a_running_stream_has_the_times_of_its_file() {
        let group = TestGroup::new();
        let log = group.stream("s", &[(10, "x")]);
        log.append(99, b"y");
        let answer = group.logs.describe_log_streams(&ask()).expect("a page");
        let stream = &answer.log_streams.expect("streams")[0];
        assert_eq!((stream.first_event_timestamp, stream.last_event_timestamp), (Some(10), Some(99)));
        let arn = "arn:aws:logs:eu-test-1:111122223333:log-group:/aws/batch/job:log-stream:s";
        assert_eq!(stream.arn.as_deref(), Some(arn));
    }

    #[test]
    fn contradictions_and_foreign_tokens_are_refused() {
        let group = group();
        let by_time = DescribeLogStreamsRequest { order_by: Some("LastEventTime".into()), ..ask() };
        let bad = [
            DescribeLogStreamsRequest { log_stream_name_prefix: Some("b".into()), ..by_time.clone() },
            DescribeLogStreamsRequest { next_token: Some("n/a".into()), ..by_time },
            DescribeLogStreamsRequest { next_token: Some("e/1/a".into()), ..ask() },
        ];
        for input in bad {
            let error = group.logs.describe_log_streams(&input).expect_err("refused");
            assert_eq!(error.kind, ErrorKind::InvalidParameter);
        }
    }

    #[test]
    fn groups_page_by_name() {
        let group = TestGroup::new();
        let mut input = DescribeLogGroupsRequest { limit: Some(1), ..DescribeLogGroupsRequest::default() };
        let first = group.logs.describe_log_groups(&input).expect("a page");
        input.next_token = first.next_token;
        let second = group.logs.describe_log_groups(&input).expect("a page");
        let name = |answer: Option<Vec<LogGroup>>| answer.expect("groups")[0].log_group_name.clone();
        assert_eq!(name(first.log_groups).as_deref(), Some("/aws/batch/job"));
        assert_eq!((name(second.log_groups).as_deref(), second.next_token), (Some("other"), None));
        let pattern = DescribeLogGroupsRequest {
            log_group_name_pattern: Some("batch".into()),
            ..DescribeLogGroupsRequest::default()
        };
        assert_eq!(
            group.logs.describe_log_groups(&pattern).expect("a page").log_groups.expect("groups").len(),
            1
        );
    }
}
