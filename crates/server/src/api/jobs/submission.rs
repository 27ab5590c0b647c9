//! What a submission must be, and the job it makes of a definition (spec jobs §2.1, §2.2). Pure.
//!
//! Never here: looking up queues and definitions, and the container's own merging (`merge`, `merge_ecs`).

use super::log_options;
use super::{dependencies, merge, merge_ecs, requirements, single, unbuilt};
use crate::api::input::{check_tags, required};
use crate::api::job_definitions::{check_priority, check_retry, check_timeout, shown_retry};
use crate::api::known::Definition;
use crate::error::ApiError;
use crate::iam::Principal;
use batchyard_engine::input::Submission;
use batchyard_engine::job::retry::{RetryRule, RetryStrategy as Retry};
use batchyard_engine::resource::{Needs, Platform};
use batchyard_engine::{DefinitionId, JobUuid, QueueId};
use batchyard_model::batch::*;
use batchyard_model::limits::{ARRAY_SIZE, MAX_DEPENDENCIES, MAX_SHARE_IDENTIFIER, MAX_TAGS};
use std::collections::{BTreeMap, BTreeSet};

/// A definition and a submission, merged.
#[derive(Debug)]
pub struct Merged {
    /// The job as DescribeJobs will show it, without what has columns of its own.
    pub detail: JobDetail,
    /// What each attempt needs.
    pub needs: Needs,
    /// What its environments must be.
    pub platform: Platform,
}

/// What can be checked without looking anything up.
pub fn check(input: &SubmitJobRequest) -> Result<(), ApiError> {
    if !batchyard_model::arn::is_name(required(&input.job_name, "jobName")?) {
        return Err(ApiError::wrapped("Job name should match valid pattern"));
    }
    if input.depends_on.as_ref().is_some_and(|d| d.len() > MAX_DEPENDENCIES) {
        return Err(ApiError::wrapped(format!("Job cannot have more than {MAX_DEPENDENCIES} dependencies")));
    }
    dependencies::check(input)?;
    let size = input.array_properties.as_ref().and_then(|a| a.size);
    if size.is_some_and(|size| size < *ARRAY_SIZE.start()) {
        check_array_size(input, ARRAY_SIZE.end().unsigned_abs())?;
    }
    check_share(input.share_identifier.as_deref())?;
    check_priority(input.scheduling_priority_override, "schedulingPriorityOverride")?;
    check_tags(&input.tags)?;
    check_retry(&input.retry_strategy)?;
    check_timeout(&input.timeout)?;
    unbuilt::refuse_submission(input)
}

/// At most as many children as the administrator lets an array have.
pub fn check_array_size(input: &SubmitJobRequest, most: u32) -> Result<(), ApiError> {
    let least = *ARRAY_SIZE.start();
    match input.array_properties.as_ref().and_then(|a| a.size) {
        Some(size) if size < least || size.unsigned_abs() > most => Err(ApiError::wrapped(format!(
            "arrayProperties.size must be between {least} and {most}, got {size}"
        ))),
        _ => Ok(()),
    }
}

/// Letters and digits, perhaps with a `*` at the end (spec jobs §2.1).
fn check_share(share: Option<&str>) -> Result<(), ApiError> {
    let Some(share) = share else { return Ok(()) };
    let plain = share.strip_suffix('*').unwrap_or(share);
    let fits = !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_alphanumeric());
    if fits && plain.len() <= MAX_SHARE_IDENTIFIER {
        return Ok(());
    }
    Err(ApiError::wrapped(format!(
        "shareIdentifier must be 1 to {MAX_SHARE_IDENTIFIER} letters and digits and may end in *, got {share:?}"
    )))
}

/// The job that a submission makes of a definition.
pub fn merged(input: &SubmitJobRequest, definition: &Definition) -> Result<Merged, ApiError> {
    let d = &definition.definition;
    unbuilt::refuse_definition(d)?;
    let mut parameters = d.parameters.clone().unwrap_or_default();
    parameters.extend(input.parameters.clone().unwrap_or_default());
    let platforms = d.platform_capabilities.clone().unwrap_or_default();
    let platform = requirements::platform(&platforms)?;
    let retry = input.retry_strategy.clone().or_else(|| d.retry_strategy.clone());
    // An empty object says nothing that could replace the definition's.
    let own_timeout = input.timeout.clone().filter(|t| t.attempt_duration_seconds.is_some());
    let size = input.array_properties.as_ref().and_then(|a| a.size);
    let mut detail = JobDetail {
        array_properties: size.map(|size| ArrayPropertiesDetail { size: Some(size), ..Default::default() }),
        depends_on: Some(input.depends_on.clone().unwrap_or_default()),
        eks_attempts: Some(Vec::new()),
        parameters: Some(parameters),
        platform_capabilities: Some(platforms),
        propagate_tags: input.propagate_tags.or(d.propagate_tags),
        retry_strategy: retry.map(shown_retry),
        scheduling_priority: input.scheduling_priority_override.or(d.scheduling_priority),
        share_identifier: input.share_identifier.clone(),
        tags: Some(input.tags.clone().unwrap_or_default()),
        timeout: own_timeout.or_else(|| d.timeout.clone()),
        ..JobDetail::default()
    };
    merge_work(input, d, platform, &mut detail)?;
    let needs = needs(&detail, platform)?;
    let single = single(&detail).ok_or_else(ApiError::server)?;
    unbuilt::refuse(&single.container, needs)?;
    check_log_group(&single.container)?;
    log_options::read(single.container.log_configuration.as_ref())?;
    Ok(Merged { detail, needs, platform })
}

/// What the job runs. Overrides of the other kind have nothing to override.
fn merge_work(
    input: &SubmitJobRequest,
    d: &JobDefinition,
    platform: Platform,
    detail: &mut JobDetail,
) -> Result<(), ApiError> {
    let parameters = detail.parameters.clone().unwrap_or_default();
    if let Some(ecs) = &d.ecs_properties {
        if input.container_overrides.as_ref().is_some_and(|o| *o != ContainerOverrides::default()) {
            return Err(mismatch("containerOverrides", "ecsProperties", "ecsPropertiesOverride"));
        }
        let ecs = merge_ecs::task(ecs, input.ecs_properties_override.as_ref(), &parameters)?;
        ecs.task_properties.iter().flatten().try_for_each(unbuilt::refuse_task)?;
        detail.ecs_properties = Some(ecs);
        return Ok(());
    }
    if input.ecs_properties_override.is_some() {
        return Err(mismatch("ecsPropertiesOverride", "containerProperties", "containerOverrides"));
    }
    let properties = d.container_properties.as_ref().ok_or_else(ApiError::server)?;
    let overrides = input.container_overrides.as_ref();
    detail.container = Some(merge::container(properties, overrides, &parameters, platform)?);
    Ok(())
}

fn mismatch(given: &str, kind: &str, instead: &str) -> ApiError {
    ApiError::client(format!("{given} can't override a job definition with {kind}; use {instead}"))
}

/// What each attempt of a merged job needs.
pub fn needs(detail: &JobDetail, platform: Platform) -> Result<Needs, ApiError> {
    if let Some(container) = &detail.container {
        let list = container.resource_requirements.as_deref().unwrap_or_default();
        return requirements::needs(list, container.vcpus, container.memory, platform);
    }
    let tasks = detail.ecs_properties.as_ref().and_then(|e| e.task_properties.as_deref());
    let containers =
        tasks.unwrap_or_default().iter().flat_map(|t| t.containers.as_deref().unwrap_or_default());
    let lists = containers.map(|c| c.resource_requirements.as_deref().unwrap_or_default());
    requirements::task_needs(lists, platform)
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

/// The words with which the job fails whose own tags and its definition's are more than a task takes (spec jobs §2.4).
pub fn too_many_tags(input: &SubmitJobRequest, definition: &BTreeMap<String, String>) -> Option<String> {
    let own = input.tags.iter().flatten().map(|(key, _)| key);
    let count = definition.keys().chain(own).collect::<BTreeSet<_>>().len();
    (count > MAX_TAGS).then(|| {
        format!(
            "Tags can't be propagated: the job and its definition have {count} tags, a task takes {MAX_TAGS}"
        )
    })
}

/// The engine's command, from a merged job whose names are filled in.
pub fn submission(
    input: &SubmitJobRequest,
    merged: &Merged,
    by: &Principal,
    (queue, definition, uuid): (QueueId, DefinitionId, JobUuid),
) -> Submission {
    let detail = &merged.detail;
    let timeout = detail.timeout.as_ref().and_then(|t| t.attempt_duration_seconds);
    Submission {
        uuid,
        name: input.job_name.as_deref().unwrap_or_default().into(),
        queue,
        definition,
        platform: merged.platform,
        needs: merged.needs,
        depends_on: Vec::new(),
        array: dependencies::array(input),
        retry: detail.retry_strategy.as_ref().map(retry).unwrap_or_default(),
        timeout_s: timeout.and_then(|t| u32::try_from(t).ok()),
        share: input.share_identifier.as_deref().map(Into::into),
        priority: detail.scheduling_priority.and_then(|p| i16::try_from(p).ok()).unwrap_or_default(),
        overrides_priority: input.scheduling_priority_override.is_some(),
        fails: None,
        account: by.account.clone(),
        submitter: by.arn.clone(),
        body: serde_json::to_string(detail).expect("wire types are plain").into(),
    }
}

fn retry(wire: &RetryStrategy) -> Retry {
    let text = |t: &Option<String>| t.as_deref().map(std::sync::Arc::from);
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

#[cfg(test)]
mod tests;
