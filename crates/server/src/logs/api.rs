//! CloudWatch Logs' operations by name, and what they share: which group is meant, where files are, what ARNs look like.
//!
//! Never here: signatures and rights (`http` and `iam`), the operations themselves (`get`, `filter`, `describe`,
//! `groups`, `put`).

use super::catalog::{GroupRow, LogCatalog, LogWriter, StreamRow};
use super::file::LogFile;
use super::positions::Positions;
use crate::clock;
use crate::error::{ApiError, ErrorKind};
use crate::store::{Events, StoreError};
use batchyard_model::{Validate, logs as model};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use tokio::sync::Semaphore;

/// Bytes that CloudWatch counts for an event beside its message.
pub(super) const EVENT_OVERHEAD: usize = 26;
/// Bytes of events on a page.
pub(super) const PAGE_BYTES: usize = 1 << 20;
/// Events on a page unless the caller wants fewer.
pub(super) const PAGE_EVENTS: usize = 10_000;
/// Milliseconds of a day.
pub(super) const DAY_MS: i64 = 24 * 3_600_000;

/// Where rows and events are.
#[derive(Clone)]
pub struct LogStores {
    /// Reads rows.
    pub catalog: Arc<dyn LogCatalog>,
    /// Writes rows.
    pub writer: Arc<dyn LogWriter>,
    /// Events that clients sent.
    pub events: Events,
}

/// Answers CloudWatch Logs' operations. Blocks on the disk.
pub struct Logs {
    pub(super) catalog: Arc<dyn LogCatalog>,
    pub(super) writer: Arc<dyn LogWriter>,
    pub(super) events: Events,
    pub(super) positions: Positions,
    pub(super) sweep: SyncSender<()>,
    pub(super) tails: Arc<Semaphore>,
    data: PathBuf,
    region: String,
    account: String,
}

impl Logs {
    /// Over the log files of this data folder; region and account are for ARNs. Starts the thread that clears away.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        stores: LogStores,
        data: impl Into<PathBuf>,
        region: impl Into<String>,
        account: impl Into<String>,
    ) -> io::Result<Self> {
        let data = data.into();
        let sweep = super::sweep::start(stores.clone(), data.clone())?;
        let LogStores { catalog, writer, events } = stores;
        let (region, account, positions) = (region.into(), account.into(), Positions::default());
        let tails = super::tail::places();
        Ok(Self { catalog, writer, events, positions, sweep, tails, data, region, account })
    }

    /// Whether there is a group of that name.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn has_group(&self, name: &str) -> Result<bool, ApiError> {
        Ok(self.catalog.group(name)?.is_some())
    }

    /// Answers an operation by its name, the part of `x-amz-target` behind the dot: JSON in, JSON out.
    ///
    /// # Errors
    /// As CloudWatch Logs words them.
    pub fn call(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        match operation {
            "CreateLogGroup" => done(self.create_log_group(&read(body)?)),
            "CreateLogStream" => done(self.create_log_stream(&read(body)?)),
            "DeleteLogGroup" => done(self.delete_log_group(&read(body)?)),
            "DeleteLogStream" => done(self.delete_log_stream(&read(body)?)),
            "DeleteRetentionPolicy" => done(self.delete_retention_policy(&read(body)?)),
            "DescribeLogGroups" => answer(&self.describe_log_groups(&read(body)?)?),
            "DescribeLogStreams" => answer(&self.describe_log_streams(&read(body)?)?),
            "FilterLogEvents" => answer(&self.filter_log_events(&read(body)?)?),
            "GetLogEvents" => answer(&self.get_log_events(&read(body)?)?),
            "ListTagsForResource" => answer(&self.list_tags(&read(body)?)?),
            "PutLogEvents" => answer(&self.put_log_events(read(body)?)?),
            "PutLogGroupDeletionProtection" => done(self.put_deletion_protection(&read(body)?)),
            "PutRetentionPolicy" => done(self.put_retention_policy(&read(body)?)),
            "TagResource" => done(self.tag_resource(&read(body)?)),
            "UntagResource" => done(self.untag_resource(&read(body)?)),
            known if model::OPERATIONS.iter().any(|o| o.name == known) => {
                Err(invalid(format!("{known} answers with a stream of events and is not called this way")))
            }
            other => {
                let text = format!("CloudWatch Logs has no operation {other} here");
                Err(ApiError::new(ErrorKind::UnknownOperation, text))
            }
        }
    }

    /// The group that a name or an identifier (name or ARN, with or without `:*`) means.
    pub(super) fn group(&self, name: Option<&str>, identifier: Option<&str>) -> Result<GroupRow, ApiError> {
        let name = match (name, identifier) {
            (Some(name), None) => name,
            (None, Some(identifier)) => group_of_identifier(identifier)?,
            (Some(_), Some(_)) => {
                return Err(invalid("logGroupName and logGroupIdentifier must not be given together"));
            }
            (None, None) => return Err(invalid("logGroupName or logGroupIdentifier must be given")),
        };
        self.catalog.group(name)?.ok_or_else(no_group)
    }

    /// The stream of this name.
    pub(super) fn stream(&self, group: &GroupRow, name: &str) -> Result<StreamRow, ApiError> {
        self.catalog.stream(group.id, name)?.ok_or_else(no_stream)
    }

    /// Where a stream's file is; nowhere when its events are in the event store.
    pub(super) fn path(&self, stream: &StreamRow) -> Option<PathBuf> {
        (!stream.path.as_os_str().is_empty()).then(|| self.data.join(&stream.path))
    }

    /// A stream's file; none when nothing was written yet, or what was is gone.
    pub(super) fn open(&self, stream: &StreamRow) -> Result<Option<(PathBuf, LogFile)>, ApiError> {
        let Some(path) = self.path(stream) else { return Ok(None) };
        let file = LogFile::open(&path).map_err(|error| unreadable(stream, &error))?;
        Ok(file.map(|file| (path, file)))
    }

    /// ARN of a group, without `:*`.
    pub(super) fn arn(&self, group: &str) -> String {
        batchyard_model::arn::log_group(&self.region, &self.account, group)
    }
}

/// Events of a group that are older than this are past its retention, wall milliseconds.
pub(super) fn kept_from(group: &GroupRow) -> i64 {
    let kept = |days| clock::wall_ms() - i64::from(days) * DAY_MS;
    group.retention_days.map_or(i64::MIN, kept)
}

/// Logs why a stream's file cannot be read; the caller learns that it is ours.
pub(super) fn unreadable(stream: &StreamRow, error: &io::Error) -> ApiError {
    tracing::error!(stream = stream.name, path = %stream.path.display(), %error, "a log file cannot be read");
    ApiError::server()
}

pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorKind::InvalidParameter, message)
}

/// Logs why stored events cannot be read or written; the caller learns that it is ours.
pub(super) fn failed(error: &StoreError) -> ApiError {
    tracing::error!(%error, "stored log events");
    ApiError::server()
}

pub(super) fn no_group() -> ApiError {
    ApiError::new(ErrorKind::ResourceNotFound, "The specified log group does not exist.")
}

pub(super) fn no_stream() -> ApiError {
    ApiError::new(ErrorKind::ResourceNotFound, "The specified log stream does not exist.")
}

/// A caller's limit, already checked against the model, within ours.
pub(super) fn limit(asked: Option<i32>, most: usize) -> usize {
    asked.and_then(|n| usize::try_from(n).ok()).map_or(most, |n| n.clamp(1, most))
}

/// Reads and checks an operation's input.
pub(super) fn read<T: DeserializeOwned + Validate>(body: &[u8]) -> Result<T, ApiError> {
    let input: T = crate::wire::parse(body)?;
    input.check().map_err(|violations| invalid(violations.to_string()))?;
    Ok(input)
}

/// Operations without an answer have an empty body.
fn done(result: Result<(), ApiError>) -> Result<Vec<u8>, ApiError> {
    result.map(|()| Vec::new())
}

fn answer<T: Serialize>(output: &T) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(output).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written as JSON");
        ApiError::server()
    })
}

pub(super) fn group_of_identifier(identifier: &str) -> Result<&str, ApiError> {
    if !identifier.starts_with("arn:") {
        return Ok(identifier);
    }
    let name = identifier.splitn(7, ':').nth(6).filter(|_| identifier.split(':').nth(5) == Some("log-group"));
    let name = name.map(|name| name.strip_suffix(":*").unwrap_or(name)).filter(|name| !name.is_empty());
    name.ok_or_else(|| invalid(format!("{identifier} is not the ARN of a log group")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::testing::TestGroup;
    use serde_json::{Value, json};

    fn error(group: &TestGroup, operation: &str, body: &str) -> ApiError {
        group.logs.call(operation, body.as_bytes()).expect_err(body)
    }

    #[test]
    fn groups_are_found_by_name_and_by_arn() {
        let group = TestGroup::new();
        group.stream("s", &[(1, "a")]);
        let arn = group.logs.arn("/aws/batch/job");
        assert_eq!(group_of_identifier(&format!("{arn}:*")), Ok("/aws/batch/job"));
        for identifier in ["/aws/batch/job", &arn] {
            let body = json!({"logGroupIdentifier": identifier, "logStreamName": "s", "startFromHead": true});
            let answer = group.logs.call("GetLogEvents", body.to_string().as_bytes()).expect(identifier);
            let answer: Value = serde_json::from_slice(&answer).expect("json");
            assert_eq!(answer["events"][0]["message"], "a");
        }
        for wrong in ["arn:aws:s3:::x", "arn:aws:logs:r:a:log-group:", "arn:aws:logs:r:a:destination:x"] {
            assert_eq!(group_of_identifier(wrong).expect_err(wrong).kind, ErrorKind::InvalidParameter);
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_said_in_awss_way() {
        let group = TestGroup::new();
        group.stream("s", &[]);
        let cases = [
            (
                r#"{"logGroupName":"no","logStreamName":"s"}"#,
                ErrorKind::ResourceNotFound,
                "log group does not",
            ),
            (
                r#"{"logGroupName":"/aws/batch/job","logStreamName":"no"}"#,
                ErrorKind::ResourceNotFound,
                "log stream",
            ),
            (r#"{"logGroupName":"/aws/batch/job"}"#, ErrorKind::InvalidParameter, "logStreamName"),
            (r#"{"logStreamName":"s"}"#, ErrorKind::InvalidParameter, "must be given"),
            (
                r#"{"logGroupName":"/aws/batch/job","logGroupIdentifier":"/aws/batch/job","logStreamName":"s"}"#,
                ErrorKind::InvalidParameter,
                "together",
            ),
            (
                r#"{"logGroupName":"/aws/batch/job","logStreamName":"s","limit":0}"#,
                ErrorKind::InvalidParameter,
                "limit",
            ),
            (r#"{"logGroupName":7}"#, ErrorKind::Serialization, "logGroupName"),
            ("", ErrorKind::InvalidParameter, "logStreamName"),
        ];
        for (body, kind, text) in cases {
            let error = error(&group, "GetLogEvents", body);
            assert_eq!(error.kind, kind, "{body}");
            assert!(error.message.contains(text), "{body}: {}", error.message);
        }
    }

    #[test]
    fn operations_that_are_not_there_say_so() {
        let group = TestGroup::new();
        assert_eq!(error(&group, "StartQuery", "{}").kind, ErrorKind::UnknownOperation);
        assert_eq!(error(&group, "StartLiveTail", "{}").kind, ErrorKind::InvalidParameter);
    }
}
