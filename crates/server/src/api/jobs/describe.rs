//! DescribeJobs in AWS's shape for every state (spec jobs §1.3). Never here: anything but reading.

use super::ecs::UNNAMED;
use super::{has_stream, log_target, single, stream_name};
use crate::api::service::{EnvironmentName, Service};
use crate::error::ApiError;
use crate::store::{JobRecord, Reader, TagOwner};
use batchyard_engine::change::{ArraySummary, AttemptRow};
use batchyard_engine::{JobRef, JobStatus, JobUuid};
use batchyard_model::arn::{Arn, ArnResource, ecs_task};
use batchyard_model::batch::*;
use batchyard_model::ids::{JobId, JobPart, TaskId};
use batchyard_model::limits::MAX_DESCRIBE;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

impl Service {
    /// The job, or child of an array, that an id or an ARN of this account and Region names; none when no job here can be
    /// named so, as no node can.
    pub(super) fn job_named(&self, text: &str) -> Option<JobRef> {
        let id = match text.parse() {
            Ok(Arn { resource: ArnResource::Job(id), region, account }) => {
                (region == self.region && account == self.account).then_some(id)?
            }
            Ok(_) => return None,
            Err(_) => text.parse().ok()?,
        };
        job_ref(id)
    }

    pub(in crate::api) async fn describe_jobs(
        &self,
        input: DescribeJobsRequest,
    ) -> Result<DescribeJobsResponse, ApiError> {
        let names = input.jobs.unwrap_or_default();
        if names.len() > MAX_DESCRIBE {
            return Err(ApiError::wrapped(format!("Maximum number of jobs supported is  {MAX_DESCRIBE}")));
        }
        let mut uuids: Vec<JobRef> = names.iter().filter_map(|n| self.job_named(n)).collect();
        let mut seen = std::collections::HashSet::new();
        uuids.retain(|u| seen.insert(*u));
        let read = move |r: &Reader| {
            uuids.iter().filter_map(|u| r.job(*u).transpose()).collect::<Result<Vec<_>, _>>()
        };
        let (mut jobs, mut ids) = (Vec::new(), Vec::new());
        for record in self.readers.read(read).await? {
            // Children have no tags (spec jobs §2.4).
            ids.push(if record.named.index.is_some() { NOBODY } else { record.hot.id.0 });
            jobs.push(self.job_detail(record).await?);
        }
        self.show_tags(TagOwner::Job, ids.into_iter(), &mut jobs, |job| &mut job.tags).await?;
        Ok(DescribeJobsResponse { jobs: Some(jobs) })
    }

    async fn job_detail(&self, record: JobRecord) -> Result<JobDetail, ApiError> {
        let mut detail: JobDetail = serde_json::from_str(&record.body).map_err(|error| {
            tracing::error!(%error, job = %record.named, "the body of a job can't be read");
            ApiError::server()
        })?;
        let hot = &record.hot;
        detail.job_id = Some(record.named.to_string());
        show_array(&mut detail, &record);
        if let Some(index) = record.named.index {
            self.show_child(&mut detail, index);
        }
        detail.job_name = Some(record.name.to_string());
        detail.status = Some(hot.status.name().to_string());
        detail.status_reason = hot.status_reason.as_deref().map(str::to_string);
        detail.created_at = Some(record.created_ms);
        detail.started_at = hot.started_ms;
        detail.stopped_at = hot.stopped_ms;
        detail.is_cancelled = hot.cancelled.then_some(true);
        detail.is_terminated = hot.terminated.is_some().then_some(true);
        let (_, prefix) = log_target(&detail);
        let prefix = has_stream(&detail).then_some(prefix);
        let name = single(&detail).map_or_else(|| UNNAMED.to_string(), |s| s.name.to_string());
        let mut attempts = Vec::new();
        for attempt in &record.attempts {
            let environment = self.environment_name(attempt.environment).await?;
            let shown = self.attempt_container(attempt, &environment, prefix.as_deref(), &name);
            if attempt.attempt == hot.attempts && hot.status != JobStatus::Runnable {
                show_current(&mut detail, &shown);
            }
            // An attempt is listed once it has ended.
            if attempt.stopped_ms.is_some() {
                let of_task = detail.container.is_none().then_some(name.as_str());
                attempts.push(attempt_detail(attempt, shown, of_task));
            }
        }
        detail.attempts = Some(attempts);
        Ok(detail)
    }

    /// What a child does not have from its parent.
    fn show_child(&self, detail: &mut JobDetail, index: u32) {
        if let Some(id) = detail.job_id.as_ref().and_then(|id| id.parse::<JobId>().ok()) {
            detail.job_arn = Some(Arn::job(&self.region, &self.account, id).to_string());
        }
        detail.depends_on = Some(Vec::new());
        detail.tags = Some(BTreeMap::new());
        detail.array_properties = Some(ArrayPropertiesDetail {
            index: i32::try_from(index).ok(),
            status_summary: Some(BTreeMap::new()),
            ..ArrayPropertiesDetail::default()
        });
    }

    fn attempt_container(
        &self,
        attempt: &AttemptRow,
        environment: &EnvironmentName,
        prefix: Option<&str>,
        name: &str,
    ) -> AttemptContainerDetail {
        let (region, account) = (&self.region, &self.account);
        let task = u128::from_be_bytes(attempt.task.0);
        let result = attempt.containers.first();
        AttemptContainerDetail {
            exit_code: result.and_then(|c| c.exit_code),
            log_stream_name: prefix
                .filter(|_| attempt.started_ms.is_some())
                .map(|prefix| stream_name(prefix, name, &attempt.task)),
            network_interfaces: Some(attempt.address.into_iter().map(interface).collect()),
            reason: result.and_then(|c| c.reason.as_deref()).map(str::to_string),
            task_arn: Some(ecs_task(region, account, &environment.cluster, TaskId::from_u128(task))),
            ..AttemptContainerDetail::default()
        }
    }
}

/// A row id that nothing has.
const NOBODY: i64 = 0;

/// The engine's name of a job; none of a node.
pub fn job_ref(id: JobId) -> Option<JobRef> {
    let uuid = JobUuid(id.uuid.as_u128().to_be_bytes());
    match id.part {
        JobPart::Whole => Some(JobRef { uuid, index: None }),
        JobPart::Child(index) => Some(JobRef { uuid, index: Some(index) }),
        JobPart::Node(_) => None,
    }
}

/// Children in each of all seven states (spec jobs §4).
pub(super) fn status_summary(array: &ArraySummary) -> BTreeMap<String, i32> {
    let count = |status: JobStatus| i32::try_from(array.counts[status as usize]).unwrap_or(i32::MAX);
    JobStatus::ALL.map(|status| (status.name().to_string(), count(status))).into()
}

fn show_array(detail: &mut JobDetail, record: &JobRecord) {
    let Some(array) = &record.array else { return };
    detail.array_properties = Some(ArrayPropertiesDetail {
        index: None,
        size: i32::try_from(array.size()).ok(),
        status_summary: Some(status_summary(array)),
        status_summary_last_updated_at: Some(array.updated_ms),
    });
}

/// The network of an attempt's own. AWS's also have an attachment, a thing of ECS that nothing stands for here.
fn interface(address: Ipv4Addr) -> NetworkInterface {
    NetworkInterface { private_ipv4_address: Some(address.to_string()), ..NetworkInterface::default() }
}

/// The newest attempt also shows in the job's own container.
fn show_current(detail: &mut JobDetail, shown: &AttemptContainerDetail) {
    if let Some(container) = &mut detail.container {
        container.exit_code = shown.exit_code;
        container.reason.clone_from(&shown.reason);
        container.log_stream_name.clone_from(&shown.log_stream_name);
        container.task_arn.clone_from(&shown.task_arn);
        container.network_interfaces.clone_from(&shown.network_interfaces);
    }
    let tasks = detail.ecs_properties.as_mut().and_then(|e| e.task_properties.as_mut());
    let Some(task) = tasks.and_then(|t| t.first_mut()) else { return };
    task.task_arn.clone_from(&shown.task_arn);
    if let Some(container) = task.containers.as_mut().and_then(|c| c.first_mut()) {
        container.exit_code = shown.exit_code;
        container.reason.clone_from(&shown.reason);
        container.log_stream_name.clone_from(&shown.log_stream_name);
        container.network_interfaces.clone_from(&shown.network_interfaces);
    }
}

/// An attempt. A job of `ecsProperties` shows it as a task whose container has this name (spec jobs §1.3).
fn attempt_detail(
    attempt: &AttemptRow,
    container: AttemptContainerDetail,
    of_task: Option<&str>,
) -> AttemptDetail {
    let mut detail = AttemptDetail {
        started_at: attempt.started_ms,
        status_reason: attempt.status_reason.as_deref().map(str::to_string),
        stopped_at: attempt.stopped_ms,
        ..AttemptDetail::default()
    };
    let Some(name) = of_task else {
        detail.container = Some(container);
        return detail;
    };
    let shown = AttemptTaskContainerDetails {
        exit_code: container.exit_code,
        log_stream_name: container.log_stream_name,
        name: Some(name.to_string()),
        network_interfaces: container.network_interfaces,
        reason: container.reason,
    };
    detail.task_properties = Some(vec![AttemptEcsTaskDetails {
        containers: Some(vec![shown]),
        task_arn: container.task_arn,
        ..AttemptEcsTaskDetails::default()
    }]);
    detail
}
