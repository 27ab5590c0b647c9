//! The listings of jobs: each reads its page through an index of its own and nothing else (invariant 9).
//!
//! Never here: what a filter is called and where a token comes from.

use super::StoreError;
use super::read::Reader;
use super::restore::{attempt, hot};
use batchyard_engine::JobStatus;
use batchyard_engine::change::{ArraySummary, AttemptRow, JobHot};
use batchyard_engine::ids::{JobRef, JobUuid, QueueId};
use rusqlite::{Params, Row, params};
use std::collections::BinaryHeap;
use std::sync::Arc;

/// A job as a listing shows it.
#[derive(Debug, Clone)]
pub struct JobSummaryRecord {
    /// How it stands.
    pub hot: JobHot,
    /// Public id.
    pub named: JobRef,
    /// `jobName`.
    pub name: Arc<str>,
    /// `createdAt`.
    pub created_ms: i64,
    /// Name and revision of its definition.
    pub definition: (Arc<str>, u32),
    /// `shareIdentifier`.
    pub share: Option<Arc<str>>,
    /// The newest attempt's containers, when it has ended.
    pub last_attempt: Option<AttemptRow>,
    /// It is the parent of an array.
    pub is_array: bool,
    /// How the children of an array stand.
    pub array: Option<ArraySummary>,
}

/// One page of a queue's jobs.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The queue.
    pub queue: QueueId,
    /// Which of its jobs, which also says in what order.
    pub selection: Selection,
    /// Only what comes after this in that order.
    pub after: Option<Position>,
    /// Rows at most.
    pub limit: u32,
}

/// Which jobs of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// In one state; newest first.
    Status(JobStatus),
    /// Called so, or with `prefix` beginning so, in any letter case; by name, then newest first.
    Name {
        /// The name or its beginning.
        text: String,
        /// It is a beginning.
        prefix: bool,
    },
    /// Made from these definitions; newest first.
    Definition {
        /// The name or its beginning.
        name: String,
        /// It is a beginning.
        prefix: bool,
        /// One revision only.
        revision: Option<u32>,
    },
    /// Created before this wall millisecond; newest first.
    CreatedBefore(i64),
    /// Created after this wall millisecond; newest first.
    CreatedAfter(i64),
    /// Of one share, in one state or in all; newest first.
    Share {
        /// The share's identifier.
        share: String,
        /// The state.
        status: Option<JobStatus>,
    },
}

/// Where a listing stands: at a job that it has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The job's row id.
    pub id: i64,
    /// Its `createdAt`.
    pub created_ms: i64,
    /// Its name.
    pub name: String,
}

/// What every listing reads. CROSS JOIN keeps the order that the job's index gives.
const SELECT: &str = "SELECT job.*, d.name AS d_name, d.revision AS d_revision FROM job
    CROSS JOIN job_definition d ON d.id = job.definition WHERE";

pub(super) const BY_ID: &str = "job.id = ?1";
pub(super) const BY_STATUS: &str =
    "job.queue = ?1 AND job.parent IS NULL AND job.status = ?2 AND job.id < ?3 ORDER BY job.id DESC LIMIT ?4";
/// The rest of one name.
pub(super) const OF_NAME: &str = "job.queue = ?1 AND job.parent IS NULL AND job.name COLLATE NOCASE = ?2 AND job.id < ?3 ORDER BY job.id DESC LIMIT ?4";
/// Names from one on, up to a bound.
pub(super) const FROM_NAME: &str =
    "job.queue = ?1 AND job.parent IS NULL AND job.name COLLATE NOCASE >= ?2 AND job.name COLLATE NOCASE < ?3
    ORDER BY job.name COLLATE NOCASE, job.id DESC LIMIT ?4";
/// Names after one, up to a bound.
pub(super) const AFTER_NAME: &str =
    "job.queue = ?1 AND job.parent IS NULL AND job.name COLLATE NOCASE > ?2 AND job.name COLLATE NOCASE < ?3
    ORDER BY job.name COLLATE NOCASE, job.id DESC LIMIT ?4";
/// Of one millisecond the tie is broken by id; only its jobs are read without being shown.
pub(super) const BY_CREATION: &str =
    "job.queue = ?1 AND job.parent IS NULL AND job.created_ms >= ?2 AND job.created_ms <= ?3 AND (job.created_ms < ?3 OR job.id < ?4)
    ORDER BY job.created_ms DESC, job.id DESC LIMIT ?5";
pub(super) const BY_SHARE: &str =
    "job.queue = ?1 AND job.parent IS NULL AND job.share_identifier = ?2 AND job.status = ?3 AND job.id < ?4
    ORDER BY job.id DESC LIMIT ?5";
pub(super) const BY_DEFINITION: &str = "job.queue = ?1 AND job.parent IS NULL AND job.definition = ?2 AND job.id < ?3 ORDER BY job.id DESC LIMIT ?4";

/// The newest job of one definition, of one share in one state.
pub(super) const NEWEST_OF_DEFINITION: &str =
    "SELECT max(id) FROM job WHERE queue = ?1 AND parent IS NULL AND definition = ?2 AND id < ?3";
pub(super) const NEWEST_OF_SHARE: &str = "SELECT max(id) FROM job WHERE queue = ?1 AND parent IS NULL AND share_identifier = ?2 AND status = ?3 AND id < ?4";

impl Reader {
    /// One page of a queue's jobs.
    pub fn jobs(&self, listing: &Listing) -> Result<Vec<JobSummaryRecord>, StoreError> {
        let (queue, limit) = (listing.queue.0, listing.limit);
        let before = listing.after.as_ref().map_or(i64::MAX, |at| at.id);
        let mut jobs = match &listing.selection {
            Selection::Status(status) => {
                self.listed(BY_STATUS, params![queue, *status as i64, before, limit])?
            }
            Selection::Name { text, prefix } => self.by_name(listing, text, *prefix)?,
            Selection::Definition { name, prefix, revision } => {
                let definitions = self.definitions_called(name, *prefix, *revision)?;
                self.by_definition(listing, &definitions)?
            }
            Selection::CreatedBefore(bound) => self.by_creation(listing, 0, bound.saturating_sub(1))?,
            Selection::CreatedAfter(bound) => self.by_creation(listing, bound.saturating_add(1), i64::MAX)?,
            Selection::Share { share, status: Some(status) } => {
                self.listed(BY_SHARE, params![queue, share, *status as i64, before, limit])?
            }
            Selection::Share { share, status: None } => {
                let states = JobStatus::ALL.map(|status| status as i64);
                let head =
                    |status, before| self.newest(NEWEST_OF_SHARE, params![queue, share, status, before]);
                self.newest_of(&states, before, limit, head)?
            }
        };
        self.add_last_attempts(&mut jobs)?;
        for job in jobs.iter_mut().filter(|job| job.is_array) {
            job.array = self.array_summary(job.hot.id)?;
        }
        Ok(jobs)
    }

    pub(super) fn add_last_attempts(&self, jobs: &mut [JobSummaryRecord]) -> Result<(), StoreError> {
        for job in jobs.iter_mut().filter(|j| j.hot.attempts > 0) {
            let sql = "SELECT * FROM attempt WHERE job = ?1 AND attempt = ?2";
            job.last_attempt = self.rows(sql, params![job.hot.id.0, job.hot.attempts], attempt)?.pop();
        }
        Ok(())
    }

    pub(super) fn listed(
        &self,
        condition: &str,
        params: impl Params,
    ) -> Result<Vec<JobSummaryRecord>, StoreError> {
        self.rows(&sql(condition), params, summary)
    }

    /// First the rest of the name where the last page ended, then the names after it.
    fn by_name(
        &self,
        listing: &Listing,
        text: &str,
        prefix: bool,
    ) -> Result<Vec<JobSummaryRecord>, StoreError> {
        let (queue, limit) = (listing.queue.0, listing.limit);
        let after = listing.after.as_ref();
        if !prefix {
            let before = after.map_or(i64::MAX, |at| at.id);
            return self.listed(OF_NAME, params![queue, text, before, limit]);
        }
        // Names are letters, digits, - and _, all of them less than DEL.
        let end = format!("{text}\u{7f}");
        let Some(at) = after else { return self.listed(FROM_NAME, params![queue, text, end, limit]) };
        let mut jobs = self.listed(OF_NAME, params![queue, at.name, at.id, limit])?;
        let rest = limit.saturating_sub(u32::try_from(jobs.len()).unwrap_or(limit));
        if rest > 0 {
            jobs.extend(self.listed(AFTER_NAME, params![queue, at.name, end, rest])?);
        }
        Ok(jobs)
    }

    fn by_creation(
        &self,
        listing: &Listing,
        from: i64,
        to: i64,
    ) -> Result<Vec<JobSummaryRecord>, StoreError> {
        let (to, before) = match &listing.after {
            Some(at) if at.created_ms <= to => (at.created_ms, at.id),
            _ => (to, i64::MAX),
        };
        self.listed(BY_CREATION, params![listing.queue.0, from, to, before, listing.limit])
    }

    fn by_definition(
        &self,
        listing: &Listing,
        definitions: &[i64],
    ) -> Result<Vec<JobSummaryRecord>, StoreError> {
        let (queue, limit) = (listing.queue.0, listing.limit);
        let before = listing.after.as_ref().map_or(i64::MAX, |at| at.id);
        if let [definition] = definitions {
            return self.listed(BY_DEFINITION, params![queue, definition, before, limit]);
        }
        let head = |definition, before| self.newest(NEWEST_OF_DEFINITION, params![queue, definition, before]);
        self.newest_of(definitions, before, limit, head)
    }

    /// The row ids of definitions.
    fn definitions_called(
        &self,
        name: &str,
        prefix: bool,
        revision: Option<u32>,
    ) -> Result<Vec<i64>, StoreError> {
        let id = |row: &Row<'_>| Ok(row.get(0)?);
        if prefix {
            let sql = "SELECT id FROM job_definition WHERE name >= ?1 AND name < ?2";
            return self.rows(sql, params![name, format!("{name}\u{7f}")], id);
        }
        let sql = "SELECT id FROM job_definition WHERE name = ?1 AND (?2 IS NULL OR revision = ?2)";
        self.rows(sql, params![name, revision], id)
    }

    fn newest(&self, sql: &str, params: impl Params) -> Result<Option<i64>, StoreError> {
        let newest = self.rows(sql, params, |row| Ok(row.get::<_, Option<i64>>(0)?))?;
        Ok(newest.first().copied().flatten())
    }

    /// The newest jobs of several sources, each of which can tell its newest one before an id. Costs one step per
    /// source and one per job of the page.
    fn newest_of(
        &self,
        sources: &[i64],
        before: i64,
        limit: u32,
        head: impl Fn(i64, i64) -> Result<Option<i64>, StoreError>,
    ) -> Result<Vec<JobSummaryRecord>, StoreError> {
        let mut heads = BinaryHeap::new();
        for source in sources {
            heads.extend(head(*source, before)?.map(|id| (id, *source)));
        }
        let mut jobs = Vec::new();
        while jobs.len() < limit as usize
            && let Some((id, source)) = heads.pop()
        {
            jobs.extend(self.listed(BY_ID, [id])?);
            heads.extend(head(source, id)?.map(|id| (id, source)));
        }
        Ok(jobs)
    }
}

/// The whole statement of a condition.
pub(super) fn sql(condition: &str) -> String {
    format!("{SELECT} {condition}")
}

fn summary(row: &Row<'_>) -> Result<JobSummaryRecord, StoreError> {
    Ok(JobSummaryRecord {
        hot: hot(row)?,
        named: JobRef { uuid: JobUuid(row.get("uuid")?), index: row.get("child_index")? },
        is_array: row.get::<_, i64>("kind")? == 1,
        array: None,
        name: row.get("name")?,
        created_ms: row.get("created_ms")?,
        definition: (row.get("d_name")?, row.get("d_revision")?),
        share: row.get("share_identifier")?,
        last_attempt: None,
    })
}

#[cfg(test)]
mod tests;
