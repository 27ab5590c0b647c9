//! Making and removing groups and streams, retention, and tags of groups.
//!
//! Whether something exists is judged where it is written, not here.

use super::api::{Logs, group_of_identifier, invalid, no_group, no_stream};
use crate::clock;
use crate::error::{ApiError, ErrorKind};
use crate::store::{LogWrite, LogWritten, NewGroup, TagChange, TagOwner};
use batchyard_model::limits::MAX_TAGS;
use batchyard_model::logs::{
    CreateLogGroupRequest, CreateLogStreamRequest, DeleteLogGroupRequest, DeleteLogStreamRequest,
    DeleteRetentionPolicyRequest, ListTagsForResourceRequest, ListTagsForResourceResponse,
    PutLogGroupDeletionProtectionRequest, PutRetentionPolicyRequest, TagResourceRequest,
    UntagResourceRequest,
};
use std::collections::BTreeMap;

/// The days that AWS lets a group keep its events.
const RETENTION_DAYS: [i32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

impl Logs {
    /// Makes a group.
    ///
    /// # Errors
    /// There is one of this name; a class or a key that does not work here; reserved tags.
    pub fn create_log_group(&self, input: &CreateLogGroupRequest) -> Result<(), ApiError> {
        if input.kms_key_id.is_some() {
            return Err(invalid("kmsKeyId does not work: log files are not encrypted here; leave it out"));
        }
        let name = input.log_group_name.clone().unwrap_or_default();
        if name.starts_with("aws/") {
            return Err(invalid(format!("logGroupName {name} begins with aws/, which is reserved")));
        }
        let class = input.log_group_class.as_deref().unwrap_or("STANDARD");
        if !matches!(class, "STANDARD" | "INFREQUENT_ACCESS") {
            let text = format!("logGroupClass {class} does not work; use STANDARD or INFREQUENT_ACCESS");
            return Err(invalid(text));
        }
        let tags = input.tags.clone().unwrap_or_default();
        check_tags(tags.keys())?;
        self.write(LogWrite::CreateGroup(NewGroup {
            name,
            created_ms: clock::wall_ms(),
            class: class.to_string(),
            protected: input.deletion_protection_enabled == Some(true),
            tags,
        }))
    }

    /// Removes a group with its streams and events.
    ///
    /// # Errors
    /// No such group; it is protected; a job writes a stream of it.
    pub fn delete_log_group(&self, input: &DeleteLogGroupRequest) -> Result<(), ApiError> {
        self.write(LogWrite::DeleteGroup(input.log_group_name.clone().unwrap_or_default()))?;
        self.clear_away();
        Ok(())
    }

    /// Protects a group from deletion, or no longer.
    ///
    /// # Errors
    /// No such group.
    pub fn put_deletion_protection(
        &self,
        input: &PutLogGroupDeletionProtectionRequest,
    ) -> Result<(), ApiError> {
        let group = group_of_identifier(input.log_group_identifier.as_deref().unwrap_or_default())?;
        let on = input.deletion_protection_enabled == Some(true);
        self.write(LogWrite::Protect { group: group.to_string(), on })
    }

    /// Makes a stream that PutLogEvents can write.
    ///
    /// # Errors
    /// No such group; there is a stream of this name.
    pub fn create_log_stream(&self, input: &CreateLogStreamRequest) -> Result<(), ApiError> {
        self.write(LogWrite::CreateStream {
            group: input.log_group_name.clone().unwrap_or_default(),
            name: input.log_stream_name.clone().unwrap_or_default(),
            created_ms: clock::wall_ms(),
        })
    }

    /// Removes a stream with its events.
    ///
    /// # Errors
    /// No such group or stream; a job writes it.
    pub fn delete_log_stream(&self, input: &DeleteLogStreamRequest) -> Result<(), ApiError> {
        self.write(LogWrite::DeleteStream {
            group: input.log_group_name.clone().unwrap_or_default(),
            name: input.log_stream_name.clone().unwrap_or_default(),
        })?;
        self.clear_away();
        Ok(())
    }

    /// Sets how long a group keeps its events.
    ///
    /// # Errors
    /// No such group; a number of days that AWS does not have.
    pub fn put_retention_policy(&self, input: &PutRetentionPolicyRequest) -> Result<(), ApiError> {
        let days = input.retention_in_days.unwrap_or_default();
        if !RETENTION_DAYS.contains(&days) {
            let allowed: Vec<String> = RETENTION_DAYS.iter().map(ToString::to_string).collect();
            return Err(invalid(format!("retentionInDays is {days}; use one of {}", allowed.join(", "))));
        }
        let group = input.log_group_name.clone().unwrap_or_default();
        self.write(LogWrite::Retention { group, days: Some(days) })?;
        self.clear_away();
        Ok(())
    }

    /// Lets a group keep its events for ever.
    ///
    /// # Errors
    /// No such group.
    pub fn delete_retention_policy(&self, input: &DeleteRetentionPolicyRequest) -> Result<(), ApiError> {
        let group = input.log_group_name.clone().unwrap_or_default();
        self.write(LogWrite::Retention { group, days: None })
    }

    /// A group's tags.
    ///
    /// # Errors
    /// No such group.
    pub fn list_tags(
        &self,
        input: &ListTagsForResourceRequest,
    ) -> Result<ListTagsForResourceResponse, ApiError> {
        let group = self.tagged(input.resource_arn.as_deref())?;
        Ok(ListTagsForResourceResponse { tags: Some(self.catalog.group_tags(group)?) })
    }

    /// Sets tags of a group.
    ///
    /// # Errors
    /// No such group; reserved keys; too many.
    pub fn tag_resource(&self, input: &TagResourceRequest) -> Result<(), ApiError> {
        let set = input.tags.clone().unwrap_or_default();
        check_tags(set.keys())?;
        self.change_tags(self.tagged(input.resource_arn.as_deref())?, set, Vec::new())
    }

    /// Removes tags of a group.
    ///
    /// # Errors
    /// No such group.
    pub fn untag_resource(&self, input: &UntagResourceRequest) -> Result<(), ApiError> {
        let remove = input.tag_keys.clone().unwrap_or_default();
        self.change_tags(self.tagged(input.resource_arn.as_deref())?, BTreeMap::new(), remove)
    }

    fn tagged(&self, arn: Option<&str>) -> Result<i64, ApiError> {
        let arn = arn.filter(|arn| arn.starts_with("arn:"));
        let name = group_of_identifier(arn.ok_or_else(|| invalid("resourceArn is not an ARN"))?)?;
        Ok(self.catalog.group(name)?.ok_or_else(no_group)?.id)
    }

    fn change_tags(
        &self,
        id: i64,
        set: BTreeMap<String, String>,
        remove: Vec<String>,
    ) -> Result<(), ApiError> {
        let made_with = BTreeMap::new();
        let change = TagChange { owner: TagOwner::LogGroup, id, made_with, set, remove };
        match self.writer.tag(change)? {
            None => Ok(()),
            Some(count) => {
                let text = format!("the log group would have {count} tags; at most {MAX_TAGS} are allowed");
                Err(ApiError::new(ErrorKind::TooManyTags, text))
            }
        }
    }

    fn write(&self, write: LogWrite) -> Result<(), ApiError> {
        refused(&write.clone(), self.writer.write(write)?)
    }

    /// Wakes the sweep. One that is awake already sees the change too.
    fn clear_away(&self) {
        let _ = self.sweep.try_send(());
    }
}

/// What a caller learns of a write.
pub(super) fn refused(write: &LogWrite, written: LogWritten) -> Result<(), ApiError> {
    let group = matches!(write, LogWrite::CreateGroup(_) | LogWrite::DeleteGroup(_));
    Err(match written {
        LogWritten::Done | LogWritten::Stream(_) => return Ok(()),
        LogWritten::Exists => {
            let what = if group { "group" } else { "stream" };
            let text = format!("The specified log {what} already exists");
            ApiError::new(ErrorKind::ResourceAlreadyExists, text)
        }
        LogWritten::NoGroup => no_group(),
        LogWritten::NoStream => no_stream(),
        // AWS's sentence; Terraform tries again because of it.
        LogWritten::Busy(stream) => ApiError::new(
            ErrorKind::OperationAborted,
            format!(
                "A conflicting operation is currently in progress against this resource. Please try again. \
                 (A job writes the log stream {stream}.)"
            ),
        ),
        LogWritten::OfJob => invalid("a job wrote this log stream; put events into a stream of your own"),
        LogWritten::Protected => ApiError::new(
            ErrorKind::Validation,
            "the log group has deletion protection; it cannot be deleted",
        ),
    })
}

/// Keys that begin with `aws:` are AWS's own.
fn check_tags<'a>(mut keys: impl Iterator<Item = &'a String>) -> Result<(), ApiError> {
    match keys.find(|key| key.to_ascii_lowercase().starts_with("aws:")) {
        Some(key) => Err(invalid(format!("the tag key {key} begins with aws:, which is reserved"))),
        None => Ok(()),
    }
}
