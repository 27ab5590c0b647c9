//! Job queues: create, update, describe, delete (spec infrastructure §3.1).
//!
//! The body of the row is the JobQueueDetail without what has a column of its own. Never here: whether its
//! environments fit, or a deletion is allowed; the engine decides that.

mod parts;
mod snapshot;
mod time_limits;

use super::input::{
    check_tags, clip, name_here, names_here, new_name, required, state, state_name, status_name,
};
use super::page::Page;
use super::service::Service;
use super::{STALE_TRIES, contended, refused, unexpected};
use crate::error::ApiError;
use crate::store::TagOwner;
use batchyard_engine::ids::QueueId;
use batchyard_engine::resource::{JobQueue, Status};
use batchyard_engine::{Command, Reply};
use batchyard_model::arn::{Arn, ArnKind};
use batchyard_model::batch::*;
use batchyard_model::limits::QUEUE_PRIORITY;
use parts::{check_type, queue_type, refuse_services};

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
        refuse_services(&input.service_environment_order, input.job_queue_type.as_deref())?;
        check_priority(*required(&input.priority, "priority")?)?;
        for _ in 0..STALE_TRIES {
            let row = self.new_queue(&name, &input).await?;
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

    async fn new_queue(&self, name: &str, input: &CreateJobQueueRequest) -> Result<JobQueue, ApiError> {
        let order = input.compute_environment_order.clone().unwrap_or_default();
        let environments = self.environments_of(order).await?;
        check_type(input.job_queue_type.as_deref(), &environments)?;
        let (policy, scheduling_policy_arn) = self.policy_of(input.scheduling_policy_arn.as_ref()).await?;
        let actions = input.job_state_time_limit_actions.as_deref().unwrap_or_default();
        let (actions, time_limits) = time_limits::checked(actions)?;
        let detail = JobQueueDetail {
            compute_environment_order: Some(environments.order),
            job_queue_type: Some(environments.queue_type.to_string()),
            job_state_time_limit_actions: Some(actions),
            scheduling_policy_arn,
            tags: Some(input.tags.clone().unwrap_or_default()),
            ..JobQueueDetail::default()
        };
        Ok(JobQueue {
            id: QueueId(0),
            name: name.into(),
            state: state(&input.state),
            status: Status::Creating,
            status_reason: "".into(),
            priority: input.priority.unwrap_or_default(),
            environments: environments.ids,
            policy,
            time_limits,
            version: 1,
            body: text(&detail),
        })
    }

    pub(super) async fn update_job_queue(
        &self,
        input: UpdateJobQueueRequest,
    ) -> Result<UpdateJobQueueResponse, ApiError> {
        let text = required(&input.job_queue, "jobQueue")?;
        let missing = || ApiError::client(format!("JobQueue {} does not exist", clip(text)));
        let name = name_here(self, ArnKind::JobQueue, "jobQueue", text)?.ok_or_else(missing)?;
        refuse_services(&input.service_environment_order, None)?;
        input.priority.map_or(Ok(()), check_priority)?;
        for _ in 0..STALE_TRIES {
            let wanted = name.clone();
            let row = self.readers.read(move |r| r.job_queue(&wanted)).await?;
            let row = self.updated_queue(row.ok_or_else(missing)?, &input).await?;
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

    /// What is not given stays.
    async fn updated_queue(
        &self,
        mut row: JobQueue,
        input: &UpdateJobQueueRequest,
    ) -> Result<JobQueue, ApiError> {
        let mut detail = body(&row)?;
        if let Some(order) = input.compute_environment_order.clone() {
            let environments = self.environments_of(order).await?;
            detail.compute_environment_order = Some(environments.order);
            detail.job_queue_type.get_or_insert_with(|| environments.queue_type.to_string());
            row.environments = environments.ids;
        }
        if let Some(arn) = &input.scheduling_policy_arn {
            (row.policy, detail.scheduling_policy_arn) = self.policy_of(Some(arn)).await?;
        }
        if let Some(actions) = &input.job_state_time_limit_actions {
            let (actions, time_limits) = time_limits::checked(actions)?;
            (row.time_limits, detail.job_state_time_limit_actions) = (time_limits, Some(actions));
        }
        if input.state.is_some() {
            row.state = state(&input.state);
        }
        row.priority = input.priority.unwrap_or(row.priority);
        row.body = text(&detail);
        Ok(row)
    }

    pub(super) async fn delete_job_queue(
        &self,
        input: DeleteJobQueueRequest,
    ) -> Result<DeleteJobQueueResponse, ApiError> {
        let text = required(&input.job_queue, "jobQueue")?;
        let gone = Ok(DeleteJobQueueResponse::default());
        // Deleting what is not there is done, as with environments (spec infrastructure §1.8).
        let Some(name) = name_here(self, ArnKind::JobQueue, "jobQueue", text)? else { return gone };
        let wanted = name.clone();
        let row = self.readers.read(move |r| r.job_queue(&wanted)).await?;
        let Some(row) = row else { return gone };
        let reply = self.core.command(Command::DeleteJobQueue(row.id)).await?;
        self.known.forget_queue(&name);
        match reply {
            Reply::Refused(refusal) => Err(refused(refusal)),
            _ => gone,
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
            let names = names_here(self, ArnKind::JobQueue, "jobQueues", &names)?;
            self.readers
                .read(move |r| names.iter().filter_map(|n| r.job_queue(n).transpose()).collect())
                .await?
        };
        let mut details = Vec::with_capacity(rows.len());
        for row in &rows {
            details.push(self.queue_detail(row).await?);
        }
        let ids = rows.iter().map(|row| row.id.0);
        self.show_tags(TagOwner::JobQueue, ids, &mut details, |d| &mut d.tags).await?;
        Ok(DescribeJobQueuesResponse { job_queues: Some(details), next_token: token })
    }

    async fn queue_detail(&self, row: &JobQueue) -> Result<JobQueueDetail, ApiError> {
        let mut detail = body(row)?;
        detail.job_queue_name = Some(row.name.to_string());
        detail.job_queue_arn = Some(self.queue_arn(&row.name));
        detail.state = Some(state_name(row.state));
        detail.status = Some(status_name(row.status));
        detail.status_reason = Some(row.status_reason.to_string()).filter(|r| !r.is_empty());
        detail.priority = Some(row.priority);
        detail.service_environment_order.get_or_insert_default();
        if let (None, Some(&first)) = (&detail.job_queue_type, row.environments.first()) {
            // A row of the first version, which kept only a type that was given.
            let environment = self.readers.read(move |r| r.any_compute_environment(first)).await?;
            detail.job_queue_type = environment.map(|e| queue_type(e.platform).to_string());
        }
        Ok(detail)
    }

    pub(super) fn queue_arn(&self, name: &str) -> String {
        Arn::job_queue(&self.region, &self.account, name).to_string()
    }
}

fn check_priority(priority: i32) -> Result<(), ApiError> {
    if QUEUE_PRIORITY.contains(&priority) {
        return Ok(());
    }
    let (low, high) = (QUEUE_PRIORITY.start(), QUEUE_PRIORITY.end());
    Err(ApiError::wrapped(format!("priority must be between {low} and {high}, got {priority}")))
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
