//! Job definitions: register, describe, deregister (spec jobs §6).
//!
//! The body of the row is the JobDefinition as Describe shows it, without name, ARN, revision and status. Never here:
//! merging with a submission.

use super::input::{check_tags, new_name, required};
use super::jobs::definition;
use super::known::Definition;
use super::page::Page;
use super::service::Service;
use super::{refused, unexpected};
use crate::clock;
use crate::error::ApiError;
use crate::store::{DefinitionQuery, TagOwner};
use batchyard_engine::ids::DefinitionId;
use batchyard_engine::{Command, Reply, resource};
use batchyard_model::arn::{Arn, DefinitionReference};
use batchyard_model::batch::*;
use batchyard_model::limits::{
    ATTEMPTS, MAX_EVALUATE_ON_EXIT, MAX_REGISTER_BYTES, MIN_TIMEOUT_SECONDS, SCHEDULING_PRIORITY,
};

/// Refuses a registration that is too large (spec jobs §2.1, quotas).
pub fn check_size(body: &[u8]) -> Result<(), ApiError> {
    if body.len() <= MAX_REGISTER_BYTES {
        return Ok(());
    }
    Err(ApiError::wrapped(format!(
        "Job definition size must be less than {} KiB, got {} KiB",
        MAX_REGISTER_BYTES / 1024,
        body.len().div_ceil(1024)
    )))
}

/// A definition ready for submissions, from its row.
pub fn from_row(row: &resource::JobDefinition, region: &str, account: &str) -> Result<Definition, ApiError> {
    let mut definition: JobDefinition = serde_json::from_str(&row.body).map_err(|error| {
        tracing::error!(%error, name = %row.name, revision = row.revision, "the body of a job definition can't be read");
        ApiError::server()
    })?;
    let arn = Arn::job_definition(region, account, &row.name, row.revision).to_string();
    definition.job_definition_name = Some(row.name.to_string());
    definition.job_definition_arn = Some(arn.clone());
    definition.revision = i32::try_from(row.revision).ok();
    Ok(Definition { id: row.id, active: row.active, definition, arn })
}

impl Service {
    pub(super) async fn register_job_definition(
        &self,
        input: RegisterJobDefinitionRequest,
    ) -> Result<RegisterJobDefinitionResponse, ApiError> {
        let name = new_name(&input.job_definition_name, "jobDefinitionName")?.to_string();
        let detail = checked(input)?;
        let row = resource::JobDefinition {
            id: DefinitionId(0),
            name: name.as_str().into(),
            revision: 0,
            active: true,
            created_ms: clock::wall_ms(),
            deregistered_ms: None,
            body: serde_json::to_string(&detail).expect("wire types are plain").into(),
        };
        match self.core.command(Command::RegisterJobDefinition(row)).await? {
            Reply::JobDefinition(_, revision) => {
                self.known.forget_definition(&name, revision);
                let arn = Arn::job_definition(&self.region, &self.account, &name, revision);
                Ok(RegisterJobDefinitionResponse {
                    job_definition_arn: Some(arn.to_string()),
                    job_definition_name: Some(name),
                    revision: i32::try_from(revision).ok(),
                })
            }
            Reply::Refused(refusal) => Err(refused(refusal)),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn deregister_job_definition(
        &self,
        input: DeregisterJobDefinitionRequest,
    ) -> Result<DeregisterJobDefinitionResponse, ApiError> {
        let text = required(&input.job_definition, "jobDefinition")?;
        let reference = DefinitionReference::parse(text).map_err(|_| super::jobs::not_a_definition(text))?;
        let revision = reference.revision.ok_or_else(|| {
            ApiError::wrapped(format!(
                "jobDefinition must name a revision, as {}:1, got {text}",
                reference.name
            ))
        })?;
        let Some(definition) = self.definition(&reference.name, Some(revision)).await? else {
            return Err(ApiError::client(format!("JobDefinition {text} does not exist")));
        };
        let reply = self.core.command(Command::DeregisterJobDefinition(definition.id)).await?;
        self.known.forget_definition(&reference.name, revision);
        match reply {
            Reply::Refused(refusal) => Err(refused(refusal)),
            _ => Ok(DeregisterJobDefinitionResponse::default()),
        }
    }

    pub(super) async fn describe_job_definitions(
        &self,
        input: DescribeJobDefinitionsRequest,
    ) -> Result<DescribeJobDefinitionsResponse, ApiError> {
        const NAME: &str = "DescribeJobDefinitions";
        let page = Page::read(NAME, input.max_results, input.next_token.as_deref(), 100)?;
        let named = input.job_definitions.unwrap_or_default();
        if !named.is_empty() {
            return self.describe_named_definitions(&named).await;
        }
        let mut query =
            DefinitionQuery { after: page.from.unwrap_or(0), limit: page.limit(), ..Default::default() };
        query.active = input.status.as_deref().map(|s| s.eq_ignore_ascii_case("ACTIVE"));
        if let Some(text) = input.job_definition_name {
            // An ARN or `name:revision` is taken as the name it holds.
            query.name = Some(DefinitionReference::parse(&text).map_or(text, |r| r.name));
        }
        let mut rows = self.readers.read(move |r| r.job_definitions(&query)).await?;
        let next_token = page.cut(NAME, &mut rows, |r| r.id.0);
        Ok(DescribeJobDefinitionsResponse { job_definitions: Some(self.all_shown(&rows).await?), next_token })
    }

    async fn describe_named_definitions(
        &self,
        named: &[String],
    ) -> Result<DescribeJobDefinitionsResponse, ApiError> {
        if named.len() > 100 {
            return Err(ApiError::wrapped(format!(
                "at most 100 can be described at once, got {}",
                named.len()
            )));
        }
        let references: Vec<_> = named.iter().filter_map(|t| DefinitionReference::parse(t).ok()).collect();
        let rows = self.readers.read(move |r| {
            let find = |d: &DefinitionReference| match d.revision {
                Some(revision) => r.job_definition(&d.name, revision).transpose(),
                None => r.latest_job_definition(&d.name).transpose(),
            };
            references.iter().filter_map(find).collect::<Result<Vec<_>, _>>()
        });
        let shown = self.all_shown(&rows.await?).await?;
        Ok(DescribeJobDefinitionsResponse { job_definitions: Some(shown), next_token: None })
    }

    async fn all_shown(&self, rows: &[resource::JobDefinition]) -> Result<Vec<JobDefinition>, ApiError> {
        let shown: Result<Vec<_>, _> = rows.iter().map(|row| self.shown(row)).collect();
        let (mut shown, ids) = (shown?, rows.iter().map(|row| row.id.0));
        self.show_tags(TagOwner::JobDefinition, ids, &mut shown, |d| &mut d.tags).await?;
        Ok(shown)
    }

    fn shown(&self, row: &resource::JobDefinition) -> Result<JobDefinition, ApiError> {
        let mut definition = from_row(row, &self.region, &self.account)?.definition;
        definition.status = Some(if row.active { "ACTIVE" } else { "INACTIVE" }.to_string());
        Ok(definition)
    }
}

/// The definition as it is kept: checked, with the lists that AWS shows even when empty (spec jobs §6.1).
fn checked(input: RegisterJobDefinitionRequest) -> Result<JobDefinition, ApiError> {
    let kind = required(&input.r#type, "type")?;
    let unbuilt = [
        (kind == "multinode" || input.node_properties.is_some(), "multi-node parallel jobs"),
        (input.eks_properties.is_some(), "eksProperties"),
        (input.ecs_properties.is_some(), "ecsProperties"),
        (has_consumables(&input.consumable_resource_properties), "consumableResourceProperties"),
    ];
    if let Some((_, what)) = unbuilt.iter().find(|(given, _)| *given) {
        return Err(ApiError::client(format!("{what} do not work in this version of Batchyard")));
    }
    let mut container = input.container_properties.ok_or_else(|| {
        ApiError::wrapped("Container properties must be provided for a job definition of type container")
    })?;
    let platforms = input.platform_capabilities.unwrap_or_default();
    definition::check(&container, &platforms)?;
    check_tags(&input.tags)?;
    check_retry(&input.retry_strategy)?;
    check_timeout(&input.timeout)?;
    check_priority(input.scheduling_priority)?;
    show_lists(&mut container);
    Ok(JobDefinition {
        container_orchestration_type: Some("ECS".to_string()),
        container_properties: Some(container),
        parameters: Some(input.parameters.unwrap_or_default()),
        platform_capabilities: Some(platforms),
        propagate_tags: input.propagate_tags,
        retry_strategy: input.retry_strategy.map(shown_retry),
        scheduling_priority: input.scheduling_priority,
        tags: Some(input.tags.unwrap_or_default()),
        timeout: input.timeout,
        r#type: input.r#type,
        ..JobDefinition::default()
    })
}

/// Whether consumable resources are asked for.
pub fn has_consumables(properties: &Option<ConsumableResourceProperties>) -> bool {
    properties.as_ref().and_then(|p| p.consumable_resource_list.as_ref()).is_some_and(|l| !l.is_empty())
}

fn check_priority(priority: Option<i32>) -> Result<(), ApiError> {
    match priority.filter(|p| !SCHEDULING_PRIORITY.contains(p)) {
        Some(p) => Err(ApiError::wrapped(format!("schedulingPriority must be between 0 and 9999, got {p}"))),
        None => Ok(()),
    }
}

fn show_lists(container: &mut ContainerProperties) {
    container.command.get_or_insert_default();
    container.environment.get_or_insert_default();
    container.mount_points.get_or_insert_default();
    container.resource_requirements.get_or_insert_default();
    container.secrets.get_or_insert_default();
    container.ulimits.get_or_insert_default();
    container.volumes.get_or_insert_default();
}

/// `retryStrategy` as AWS shows it: with its list even when empty.
pub fn shown_retry(mut retry: RetryStrategy) -> RetryStrategy {
    retry.evaluate_on_exit.get_or_insert_default();
    retry
}

/// The rules of `retryStrategy` (spec jobs §7).
pub fn check_retry(retry: &Option<RetryStrategy>) -> Result<(), ApiError> {
    let Some(retry) = retry else { return Ok(()) };
    let attempts = retry
        .attempts
        .ok_or_else(|| ApiError::wrapped("RetryAttempts must be provided with retry strategy"))?;
    if !ATTEMPTS.contains(&attempts) {
        return Err(ApiError::wrapped(format!(
            "retryStrategy.attempts must be between 1 and 10, got {attempts}"
        )));
    }
    let rules = retry.evaluate_on_exit.as_deref().unwrap_or_default();
    if rules.len() > MAX_EVALUATE_ON_EXIT {
        return Err(ApiError::wrapped(format!(
            "retryStrategy.evaluateOnExit must have at most 5 entries, got {}",
            rules.len()
        )));
    }
    rules.iter().enumerate().try_for_each(|(i, rule)| check_rule(i, rule))
}

fn check_rule(index: usize, rule: &EvaluateOnExit) -> Result<(), ApiError> {
    let digits = |p: &str| p.bytes().all(|b| b.is_ascii_digit());
    let members = [
        ("onStatusReason", &rule.on_status_reason, false),
        ("onReason", &rule.on_reason, false),
        ("onExitCode", &rule.on_exit_code, true),
    ];
    for (member, pattern, numeric) in members {
        let Some(pattern) = pattern else { continue };
        let fixed = pattern.strip_suffix('*').unwrap_or(pattern);
        let long = pattern.chars().count() > batchyard_model::limits::MAX_EXIT_PATTERN;
        if long || fixed.contains('*') || (numeric && !digits(fixed)) || pattern.is_empty() {
            return Err(ApiError::wrapped(format!(
                "retryStrategy.evaluateOnExit[{index}].{member} must be {} of at most 512 characters that may end in *, got {pattern:?}",
                if numeric { "digits" } else { "a text" }
            )));
        }
    }
    Ok(())
}

/// The rule of `timeout` (spec jobs §7).
pub fn check_timeout(timeout: &Option<JobTimeout>) -> Result<(), ApiError> {
    match timeout.as_ref().and_then(|t| t.attempt_duration_seconds).filter(|s| *s < MIN_TIMEOUT_SECONDS) {
        Some(s) => {
            Err(ApiError::wrapped(format!("timeout.attemptDurationSeconds must be at least 60, got {s}")))
        }
        None => Ok(()),
    }
}
