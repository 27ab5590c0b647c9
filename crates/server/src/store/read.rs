//! Reading: what Describe and List need, never more than their page (invariant 9).
//!
//! Never here: wire shapes. Each thread that reads has its own [`Reader`].

use super::StoreError;
use super::beside::{TagOwner, tags_of};
use super::restore::{attempt, compute_environment, hot, job_queue, must, scheduling_policy};
use batchyard_engine::JobStatus;
use batchyard_engine::change::{ArraySummary, AttemptRow, JobHot};
use batchyard_engine::ids::{ComputeEnvironmentId, JobId, JobRef, JobUuid, QueueId};
use batchyard_engine::resource::{ComputeEnvironment, JobQueue, SchedulingPolicy};
use rusqlite::{Connection, Params, Row, params};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A connection that reads.
pub struct Reader {
    connection: Connection,
}

/// A job with all that DescribeJobs shows.
#[derive(Debug, Clone)]
pub struct JobRecord {
    /// How it stands.
    pub hot: JobHot,
    /// Public id.
    pub named: JobRef,
    /// How the children of an array stand.
    pub array: Option<ArraySummary>,
    /// Its queue, perhaps gone.
    pub queue: QueueId,
    /// `jobName`.
    pub name: Arc<str>,
    /// `createdAt`.
    pub created_ms: i64,
    /// The job's body, JSON text.
    pub body: String,
    /// Oldest first.
    pub attempts: Vec<AttemptRecord>,
}

/// An attempt as rows tell it.
pub type AttemptRecord = AttemptRow;

impl Reader {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    pub(super) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        let mut out = Vec::new();
        while let Some(row) = rows.next()? {
            out.push(read(row)?);
        }
        Ok(out)
    }

    /// Gives rows to `visit` until it answers false, so that no more is read than is wanted.
    pub(super) fn visit(
        &self,
        sql: &str,
        params: impl Params,
        mut visit: impl FnMut(&Row<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        while let Some(row) = rows.next()? {
            if !visit(row)? {
                break;
            }
        }
        Ok(())
    }

    /// Compute environments after a row id, in the order of their making.
    pub fn compute_environments(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<ComputeEnvironment>, StoreError> {
        let sql = "SELECT * FROM compute_environment WHERE id > ?1 AND status <> 5 ORDER BY id LIMIT ?2";
        self.rows(sql, params![after, limit], compute_environment)
    }

    /// The compute environment of this name.
    pub fn compute_environment(&self, name: &str) -> Result<Option<ComputeEnvironment>, StoreError> {
        let sql = "SELECT * FROM compute_environment WHERE name = ?1 AND status <> 5";
        Ok(self.rows(sql, [name], compute_environment)?.pop())
    }

    /// An environment by row id, also one that is gone; its status is then shown as DELETING.
    pub fn any_compute_environment(
        &self,
        id: ComputeEnvironmentId,
    ) -> Result<Option<ComputeEnvironment>, StoreError> {
        let sql = "SELECT id, name, state, min(status, 2) AS status, status_reason, platform, managed, max_vcpus_milli,
                   version, body FROM compute_environment WHERE id = ?1";
        Ok(self.rows(sql, [id.0], compute_environment)?.pop())
    }

    /// Job queues after a row id, in the order of their making.
    pub fn job_queues(&self, after: i64, limit: u32) -> Result<Vec<JobQueue>, StoreError> {
        let sql = "SELECT * FROM job_queue WHERE id > ?1 AND status <> 5 ORDER BY id LIMIT ?2";
        self.rows(sql, params![after, limit], job_queue)
    }

    /// The job queue of this name.
    pub fn job_queue(&self, name: &str) -> Result<Option<JobQueue>, StoreError> {
        let sql = "SELECT * FROM job_queue WHERE name = ?1 AND status <> 5";
        Ok(self.rows(sql, [name], job_queue)?.pop())
    }

    /// The name of a queue, also of one that is gone.
    pub fn job_queue_name(&self, id: QueueId) -> Result<Option<Arc<str>>, StoreError> {
        Ok(self.rows("SELECT name FROM job_queue WHERE id = ?1", [id.0], |r| Ok(r.get(0)?))?.pop())
    }

    /// The greatest row id ever given to a job queue, 0 if none was.
    pub fn last_job_queue(&self) -> Result<i64, StoreError> {
        let last = self.rows("SELECT coalesce(max(id), 0) FROM job_queue", [], |r| Ok(r.get(0)?))?;
        Ok(last.first().copied().unwrap_or_default())
    }

    /// The tags of something as the tag operations left them; none when they never changed any.
    pub fn tags(&self, owner: TagOwner, id: i64) -> Result<Option<BTreeMap<String, String>>, StoreError> {
        let sql = "SELECT tags FROM tag_set WHERE owner_kind = ?1 AND owner = ?2";
        let text = self.rows(sql, params![owner as i64, id], |r| Ok(r.get::<_, String>(0)?))?.pop();
        text.map(|text| tags_of(id, &text)).transpose()
    }

    /// Of these, those whose tags the tag operations ever changed, with what they left; one query.
    pub fn tags_of_all(
        &self,
        owner: TagOwner,
        ids: &[i64],
    ) -> Result<BTreeMap<i64, BTreeMap<String, String>>, StoreError> {
        let sql = "SELECT owner, tags FROM tag_set
                   WHERE owner_kind = ?1 AND owner IN (SELECT value FROM json_each(?2))";
        let ids = serde_json::to_string(ids).expect("plain numbers");
        let read = |row: &Row<'_>| {
            let id = row.get(0)?;
            Ok((id, tags_of(id, &row.get::<_, String>(1)?)?))
        };
        Ok(self.rows(sql, params![owner as i64, ids], read)?.into_iter().collect())
    }

    /// Scheduling policies after a row id, in the order of their making.
    pub fn scheduling_policies(&self, after: i64, limit: u32) -> Result<Vec<SchedulingPolicy>, StoreError> {
        let sql = "SELECT * FROM scheduling_policy WHERE id > ?1 AND NOT removed ORDER BY id LIMIT ?2";
        self.rows(sql, params![after, limit], scheduling_policy)
    }

    /// The scheduling policy of this name.
    pub fn scheduling_policy(&self, name: &str) -> Result<Option<SchedulingPolicy>, StoreError> {
        let sql = "SELECT * FROM scheduling_policy WHERE name = ?1 AND NOT removed";
        Ok(self.rows(sql, [name], scheduling_policy)?.pop())
    }

    /// A job with its attempts.
    pub fn job(&self, job: JobRef) -> Result<Option<JobRecord>, StoreError> {
        match job.index {
            None => self.job_where("job.uuid = ?1 AND job.parent IS NULL", params![&job.uuid.0[..]]),
            Some(index) => self.child(job.uuid, index),
        }
    }

    /// How a job stands.
    pub fn job_status(&self, job: JobRef) -> Result<Option<JobStatus>, StoreError> {
        if job.index.is_some() {
            return Ok(self.job(job)?.map(|record| record.hot.status));
        }
        let status = |row: &Row<'_>| {
            let id = row.get(0)?;
            must("job", id, "status", JobStatus::from_number(row.get(1)?))
        };
        let sql = "SELECT id, status FROM job WHERE uuid = ?1 AND parent IS NULL";
        Ok(self.rows(sql, params![&job.uuid.0[..]], status)?.pop())
    }

    /// A job with its attempts, by row id.
    pub fn job_by_id(&self, id: JobId) -> Result<Option<JobRecord>, StoreError> {
        self.job_where("job.id = ?1", params![id.0])
    }

    pub(super) fn job_where(
        &self,
        condition: &str,
        params: impl Params,
    ) -> Result<Option<JobRecord>, StoreError> {
        let sql = format!(
            "SELECT job.*, job_body.body AS text FROM job JOIN job_body ON job_body.id = job.body WHERE {condition}"
        );
        let read = |row: &Row<'_>| -> Result<_, StoreError> {
            Ok(JobRecord {
                hot: hot(row)?,
                named: JobRef { uuid: JobUuid(row.get("uuid")?), index: row.get("child_index")? },
                array: None,
                queue: QueueId(row.get("queue")?),
                name: row.get("name")?,
                created_ms: row.get("created_ms")?,
                body: row.get("text")?,
                attempts: Vec::new(),
            })
        };
        let with_kind = |row: &Row<'_>| Ok((read(row)?, row.get::<_, i64>("kind")? == 1));
        let Some((mut job, is_array)) = self.rows(&sql, params, with_kind)?.pop() else { return Ok(None) };
        if is_array {
            job.array = self.array_summary(job.hot.id)?;
        }
        if job.hot.attempts > 0 {
            let sql = "SELECT * FROM attempt WHERE job = ?1 ORDER BY attempt";
            job.attempts = self.rows(sql, [job.hot.id.0], attempt)?;
        }
        Ok(Some(job))
    }
}
