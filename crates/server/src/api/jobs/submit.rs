//! SubmitJob (spec jobs §2). Never here: placing the job; the engine does that in the same commit when there is room.

use super::submission;
use crate::api::input::required;
use crate::api::known::{Definition, Queue};
use crate::api::service::Service;
use crate::api::{STALE_TRIES, contended, refused, unexpected};
use crate::error::ApiError;
use crate::iam::Principal;
use crate::store::TagOwner;
use batchyard_engine::{Command, JobUuid, RefusalKind, Reply};
use batchyard_model::arn::{Arn, ArnKind, DefinitionReference, name_or_arn};
use batchyard_model::batch::*;
use batchyard_model::ids;
use batchyard_model::limits::MAX_SUBMIT_JOB_BYTES;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Refuses a submission that is too large (spec jobs §2.5).
pub fn check_size(body: &[u8]) -> Result<(), ApiError> {
    if body.len() <= MAX_SUBMIT_JOB_BYTES {
        return Ok(());
    }
    let (most, got) = (MAX_SUBMIT_JOB_BYTES / 1024, body.len().div_ceil(1024));
    Err(ApiError::wrapped(format!("Job size must be less than {most} KiB, got {got} KiB")))
}

/// A text that names no definition (spec jobs §2.5).
pub fn not_a_definition(text: &str) -> ApiError {
    ApiError::client(format!("Provided name {text} is not supported pattern[a-zA-Z_0-9-]{{1,128}}"))
}

impl Service {
    pub(in crate::api) async fn submit_job(
        &self,
        input: SubmitJobRequest,
        by: &Principal,
    ) -> Result<SubmitJobResponse, ApiError> {
        submission::check(&input)?;
        submission::check_array_size(&input, self.permitted.array_size)?;
        for _ in 0..STALE_TRIES {
            let (queue_name, queue) = self.submitted_queue(&input).await?;
            let definition = self.submitted_definition(&input).await?;
            let uuid = uuid::Uuid::new_v4();
            let id = ids::JobId::whole(ids::Uuid::from_u128(uuid.as_u128()));
            let arn = Arn::job(&self.region, &self.account, id).to_string();
            let mut merged = submission::merged(&input, &definition)?;
            self.permit(&merged.detail)?;
            merged.detail.job_arn = Some(arn.clone());
            merged.detail.job_definition = Some(definition.arn.clone());
            merged.detail.job_queue = Some(queue.arn.clone());
            let ids = (queue.id, definition.id, JobUuid(*uuid.as_bytes()));
            let mut submission = submission::submission(&input, &merged, by, ids);
            submission.depends_on = self.dependencies(&input).await?;
            if merged.detail.propagate_tags == Some(true) {
                let tags = self.tags_of(&definition).await?;
                submission.fails = submission::too_many_tags(&input, &tags).map(Into::into);
            }
            match self.core.command(Command::Submit(Box::new(submission))).await? {
                Reply::Job(_) => {
                    return Ok(SubmitJobResponse {
                        job_arn: Some(arn),
                        job_id: Some(uuid.to_string()),
                        job_name: input.job_name,
                    });
                }
                // What was remembered may be out of date.
                Reply::Stale => {
                    self.known.forget_queue(&queue_name);
                    let revision = definition.definition.revision.and_then(|r| u32::try_from(r).ok());
                    let name = definition.definition.job_definition_name.as_deref().unwrap_or_default();
                    self.known.forget_definition(name, revision.unwrap_or(0));
                }
                Reply::Refused(refusal) if refusal.kind == RefusalKind::NotFound => {
                    self.known.forget_queue(&queue_name);
                    return Err(refused(refusal));
                }
                Reply::Refused(refusal) => return Err(refused(refusal)),
                other => return Err(unexpected(&other)),
            }
        }
        Err(contended())
    }

    async fn submitted_queue(&self, input: &SubmitJobRequest) -> Result<(String, Arc<Queue>), ApiError> {
        let text = required(&input.job_queue, "jobQueue")?;
        let reference = name_or_arn(ArnKind::JobQueue, text).map_err(|_| not_a_definition(text))?;
        let missing = || ApiError::client(format!("JobQueue {text} not found."));
        if !reference.is_in(&self.region, &self.account) {
            return Err(missing());
        }
        let queue = self.queue(&reference.name).await?.ok_or_else(missing)?;
        Ok((reference.name, queue))
    }

    /// Holds the job to what the administrator lets jobs have.
    fn permit(&self, detail: &JobDetail) -> Result<(), ApiError> {
        let single = super::single(detail).ok_or_else(ApiError::server)?;
        self.permitted.submitted(&single.container).map_err(ApiError::client)
    }

    /// The definition's tags as they are now: they can be changed after its registration.
    async fn tags_of(&self, definition: &Definition) -> Result<BTreeMap<String, String>, ApiError> {
        let id = definition.id.0;
        let changed = self.readers.read(move |r| r.tags(TagOwner::JobDefinition, id)).await?;
        Ok(changed.or_else(|| definition.definition.tags.clone()).unwrap_or_default())
    }

    async fn submitted_definition(&self, input: &SubmitJobRequest) -> Result<Arc<Definition>, ApiError> {
        let text = required(&input.job_definition, "jobDefinition")?;
        let reference = DefinitionReference::parse(text).map_err(|_| not_a_definition(text))?;
        let by_arn = reference.arn.is_some();
        let found = if reference.is_in(&self.region, &self.account) {
            self.definition(&reference.name, reference.revision).await?
        } else {
            None
        };
        match found {
            Some(definition) if definition.active => Ok(definition),
            Some(_) if by_arn => {
                Err(ApiError::client(format!("JobDefinition {text} is not in ACTIVE status")))
            }
            None if by_arn => Err(ApiError::client(format!("JobDefinition {text} not found."))),
            _ => Err(ApiError::client(format!(
                "JobDefinition name {text} does not exist or is not in ACTIVE status"
            ))),
        }
    }
}
