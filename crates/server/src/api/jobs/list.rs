//! ListJobs (spec jobs §9): selectors, filters, pages. Never here: the queries.

use super::list_token;
use crate::api::input::required;
use crate::api::page::Page;
use crate::api::service::Service;
use crate::error::ApiError;
use crate::store::{JobSummaryRecord, Listing, Position, Selection};
use batchyard_engine::{JobStatus, QueueId};
use batchyard_model::arn::{Arn, ArnKind, DefinitionReference, name_or_arn};
use batchyard_model::batch::*;
use batchyard_model::ids;
use batchyard_model::limits::{MAX_LIST_JOBS, MAX_PAGE};

const NAME: &str = "ListJobs";
const FILTERS: &str = "JOB_NAME, JOB_DEFINITION, BEFORE_CREATED_AT, AFTER_CREATED_AT and SHARE_IDENTIFIER";

impl Service {
    pub(in crate::api) async fn list_jobs(
        &self,
        input: ListJobsRequest,
    ) -> Result<ListJobsResponse, ApiError> {
        let status = status(&input)?;
        let filter = filter(&input)?;
        let most = if filter.is_some() { MAX_PAGE } else { MAX_LIST_JOBS };
        let page = Page::read(NAME, input.max_results, None, u32::try_from(most).unwrap_or(100))?;
        if let Some(parent) = part_of(&input)? {
            return self.list_children(parent, &input, status, &page).await;
        }
        let queue = self.listed_queue(required(&input.job_queue, "jobQueue")?).await?;
        let is_filtered = filter.is_some();
        let selection = match filter {
            None => Selection::Status(status.unwrap_or(JobStatus::Running)),
            Some((name, value)) => self.selection(name, value, status)?,
        };
        let kind = kind(&selection);
        let after = list_token::decode(kind, input.next_token.as_deref())?;
        let listing = Listing { queue, selection, after, limit: page.limit() };
        let mut rows = self.readers.read(move |r| r.jobs(&listing)).await?;
        let mut next_token = None;
        if rows.len() > page.size as usize {
            rows.truncate(page.size as usize);
            next_token = rows.last().map(|row| list_token::encode(kind, &position(row)));
        }
        let summaries = rows.iter().map(|row| self.summary(row, is_filtered)).collect();
        Ok(ListJobsResponse { job_summary_list: Some(summaries), next_token })
    }

    /// The children of an array by index; filters do not apply to them. No job has nodes yet.
    async fn list_children(
        &self,
        parent: ids::JobId,
        input: &ListJobsRequest,
        status: Option<JobStatus>,
        page: &Page,
    ) -> Result<ListJobsResponse, ApiError> {
        let after = list_token::decode('p', input.next_token.as_deref())?;
        let from = after.map_or(0, |at| u32::try_from(at.id).unwrap_or(u32::MAX).saturating_add(1));
        let array = super::job_ref(parent).filter(|job| input.array_job_id.is_some() && job.index.is_none());
        let Some(array) = array else {
            return Ok(ListJobsResponse { job_summary_list: Some(vec![]), next_token: None });
        };
        let (status, limit) = (status.unwrap_or(JobStatus::Running), page.limit());
        let mut rows = self.readers.read(move |r| r.children(array.uuid, status, from, limit)).await?;
        let mut next_token = None;
        if rows.len() > page.size as usize {
            rows.truncate(page.size as usize);
            let index = rows.last().and_then(|row| row.named.index);
            let at = |index| Position { id: i64::from(index), created_ms: 0, name: String::new() };
            next_token = index.map(|index| list_token::encode('p', &at(index)));
        }
        let summaries = rows.iter().map(|row| self.summary(row, false)).collect();
        Ok(ListJobsResponse { job_summary_list: Some(summaries), next_token })
    }

    async fn listed_queue(&self, text: &str) -> Result<QueueId, ApiError> {
        let reference = name_or_arn(ArnKind::JobQueue, text).map_err(|_| super::not_a_definition(text))?;
        let ours = reference.is_in(&self.region, &self.account);
        let found = if ours { self.queue(&reference.name).await? } else { None };
        let queue = found.ok_or_else(|| ApiError::client(format!("JobQueue {text} does not exist")))?;
        Ok(queue.id)
    }

    fn selection(&self, name: &str, value: &str, status: Option<JobStatus>) -> Result<Selection, ApiError> {
        let starred = value.strip_suffix('*');
        let text = starred.unwrap_or(value).to_string();
        Ok(match name {
            "JOB_NAME" => Selection::Name { text, prefix: starred.is_some() },
            "JOB_DEFINITION" => self.of_definition(value)?,
            "BEFORE_CREATED_AT" => Selection::CreatedBefore(millis(name, value)?),
            "AFTER_CREATED_AT" => Selection::CreatedAfter(millis(name, value)?),
            "SHARE_IDENTIFIER" => Selection::Share { share: value.to_string(), status },
            other => {
                return Err(ApiError::wrapped(format!(
                    "filters: there is no filter {other:?}; use one of {FILTERS}"
                )));
            }
        })
    }

    /// By name, any revision, perhaps the beginning of a name; by ARN or `name:revision` just that one.
    fn of_definition(&self, value: &str) -> Result<Selection, ApiError> {
        let starred = value.strip_suffix('*');
        if value.starts_with("arn:") && starred.is_some() {
            return Err(ApiError::wrapped(
                "filters: the ARN of a job definition can't end in *; use its name",
            ));
        }
        let all =
            |name: &str, prefix| Selection::Definition { name: name.to_string(), prefix, revision: None };
        let Some(prefix) = starred else {
            return Ok(match DefinitionReference::parse(value) {
                Ok(found) if found.is_in(&self.region, &self.account) => {
                    Selection::Definition { name: found.name, prefix: false, revision: found.revision }
                }
                // No definition here is called so.
                _ => all("", false),
            });
        };
        Ok(all(prefix, true))
    }

    /// As AWS shows it: a job that waits or runs tells less unless a filter asked for it (spec jobs §9).
    fn summary(&self, row: &JobSummaryRecord, is_filtered: bool) -> JobSummary {
        let id = super::job_id(row.named);
        let (name, revision) = &row.definition;
        let ended = row.last_attempt.as_ref().and_then(|a| a.containers.first());
        let definition = || Arn::job_definition(&self.region, &self.account, name, *revision).to_string();
        JobSummary {
            container: ended.map(|c| ContainerSummary {
                exit_code: c.exit_code,
                reason: c.reason.as_deref().map(str::to_string),
            }),
            created_at: Some(row.created_ms),
            is_cancelled: row.hot.cancelled.then_some(true),
            is_terminated: row.hot.terminated.is_some().then_some(true),
            job_arn: Some(Arn::job(&self.region, &self.account, id).to_string()),
            job_definition: (is_filtered || row.hot.status.is_terminal()).then(definition),
            job_id: Some(row.named.to_string()),
            array_properties: array_properties(row),
            job_name: Some(row.name.to_string()),
            share_identifier: row.share.as_deref().map(str::to_string),
            started_at: row.hot.started_ms,
            status: Some(row.hot.status.name().to_string()),
            status_reason: row.hot.status_reason.as_deref().map(str::to_string),
            stopped_at: row.hot.stopped_ms,
            ..JobSummary::default()
        }
    }
}

/// A child's index, or the size of an array and how its children stand.
fn array_properties(row: &JobSummaryRecord) -> Option<ArrayPropertiesSummary> {
    if let Some(index) = row.named.index {
        let index = i32::try_from(index).ok();
        return Some(ArrayPropertiesSummary { index, ..ArrayPropertiesSummary::default() });
    }
    let array = row.array.as_ref()?;
    Some(ArrayPropertiesSummary {
        size: i32::try_from(array.size()).ok(),
        status_summary: Some(super::describe::status_summary(array)),
        status_summary_last_updated_at: Some(array.updated_ms),
        ..ArrayPropertiesSummary::default()
    })
}

fn position(row: &JobSummaryRecord) -> Position {
    Position { id: row.hot.id.0, created_ms: row.created_ms, name: row.name.to_string() }
}

/// Tells orders apart in tokens.
fn kind(selection: &Selection) -> char {
    match selection {
        Selection::Status(_) => 's',
        Selection::Name { .. } => 'n',
        Selection::Definition { .. } => 'd',
        Selection::CreatedBefore(_) | Selection::CreatedAfter(_) => 'c',
        Selection::Share { .. } => 'h',
    }
}

/// The job whose children or nodes are asked for. Exactly one of the three selectors is given.
fn part_of(input: &ListJobsRequest) -> Result<Option<ids::JobId>, ApiError> {
    let parents = [("arrayJobId", &input.array_job_id), ("multiNodeJobId", &input.multi_node_job_id)];
    let count =
        parents.iter().filter(|(_, id)| id.is_some()).count() + usize::from(input.job_queue.is_some());
    if count != 1 {
        return Err(ApiError::wrapped(
            "exactly one of jobQueue, arrayJobId and multiNodeJobId must be given",
        ));
    }
    let given = parents.into_iter().find_map(|(member, id)| Some((member, id.as_deref()?)));
    let Some((member, text)) = given else { return Ok(None) };
    let id =
        text.parse().map_err(|_| ApiError::wrapped(format!("{member} {text:?} is not the id of a job")))?;
    Ok(Some(id))
}

fn status(input: &ListJobsRequest) -> Result<Option<JobStatus>, ApiError> {
    let Some(name) = input.job_status.as_deref() else { return Ok(None) };
    let status = JobStatus::from_name(name);
    status.map(Some).ok_or_else(|| ApiError::wrapped(format!("jobStatus {name} is not a state of a job")))
}

/// The one filter and its one value.
fn filter(input: &ListJobsRequest) -> Result<Option<(&str, &str)>, ApiError> {
    let filters = input.filters.as_deref().unwrap_or_default();
    let [filter] = filters else {
        if filters.is_empty() {
            return Ok(None);
        }
        return Err(ApiError::wrapped(format!("filters: one can be used at a time, got {}", filters.len())));
    };
    let name = required(&filter.name, "filters[0].name")?;
    match filter.values.as_deref().unwrap_or_default() {
        [value] => Ok(Some((name, value))),
        values => {
            Err(ApiError::wrapped(format!("filters: {name} needs exactly one value, got {}", values.len())))
        }
    }
}

fn millis(filter: &str, value: &str) -> Result<i64, ApiError> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    value.parse().ok().filter(|_| digits).ok_or_else(|| {
        ApiError::wrapped(format!(
            "filters: {filter} needs milliseconds since 1970 as its value, got {value:?}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn text(request: Value) -> String {
        let input: ListJobsRequest = serde_json::from_value(request).unwrap();
        let checked = || {
            let parent = part_of(&input)?;
            status(&input)?;
            let filter = filter(&input)?.map(|(name, value)| format!("{name}={value}"));
            Ok(filter.or(parent.map(|p| p.to_string())).unwrap_or_default())
        };
        let checked: Result<String, ApiError> = checked();
        checked.unwrap_or_else(|e| e.message)
    }

    #[test]
    fn one_selector_and_one_filter() {
        let id = "0c7599ae-0a82-49aa-ba5a-0727fcce14a8";
        assert_eq!(text(json!({"arrayJobId": id})), id);
        assert!(text(json!({})).starts_with("exactly one of"));
        assert!(text(json!({"jobQueue": "q", "multiNodeJobId": id})).starts_with("exactly one of"));
        assert_eq!(text(json!({"arrayJobId": "x"})), "arrayJobId \"x\" is not the id of a job");
        assert!(text(json!({"jobQueue": "q", "jobStatus": "running"})).contains("is not a state"));
        let by = |filters: Value| text(json!({"jobQueue": "q", "filters": filters}));
        assert_eq!(by(json!([])), "");
        assert_eq!(by(json!([{"name": "JOB_NAME", "values": ["a*"]}])), "JOB_NAME=a*");
        let one = json!({"name": "JOB_NAME", "values": ["a"]});
        assert!(by(json!([one, one])).contains("one can be used at a time, got 2"));
        assert!(by(json!([{"name": "JOB_NAME", "values": []}])).contains("exactly one value, got 0"));
        assert!(by(json!([{"name": "JOB_NAME", "values": ["a", "b"]}])).contains("exactly one value, got 2"));
        assert!(by(json!([{"values": ["a"]}])).contains("filters[0].name is required"));
    }

    #[test]
    fn times_are_milliseconds() {
        assert_eq!(millis("F", "0").unwrap(), 0);
        assert_eq!(millis("F", "1764000000000").unwrap(), 1_764_000_000_000);
        for bad in ["", "-1", "+1", "1.5", "2026-01-01", "99999999999999999999"] {
            assert!(millis("F", bad).unwrap_err().message.contains("needs milliseconds"), "{bad}");
        }
    }
}
