//! DescribeJobs in AWS's shape for every state (spec jobs §1.3). Never here: anything but reading.

use super::{log_target, stream_name};
use crate::api::service::{EnvironmentName, Service};
use crate::error::ApiError;
use crate::store::{JobRecord, TagOwner};
use batchyard_engine::change::AttemptRow;
use batchyard_engine::{JobStatus, JobUuid};
use batchyard_model::arn::ecs_task;
use batchyard_model::batch::*;
use batchyard_model::ids::TaskId;
use batchyard_model::limits::MAX_DESCRIBE;

/// The job that an id or ARN names, if any job can be named so.
pub fn job_uuid(text: &str) -> Option<JobUuid> {
    let id = text.rsplit_once(":job/").map_or(text, |(_, id)| id);
    id.parse().ok()
}

impl Service {
    pub(in crate::api) async fn describe_jobs(
        &self,
        input: DescribeJobsRequest,
    ) -> Result<DescribeJobsResponse, ApiError> {
        let names = input.jobs.unwrap_or_default();
        if names.len() > MAX_DESCRIBE {
            return Err(ApiError::wrapped(format!("Maximum number of jobs supported is  {MAX_DESCRIBE} .")));
        }
        let mut uuids: Vec<JobUuid> = names.iter().filter_map(|n| job_uuid(n)).collect();
        let mut seen = std::collections::HashSet::new();
        uuids.retain(|u| seen.insert(*u));
        let read = move |r: &crate::store::Reader| {
            uuids.iter().filter_map(|u| r.job(*u).transpose()).collect::<Result<Vec<_>, _>>()
        };
        let (mut jobs, mut ids) = (Vec::new(), Vec::new());
        for record in self.readers.read(read).await? {
            ids.push(record.hot.id.0);
            jobs.push(self.job_detail(record).await?);
        }
        self.show_tags(TagOwner::Job, ids.into_iter(), &mut jobs, |job| &mut job.tags).await?;
        Ok(DescribeJobsResponse { jobs: Some(jobs) })
    }

    async fn job_detail(&self, record: JobRecord) -> Result<JobDetail, ApiError> {
        let mut detail: JobDetail = serde_json::from_str(&record.body).map_err(|error| {
            tracing::error!(%error, job = %record.uuid, "the body of a job can't be read");
            ApiError::server()
        })?;
        let hot = &record.hot;
        detail.job_id = Some(record.uuid.to_string());
        detail.job_name = Some(record.name.to_string());
        detail.status = Some(hot.status.name().to_string());
        detail.status_reason = hot.status_reason.as_deref().map(str::to_string);
        detail.created_at = Some(record.created_ms);
        detail.started_at = hot.started_ms;
        detail.stopped_at = hot.stopped_ms;
        detail.is_cancelled = hot.cancelled.then_some(true);
        detail.is_terminated = hot.terminated.is_some().then_some(true);
        let (_, prefix) = log_target(&detail);
        let mut attempts = Vec::new();
        for attempt in &record.attempts {
            let environment = self.environment_name(attempt.environment).await?;
            let shown = self.attempt_container(attempt, &environment, &prefix);
            if attempt.attempt == hot.attempts && hot.status != JobStatus::Runnable {
                show_current(&mut detail, &shown);
            }
            // An attempt is listed once it has ended.
            if attempt.stopped_ms.is_some() {
                attempts.push(attempt_detail(attempt, shown));
            }
        }
        detail.attempts = Some(attempts);
        Ok(detail)
    }

    fn attempt_container(
        &self,
        attempt: &AttemptRow,
        environment: &EnvironmentName,
        prefix: &str,
    ) -> AttemptContainerDetail {
        let (region, account) = (&self.region, &self.account);
        let task = u128::from_be_bytes(attempt.task.0);
        let result = attempt.containers.first();
        let name = result.map_or("default", |c| &*c.name);
        AttemptContainerDetail {
            exit_code: result.and_then(|c| c.exit_code),
            log_stream_name: attempt.started_ms.map(|_| stream_name(prefix, name, &attempt.task)),
            network_interfaces: Some(Vec::new()),
            reason: result.and_then(|c| c.reason.as_deref()).map(str::to_string),
            task_arn: Some(ecs_task(region, account, &environment.cluster, TaskId::from_u128(task))),
            ..AttemptContainerDetail::default()
        }
    }
}

/// The newest attempt also shows in the job's own container.
fn show_current(detail: &mut JobDetail, shown: &AttemptContainerDetail) {
    let Some(container) = &mut detail.container else { return };
    container.exit_code = shown.exit_code;
    container.reason.clone_from(&shown.reason);
    container.log_stream_name.clone_from(&shown.log_stream_name);
    container.task_arn.clone_from(&shown.task_arn);
}

fn attempt_detail(attempt: &AttemptRow, container: AttemptContainerDetail) -> AttemptDetail {
    AttemptDetail {
        container: Some(container),
        started_at: attempt.started_ms,
        status_reason: attempt.status_reason.as_deref().map(str::to_string),
        stopped_at: attempt.stopped_ms,
        ..AttemptDetail::default()
    }
}
