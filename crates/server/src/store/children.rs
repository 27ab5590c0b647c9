//! Reading an array's children: those with a row of their own, and the others from the segments, put together. A child's
//! own row wins.
//!
//! Never here: more than a page, and the segments that it takes to fill it.

use super::StoreError;
use super::listing::JobSummaryRecord;
use super::read::{JobRecord, Reader};
use super::restore::segment_runs;
use batchyard_engine::change::{ArraySummary, ChildState, JobHot, SEGMENT};
use batchyard_engine::ids::{JobId, JobRef, JobUuid};
use batchyard_engine::{JobStatus, PENDING_REASON, RUNNABLE_REASON};
use rusqlite::{Row, params};
use std::collections::BTreeSet;

/// What the listing of one array's children in one state reads of children with rows, by index.
pub(super) const CHILDREN_BY_STATUS: &str =
    "job.parent = ?1 AND job.status = ?2 AND job.child_index >= ?3 ORDER BY job.child_index LIMIT ?4";

impl Reader {
    /// How the children of an array stand.
    pub(super) fn array_summary(&self, job: JobId) -> Result<Option<ArraySummary>, StoreError> {
        let read = |row: &Row<'_>| {
            let mut counts = [0; 7];
            for (number, count) in counts.iter_mut().enumerate() {
                *count = row.get(number + 1)?;
            }
            Ok(ArraySummary { job, counts, updated_ms: row.get("updated_ms")? })
        };
        Ok(self.rows("SELECT * FROM array_summary WHERE job = ?1", [job.0], read)?.pop())
    }

    /// A child with its attempts.
    pub(super) fn child(&self, uuid: JobUuid, index: u32) -> Result<Option<JobRecord>, StoreError> {
        let Some(parent) = self.job(uuid.into())? else { return Ok(None) };
        let id = parent.hot.id.0;
        let own = self.job_where("job.parent = ?1 AND job.child_index = ?2", params![id, index])?;
        if own.is_some() {
            return Ok(own);
        }
        let mut runs = self.segment(id, index / SEGMENT)?.into_iter();
        let run = runs.find(|(first, last, _)| (*first..=*last).contains(&index));
        let named = JobRef { uuid, index: Some(index) };
        Ok(run.map(|(.., state)| JobRecord {
            hot: told(parent.hot.id, &state),
            named,
            array: None,
            ..parent
        }))
    }

    fn segment(&self, job: i64, segment: u32) -> Result<Vec<(u32, u32, ChildState)>, StoreError> {
        let sql = "SELECT runs FROM array_segment WHERE job = ?1 AND segment = ?2";
        let read = |row: &Row<'_>| segment_runs(job, &row.get::<_, String>(0)?);
        Ok(self.rows(sql, params![job, segment], read)?.pop().unwrap_or_default())
    }

    /// Ranges of an array's children that have failed.
    pub fn failed_children(&self, uuid: JobUuid) -> Result<Vec<(u32, u32)>, StoreError> {
        let Some(parent) = self.job(uuid.into())? else { return Ok(Vec::new()) };
        let mut failed: Vec<(u32, u32)> = Vec::new();
        let mut from = 0;
        loop {
            let page = self.children_of(&parent, JobStatus::Failed, from, SEGMENT)?;
            for index in page.iter().filter_map(|child| child.named.index) {
                match failed.last_mut() {
                    Some((_, last)) if *last + 1 == index => *last = index,
                    _ => failed.push((index, index)),
                }
            }
            match page.last().and_then(|child| child.named.index) {
                Some(last) if page.len() == SEGMENT as usize => from = last + 1,
                _ => return Ok(failed),
            }
        }
    }

    /// One page of an array's children in one state, by index from this one on. Nothing: there is no such array.
    pub fn children(
        &self,
        uuid: JobUuid,
        status: JobStatus,
        from: u32,
        limit: u32,
    ) -> Result<Vec<JobSummaryRecord>, StoreError> {
        let Some(parent) = self.job(uuid.into())? else { return Ok(Vec::new()) };
        let mut children = self.children_of(&parent, status, from, limit)?;
        self.add_last_attempts(&mut children)?;
        Ok(children)
    }

    fn children_of(
        &self,
        parent: &JobRecord,
        status: JobStatus,
        from: u32,
        limit: u32,
    ) -> Result<Vec<JobSummaryRecord>, StoreError> {
        let Some(summary) = &parent.array else { return Ok(Vec::new()) };
        if summary.counts[status as usize] == 0 {
            return Ok(Vec::new());
        }
        let id = parent.hot.id.0;
        let mut children = self.listed(CHILDREN_BY_STATUS, params![id, status as i64, from, limit])?;
        if !matches!(status, JobStatus::Pending | JobStatus::Runnable | JobStatus::Failed) {
            return Ok(children);
        }
        // Beyond the page's last one with a row nothing is wanted.
        let full = children.len() == limit as usize;
        let until = children.last().filter(|_| full).and_then(|child| child.named.index);
        children.extend(self.without_rows(parent, status, (from, until), limit)?);
        children.sort_by_key(|child| child.named.index);
        children.truncate(limit as usize);
        Ok(children)
    }

    /// Children that only segments tell of, by index.
    fn without_rows(
        &self,
        parent: &JobRecord,
        status: JobStatus,
        (from, until): (u32, Option<u32>),
        limit: u32,
    ) -> Result<Vec<JobSummaryRecord>, StoreError> {
        let id = parent.hot.id.0;
        let Some(shape) = self.listed("job.id = ?1", [id])?.pop() else { return Ok(Vec::new()) };
        let sql = "SELECT segment, runs FROM array_segment WHERE job = ?1 AND segment >= ?2 ORDER BY segment";
        let mut found = Vec::new();
        self.visit(sql, params![id, from / SEGMENT], |row| {
            let segment: u32 = row.get(0)?;
            let runs = segment_runs(id, &row.get::<_, String>(1)?)?;
            let mut wanted = runs.into_iter().filter(|(.., state)| state.status() == Some(status)).peekable();
            let own = match wanted.peek() {
                Some(_) => self.own_children(id, segment * SEGMENT, segment * SEGMENT + SEGMENT - 1)?,
                None => BTreeSet::new(),
            };
            for (first, last, state) in wanted {
                let indexes = (first.max(from)..=last).filter(|index| !own.contains(index));
                found.extend(indexes.map(|index| JobSummaryRecord {
                    hot: told(parent.hot.id, &state),
                    named: JobRef { index: Some(index), ..parent.named },
                    is_array: false,
                    ..shape.clone()
                }));
            }
            Ok(found.len() < limit as usize && until.is_none_or(|until| segment * SEGMENT <= until))
        })?;
        Ok(found)
    }

    fn own_children(&self, parent: i64, first: u32, last: u32) -> Result<BTreeSet<u32>, StoreError> {
        let sql = "SELECT child_index FROM job WHERE parent = ?1 AND child_index BETWEEN ?2 AND ?3";
        Ok(self.rows(sql, params![parent, first, last], |row| Ok(row.get(0)?))?.into_iter().collect())
    }
}

/// How a child stands that has no row of its own.
fn told(parent: JobId, state: &ChildState) -> JobHot {
    let ended = if let ChildState::Unplaced(ended) = state { Some(ended) } else { None };
    let status = state.status().unwrap_or(JobStatus::Pending);
    let reason = match status {
        JobStatus::Pending => Some(PENDING_REASON.into()),
        JobStatus::Runnable => Some(RUNNABLE_REASON.into()),
        _ => ended.map(|ended| ended.reason.clone()),
    };
    JobHot {
        id: parent,
        status,
        status_reason: reason,
        attempts: 0,
        started_ms: None,
        stopped_ms: ended.map(|ended| ended.stopped_ms),
        cancelled: ended.is_some_and(|ended| ended.cancelled),
        terminated: ended.filter(|ended| ended.terminated).map(|ended| ended.reason.clone()),
    }
}
