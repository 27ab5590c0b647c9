//! CancelJob and TerminateJob (spec jobs §8). Never here: which states they work in; the engine decides that.

use crate::api::input::required;
use crate::api::refused;
use crate::api::service::Service;
use crate::error::ApiError;
use batchyard_engine::input::StopRequest;
use batchyard_engine::{Command, Reply};
use batchyard_model::batch::*;
use batchyard_model::limits::MAX_REASON;

impl Service {
    pub(in crate::api) async fn cancel_job(
        &self,
        input: CancelJobRequest,
    ) -> Result<CancelJobResponse, ApiError> {
        self.stop(&input.job_id, &input.reason, "an", Command::Cancel).await?;
        Ok(CancelJobResponse::default())
    }

    pub(in crate::api) async fn terminate_job(
        &self,
        input: TerminateJobRequest,
    ) -> Result<TerminateJobResponse, ApiError> {
        self.stop(&input.job_id, &input.reason, "a", Command::Terminate).await?;
        Ok(TerminateJobResponse::default())
    }

    /// An id that no job here has is no error: the job may be long gone. `article` is the one of AWS's text.
    async fn stop(
        &self,
        id: &Option<String>,
        reason: &Option<String>,
        article: &str,
        command: fn(StopRequest) -> Command,
    ) -> Result<(), ApiError> {
        let (id, reason) = (required(id, "jobId")?, required(reason, "reason")?);
        let given = [("jobId", id), ("reason", reason)];
        if let Some((member, _)) = given.iter().find(|(_, text)| text.is_empty()) {
            return Err(ApiError::client(format!(
                "'{member}' is a required field (cannot be {article} empty string)"
            )));
        }
        check_reason(reason)?;
        let Some(job) = self.job_named(id) else { return Ok(()) };
        answered(self.core.command(command(StopRequest { job, reason: reason.as_str().into() })).await?)
    }
}

/// The length of the caller's words.
pub fn check_reason(reason: &str) -> Result<(), ApiError> {
    let count = reason.chars().count();
    if (1..=MAX_REASON).contains(&count) {
        return Ok(());
    }
    Err(ApiError::wrapped(format!("reason must have 1 to {MAX_REASON} characters, got {count}")))
}

/// What the engine made of it.
pub fn answered(reply: Reply) -> Result<(), ApiError> {
    match reply {
        Reply::Refused(refusal) => Err(refused(refusal)),
        _ => Ok(()),
    }
}
