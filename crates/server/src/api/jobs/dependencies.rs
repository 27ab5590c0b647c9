//! `dependsOn` of SubmitJob: what each entry names, and how that job stands in the rows (spec jobs §3).
//!
//! Never here: waiting; the engine does that, and what it knows of a job wins over what was read here.

use crate::api::service::Service;
use crate::error::ApiError;
use batchyard_engine::input::{Dependency, Found};
use batchyard_engine::{JobStatus, JobUuid};
use batchyard_model::batch::{JobDependency, SubmitJobRequest};
use std::collections::BTreeSet;

/// What can be told without looking anything up. `SEQUENTIAL` and `N_TO_N` that name a job are common between jobs that are no
/// arrays, and mean a plain dependency there.
pub fn check(dependencies: Option<&Vec<JobDependency>>) -> Result<(), ApiError> {
    for dependency in dependencies.into_iter().flatten() {
        let named = dependency.job_id.as_deref().is_some_and(|id| !id.is_empty());
        match dependency.r#type.as_deref() {
            _ if named => {}
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

impl Service {
    /// The jobs that a submission depends on, each once, as the rows have them now.
    ///
    /// # Errors
    /// There is no such job. An unknown id would be waited for for ever.
    pub(super) async fn dependencies(&self, input: &SubmitJobRequest) -> Result<Vec<Dependency>, ApiError> {
        let mut jobs = BTreeSet::new();
        for id in input.depends_on.iter().flatten().filter_map(|d| d.job_id.as_deref()) {
            jobs.insert(self.job_named(id).ok_or_else(|| not_found(id))?);
        }
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let look = move |r: &crate::store::Reader| {
            jobs.into_iter().map(|job| Ok((job, r.job_status(job)?))).collect::<Result<Vec<_>, _>>()
        };
        let found = self.readers.read(look).await?;
        found.into_iter().map(|(job, status)| dependency(job, status)).collect()
    }
}

fn dependency(job: JobUuid, status: Option<JobStatus>) -> Result<Dependency, ApiError> {
    let found = match status {
        Some(JobStatus::Succeeded) => Found::Succeeded,
        Some(JobStatus::Failed) => Found::Failed,
        Some(_) => Found::Open,
        None => return Err(not_found(&uuid::Uuid::from_bytes(job.0).to_string())),
    };
    Ok(Dependency { job, found })
}

fn not_found(id: &str) -> ApiError {
    ApiError::client(format!("Job {id} not found."))
}
