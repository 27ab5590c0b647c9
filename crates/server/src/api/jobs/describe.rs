//! DescribeJobs in AWS's shape for every state (spec jobs §1.3). Never here: anything but reading.

use super::ecs::UNNAMED;
use super::{has_stream, log_target, single, stream_name};
use crate::api::service::{EnvironmentName, Service};
use crate::error::ApiError;
use crate::store::{JobRecord, Reader, TagOwner};
use batchyard_engine::change::AttemptRow;
use batchyard_engine::{JobStatus, JobUuid};
use batchyard_model::arn::{Arn, ArnResource, ecs_task};
use batchyard_model::batch::*;
use batchyard_model::ids::TaskId;
use batchyard_model::limits::MAX_DESCRIBE;
use std::net::Ipv4Addr;

impl Service {
    /// The job that an id, or an ARN of this account and Region, names; none when no job here can be named so, as no
    /// child of an array and no node can.
    pub(super) fn job_named(&self, text: &str) -> Option<JobUuid> {
        let id = match text.parse() {
            Ok(Arn { resource: ArnResource::Job(id), region, account }) => {
                (region == self.region && account == self.account).then_some(id)?
            }
            Ok(_) => return None,
            Err(_) => text.parse().ok()?,
        };
        id.is_whole().then(|| JobUuid(id.uuid.as_u128().to_be_bytes()))
    }

    pub(in crate::api) async fn describe_jobs(
        &self,
        input: DescribeJobsRequest,
    ) -> Result<DescribeJobsResponse, ApiError> {
        let names = input.jobs.unwrap_or_default();
        if names.len() > MAX_DESCRIBE {
            return Err(ApiError::wrapped(format!("Maximum number of jobs supported is  {MAX_DESCRIBE}")));
        }
        let mut uuids: Vec<JobUuid> = names.iter().filter_map(|n| self.job_named(n)).collect();
        let mut seen = std::collections::HashSet::new();
        uuids.retain(|u| seen.insert(*u));
        let read = move |r: &Reader| {
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
