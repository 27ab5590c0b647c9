//! Tags of whatever has some: set, removed, listed, and shown by every Describe (spec infrastructure §5.4, jobs §9).
//!
//! A resource's body holds the tags that it was made with; once the operations here have changed them, a row of their
//! own does. Never here: whether a change leaves too many; the store's transaction judges that.

use super::input::{check, check_tags, clip, reserved};
use super::service::Service;
use crate::error::ApiError;
use crate::http::Call;
use crate::store::{Reader, StoreError, TagChange, TagOwner, Write, Written};
use batchyard_engine::JobUuid;
use batchyard_model::arn::{Arn, ArnResource};
use batchyard_model::batch::*;
use batchyard_model::ids::JobId;
use batchyard_model::limits::MAX_TAGS;
use std::collections::BTreeMap;

/// Keys and values.
pub(super) type Tags = BTreeMap<String, String>;

/// Something that has tags.
struct Tagged {
    owner: TagOwner,
    id: i64,
    made_with: Tags,
    /// As the tag operations left them, if they ever changed any.
    changed: Option<Tags>,
}

/// The part of every body that is read here.
#[derive(serde::Deserialize)]
struct Body {
    tags: Option<Tags>,
}

impl Service {
    pub(super) async fn tag_resource(&self, call: &Call) -> Result<TagResourceResponse, ApiError> {
        let mut input: TagResourceRequest = crate::wire::parse(&call.body)?;
        input.resource_arn.clone_from(&call.resource_arn);
        check(&input)?;
        check_tags(&input.tags)?;
        let set = input.tags.unwrap_or_default();
        if set.is_empty() {
            return Err(ApiError::wrapped(format!("tags must have 1 to {MAX_TAGS} entries, got 0")));
        }
        self.change_tags(input.resource_arn, set, Vec::new()).await?;
        Ok(TagResourceResponse::default())
    }

    pub(super) async fn untag_resource(&self, call: &Call) -> Result<UntagResourceResponse, ApiError> {
        let keys = call.query.iter().filter(|(name, _)| name == "tagKeys").map(|(_, key)| key.clone());
        let keys: Vec<String> = keys.collect();
        let tag_keys = (!keys.is_empty()).then_some(keys);
        let input = UntagResourceRequest { resource_arn: call.resource_arn.clone(), tag_keys };
        check(&input)?;
        let remove = input.tag_keys.unwrap_or_default();
        if let Some(key) = remove.iter().find(|key| reserved(key)) {
            return Err(ApiError::wrapped(format!("tagKeys: {key:?} begins with the reserved prefix aws:")));
        }
        self.change_tags(input.resource_arn, Tags::new(), remove).await?;
        Ok(UntagResourceResponse::default())
    }

    pub(super) async fn list_tags_for_resource(
        &self,
        call: &Call,
    ) -> Result<ListTagsForResourceResponse, ApiError> {
        let input = ListTagsForResourceRequest { resource_arn: call.resource_arn.clone() };
        check(&input)?;
        let tagged = self.tagged(input.resource_arn).await?;
        Ok(ListTagsForResourceResponse { tags: Some(tagged.changed.unwrap_or(tagged.made_with)) })
    }

    async fn change_tags(&self, arn: Option<String>, set: Tags, remove: Vec<String>) -> Result<(), ApiError> {
        let Tagged { owner, id, made_with, .. } = self.tagged(arn).await?;
        let change = TagChange { owner, id, made_with, set, remove };
        match self.core.write(Write::Tags(change)).await? {
            Written::Done => Ok(()),
            Written::TooManyTags(count) => Err(ApiError::client(format!(
                "a resource can have at most {MAX_TAGS} tags, with these it would have {count}"
            ))),
            other @ Written::Logs(_) => {
                tracing::error!(?other, "a write was answered with what belongs to another");
                Err(ApiError::server())
            }
        }
    }

    /// What an ARN names, if it is here.
    async fn tagged(&self, arn: Option<String>) -> Result<Tagged, ApiError> {
        let text = arn.unwrap_or_default();
        let arn: Arn =
            text.parse().map_err(|e| ApiError::wrapped(format!("resourceArn {:?}: {e}", clip(&text))))?;
        let found = match arn.is_in(&self.region, &self.account).then_some(arn.resource) {
            Some(resource) => {
                can_have_tags(&resource)?;
                self.readers.read(move |r| find(r, &resource)).await?
            }
            None => None,
        };
        found.ok_or_else(|| ApiError::client(format!("Resource {} does not exist", clip(&text))))
    }

    /// Puts the tags that each of these has now in place of those that it was made with: one query for a whole page.
    /// `ids` are their row ids, in the same order.
    pub(super) async fn show_tags<T>(
        &self,
        owner: TagOwner,
        ids: impl Iterator<Item = i64>,
        shown: &mut [T],
        tags: impl Fn(&mut T) -> &mut Option<Tags>,
    ) -> Result<(), ApiError> {
        let ids: Vec<i64> = ids.collect();
        if ids.is_empty() {
            return Ok(());
        }
        let asked = ids.clone();
        let mut changed = self.readers.read(move |r| r.tags_of_all(owner, &asked)).await?;
        for (id, item) in ids.iter().zip(shown) {
            if let Some(now) = changed.remove(id) {
                *tags(item) = Some(now);
            }
        }
        Ok(())
    }
}

fn can_have_tags(resource: &ArnResource) -> Result<(), ApiError> {
    match resource {
        ArnResource::JobDefinition { name, revision: None } => Err(ApiError::client(format!(
            "resourceArn must name a revision of the job definition, as {name}:1"
        ))),
        ArnResource::Job(id) if !id.is_whole() => Err(ApiError::client(format!(
            "array children and nodes have no tags, name the whole job: {}",
            id.parent()
        ))),
        _ => Ok(()),
    }
}

fn find(r: &Reader, resource: &ArnResource) -> Result<Option<Tagged>, StoreError> {
    let (owner, row) = match resource {
        ArnResource::ComputeEnvironment(name) => {
            (TagOwner::ComputeEnvironment, r.compute_environment(name)?.map(|e| (e.id.0, e.body)))
        }
        ArnResource::JobQueue(name) => {
            (TagOwner::JobQueue, r.job_queue(name)?.map(|row| (row.id.0, row.body)))
        }
        ArnResource::JobDefinition { name, revision } => {
            let row = r.job_definition(name, revision.unwrap_or_default())?;
            (TagOwner::JobDefinition, row.map(|row| (row.id.0, row.body)))
        }
        ArnResource::SchedulingPolicy(name) => {
            (TagOwner::SchedulingPolicy, r.scheduling_policy(name)?.map(|row| (row.id.0, row.body)))
        }
        ArnResource::Job(JobId { uuid, .. }) => {
            let job = r.job(JobUuid(uuid.as_u128().to_be_bytes()).into())?;
            (TagOwner::Job, job.map(|job| (job.hot.id.0, job.body.into())))
        }
        // Of these kinds nothing can be here yet.
        ArnResource::ConsumableResource(_)
        | ArnResource::QuotaShare { .. }
        | ArnResource::ServiceEnvironment(_)
        | ArnResource::ServiceJob(_) => return Ok(None),
    };
    let Some((id, body)) = row else { return Ok(None) };
    let made_with = made_with(id, &body)?;
    Ok(Some(Tagged { owner, id, made_with, changed: r.tags(owner, id)? }))
}

fn made_with(id: i64, body: &str) -> Result<Tags, StoreError> {
    let body: Body = serde_json::from_str(body).map_err(|e| StoreError::Row {
        table: "one with tags",
        id,
        what: e.to_string(),
    })?;
    Ok(body.tags.unwrap_or_default())
}
