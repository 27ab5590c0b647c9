//! SubmitJob (spec jobs §2). Never here: placing the job; the engine does that in the same commit when there is room.

use super::{merge, requirements, unbuilt};
use crate::api::input::{check_tags, required};
use crate::api::job_definitions::{check_retry, check_timeout, has_consumables, shown_retry};
use crate::api::known::Definition;
use crate::api::service::Service;
use crate::api::{STALE_TRIES, contended, refused, unexpected};
use crate::error::ApiError;
use crate::iam::Principal;
use batchyard_engine::input::Submission;
use batchyard_engine::job::retry::{RetryRule, RetryStrategy as Retry};
use batchyard_engine::resource::Needs;
use batchyard_engine::{Command, JobUuid, RefusalKind, Reply};
use batchyard_model::arn::{Arn, ArnKind, DefinitionReference, name_or_arn};
use batchyard_model::batch::*;
use batchyard_model::ids;
use batchyard_model::limits::MAX_SUBMIT_JOB_BYTES;
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
        check(&input)?;
        for _ in 0..STALE_TRIES {
            let (queue_name, queue) = self.submitted_queue(&input).await?;
            let definition = self.submitted_definition(&input).await?;
            let uuid = uuid::Uuid::new_v4();
            let arn = Arn::job(
                &self.region,
                &self.account,
                ids::JobId::whole(ids::Uuid::from_u128(uuid.as_u128())),
            );
            let arn = arn.to_string();
            let (detail, needs) = merged(&input, &definition)?;
            let detail = JobDetail {
                job_arn: Some(arn.clone()),
                job_definition: Some(definition.arn.clone()),
                job_queue: Some(queue.arn.clone()),
                ..detail
            };
            let submission = submission(&input, &detail, needs, by, (queue.id, definition.id, uuid))?;
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

    async fn submitted_queue(
        &self,
        input: &SubmitJobRequest,
    ) -> Result<(String, Arc<crate::api::known::Queue>), ApiError> {
        let text = required(&input.job_queue, "jobQueue")?;
        let reference = name_or_arn(ArnKind::JobQueue, text).map_err(|_| not_a_definition(text))?;
        let missing = || ApiError::client(format!("JobQueue {text} not found."));
        if !reference.is_in(&self.region, &self.account) {
            return Err(missing());
        }
        let queue = self.queue(&reference.name).await?.ok_or_else(missing)?;
        Ok((reference.name, queue))
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

/// What can be checked without looking anything up.
fn check(input: &SubmitJobRequest) -> Result<(), ApiError> {
    let name = required(&input.job_name, "jobName")?;
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !first || !rest || name.len() > 128 {
        return Err(ApiError::wrapped("Job name should match valid pattern"));
    }
    let dependencies = input.depends_on.as_deref().unwrap_or_default();
    if dependencies.len() > batchyard_model::limits::MAX_DEPENDENCIES {
        return Err(ApiError::wrapped("Job cannot have more than 20 dependencies"));
    }
    if input.share_identifier.is_some() || input.scheduling_priority_override.is_some() {
        return Err(ApiError::client(
            "Job with shareIdentifier or schedulingPriority can onlybe submitted to job queue with fair share scheduling policy.",
        ));
    }
    let unbuilt = [
        (input.array_properties.as_ref().is_some_and(|a| a.size.is_some()), "arrayProperties"),
        (!dependencies.is_empty(), "dependsOn"),
        (input.ecs_properties_override.is_some(), "ecsPropertiesOverride"),
        (input.eks_properties_override.is_some(), "eksPropertiesOverride"),
        (input.node_overrides.is_some(), "nodeOverrides"),
        (
            has_consumables(&input.consumable_resource_properties_override),
            "consumableResourcePropertiesOverride",
        ),
    ];
    if let Some((_, what)) = unbuilt.iter().find(|(given, _)| *given) {
        return Err(ApiError::client(format!("{what} does not work in this version of Batchyard")));
    }
    check_tags(&input.tags)?;
    check_retry(&input.retry_strategy)?;
    check_timeout(&input.timeout)
}

/// The job as DescribeJobs will show it, without what has columns of its own, and what each attempt needs.
fn merged(input: &SubmitJobRequest, definition: &Definition) -> Result<(JobDetail, Needs), ApiError> {
    let d = &definition.definition;
    let properties = d.container_properties.as_ref().ok_or_else(ApiError::server)?;
    let mut parameters = d.parameters.clone().unwrap_or_default();
    parameters.extend(input.parameters.clone().unwrap_or_default());
    let container = merge::container(properties, input.container_overrides.as_ref(), &parameters)?;
    let platforms = d.platform_capabilities.clone().unwrap_or_default();
    let list = container.resource_requirements.as_deref().unwrap_or_default();
    let needs =
        requirements::needs(list, container.vcpus, container.memory, requirements::platform(&platforms)?)?;
    unbuilt::refuse(&container, needs)?;
    check_log_group(&container)?;
    let retry = input.retry_strategy.clone().or_else(|| d.retry_strategy.clone());
    let detail = JobDetail {
        container: Some(container),
        depends_on: Some(Vec::new()),
        eks_attempts: Some(Vec::new()),
        parameters: Some(parameters),
        platform_capabilities: Some(platforms),
        propagate_tags: input.propagate_tags.or(d.propagate_tags),
        retry_strategy: retry.map(shown_retry),
        scheduling_priority: d.scheduling_priority,
        tags: Some(input.tags.clone().unwrap_or_default()),
        timeout: input.timeout.clone().or_else(|| d.timeout.clone()),
        ..JobDetail::default()
    };
    Ok((detail, needs))
}

/// A group's name as CloudWatch Logs takes it: what breaks it could never be read back.
fn check_log_group(container: &ContainerDetail) -> Result<(), ApiError> {
    let options = container.log_configuration.as_ref().and_then(|l| l.options.as_ref());
    let option = |name: &str| options.and_then(|o| o.get(name)).map(String::as_str).unwrap_or_default();
    let (group, prefix) = (option("awslogs-group"), option("awslogs-stream-prefix"));
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-/#".contains(c);
    if group.len() > 512 || !group.chars().all(fits) {
        return Err(ApiError::wrapped(format!("awslogs-group {group:?} is no name of a log group")));
    }
    if prefix.len() > 400 || prefix.contains([':', '*']) {
        return Err(ApiError::wrapped(format!(
            "awslogs-stream-prefix {prefix:?} is no part of a log stream's name"
        )));
    }
    Ok(())
}

type Rows = (batchyard_engine::QueueId, batchyard_engine::DefinitionId, uuid::Uuid);

fn submission(
    input: &SubmitJobRequest,
    detail: &JobDetail,
    needs: Needs,
    by: &Principal,
    (queue, definition, uuid): Rows,
) -> Result<Submission, ApiError> {
    let platforms = detail.platform_capabilities.as_deref().unwrap_or_default();
    let timeout = detail.timeout.as_ref().and_then(|t| t.attempt_duration_seconds);
    Ok(Submission {
        uuid: JobUuid(*uuid.as_bytes()),
        name: input.job_name.as_deref().unwrap_or_default().into(),
        queue,
        definition,
        platform: requirements::platform(platforms)?,
        needs,
        retry: detail.retry_strategy.as_ref().map(retry).unwrap_or_default(),
        timeout_s: timeout.and_then(|t| u32::try_from(t).ok()),
        share: input.share_identifier.as_deref().map(Into::into),
        priority: detail.scheduling_priority.unwrap_or_default(),
        overrides_priority: input.scheduling_priority_override.is_some(),
        fails: None,
        account: by.account.clone(),
        submitter: by.arn.clone(),
        body: serde_json::to_string(detail).expect("wire types are plain").into(),
    })
}

fn retry(wire: &RetryStrategy) -> Retry {
    let text = |t: &Option<String>| t.as_deref().map(Arc::from);
    let rule = |r: &EvaluateOnExit| RetryRule {
        retry: r.action.as_deref().is_some_and(|a| a.eq_ignore_ascii_case("RETRY")),
        on_status_reason: text(&r.on_status_reason),
        on_reason: text(&r.on_reason),
        on_exit_code: text(&r.on_exit_code),
    };
    Retry {
        attempts: wire.attempts.and_then(|a| u32::try_from(a).ok()).unwrap_or(1),
        rules: wire.evaluate_on_exit.iter().flatten().map(rule).collect(),
    }
}
