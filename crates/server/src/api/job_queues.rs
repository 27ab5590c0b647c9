//! Job queues: create, update, describe, delete (spec infrastructure §3.1).
//!
//! The body of the row is the JobQueueDetail without what has a column of its own. Never here: whether its
//! environments fit, or a deletion is allowed; the engine decides that.

use super::compute_environments::references;
use super::input::{check_tags, new_name, required, state, state_name, status_name};
use super::page::Page;
use super::service::Service;
use super::{STALE_TRIES, contended, refused, unexpected};
use crate::error::ApiError;
use crate::store::Reader;
use batchyard_engine::ids::{ComputeEnvironmentId, QueueId};
use batchyard_engine::resource::{JobQueue, Status};
use batchyard_engine::{Command, Reply};
use batchyard_model::arn::{Arn, ArnKind, name_or_arn};
use batchyard_model::batch::*;
use batchyard_model::limits::{MAX_ENVIRONMENTS_PER_QUEUE, QUEUE_PRIORITY};

impl Service {
    /// CreateJobQueue; start-up makes the default ones through it too.
    ///
    /// # Errors
    /// As AWS words them.
    pub async fn create_job_queue(
        &self,
        input: CreateJobQueueRequest,
    ) -> Result<CreateJobQueueResponse, ApiError> {
        let name = new_name(&input.job_queue_name, "jobQueueName")?.to_string();
        check_tags(&input.tags)?;
        refuse_unbuilt(
            &input.scheduling_policy_arn,
            &input.service_environment_order,
            &input.job_state_time_limit_actions,
        )?;
        let priority = check_priority(*required(&input.priority, "priority")?)?;
        for _ in 0..STALE_TRIES {
            let order = input.compute_environment_order.clone().unwrap_or_default();
            let (environments, order) = self.environment_order(order).await?;
            let detail = JobQueueDetail {
                compute_environment_order: Some(order),
                job_queue_type: input.job_queue_type.clone(),
                job_state_time_limit_actions: Some(Vec::new()),
                tags: Some(input.tags.clone().unwrap_or_default()),
                ..JobQueueDetail::default()
            };
            let row = JobQueue {
                id: QueueId(0),
                name: name.as_str().into(),
                state: state(&input.state),
                status: Status::Creating,
                status_reason: "".into(),
                priority,
                environments,
                policy: None,
                version: 1,
                body: text(&detail),
            };
            match self.core.command(Command::CreateJobQueue(row)).await? {
                Reply::JobQueue(_) => {
                    let job_queue_arn = Some(self.queue_arn(&name));
                    return Ok(CreateJobQueueResponse { job_queue_arn, job_queue_name: Some(name) });
                }
                Reply::Stale => {}
                Reply::Refused(refusal) => return Err(refused(refusal)),
                other => return Err(unexpected(&other)),
            }
        }
        Err(contended())
    }

    pub(super) async fn update_job_queue(
        &self,
        input: UpdateJobQueueRequest,
    ) -> Result<UpdateJobQueueResponse, ApiError> {
        let name = self.queue_reference(&input.job_queue)?;
        refuse_unbuilt(
            &input.scheduling_policy_arn,
            &input.service_environment_order,
            &input.job_state_time_limit_actions,
        )?;
        for _ in 0..STALE_TRIES {
            let wanted = name.clone();
            let row = self.readers.read(move |r| r.job_queue(&wanted)).await?;
            let mut row = row.ok_or_else(|| missing(&name))?;
            if let Some(order) = input.compute_environment_order.clone() {
                let mut detail = body(&row)?;
                let (environments, order) = self.environment_order(order).await?;
                detail.compute_environment_order = Some(order);
                row.environments = environments;
                row.body = text(&detail);
            }
            if input.state.is_some() {
                row.state = state(&input.state);
            }
            row.priority = input.priority.map_or(Ok(row.priority), check_priority)?;
            match self.core.command(Command::UpdateJobQueue(row)).await? {
                Reply::Done | Reply::JobQueue(_) => {
                    let job_queue_arn = Some(self.queue_arn(&name));
                    return Ok(UpdateJobQueueResponse { job_queue_arn, job_queue_name: Some(name) });
                }
                Reply::Stale => {}
                Reply::Refused(refusal) => return Err(refused(refusal)),
                other => return Err(unexpected(&other)),
            }
        }
        Err(contended())
    }

    pub(super) async fn delete_job_queue(
        &self,
        input: DeleteJobQueueRequest,
    ) -> Result<DeleteJobQueueResponse, ApiError> {
        let name = self.queue_reference(&input.job_queue)?;
        let wanted = name.clone();
        let row = self.readers.read(move |r| r.job_queue(&wanted)).await?;
        let Some(row) = row else { return Ok(DeleteJobQueueResponse::default()) };
        let reply = self.core.command(Command::DeleteJobQueue(row.id)).await?;
        self.known.forget_queue(&name);
        match reply {
            Reply::Refused(refusal) => Err(refused(refusal)),
            _ => Ok(DeleteJobQueueResponse::default()),
        }
    }

    pub(super) async fn describe_job_queues(
        &self,
        input: DescribeJobQueuesRequest,
    ) -> Result<DescribeJobQueuesResponse, ApiError> {
        const NAME: &str = "DescribeJobQueues";
        let page = Page::read(NAME, input.max_results, input.next_token.as_deref(), 100)?;
        let names = input.job_queues.unwrap_or_default();
        let mut token = None;
        let rows = if names.is_empty() {
            let after = page.from.unwrap_or(0);
            let mut rows = self.readers.read(move |r| r.job_queues(after, page.limit())).await?;
            token = page.cut(NAME, &mut rows, |r| r.id.0);
            rows
        } else {
            let names = references(ArnKind::JobQueue, &names, 100)?;
            self.readers
                .read(move |r| names.iter().filter_map(|n| r.job_queue(n).transpose()).collect())
                .await?
        };
        let details: Result<Vec<_>, _> = rows.iter().map(|row| self.queue_detail(row)).collect();
        Ok(DescribeJobQueuesResponse { job_queues: Some(details?), next_token: token })
    }

    fn queue_detail(&self, row: &JobQueue) -> Result<JobQueueDetail, ApiError> {
        let mut detail = body(row)?;
        detail.job_queue_name = Some(row.name.to_string());
        detail.job_queue_arn = Some(self.queue_arn(&row.name));
        detail.state = Some(state_name(row.state));
        detail.status = Some(status_name(row.status));
        detail.status_reason = Some(row.status_reason.to_string()).filter(|r| !r.is_empty());
        detail.priority = Some(row.priority);
        detail.service_environment_order.get_or_insert_default();
        Ok(detail)
    }

    pub(super) fn queue_arn(&self, name: &str) -> String {
        Arn::job_queue(&self.region, &self.account, name).to_string()
    }

    fn queue_reference(&self, value: &Option<String>) -> Result<String, ApiError> {
        let text = required(value, "jobQueue")?;
        name_or_arn(ArnKind::JobQueue, text).map(|r| r.name).map_err(|e| ApiError::wrapped(e.to_string()))
    }

    /// Environments in ascending `order`: their row ids, and the order as Describe shows it, with ARNs.
    async fn environment_order(
        &self,
        mut order: Vec<ComputeEnvironmentOrder>,
    ) -> Result<(Vec<ComputeEnvironmentId>, Vec<ComputeEnvironmentOrder>), ApiError> {
        if order.is_empty() || order.len() > MAX_ENVIRONMENTS_PER_QUEUE {
            return Err(ApiError::wrapped(format!(
                "computeEnvironmentOrder must have 1 to {MAX_ENVIRONMENTS_PER_QUEUE} entries, got {}",
                order.len()
            )));
        }
        order.sort_by_key(|o| o.order);
        let mut ids = Vec::with_capacity(order.len());
        for entry in &mut order {
            let text = required(&entry.compute_environment, "computeEnvironmentOrder.computeEnvironment")?;
            let name = name_or_arn(ArnKind::ComputeEnvironment, text)
                .map_err(|e| ApiError::wrapped(e.to_string()))?
                .name;
            entry.compute_environment = Some(self.environment_arn(&name));
            let wanted = name.clone();
            let row = self.readers.read(move |r: &Reader| r.compute_environment(&wanted)).await?;
            let row =
                row.ok_or_else(|| ApiError::client(format!("ComputeEnvironment {name} does not exist")))?;
            if ids.contains(&row.id) {
                return Err(ApiError::wrapped(format!("computeEnvironmentOrder names {name} twice")));
            }
            ids.push(row.id);
        }
        Ok((ids, order))
    }
}

fn check_priority(priority: i32) -> Result<i32, ApiError> {
    if QUEUE_PRIORITY.contains(&priority) {
        return Ok(priority);
    }
    let (low, high) = (QUEUE_PRIORITY.start(), QUEUE_PRIORITY.end());
    Err(ApiError::wrapped(format!("priority must be between {low} and {high}, got {priority}")))
}

/// What queues can't have yet.
fn refuse_unbuilt(
    policy: &Option<String>,
    services: &Option<Vec<ServiceEnvironmentOrder>>,
    actions: &Option<Vec<JobStateTimeLimitAction>>,
) -> Result<(), ApiError> {
    let given = [
        (policy.is_some(), "schedulingPolicyArn"),
        (services.as_ref().is_some_and(|s| !s.is_empty()), "serviceEnvironmentOrder"),
        (actions.as_ref().is_some_and(|a| !a.is_empty()), "jobStateTimeLimitActions"),
    ];
    match given.iter().find(|(given, _)| *given) {
        Some((_, member)) => Err(ApiError::client(format!(
            "{member} does not work in this version of Batchyard; leave it out"
        ))),
        None => Ok(()),
    }
}

fn missing(name: &str) -> ApiError {
    ApiError::client(format!("JobQueue {name} does not exist"))
}

fn body(row: &JobQueue) -> Result<JobQueueDetail, ApiError> {
    serde_json::from_str(&row.body).map_err(|error| {
        tracing::error!(%error, name = %row.name, "the body of a job queue can't be read");
        ApiError::server()
    })
}

fn text(detail: &JobQueueDetail) -> std::sync::Arc<str> {
    serde_json::to_string(detail).expect("wire types are plain").into()
}
