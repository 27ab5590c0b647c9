//! Reading the open rows that the engine is built from. Never here: anything that has ended.

use super::codec::{
    ChildRun, DELETED, containers, facts, fair_share, platform, policy, runs, state, status, time_limits,
};
use super::{StoreError, Writer};
use batchyard_engine::JobStatus;
use batchyard_engine::change::{AttemptRow, ChildRow, JobHot, ShareUsage};
use batchyard_engine::ids::{
    ComputeEnvironmentId, DefinitionId, HostId, JobId, JobUuid, PolicyId, QueueId, TaskId,
};
use batchyard_engine::resource::{ComputeEnvironment, JobQueue, SchedulingPolicy};
use batchyard_engine::restore::{DefinitionFacts, LastIds, OpenArray, OpenJob, OpenRows};
use rusqlite::{Connection, Row};
use std::sync::Arc;

impl Writer {
    /// Everything the engine needs at start.
    pub fn open_rows(&self) -> Result<OpenRows, StoreError> {
        let c = &self.connection;
        let compute_environments =
            all(c, "SELECT * FROM compute_environment WHERE status <> 5", compute_environment)?;
        let job_queues = all(c, "SELECT * FROM job_queue WHERE status <> 5", job_queue)?;
        let scheduling_policies =
            all(c, "SELECT * FROM scheduling_policy WHERE NOT removed", scheduling_policy)?;
        let job_definitions = all(c, "SELECT id, name, revision, active FROM job_definition", definition)?;
        let mut jobs = Vec::new();
        let mut attempts = Vec::new();
        for queue in &job_queues {
            for number in 0..JobStatus::Succeeded as i64 {
                jobs.extend(open_jobs(c, queue.id, number)?);
            }
        }
        let parents: Vec<OpenJob> = jobs.iter().filter(|job| job.array.is_some()).cloned().collect();
        let mut arrays = Vec::new();
        for parent in &parents {
            jobs.extend(open_children(c, parent)?);
            arrays.push(open_array(c, parent.id())?);
        }
        jobs.sort_by_key(OpenJob::id);
        for job in jobs.iter().filter(|j| j.hot.status.is_placed()) {
            attempts.extend(open_attempts(c, job.id())?);
        }
        Ok(OpenRows {
            compute_environments,
            job_queues,
            scheduling_policies,
            job_definitions,
            jobs,
            arrays,
            share_usage: all(c, "SELECT * FROM share_usage", share_usage)?,
            attempts,
            last_ids: LastIds {
                compute_environment: last_id(c, "compute_environment")?,
                job_queue: last_id(c, "job_queue")?,
                scheduling_policy: last_id(c, "scheduling_policy")?,
                job_definition: last_id(c, "job_definition")?,
                job: last_id(c, "job")?,
            },
        })
    }
}

/// Reads all rows of a query; `read` names the table and what is wrong with a row.
pub(super) fn all<T>(
    c: &Connection,
    sql: &str,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = c.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        out.push(read(row)?);
    }
    Ok(out)
}

/// A value that a column must hold, or a clear word about which row does not.
pub(super) fn must<T>(table: &'static str, id: i64, what: &str, value: Option<T>) -> Result<T, StoreError> {
    value.ok_or_else(|| StoreError::Row { table, id, what: what.to_string() })
}

pub(super) fn compute_environment(row: &Row<'_>) -> Result<ComputeEnvironment, StoreError> {
    const T: &str = "compute_environment";
    let id: i64 = row.get("id")?;
    Ok(ComputeEnvironment {
        id: ComputeEnvironmentId(id),
        name: row.get("name")?,
        state: must(T, id, "state", state(row.get("state")?))?,
        status: must(T, id, "status", status(row.get("status")?))?,
        status_reason: row.get("status_reason")?,
        platform: must(T, id, "platform", platform(row.get("platform")?))?,
        managed: row.get("managed")?,
        max_vcpus_milli: row.get::<_, Option<i64>>("max_vcpus_milli")?.and_then(|v| u64::try_from(v).ok()),
        version: row.get("version")?,
        body: row.get("body")?,
    })
}

pub(super) fn job_queue(row: &Row<'_>) -> Result<JobQueue, StoreError> {
    const T: &str = "job_queue";
    let id: i64 = row.get("id")?;
    let limits = time_limits(row.get::<_, Option<String>>("time_limits")?.as_deref());
    let environments: Option<Vec<i64>> = serde_json::from_str(&row.get::<_, String>("environments")?).ok();
    Ok(JobQueue {
        id: QueueId(id),
        name: row.get("name")?,
        state: must(T, id, "state", state(row.get("state")?))?,
        status: must(T, id, "status", status(row.get("status")?))?,
        status_reason: row.get("status_reason")?,
        priority: row.get("priority")?,
        environments: must(T, id, "environments", environments)?
            .into_iter()
            .map(ComputeEnvironmentId)
            .collect(),
        policy: row.get::<_, Option<i64>>("scheduling_policy")?.map(PolicyId),
        time_limits: must(T, id, "time_limits", limits)?,
        version: row.get("version")?,
        body: row.get("body")?,
    })
}

pub(super) fn scheduling_policy(row: &Row<'_>) -> Result<SchedulingPolicy, StoreError> {
    const T: &str = "scheduling_policy";
    let id: i64 = row.get("id")?;
    Ok(SchedulingPolicy {
        id: PolicyId(id),
        name: row.get("name")?,
        kind: must(T, id, "kind", policy(row.get("kind")?))?,
        fair_share: must(T, id, "fairsharePolicy", fair_share(&row.get::<_, String>("body")?).ok())?,
        version: row.get("version")?,
        body: row.get("body")?,
    })
}

fn share_usage(row: &Row<'_>) -> Result<ShareUsage, StoreError> {
    Ok(ShareUsage {
        queue: QueueId(row.get("queue")?),
        share: row.get("share")?,
        average_milli: row.get("average_milli")?,
        as_of_ms: row.get("as_of_ms")?,
    })
}

fn definition(row: &Row<'_>) -> Result<DefinitionFacts, StoreError> {
    Ok(DefinitionFacts {
        id: DefinitionId(row.get(0)?),
        name: row.get(1)?,
        revision: row.get(2)?,
        active: row.get(3)?,
    })
}

fn open_jobs(c: &Connection, queue: QueueId, number: i64) -> Result<Vec<OpenJob>, StoreError> {
    let sql = "SELECT job.*, job_body.facts FROM job JOIN job_body ON job_body.id = job.body
               WHERE queue = ?1 AND status = ?2 AND parent IS NULL ORDER BY job.id";
    let mut statement = c.prepare_cached(sql)?;
    let mut rows = statement.query([queue.0, number])?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        let hot = hot(row)?;
        let read = facts(&row.get::<_, String>("facts")?);
        let (facts, depends_on, array) =
            read.map_err(|what| StoreError::Row { table: "job_body", id: hot.id.0, what })?;
        let uuid = JobUuid(row.get("uuid")?);
        out.push(OpenJob { hot, uuid, child: None, array, queue, depends_on, facts });
    }
    Ok(out)
}

/// The children of an array that have a row of their own and have not ended.
fn open_children(c: &Connection, parent: &OpenJob) -> Result<Vec<OpenJob>, StoreError> {
    let sql = "SELECT * FROM job WHERE parent = ?1 AND status < 5";
    let mut statement = c.prepare_cached(sql)?;
    let mut rows = statement.query([parent.id().0])?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        let child = Some(ChildRow { parent: parent.id(), index: row.get("child_index")? });
        let (hot, depends_on) = (hot(row)?, Arc::from([]));
        out.push(OpenJob { hot, child, array: None, depends_on, ..parent.clone() });
    }
    Ok(out)
}

fn open_array(c: &Connection, job: JobId) -> Result<OpenArray, StoreError> {
    let segment = |row: &Row<'_>| segment_runs(job.0, &row.get::<_, String>(0)?);
    let mut array = OpenArray { job, runs: Vec::new(), ended: Vec::new() };
    let mut statement = c.prepare_cached("SELECT runs FROM array_segment WHERE job = ?1 ORDER BY segment")?;
    let mut rows = statement.query([job.0])?;
    while let Some(row) = rows.next()? {
        array.runs.extend(segment(row)?);
    }
    let mut statement =
        c.prepare_cached("SELECT child_index, status FROM job WHERE parent = ?1 AND status >= 5")?;
    let mut rows = statement.query([job.0])?;
    while let Some(row) = rows.next()? {
        array.ended.push((row.get(0)?, row.get::<_, i64>(1)? == JobStatus::Succeeded as i64));
    }
    Ok(array)
}

/// The runs of a segment's row.
pub(super) fn segment_runs(job: i64, text: &str) -> Result<Vec<ChildRun>, StoreError> {
    runs(text).map_err(|what| StoreError::Row { table: "array_segment", id: job, what })
}

pub(super) fn hot(row: &Row<'_>) -> Result<JobHot, StoreError> {
    let id: i64 = row.get("id")?;
    Ok(JobHot {
        id: JobId(id),
        status: must("job", id, "status", JobStatus::from_number(row.get("status")?))?,
        status_reason: row.get::<_, Option<Arc<str>>>("status_reason")?,
        attempts: row.get("attempts")?,
        started_ms: row.get("started_ms")?,
        stopped_ms: row.get("stopped_ms")?,
        cancelled: row.get("cancelled")?,
        terminated: row.get("terminated")?,
    })
}

fn open_attempts(c: &Connection, job: JobId) -> Result<Vec<AttemptRow>, StoreError> {
    let sql = "SELECT * FROM attempt WHERE job = ?1 AND stopped_ms IS NULL";
    let mut statement = c.prepare_cached(sql)?;
    let mut rows = statement.query([job.0])?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        out.push(attempt(row)?);
    }
    Ok(out)
}

pub(super) fn attempt(row: &Row<'_>) -> Result<AttemptRow, StoreError> {
    let job: i64 = row.get("job")?;
    let read = containers(&row.get::<_, String>("containers")?);
    let address = row.get::<_, Option<String>>("address")?.map(|text| text.parse());
    Ok(AttemptRow {
        job: JobId(job),
        attempt: row.get("attempt")?,
        task: TaskId(row.get("task")?),
        environment: ComputeEnvironmentId(row.get("environment")?),
        host: HostId(row.get("host")?),
        placed_ms: row.get("placed_ms")?,
        address: must("attempt", job, "address", address.transpose().ok())?,
        started_ms: row.get("started_ms")?,
        stopped_ms: row.get("stopped_ms")?,
        status_reason: row.get("status_reason")?,
        containers: read.map_err(|what| StoreError::Row { table: "attempt", id: job, what })?,
    })
}

/// Rows are never removed, so the greatest id there is was the last one given.
fn last_id(c: &Connection, table: &str) -> Result<i64, StoreError> {
    Ok(c.query_row(&format!("SELECT coalesce(max(id), 0) FROM {table}"), [], |r| r.get(0))?)
}

const _: () = assert!(DELETED == 5, "the queries of this module spell the number out");
