//! What all handlers share, and the one match from operation to handler.
//!
//! Never here: what an operation does.

use super::known::{Definition, Known, Queue};
use super::{input, job_definitions};
use crate::compute::Permitted;
use crate::core::Core;
use crate::error::{ApiError, ErrorKind};
use crate::http::{Api, Call, Operation};
use crate::iam::Principal;
use crate::logs::Logs;
use crate::store::Readers;
use batchyard_engine::ids::{ComputeEnvironmentId, QueueId};
use batchyard_model::Validate;
use batchyard_model::batch::BatchOperation as B;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::Receiver;

/// The whole API.
pub struct Service {
    /// Commands go here.
    pub core: Core,
    /// Describe and List read here.
    pub readers: Readers,
    /// The Region that ARNs name.
    pub region: String,
    /// The account that ARNs name.
    pub account: String,
    /// What jobs may have of this machine.
    pub permitted: Permitted,
    pub(super) known: Known,
    names: Mutex<Names>,
    logs: Arc<Logs>,
}

/// Names that never change, by row id.
#[derive(Default)]
struct Names {
    queues: HashMap<i64, Arc<str>>,
    environments: HashMap<i64, Arc<EnvironmentName>>,
}

/// What a job shows of the environment that ran it.
#[derive(Debug)]
pub struct EnvironmentName {
    /// `computeEnvironmentName`.
    pub name: Arc<str>,
    /// Its ECS cluster's name, part of task ARNs.
    pub cluster: String,
}

impl Service {
    /// The API over this core and store.
    pub fn new(
        core: Core,
        readers: Readers,
        region: String,
        account: String,
        logs: Arc<Logs>,
        permitted: Permitted,
    ) -> Self {
        let (known, names) = (Known::default(), Mutex::default());
        Self { core, readers, region, account, permitted, known, names, logs }
    }

    /// The name of a queue, also of one that is gone.
    pub async fn queue_name(&self, id: QueueId) -> Result<Arc<str>, ApiError> {
        if let Some(name) = self.names.lock().unwrap_or_else(PoisonError::into_inner).queues.get(&id.0) {
            return Ok(name.clone());
        }
        let name = self.readers.read(move |r| r.job_queue_name(id)).await?.ok_or_else(ApiError::server)?;
        self.names.lock().unwrap_or_else(PoisonError::into_inner).queues.insert(id.0, name.clone());
        Ok(name)
    }

    /// What jobs show of an environment, also of one that is gone.
    pub async fn environment_name(&self, id: ComputeEnvironmentId) -> Result<Arc<EnvironmentName>, ApiError> {
        if let Some(name) = self.names.lock().unwrap_or_else(PoisonError::into_inner).environments.get(&id.0)
        {
            return Ok(name.clone());
        }
        let row =
            self.readers.read(move |r| r.any_compute_environment(id)).await?.ok_or_else(ApiError::server)?;
        let cluster = super::compute_environments::cluster_name(&row);
        let name = Arc::new(EnvironmentName { name: row.name, cluster });
        self.names.lock().unwrap_or_else(PoisonError::into_inner).environments.insert(id.0, name.clone());
        Ok(name)
    }

    /// A queue by name, from memory or the store.
    pub(super) async fn queue(&self, name: &str) -> Result<Option<Arc<Queue>>, ApiError> {
        if let Some(queue) = self.known.queue(name) {
            return Ok(Some(queue));
        }
        let wanted = name.to_string();
        let Some(row) = self.readers.read(move |r| r.job_queue(&wanted)).await? else { return Ok(None) };
        let arn = batchyard_model::arn::Arn::job_queue(&self.region, &self.account, name).to_string();
        let queue = Arc::new(Queue { id: row.id, arn });
        self.known.put_queue(name, queue.clone());
        Ok(Some(queue))
    }

    /// A definition's revision, or with none its latest ACTIVE one, from memory or the store.
    pub(super) async fn definition(
        &self,
        name: &str,
        revision: Option<u32>,
    ) -> Result<Option<Arc<Definition>>, ApiError> {
        if let Some(definition) = self.known.definition(name, revision) {
            return Ok(Some(definition));
        }
        let read_at = self.known.before_read();
        let wanted = name.to_string();
        let row = self.readers.read(move |r| match revision {
            Some(revision) => r.job_definition(&wanted, revision),
            None => r.latest_job_definition(&wanted),
        });
        let Some(row) = row.await? else { return Ok(None) };
        let definition = Arc::new(job_definitions::from_row(&row, &self.region, &self.account)?);
        self.known.put_definition(name, revision, definition.clone(), read_at);
        Ok(Some(definition))
    }

    /// Whether there is a log group of that name.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn has_log_group(&self, name: &str) -> Result<bool, ApiError> {
        let (logs, name) = (self.logs.clone(), name.to_string());
        let found = tokio::task::spawn_blocking(move || logs.has_group(&name));
        found.await.map_err(|_| ApiError::server())?
    }

    /// Reads files, so on a thread that may block.
    async fn logs(&self, call: Call) -> Result<Bytes, ApiError> {
        let logs = self.logs.clone();
        let answer = tokio::task::spawn_blocking(move || logs.call(call.operation.name(), &call.body));
        answer.await.map_err(|_| ApiError::server())?.map(Bytes::from)
    }

    async fn batch(&self, operation: B, call: &Call) -> Result<Bytes, ApiError> {
        let (body, by) = (&call.body, &call.principal);
        match operation {
            B::CreateComputeEnvironment => run(body, |i| self.create_compute_environment(i)).await,
            B::UpdateComputeEnvironment => run(body, |i| self.update_compute_environment(i)).await,
            B::DeleteComputeEnvironment => run(body, |i| self.delete_compute_environment(i)).await,
            B::DescribeComputeEnvironments => run(body, |i| self.describe_compute_environments(i)).await,
            B::CreateJobQueue => run(body, |i| self.create_job_queue(i)).await,
            B::UpdateJobQueue => run(body, |i| self.update_job_queue(i)).await,
            B::DeleteJobQueue => run(body, |i| self.delete_job_queue(i)).await,
            B::DescribeJobQueues => run(body, |i| self.describe_job_queues(i)).await,
            B::GetJobQueueSnapshot => run(body, |i| self.get_job_queue_snapshot(i)).await,
            B::CreateSchedulingPolicy => run(body, |i| self.create_scheduling_policy(i)).await,
            B::UpdateSchedulingPolicy => run(body, |i| self.update_scheduling_policy(i)).await,
            B::DeleteSchedulingPolicy => run(body, |i| self.delete_scheduling_policy(i)).await,
            B::DescribeSchedulingPolicies => run(body, |i| self.describe_scheduling_policies(i)).await,
            B::ListSchedulingPolicies => run(body, |i| self.list_scheduling_policies(i)).await,
            B::TagResource => input::answer(&self.tag_resource(call).await?),
            B::UntagResource => input::answer(&self.untag_resource(call).await?),
            B::ListTagsForResource => input::answer(&self.list_tags_for_resource(call).await?),
            B::RegisterJobDefinition => {
                job_definitions::check_size(body)?;
                run(body, |i| self.register_job_definition(i)).await
            }
            B::DeregisterJobDefinition => run(body, |i| self.deregister_job_definition(i)).await,
            B::DescribeJobDefinitions => run(body, |i| self.describe_job_definitions(i)).await,
            B::SubmitJob => {
                super::jobs::check_size(body)?;
                run(body, |i| self.submit_job(i, by)).await
            }
            B::DescribeJobs => run(body, |i| self.describe_jobs(i)).await,
            B::ListJobs => run(body, |i| self.list_jobs(i)).await,
            B::CancelJob => run(body, |i| self.cancel_job(i)).await,
            B::CancelJobs => run(body, |i| self.cancel_jobs(i, by)).await,
            B::TerminateJob => run(body, |i| self.terminate_job(i)).await,
            B::TerminateJobs => run(body, |i| self.terminate_jobs(i, by)).await,
            other => Err(not_yet(other.operation().name)),
        }
    }
}

/// Reads and checks the input, lets the handler answer, writes the answer.
async fn run<I, O, F>(body: &[u8], handler: impl FnOnce(I) -> F) -> Result<Bytes, ApiError>
where
    I: DeserializeOwned + Validate,
    O: Serialize,
    F: Future<Output = Result<O, ApiError>>,
{
    input::answer(&handler(input::read(body)?).await?)
}

/// An operation that does not work yet says so, and never pretends.
fn not_yet(operation: &str) -> ApiError {
    ApiError::new(
        ErrorKind::Client,
        format!(
            "{operation} does not work in this version of Batchyard; docs/compatibility.md lists what does"
        ),
    )
}

impl Api for Service {
    async fn call(self: &Arc<Self>, call: Call) -> Result<Bytes, ApiError> {
        authorize(&call.principal, &call)?;
        match call.operation {
            Operation::Batch(operation) => self.batch(operation, &call).await,
            Operation::Logs(_) => self.logs(call).await,
            Operation::Sts(_) => Ok(super::sts::get_caller_identity(&call.principal, &call.request_id)),
        }
    }

    async fn stream(self: &Arc<Self>, call: Call) -> Result<Receiver<Bytes>, ApiError> {
        authorize(&call.principal, &call)?;
        let (logs, runtime) = (self.logs.clone(), tokio::runtime::Handle::current());
        let begin = move || logs.start_live_tail(&call.body, &call.request_id, &runtime);
        tokio::task::spawn_blocking(begin).await.map_err(|_| ApiError::server())?
    }
}

/// Every request passes here, once (invariant 8).
fn authorize(principal: &Principal, call: &Call) -> Result<(), ApiError> {
    let action = call.operation.row().iam_action;
    let resources: Vec<&str> = call.resource_arn.as_deref().into_iter().collect();
    crate::iam::authorize(principal, action, &resources, &crate::iam::Context::default())
}
