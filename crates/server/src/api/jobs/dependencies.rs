//! `dependsOn` of SubmitJob: what each entry names, and how that job stands in the rows (spec jobs §3).
//!
//! Never here: waiting; the engine does that, and what it knows of a job wins over what was read here.

use crate::api::service::Service;
use crate::error::ApiError;
use crate::store::{Reader, StoreError};
use batchyard_engine::input::{ArraySpec, Dependency, Found};
use batchyard_engine::{JobRef, JobStatus};
use batchyard_model::batch::{JobDependency, SubmitJobRequest};
use std::collections::BTreeMap;

/// What can be told without looking anything up. `SEQUENTIAL` and `N_TO_N` that name a job are common between jobs that are no
/// arrays, and mean a plain dependency there.
pub fn check(input: &SubmitJobRequest) -> Result<(), ApiError> {
    for dependency in input.depends_on.iter().flatten() {
        match dependency.r#type.as_deref() {
            _ if is_named(dependency) => {}
            Some("SEQUENTIAL") if size(input).is_some() => {}
            Some("SEQUENTIAL") => {
                return Err(ApiError::client(
                    "dependsOn: SEQUENTIAL without a jobId is for array jobs; name the job to wait for",
                ));
            }
            _ => return Err(ApiError::client("dependsOn: jobId is missing; name the job to wait for")),
        }
    }
    Ok(())
}

fn is_named(dependency: &JobDependency) -> bool {
    dependency.job_id.as_deref().is_some_and(|id| !id.is_empty())
}

fn size(input: &SubmitJobRequest) -> Option<u32> {
    input.array_properties.as_ref()?.size.and_then(|size| u32::try_from(size).ok())
}

/// The array that a submission asks for.
pub fn array(input: &SubmitJobRequest) -> Option<ArraySpec> {
    let sequential = input.depends_on.iter().flatten().any(|d| !is_named(d));
    Some(ArraySpec { size: size(input)?, sequential })
}

/// A job that is depended on, as the rows have it.
struct Seen {
    status: Option<JobStatus>,
    /// Children, where it is an array.
    size: Option<u32>,
    /// Children that have failed; read only for N_TO_N.
    failed: Vec<(u32, u32)>,
}

fn look(r: &Reader, job: JobRef, each: bool) -> Result<Seen, StoreError> {
    if !each {
        return Ok(Seen { status: r.job_status(job)?, size: None, failed: Vec::new() });
    }
    let record = r.job(job)?;
    let size = record.as_ref().and_then(|r| Some(r.array.as_ref()?.size()));
    let status = record.map(|record| record.hot.status);
    let failed = if status == Some(JobStatus::Failed) { r.failed_children(job.uuid)? } else { Vec::new() };
    Ok(Seen { status, size, failed })
}

impl Service {
    /// The jobs that a submission depends on, each once, as the rows have them now.
    ///
    /// # Errors
    /// There is no such job, which would be waited for for ever; or `N_TO_N` names an array of another size.
    pub(super) async fn dependencies(&self, input: &SubmitJobRequest) -> Result<Vec<Dependency>, ApiError> {
        let mut jobs = BTreeMap::new();
        for dependency in input.depends_on.iter().flatten().filter(|d| is_named(d)) {
            let id = dependency.job_id.as_deref().unwrap_or_default();
            let job = self.job_named(id).ok_or_else(|| not_found(id))?;
            let each = dependency.r#type.as_deref() == Some("N_TO_N") && job.index.is_none();
            jobs.insert((job, each && size(input).is_some()), id.to_string());
        }
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let look = move |r: &Reader| {
            let seen = |((job, each), id)| Ok((job, each, id, look(r, job, each)?));
            jobs.into_iter().map(seen).collect::<Result<Vec<_>, StoreError>>()
        };
        let found = self.readers.read(look).await?;
        let size = size(input);
        found.into_iter().map(|(job, each, id, seen)| dependency(job, each, &id, seen, size)).collect()
    }
}

fn dependency(
    job: JobRef,
    each: bool,
    id: &str,
    seen: Seen,
    size: Option<u32>,
) -> Result<Dependency, ApiError> {
    let found = match seen.status {
        Some(JobStatus::Succeeded) => Found::Succeeded,
        Some(JobStatus::Failed) => Found::Failed,
        Some(_) => Found::Open,
        None => return Err(not_found(id)),
    };
    // An array on a job that is none: a plain dependency, as real callers use it (spec jobs §3).
    let each = seen.size.filter(|_| each);
    if let (Some(theirs), Some(ours)) = (each, size)
        && theirs != ours
    {
        return Err(ApiError::client(format!(
            "dependsOn: N_TO_N needs arrays of one size; job {id} has {theirs} children, this one {ours}"
        )));
    }
    Ok(Dependency { job, each: each.map(|_| seen.failed), found })
}

fn not_found(id: &str) -> ApiError {
    ApiError::client(format!("Job {id} not found."))
}
