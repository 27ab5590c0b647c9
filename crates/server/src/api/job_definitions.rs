//! Job definitions: register, describe, deregister (spec jobs §6).
//!
//! The body of the row is the JobDefinition as Describe shows it, without name, ARN, revision and status. Never here:
//! merging with a submission.

mod eks;
mod nodes;
mod registration;
mod rules;
mod shown;

pub use registration::checked;
pub use rules::{check_priority, check_retry, check_timeout, has_consumables, shown_retry};

use super::input::{new_name, required};
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
use batchyard_model::limits::{MAX_DESCRIBE, MAX_REGISTER_BYTES};

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
        let detail = registration::checked(input)?;
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
        let ours = reference.is_in(&self.region, &self.account);
        let found = if ours { self.definition(&reference.name, Some(revision)).await? } else { None };
        let Some(definition) = found else {
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
        let active = input.status.as_deref().map(active).transpose()?;
        let named = input.job_definitions.unwrap_or_default();
        if !named.is_empty() {
            if input.job_definition_name.is_some() || input.status.is_some() {
                return Err(ApiError::wrapped(
                    "jobDefinitions can't be used with jobDefinitionName or status",
                ));
            }
            return self.describe_named_definitions(&named).await;
        }
        let mut query =
            DefinitionQuery { after: page.from.unwrap_or(0), limit: page.limit(), active, name: None };
        if let Some(text) = input.job_definition_name {
            // An ARN or `name:revision` is taken as the name it holds.
            query.name = Some(DefinitionReference::parse(&text).map_or(text, |r| r.name));
        }
        let mut rows = self.readers.read(move |r| r.job_definitions(&query)).await?;
        let next_token = page.cut(NAME, &mut rows, |r| r.id.0);
        Ok(DescribeJobDefinitionsResponse { job_definitions: Some(self.all_shown(&rows).await?), next_token })
    }

    /// Those that there are, each once. A name without a revision stands for its latest ACTIVE one.
    async fn describe_named_definitions(
        &self,
        named: &[String],
    ) -> Result<DescribeJobDefinitionsResponse, ApiError> {
        if named.len() > MAX_DESCRIBE {
            return Err(ApiError::wrapped(format!(
                "at most {MAX_DESCRIBE} job definitions can be described at once, got {}",
                named.len()
            )));
        }
        let parsed = named.iter().filter_map(|text| DefinitionReference::parse(text).ok());
        let ours: Vec<_> = parsed.filter(|found| found.is_in(&self.region, &self.account)).collect();
        let rows = self.readers.read(move |r| {
            let mut rows: Vec<resource::JobDefinition> = Vec::new();
            for wanted in ours {
                let row = match wanted.revision {
                    Some(revision) => r.job_definition(&wanted.name, revision)?,
                    None => r.latest_job_definition(&wanted.name)?,
                };
                rows.extend(row.filter(|row| rows.iter().all(|known| known.id != row.id)));
            }
            Ok(rows)
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

/// `status` of a query.
fn active(status: &str) -> Result<bool, ApiError> {
    match status.to_ascii_uppercase().as_str() {
        "ACTIVE" => Ok(true),
        "INACTIVE" => Ok(false),
        _ => Err(ApiError::wrapped(format!("status must be ACTIVE or INACTIVE, got {status:?}"))),
    }
}
