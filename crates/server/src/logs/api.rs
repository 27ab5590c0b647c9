//! CloudWatch Logs' operations by name, and what they share: which group is meant, where files are, what ARNs look like.
//!
//! Never here: signatures and rights (`http` and `iam`), the operations themselves (`get`, `filter`, `describe`).

use super::catalog::{GroupRow, LogCatalog, StreamRow};
use super::file::LogFile;
use super::positions::Positions;
use crate::error::{ApiError, ErrorKind};
use batchyard_model::{Validate, logs as model};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes that CloudWatch counts for an event beside its message.
pub(super) const EVENT_OVERHEAD: usize = 26;
/// Bytes of events on a page.
pub(super) const PAGE_BYTES: usize = 1 << 20;
/// Events on a page unless the caller wants fewer.
pub(super) const PAGE_EVENTS: usize = 10_000;

/// Answers CloudWatch Logs' operations. Blocks on the disk.
pub struct Logs {
    pub(super) catalog: Arc<dyn LogCatalog>,
    pub(super) positions: Positions,
    data: PathBuf,
    region: String,
    account: String,
}

impl Logs {
    /// Over the log files of this data folder; region and account are for ARNs.
    pub fn new(
        catalog: Arc<dyn LogCatalog>,
        data: impl Into<PathBuf>,
        region: impl Into<String>,
        account: impl Into<String>,
    ) -> Self {
        let positions = Positions::default();
        Self { catalog, positions, data: data.into(), region: region.into(), account: account.into() }
    }

    /// Answers an operation by its name, the part of `x-amz-target` behind the dot: JSON in, JSON out.
    ///
    /// # Errors
    /// As CloudWatch Logs words them; operations that do not work yet say so.
    pub fn call(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        match operation {
            "GetLogEvents" => answer(&self.get_log_events(&read(body)?)?),
            "FilterLogEvents" => answer(&self.filter_log_events(&read(body)?)?),
            "DescribeLogStreams" => answer(&self.describe_log_streams(&read(body)?)?),
            "DescribeLogGroups" => answer(&self.describe_log_groups(&read(body)?)?),
            known if model::OPERATIONS.iter().any(|o| o.name == known) => {
                Err(invalid(format!("{known} does not work yet: only jobs of this installation write logs")))
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
        self.catalog.group(name)?.ok_or_else(|| not_found("The specified log group does not exist."))
    }

    /// The stream of this name.
    pub(super) fn stream(&self, group: &str, name: &str) -> Result<StreamRow, ApiError> {
        let stream = self.catalog.stream(group, name)?;
        stream.ok_or_else(|| not_found("The specified log stream does not exist."))
    }

    /// Where a stream's file is.
    pub(super) fn path(&self, stream: &StreamRow) -> PathBuf {
        self.data.join(&stream.path)
    }

    /// A stream's file; none when nothing was written yet.
    pub(super) fn open(&self, stream: &StreamRow) -> Result<Option<LogFile>, ApiError> {
        let path = self.path(stream);
        LogFile::open(&path).map_err(|error| unreadable(stream, &error))
    }

    /// ARN of a group, without `:*`.
    pub(super) fn arn(&self, group: &str) -> String {
        batchyard_model::arn::log_group(&self.region, &self.account, group)
    }
}

/// Logs why a stream's file cannot be read; the caller learns that it is ours.
pub(super) fn unreadable(stream: &StreamRow, error: &io::Error) -> ApiError {
    tracing::error!(stream = stream.name, path = %stream.path.display(), %error, "a log file cannot be read");
    ApiError::server()
}

pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorKind::InvalidParameter, message)
}

pub(super) fn not_found(message: &str) -> ApiError {
    ApiError::new(ErrorKind::ResourceNotFound, message)
}

/// A caller's limit, already checked against the model, within ours.
pub(super) fn limit(asked: Option<i32>, most: usize) -> usize {
    asked.and_then(|n| usize::try_from(n).ok()).map_or(most, |n| n.clamp(1, most))
}

fn read<T: DeserializeOwned + Validate>(body: &[u8]) -> Result<T, ApiError> {
    let input: T = crate::wire::parse(body)?;
    input.check().map_err(|violations| invalid(violations.to_string()))?;
    Ok(input)
}

fn answer<T: Serialize>(output: &T) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(output).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written as JSON");
        ApiError::server()
    })
}

fn group_of_identifier(identifier: &str) -> Result<&str, ApiError> {
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
    fn operations_that_do_not_work_say_so() {
        let group = TestGroup::new();
        for operation in
            ["CreateLogGroup", "CreateLogStream", "PutLogEvents", "DeleteLogGroup", "PutRetentionPolicy"]
        {
            let error = error(&group, operation, "{}");
            assert_eq!(error.kind, ErrorKind::InvalidParameter);
            assert!(error.message.contains("does not work yet"), "{}", error.message);
        }
        assert_eq!(error(&group, "StartQuery", "{}").kind, ErrorKind::UnknownOperation);
    }
}
