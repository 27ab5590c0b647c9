//! CancelJob and TerminateJob (spec jobs §8). Never here: which states they work in; the engine decides that.

use crate::api::input::required;
use crate::api::refused;
use crate::api::service::Service;
use crate::error::ApiError;
use batchyard_engine::input::StopRequest;
use batchyard_engine::{Command, JobUuid, Reply};
use batchyard_model::batch::*;
use batchyard_model::limits::MAX_REASON;

impl Service {
    pub(in crate::api) async fn cancel_job(
        &self,
        input: CancelJobRequest,
    ) -> Result<CancelJobResponse, ApiError> {
        if let Some(request) = request(&input.job_id, &input.reason)? {
            answered(self.core.command(Command::Cancel(request)).await?)?;
        }
        Ok(CancelJobResponse::default())
    }

    pub(in crate::api) async fn terminate_job(
        &self,
        input: TerminateJobRequest,
    ) -> Result<TerminateJobResponse, ApiError> {
        if let Some(request) = request(&input.job_id, &input.reason)? {
            answered(self.core.command(Command::Terminate(request)).await?)?;
        }
        Ok(TerminateJobResponse::default())
    }
}

fn answered(reply: Reply) -> Result<(), ApiError> {
    match reply {
        Reply::Refused(refusal) => Err(refused(refusal)),
        _ => Ok(()),
    }
}

/// Nothing for an id that no job can have: an unknown id is no error.
fn request(id: &Option<String>, reason: &Option<String>) -> Result<Option<StopRequest>, ApiError> {
    let id = required(id, "jobId")?;
    let reason = required(reason, "reason")?;
    if id.is_empty() {
        return Err(ApiError::wrapped("jobId must not be empty"));
    }
    if reason.is_empty() || reason.chars().count() > MAX_REASON {
        return Err(ApiError::wrapped(format!("reason must have 1 to {MAX_REASON} characters")));
    }
    Ok(super::describe::job_uuid(id).map(|job: JobUuid| StopRequest { job, reason: reason.as_str().into() }))
}
