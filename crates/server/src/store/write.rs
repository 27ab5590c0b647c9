//! Writing: one batch, one transaction, one sync.
//!
//! Never here: deciding what is written. Whoever holds the [`Writer`] is the only one who writes.

use super::beside::{self, Write, Written};
use super::checkpoint::Checkpoints;
use super::codec::{
    DELETED, containers_text, facts_text, platform_number, policy_number, runs_text, state_number,
    status_number, time_limits_text,
};
use super::{LogStreamRow, StoreError, logs};
use crate::crash;
use batchyard_engine::change::{AttemptRow, Change, ChildRow, JobHot, JobRow};
use batchyard_engine::resource::{ComputeEnvironment, JobDefinition, JobQueue, SchedulingPolicy};
use rusqlite::{Connection, Transaction, params};

/// The one connection that writes.
pub struct Writer {
    pub(super) connection: Connection,
    _checkpoints: Checkpoints,
}

impl Writer {
    pub(super) fn new(connection: Connection, checkpoints: Checkpoints) -> Self {
        Self { connection, _checkpoints: checkpoints }
    }

    /// Writes a batch durably: when this returns, it is on disk. On an error nothing of it is known to be or not to
    /// be; the rows decide, read anew.
    ///
    /// `writes` are those that the engine has no part in; what became of each is told in their order.
    pub fn commit(
        &mut self,
        changes: &[Change],
        streams: &[LogStreamRow],
        writes: &[Write],
    ) -> Result<Vec<Written>, StoreError> {
        if changes.is_empty() && streams.is_empty() && writes.is_empty() {
            return Ok(Vec::new());
        }
        let transaction = self.connection.transaction()?;
        for change in changes {
            write(&transaction, change)?;
        }
        for stream in streams {
            logs::put_stream(&transaction, stream)?;
        }
        let written =
            writes.iter().map(|write| beside::write(&transaction, write)).collect::<Result<_, _>>()?;
        crash::around("during_commit", changes, !writes.is_empty());
        transaction.commit()?;
        Ok(written)
    }

    /// Whether the store takes writes, tried with one.
    pub fn probe(&mut self) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO meta (key, value) VALUES ('probe', '') ON CONFLICT (key) DO UPDATE SET value = ''";
        self.connection.execute(sql, [])?;
        Ok(())
    }

    /// A lasting fact about this store, made on first use.
    pub fn meta(&mut self, key: &str, make: impl FnOnce() -> String) -> Result<String, StoreError> {
        let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING";
        self.connection.execute(sql, params![key, make()])?;
        Ok(self.connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |r| r.get(0))?)
    }
}

fn write(t: &Transaction<'_>, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::PutComputeEnvironment(row) => put_compute_environment(t, row),
        Change::RemoveComputeEnvironment(id) => remove(t, "compute_environment", id.0),
        Change::PutJobQueue(row) => put_job_queue(t, row),
        Change::RemoveJobQueue(id) => {
            t.prepare_cached("DELETE FROM share_usage WHERE queue = ?1")?.execute([id.0])?;
            remove(t, "job_queue", id.0)
        }
        Change::PutSchedulingPolicy(row) => put_scheduling_policy(t, row),
        Change::RemoveSchedulingPolicy(id) => {
            let sql = "UPDATE scheduling_policy SET removed = 1 WHERE id = ?1";
            t.prepare_cached(sql)?.execute([id.0])?;
            Ok(())
        }
        Change::InsertJobDefinition(row) => insert_job_definition(t, row),
        Change::DeactivateJobDefinition(id, at_ms) => {
            let sql = "UPDATE job_definition SET active = 0, deregistered_ms = ?2 WHERE id = ?1";
            t.prepare_cached(sql)?.execute(params![id.0, at_ms])?;
            Ok(())
        }
        Change::InsertJob(row, hot) => insert_job(t, row, hot),
        Change::InsertChild(row, hot) => insert_child(t, *row, hot),
        Change::UpdateJob(hot) => update_job(t, hot),
        Change::PutSegment(row) => {
            let sql = "INSERT OR REPLACE INTO array_segment (job, segment, runs) VALUES (?1, ?2, ?3)";
            t.prepare_cached(sql)?.execute(params![row.job.0, row.segment, runs_text(&row.runs)])?;
            Ok(())
        }
        Change::PutArraySummary(row) => {
            let sql = "INSERT OR REPLACE INTO array_summary VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
            let [submitted, pending, runnable, starting, running, succeeded, failed] = row.counts;
            let counts = params![
                row.job.0,
                submitted,
                pending,
                runnable,
                starting,
                running,
                succeeded,
                failed,
                row.updated_ms
            ];
            t.prepare_cached(sql)?.execute(counts)?;
            Ok(())
        }
        Change::PutShareUsage(row) => {
            let sql = "INSERT OR REPLACE INTO share_usage (queue, share, average_milli, as_of_ms) VALUES (?1, ?2, ?3, ?4)";
            t.prepare_cached(sql)?.execute(params![
                row.queue.0,
                &*row.share,
                row.average_milli,
                row.as_of_ms
            ])?;
            Ok(())
        }
        Change::RemoveShareUsage(queue, share) => {
            let sql = "DELETE FROM share_usage WHERE queue = ?1 AND share = ?2";
            t.prepare_cached(sql)?.execute(params![queue.0, &**share])?;
            Ok(())
        }
        Change::PutAttempt(row) => put_attempt(t, row),
    }
}

fn put_compute_environment(t: &Transaction<'_>, row: &ComputeEnvironment) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO compute_environment (id, name, state, status, status_reason, platform, managed,
               max_vcpus_milli, version, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    t.prepare_cached(sql)?.execute(params![
        row.id.0,
        &*row.name,
        state_number(row.state),
        status_number(row.status),
        &*row.status_reason,
        platform_number(row.platform),
        row.managed,
        row.max_vcpus_milli.map(|v| i64::try_from(v).unwrap_or(i64::MAX)),
        row.version,
        &*row.body,
    ])?;
    Ok(())
}

fn put_job_queue(t: &Transaction<'_>, row: &JobQueue) -> Result<(), StoreError> {
    let environments: Vec<i64> = row.environments.iter().map(|e| e.0).collect();
    let sql = "INSERT OR REPLACE INTO job_queue (id, name, state, status, status_reason, priority, environments, version,
               body, scheduling_policy, time_limits) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    t.prepare_cached(sql)?.execute(params![
        row.id.0,
        &*row.name,
        state_number(row.state),
        status_number(row.status),
        &*row.status_reason,
        row.priority,
        serde_json::to_string(&environments).expect("plain numbers"),
        row.version,
        &*row.body,
        row.policy.map(|p| p.0),
        time_limits_text(&row.time_limits),
    ])?;
    Ok(())
}

fn put_scheduling_policy(t: &Transaction<'_>, row: &SchedulingPolicy) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO scheduling_policy (id, name, kind, removed, version, body)
               VALUES (?1, ?2, ?3, 0, ?4, ?5)";
    let kind = policy_number(row.kind);
    t.prepare_cached(sql)?.execute(params![row.id.0, &*row.name, kind, row.version, &*row.body])?;
    Ok(())
}

fn remove(t: &Transaction<'_>, table: &str, id: i64) -> Result<(), StoreError> {
    let sql = format!("UPDATE {table} SET status = {DELETED} WHERE id = ?1");
    t.prepare_cached(&sql)?.execute([id])?;
    Ok(())
}

fn insert_job_definition(t: &Transaction<'_>, row: &JobDefinition) -> Result<(), StoreError> {
    let sql = "INSERT INTO job_definition (id, name, revision, active, created_ms, deregistered_ms, body)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    t.prepare_cached(sql)?.execute(params![
        row.id.0,
        &*row.name,
        row.revision,
        row.active,
        row.created_ms,
        row.deregistered_ms,
        &*row.body,
    ])?;
    Ok(())
}

fn insert_job(t: &Transaction<'_>, row: &JobRow, hot: &JobHot) -> Result<(), StoreError> {
    let sql = "INSERT INTO job_body (id, account, submitter, facts, body) VALUES (?1, ?2, ?3, ?4, ?5)";
    t.prepare_cached(sql)?.execute(params![
        hot.id.0,
        &*row.account,
        &*row.submitter,
        facts_text(&row.facts, &row.depends_on, row.array.as_ref()),
        &*row.body,
    ])?;
    let sql =
        "INSERT INTO job (id, uuid, queue, definition, body, kind, name, status, status_reason, attempts,
               created_ms, started_ms, stopped_ms, cancelled, terminated, share_identifier)
               VALUES (?1, ?2, ?3, ?4, ?1, ?15, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    t.prepare_cached(sql)?.execute(params![
        hot.id.0,
        &row.uuid.0[..],
        row.queue.0,
        row.definition.0,
        &*row.name,
        hot.status as i64,
        hot.status_reason.as_deref(),
        hot.attempts,
        row.created_ms,
        hot.started_ms,
        hot.stopped_ms,
        hot.cancelled,
        hot.terminated.as_deref(),
        row.facts.share.as_deref(),
        i64::from(row.array.is_some()),
    ])?;
    Ok(())
}

/// What it has in common with its array is copied from there.
fn insert_child(t: &Transaction<'_>, row: ChildRow, hot: &JobHot) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO job (id, uuid, queue, definition, body, kind, parent, child_index, name, status, status_reason,
               attempts, created_ms, started_ms, stopped_ms, cancelled, terminated, share_identifier)
               SELECT ?1, uuid, queue, definition, body, 2, ?2, ?3, name, ?4, ?5, ?6, created_ms, ?7, ?8, ?9, ?10,
               share_identifier FROM job WHERE id = ?2";
    t.prepare_cached(sql)?.execute(params![
        hot.id.0,
        row.parent.0,
        row.index,
        hot.status as i64,
        hot.status_reason.as_deref(),
        hot.attempts,
        hot.started_ms,
        hot.stopped_ms,
        hot.cancelled,
        hot.terminated.as_deref(),
    ])?;
    Ok(())
}

fn update_job(t: &Transaction<'_>, hot: &JobHot) -> Result<(), StoreError> {
    let sql =
        "UPDATE job SET status = ?2, status_reason = ?3, attempts = ?4, started_ms = ?5, stopped_ms = ?6,
               cancelled = ?7, terminated = ?8 WHERE id = ?1";
    t.prepare_cached(sql)?.execute(params![
        hot.id.0,
        hot.status as i64,
        hot.status_reason.as_deref(),
        hot.attempts,
        hot.started_ms,
        hot.stopped_ms,
        hot.cancelled,
        hot.terminated.as_deref(),
    ])?;
    Ok(())
}

fn put_attempt(t: &Transaction<'_>, row: &AttemptRow) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO attempt (job, attempt, task, environment, host, placed_ms, started_ms, stopped_ms,
               status_reason, containers, address) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    t.prepare_cached(sql)?.execute(params![
        row.job.0,
        row.attempt,
        &row.task.0[..],
        row.environment.0,
        row.host.0,
        row.placed_ms,
        row.started_ms,
        row.stopped_ms,
        row.status_reason.as_deref(),
        containers_text(&row.containers),
        row.address.map(|address| address.to_string()),
    ])?;
    Ok(())
}
