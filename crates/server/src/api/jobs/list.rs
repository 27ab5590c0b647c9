//! ListJobs by queue and state (spec jobs §9). Never here: filters and children, which do not work yet.

use crate::api::input::required;
use crate::api::page::Page;
use crate::api::service::Service;
use crate::error::ApiError;
use crate::store::{JobPage, JobSummaryRecord};
use batchyard_engine::{JobId, JobStatus};
use batchyard_model::arn::{Arn, ArnKind, name_or_arn};
use batchyard_model::batch::*;
use batchyard_model::ids;
use batchyard_model::limits::MAX_LIST_JOBS;

const NAME: &str = "ListJobs";

impl Service {
    pub(in crate::api) async fn list_jobs(
        &self,
        input: ListJobsRequest,
    ) -> Result<ListJobsResponse, ApiError> {
        let status = check(&input)?;
        let most = u32::try_from(MAX_LIST_JOBS).unwrap_or(1000);
        let page = Page::read(NAME, input.max_results, input.next_token.as_deref(), most)?;
        let text = required(&input.job_queue, "jobQueue")?;
        let name = name_or_arn(ArnKind::JobQueue, text).map_err(|_| super::not_a_definition(text))?.name;
        let queue = self
            .queue(&name)
            .await?
            .ok_or_else(|| ApiError::client(format!("JobQueue {text} does not exist")))?;
        let jobs = JobPage { queue: queue.id, status, before: page.from.map(JobId), limit: page.limit() };
        let mut rows = self.readers.read(move |r| r.jobs(&jobs)).await?;
        let next_token = page.cut(NAME, &mut rows, |r| r.hot.id.0);
        let summaries = rows.iter().map(|row| self.summary(row)).collect();
        Ok(ListJobsResponse { job_summary_list: Some(summaries), next_token })
    }

    fn summary(&self, row: &JobSummaryRecord) -> JobSummary {
        let id = ids::JobId::whole(ids::Uuid::from_u128(u128::from_be_bytes(row.uuid.0)));
        let (name, revision) = &row.definition;
        let ended = row.last_attempt.as_ref().and_then(|a| a.containers.first());
        JobSummary {
            container: ended.map(|c| ContainerSummary {
                exit_code: c.exit_code,
                reason: c.reason.as_deref().map(str::to_string),
            }),
            created_at: Some(row.created_ms),
            is_cancelled: row.hot.cancelled.then_some(true),
            is_terminated: row.hot.terminated.is_some().then_some(true),
            job_arn: Some(Arn::job(&self.region, &self.account, id).to_string()),
            job_definition: Some(
                Arn::job_definition(&self.region, &self.account, name, *revision).to_string(),
            ),
            job_id: Some(row.uuid.to_string()),
            job_name: Some(row.name.to_string()),
            started_at: row.hot.started_ms,
            status: Some(row.hot.status.name().to_string()),
            status_reason: row.hot.status_reason.as_deref().map(str::to_string),
            stopped_at: row.hot.stopped_ms,
            ..JobSummary::default()
        }
    }
}

/// RUNNING unless another state is named.
fn check(input: &ListJobsRequest) -> Result<JobStatus, ApiError> {
    let selectors = [&input.job_queue, &input.array_job_id, &input.multi_node_job_id];
    if selectors.iter().filter(|s| s.is_some()).count() != 1 {
        return Err(ApiError::wrapped(
            "exactly one of jobQueue, arrayJobId and multiNodeJobId must be given",
        ));
    }
    if input.job_queue.is_none() {
        return Err(ApiError::client(
            "arrayJobId and multiNodeJobId do not work in this version of Batchyard",
        ));
    }
    if input.filters.as_ref().is_some_and(|f| !f.is_empty()) {
        return Err(ApiError::client("filters do not work in this version of Batchyard; list by jobStatus"));
    }
    let name = input.job_status.as_deref().unwrap_or("RUNNING");
    JobStatus::from_name(name)
        .ok_or_else(|| ApiError::wrapped(format!("jobStatus {name} is not a state of a job")))
}
