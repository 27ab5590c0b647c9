//! Compute environments: create, update, describe, delete (spec infrastructure §1).
//!
//! The body of the row is the ComputeEnvironmentDetail without what has a column of its own. Never here: whether a
//! deletion is allowed or the name is free; the engine decides that.

mod change;
mod create;
mod detail;
mod eks;
mod matrix;
mod roles;
mod templates;
mod tidy;
mod update;
mod values;

use super::input::{clip, name_here, names_here, required};
use super::page::Page;
use super::service::Service;
use super::{STALE_TRIES, contended, refused, unexpected};
use crate::error::ApiError;
use crate::store::TagOwner;
use batchyard_engine::resource::ComputeEnvironment;
use batchyard_engine::{Command, Reply};
use batchyard_model::arn::ArnKind;
use batchyard_model::batch::*;

impl Service {
    /// CreateComputeEnvironment; start-up makes the default ones through it too.
    ///
    /// # Errors
    /// As AWS words them.
    pub async fn create_compute_environment(
        &self,
        input: CreateComputeEnvironmentRequest,
    ) -> Result<CreateComputeEnvironmentResponse, ApiError> {
        let row = create::new_row(&self.account, input)?;
        let name = row.name.to_string();
        match self.core.command(Command::CreateComputeEnvironment(row)).await? {
            Reply::ComputeEnvironment(_) => Ok(CreateComputeEnvironmentResponse {
                compute_environment_arn: Some(self.environment_arn(&name)),
                compute_environment_name: Some(name),
            }),
            Reply::Refused(refusal) => Err(refused(refusal)),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn update_compute_environment(
        &self,
        input: UpdateComputeEnvironmentRequest,
    ) -> Result<UpdateComputeEnvironmentResponse, ApiError> {
        let name = self.environment_reference(&input.compute_environment)?;
        for _ in 0..STALE_TRIES {
            let wanted = name.clone();
            let row = self.readers.read(move |r| r.compute_environment(&wanted)).await?;
            let row = row.ok_or_else(|| missing(&name))?;
            let update = update::updated(&self.account, row, &input)?;
            match self.core.command(Command::UpdateComputeEnvironment(update)).await? {
                Reply::Done | Reply::ComputeEnvironment(_) => {
                    return Ok(UpdateComputeEnvironmentResponse {
                        compute_environment_arn: Some(self.environment_arn(&name)),
                        compute_environment_name: Some(name),
                    });
                }
                Reply::Stale => {}
                Reply::Refused(refusal) => return Err(refused(refusal)),
                other => return Err(unexpected(&other)),
            }
        }
        Err(contended())
    }

    pub(super) async fn delete_compute_environment(
        &self,
        input: DeleteComputeEnvironmentRequest,
    ) -> Result<DeleteComputeEnvironmentResponse, ApiError> {
        let name = self.environment_reference(&input.compute_environment)?;
        let row = self.readers.read(move |r| r.compute_environment(&name)).await?;
        // Deleting what is not there is done (spec infrastructure §1.8).
        let Some(row) = row else { return Ok(DeleteComputeEnvironmentResponse::default()) };
        match self.core.command(Command::DeleteComputeEnvironment(row.id)).await? {
            Reply::Refused(refusal) => Err(refused(refusal)),
            _ => Ok(DeleteComputeEnvironmentResponse::default()),
        }
    }

    pub(super) async fn describe_compute_environments(
        &self,
        input: DescribeComputeEnvironmentsRequest,
    ) -> Result<DescribeComputeEnvironmentsResponse, ApiError> {
        const NAME: &str = "DescribeComputeEnvironments";
        let page = Page::read(NAME, input.max_results, input.next_token.as_deref(), 100)?;
        let names = input.compute_environments.unwrap_or_default();
        let mut token = None;
        let rows = if names.is_empty() {
            let after = page.from.unwrap_or(0);
            let mut rows = self.readers.read(move |r| r.compute_environments(after, page.limit())).await?;
            token = page.cut(NAME, &mut rows, |r| r.id.0);
            rows
        } else {
            let names = names_here(self, ArnKind::ComputeEnvironment, "computeEnvironments", &names)?;
            let find = move |r: &crate::store::Reader| {
                names.iter().filter_map(|n| r.compute_environment(n).transpose()).collect()
            };
            self.readers.read(find).await?
        };
        let details: Result<Vec<_>, _> = rows.iter().map(|row| self.environment_detail(row)).collect();
        let (mut details, ids) = (details?, rows.iter().map(|row| row.id.0));
        self.show_tags(TagOwner::ComputeEnvironment, ids, &mut details, |d| &mut d.tags).await?;
        Ok(DescribeComputeEnvironmentsResponse { compute_environments: Some(details), next_token: token })
    }

    /// The environment that a change is for; an ARN of another account or Region names none of these.
    fn environment_reference(&self, value: &Option<String>) -> Result<String, ApiError> {
        let text = required(value, "computeEnvironment")?;
        name_here(self, ArnKind::ComputeEnvironment, "computeEnvironment", text)?.ok_or_else(|| missing(text))
    }
}

/// The name of the ECS cluster of an environment (spec infrastructure §1.1).
pub(super) fn cluster_name(row: &ComputeEnvironment) -> String {
    let uuid = body(row).ok().and_then(|d| d.uuid).unwrap_or_default();
    format!("AWSBatch-{}-{uuid}", row.name)
}

fn missing(name: &str) -> ApiError {
    ApiError::client(format!("ComputeEnvironment {} does not exist", clip(name)))
}

fn body(row: &ComputeEnvironment) -> Result<ComputeEnvironmentDetail, ApiError> {
    serde_json::from_str(&row.body).map_err(|error| {
        tracing::error!(%error, name = %row.name, "the body of a compute environment can't be read");
        ApiError::server()
    })
}

fn text<T: serde::Serialize>(value: &T) -> std::sync::Arc<str> {
    serde_json::to_string(value).expect("wire types are plain").into()
}
