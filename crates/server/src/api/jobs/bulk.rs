//! CancelJobs and TerminateJobs (spec jobs §8): each job as its singular operation would, in one call.
//!
//! Never here: which states they work in; the engine decides that.

use super::stop::{answered, check_reason};
use crate::api::input::required;
use crate::api::service::Service;
use crate::error::{ApiError, ErrorKind};
use crate::iam::{Context, Principal, authorize};
use batchyard_engine::input::StopRequest;
use batchyard_engine::{Command, JobRef};
use batchyard_model::arn::{Arn, ArnResource};
use batchyard_model::batch::*;
use batchyard_model::ids::JobId;
use batchyard_model::limits::MAX_BULK;
use std::sync::Arc;
use tokio::task::JoinSet;

/// What became of each job of a bulk call.
#[derive(Debug, Default)]
struct Outcome {
    successful: Vec<String>,
    /// Job, code, message.
    errors: Vec<(String, &'static str, String)>,
}

/// One operation on one job.
#[derive(Clone, Copy)]
struct Stop {
    action: &'static str,
    command: fn(StopRequest) -> Command,
}

impl Service {
    pub(in crate::api) async fn cancel_jobs(
        &self,
        input: CancelJobsRequest,
        by: &Principal,
    ) -> Result<CancelJobsResponse, ApiError> {
        let stop = Stop { action: "batch:CancelJob", command: Command::Cancel };
        let outcome = self.stop_all(&input.jobs, &input.reason, by, stop).await?;
        let error = |(job, code, message): (String, &str, String)| CancelJobsErrorDetail {
            code: Some(code.to_string()),
            job: Some(job),
            message: Some(message),
        };
        Ok(CancelJobsResponse {
            errors: Some(outcome.errors.into_iter().map(error).collect()),
            successful: Some(outcome.successful),
        })
    }

    pub(in crate::api) async fn terminate_jobs(
        &self,
        input: TerminateJobsRequest,
        by: &Principal,
    ) -> Result<TerminateJobsResponse, ApiError> {
        let stop = Stop { action: "batch:TerminateJob", command: Command::Terminate };
        let outcome = self.stop_all(&input.jobs, &input.reason, by, stop).await?;
        let error = |(job, code, message): (String, &str, String)| TerminateJobsErrorDetail {
            code: Some(code.to_string()),
            job: Some(job),
            message: Some(message),
        };
        Ok(TerminateJobsResponse {
            errors: Some(outcome.errors.into_iter().map(error).collect()),
            successful: Some(outcome.successful),
        })
    }

    /// All at once, so that they share a commit.
    async fn stop_all(
        &self,
        jobs: &Option<Vec<String>>,
        reason: &Option<String>,
        by: &Principal,
        stop: Stop,
    ) -> Result<Outcome, ApiError> {
        let (jobs, reason) = (required(jobs, "jobs")?, required(reason, "reason")?);
        if jobs.len() > MAX_BULK {
            return Err(ApiError::wrapped(format!(
                "jobs must have at most {MAX_BULK} elements, got {}",
                jobs.len()
            )));
        }
        check_reason(reason)?;
        let reason: Arc<str> = reason.as_str().into();
        let mut results: Vec<Result<(), (&'static str, String)>> = Vec::new();
        let mut asked = JoinSet::new();
        for (index, text) in jobs.iter().enumerate() {
            let job = self.permitted(text, by, stop.action);
            results.push(job.as_ref().map(drop).map_err(Clone::clone));
            let Ok(Some(job)) = job else { continue };
            let (core, reason) = (self.core.clone(), reason.clone());
            asked.spawn(async move {
                let reply = core.command((stop.command)(StopRequest { job, reason })).await;
                (index, reply.and_then(answered))
            });
        }
        while let Some(done) = asked.join_next().await {
            let (index, result) = done.map_err(|_| ApiError::server())?;
            results[index] = result.map_err(|error| (code(error.kind), error.message));
        }
        let mut outcome = Outcome::default();
        for (job, result) in jobs.iter().cloned().zip(results) {
            match result {
                Ok(()) => outcome.successful.push(job),
                Err((code, message)) => outcome.errors.push((job, code, message)),
            }
        }
        Ok(outcome)
    }

    /// The job of an id or ARN, when the caller may do this to it; none when no such job can be here.
    fn permitted(
        &self,
        text: &str,
        by: &Principal,
        action: &str,
    ) -> Result<Option<JobRef>, (&'static str, String)> {
        let arn = match (text.parse::<Arn>(), text.parse::<JobId>()) {
            (Ok(arn @ Arn { resource: ArnResource::Job(_), .. }), _) => arn,
            (_, Ok(id)) => Arn::job(&self.region, &self.account, id),
            _ => return Err(("ValidationException", format!("{text:?} is not the id or ARN of a job"))),
        };
        authorize(by, action, &[&arn.to_string()], &Context::default())
            .map_err(|error| (code(error.kind), error.message))?;
        Ok(self.job_named(text))
    }
}

/// The code of a job's error in a bulk answer.
fn code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Client | ErrorKind::ClientWrapped => "ClientException",
        ErrorKind::AccessDenied => "AccessDenied",
        ErrorKind::TooManyRequests => "ThrottlingException",
        _ => "ServerException",
    }
}
