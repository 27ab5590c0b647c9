//! Scheduling policies: create, update, delete, describe, list (spec infrastructure §4.1).
//!
//! The body of the row is the SchedulingPolicyDetail without name and ARN. Never here: whether a policy is in use, or
//! the order that it gives; both are the engine's.

mod shares;

use super::input::{check_tags, clip, new_name, required};
use super::page::Page;
use super::service::Service;
use super::{STALE_TRIES, contended, refused, unexpected};
use crate::error::ApiError;
use crate::store::{TagOwner, fair_share};
use batchyard_engine::ids::PolicyId;
use batchyard_engine::resource::{PolicyKind, SchedulingPolicy};
use batchyard_engine::{Command, Reply};
use batchyard_model::arn::{Arn, ArnResource};
use batchyard_model::batch::*;
use batchyard_model::limits::MAX_DESCRIBE;
use std::sync::Arc;

impl Service {
    pub(super) async fn create_scheduling_policy(
        &self,
        input: CreateSchedulingPolicyRequest,
    ) -> Result<CreateSchedulingPolicyResponse, ApiError> {
        let name = new_name(&input.name, "name")?.to_string();
        check_tags(&input.tags)?;
        let given = shares::checked(input.fairshare_policy, input.quota_share_policy)?;
        let Some((kind, fairshare_policy, quota_share_policy)) = given else {
            return Err(ApiError::wrapped("fairsharePolicy or quotaSharePolicy must be given"));
        };
        let tags = Some(input.tags.unwrap_or_default());
        let detail =
            SchedulingPolicyDetail { fairshare_policy, quota_share_policy, tags, ..Default::default() };
        let body = text(&detail);
        let fair_share = fair_share(&body).map_err(|_| ApiError::server())?;
        let (id, name_text) = (PolicyId(0), name.as_str().into());
        let row = SchedulingPolicy { id, name: name_text, kind, fair_share, version: 1, body };
        match self.core.command(Command::CreateSchedulingPolicy(row)).await? {
            Reply::SchedulingPolicy(_) => {
                let arn = Some(self.policy_arn(&name));
                Ok(CreateSchedulingPolicyResponse { arn, name: Some(name) })
            }
            Reply::Refused(refusal) => Err(refused(refusal)),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn update_scheduling_policy(
        &self,
        input: UpdateSchedulingPolicyRequest,
    ) -> Result<UpdateSchedulingPolicyResponse, ApiError> {
        let arn = required(&input.arn, "arn")?;
        let name = self.policy_name("arn", arn)?;
        let given = shares::checked(input.fairshare_policy, input.quota_share_policy)?;
        for _ in 0..STALE_TRIES {
            let mut row = self.policy_row(name.as_deref()).await?.ok_or_else(|| missing(arn))?;
            let Some((kind, fairshare, quota)) = given.clone() else {
                return Ok(UpdateSchedulingPolicyResponse::default());
            };
            let mut detail = body(&row)?;
            (row.kind, detail.fairshare_policy, detail.quota_share_policy) = (kind, fairshare, quota);
            row.body = text(&detail);
            row.fair_share = fair_share(&row.body).map_err(|_| ApiError::server())?;
            match self.core.command(Command::UpdateSchedulingPolicy(row)).await? {
                Reply::Done | Reply::SchedulingPolicy(_) => {
                    return Ok(UpdateSchedulingPolicyResponse::default());
                }
                Reply::Stale => {}
                Reply::Refused(refusal) => return Err(refused(refusal)),
                other => return Err(unexpected(&other)),
            }
        }
        Err(contended())
    }

    pub(super) async fn delete_scheduling_policy(
        &self,
        input: DeleteSchedulingPolicyRequest,
    ) -> Result<DeleteSchedulingPolicyResponse, ApiError> {
        let name = self.policy_name("arn", required(&input.arn, "arn")?)?;
        // Deleting what is not there is done, as with environments (spec infrastructure §1.8).
        let Some(row) = self.policy_row(name.as_deref()).await? else {
            return Ok(DeleteSchedulingPolicyResponse::default());
        };
        match self.core.command(Command::DeleteSchedulingPolicy(row.id)).await? {
            Reply::Refused(refusal) => Err(refused(refusal)),
            _ => Ok(DeleteSchedulingPolicyResponse::default()),
        }
    }

    /// What is no ARN of a policy here is nowhere, which Describe shows as nothing.
    pub(super) async fn describe_scheduling_policies(
        &self,
        input: DescribeSchedulingPoliciesRequest,
    ) -> Result<DescribeSchedulingPoliciesResponse, ApiError> {
        let arns = required(&input.arns, "arns")?;
        if arns.len() > MAX_DESCRIBE {
            return Err(ApiError::wrapped(format!(
                "arns must have at most {MAX_DESCRIBE} items, got {}",
                arns.len()
            )));
        }
        let mut names: Vec<String> = Vec::new();
        for name in arns.iter().filter_map(|arn| self.policy_name("arns", arn).ok().flatten()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let find = move |r: &crate::store::Reader| {
            names.iter().filter_map(|name| r.scheduling_policy(name).transpose()).collect()
        };
        let rows: Vec<SchedulingPolicy> = self.readers.read(find).await?;
        let details: Result<Vec<_>, _> = rows.iter().map(|row| self.policy_detail(row)).collect();
        let mut details = details?;
        let ids = rows.iter().map(|row| row.id.0);
        self.show_tags(TagOwner::SchedulingPolicy, ids, &mut details, |d| &mut d.tags).await?;
        Ok(DescribeSchedulingPoliciesResponse { scheduling_policies: Some(details) })
    }

    pub(super) async fn list_scheduling_policies(
        &self,
        input: ListSchedulingPoliciesRequest,
    ) -> Result<ListSchedulingPoliciesResponse, ApiError> {
        const NAME: &str = "ListSchedulingPolicies";
        let page = Page::read(NAME, input.max_results, input.next_token.as_deref(), 100)?;
        let after = page.from.unwrap_or(0);
        let mut rows = self.readers.read(move |r| r.scheduling_policies(after, page.limit())).await?;
        let next_token = page.cut(NAME, &mut rows, |row| row.id.0);
        let listed =
            |row: &SchedulingPolicy| SchedulingPolicyListingDetail { arn: Some(self.policy_arn(&row.name)) };
        Ok(ListSchedulingPoliciesResponse {
            next_token,
            scheduling_policies: Some(rows.iter().map(listed).collect()),
        })
    }

    /// The name in a policy's ARN, the only thing that names a policy. `None`: of another account or Region, where
    /// nothing of ours is.
    pub(super) fn policy_name(&self, member: &str, text: &str) -> Result<Option<String>, ApiError> {
        let arn =
            text.parse::<Arn>().map_err(|e| ApiError::wrapped(format!("{member} {:?}: {e}", clip(text))))?;
        let here = arn.is_in(&self.region, &self.account);
        match arn.resource {
            ArnResource::SchedulingPolicy(name) => Ok(here.then_some(name)),
            other => Err(ApiError::wrapped(format!(
                "{member} must be the ARN of a scheduling policy, got that of a {}",
                other.kind()
            ))),
        }
    }

    pub(super) async fn policy_row(&self, name: Option<&str>) -> Result<Option<SchedulingPolicy>, ApiError> {
        let Some(name) = name.map(str::to_string) else { return Ok(None) };
        self.readers.read(move |r| r.scheduling_policy(&name)).await
    }

    pub(super) fn policy_arn(&self, name: &str) -> String {
        Arn::scheduling_policy(&self.region, &self.account, name).to_string()
    }

    fn policy_detail(&self, row: &SchedulingPolicy) -> Result<SchedulingPolicyDetail, ApiError> {
        let mut detail = body(row)?;
        detail.arn = Some(self.policy_arn(&row.name));
        detail.name = Some(row.name.to_string());
        Ok(detail)
    }
}

/// The sentence for a policy that is not there.
pub(super) fn missing(arn: &str) -> ApiError {
    ApiError::client(format!("SchedulingPolicy {} does not exist", clip(arn)))
}

/// A policy's kind and whichever of its two forms it has.
type Given = (PolicyKind, Option<FairsharePolicy>, Option<QuotaSharePolicy>);

fn body(row: &SchedulingPolicy) -> Result<SchedulingPolicyDetail, ApiError> {
    serde_json::from_str(&row.body).map_err(|error| {
        tracing::error!(%error, name = %row.name, "the body of a scheduling policy can't be read");
        ApiError::server()
    })
}

fn text(detail: &SchedulingPolicyDetail) -> Arc<str> {
    serde_json::to_string(detail).expect("wire types are plain").into()
}
