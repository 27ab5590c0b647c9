//! A job as a row of a listing: the JSON that docs/cli.md promises, and the columns for people.
//!
//! Never here: which jobs are listed.

use super::job::{Job, State};
use super::output::{Cell, Column, Listed, Look};
use super::{select, units};
use serde::Serialize;

/// A row. Times are milliseconds since the epoch; what is not known is `null`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRow {
    /// Job id.
    pub id: String,
    /// ARN, when the endpoint gives it.
    pub arn: Option<String>,
    /// Job name.
    pub name: String,
    /// Name of its queue.
    pub queue: String,
    /// AWS's name of its state.
    pub state: String,
    /// statusReason.
    pub reason: Option<String>,
    /// The container's own reason.
    pub container_reason: Option<String>,
    /// Submitted.
    pub created_at: Option<i64>,
    /// Start of the newest attempt.
    pub started_at: Option<i64>,
    /// End.
    pub stopped_at: Option<i64>,
    /// From submission to the newest start, or to now.
    pub wait_ms: Option<i64>,
    /// From the newest start to the end, or to now.
    pub run_ms: Option<i64>,
    /// Of an ended job whose container ran.
    pub exit_code: Option<i64>,
    /// Children, of an array's parent.
    pub array_size: Option<i64>,
    #[serde(skip)]
    short: String,
}

impl JobRow {
    /// Rows of jobs, in this order, at a time in milliseconds since the epoch.
    pub fn of(jobs: &[Job], now: i64) -> Vec<Self> {
        let ids: Vec<&str> = jobs.iter().map(Job::id).collect();
        let short = select::short_ids(&ids);
        jobs.iter().zip(short).map(|(job, short)| Self::new(job, short, now)).collect()
    }

    fn new(job: &Job, short: String, now: i64) -> Self {
        let end = job.stopped().unwrap_or(now);
        // A job that waits for its next attempt still shows the start of the one before.
        let runs = job.state().is_none_or(|s| s >= State::Running);
        let started = job.started();
        Self {
            id: job.id().into(),
            arn: job.text("/jobArn").map(String::from),
            name: job.name().into(),
            queue: job.queue().into(),
            state: job.status().into(),
            reason: job.reason().map(String::from),
            container_reason: job.container_reason().map(String::from),
            created_at: job.created(),
            started_at: started,
            stopped_at: job.stopped(),
            wait_ms: job.created().map(|c| (started.filter(|_| runs).unwrap_or(end) - c).max(0)),
            run_ms: started.filter(|_| runs).map(|s| (end - s).max(0)),
            exit_code: job.exit_code(),
            array_size: job.number("/arrayProperties/size"),
            short,
        }
    }
}

/// How a state looks.
pub fn state_look(state: &str) -> Look {
    match state {
        "SUCCEEDED" | "VALID" | "ENABLED" => Look::Good,
        "FAILED" | "INVALID" | "DISABLED" => Look::Bad,
        "STARTING" | "RUNNING" => Look::Busy,
        _ => Look::Plain,
    }
}

fn time(ms: Option<i64>) -> Cell {
    ms.map_or_else(dash, |ms| units::stamp(ms).into())
}

fn span(ms: Option<i64>) -> Cell {
    ms.map_or_else(dash, |ms| units::length(ms).into())
}

/// What stands where nothing is to be said.
pub fn dash() -> Cell {
    Cell::new("-", Look::Dim)
}

fn exit(row: &JobRow) -> Cell {
    match row.exit_code {
        None => dash(),
        Some(0) => "0".into(),
        Some(code) => Cell::new(code.to_string(), Look::Bad),
    }
}

fn reason(row: &JobRow) -> Cell {
    let detail = row.container_reason.as_deref();
    let text = match (row.reason.as_deref(), detail) {
        // Of a plain end the exit code says it all.
        (Some("Essential container in task exited"), detail) => detail.unwrap_or("-"),
        (reason, detail) => detail.or(reason).unwrap_or("-"),
    };
    Cell::new(text, Look::Dim)
}

impl Listed for JobRow {
    const KEY: &'static str = "jobs";
    const FIELDS: &'static [&'static str] = &[
        "id",
        "arn",
        "name",
        "queue",
        "state",
        "reason",
        "containerReason",
        "createdAt",
        "startedAt",
        "stoppedAt",
        "waitMs",
        "runMs",
        "exitCode",
        "arraySize",
    ];

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("ID", |r: &Self, wide| if wide { r.id.as_str() } else { r.short.as_str() }.into()),
            Column::new("NAME", |r: &Self, _| r.name.as_str().into()).cut(),
            Column::new("QUEUE", |r: &Self, _| r.queue.as_str().into()).cut(),
            Column::new("STATE", |r: &Self, _| Cell::new(r.state.as_str(), state_look(&r.state))),
            Column::new("CREATED", |r: &Self, _| time(r.created_at)).wide().of("createdAt"),
            Column::new("STARTED", |r: &Self, _| time(r.started_at)).wide().of("startedAt"),
            Column::new("STOPPED", |r: &Self, _| time(r.stopped_at)).wide().of("stoppedAt"),
            Column::new("WAIT", |r: &Self, _| span(r.wait_ms)).right().of("waitMs"),
            Column::new("RUN", |r: &Self, _| span(r.run_ms)).right().of("runMs"),
            Column::new("EXIT", |r: &Self, _| exit(r)).right().of("exitCode"),
            Column::new("REASON", |r: &Self, _| reason(r)).cut(),
        ]
    }

    fn key(&self) -> &str {
        &self.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(job: serde_json::Value) -> JobRow {
        JobRow::of(&[Job::new(job)], 10_000).remove(0)
    }

    #[test]
    fn waiting_and_running_times() {
        let waiting = row(json!({"status": "RUNNABLE", "createdAt": 4_000}));
        assert_eq!((waiting.wait_ms, waiting.run_ms), (Some(6_000), None));
        let again = row(json!({"status": "RUNNABLE", "createdAt": 4_000, "startedAt": 5_000}));
        assert_eq!((again.wait_ms, again.run_ms), (Some(6_000), None));
        let running = row(json!({"status": "RUNNING", "createdAt": 4_000, "startedAt": 5_000}));
        assert_eq!((running.wait_ms, running.run_ms), (Some(1_000), Some(5_000)));
        let ended =
            row(json!({"status": "FAILED", "createdAt": 1_000, "startedAt": 2_000, "stoppedAt": 5_000}));
        assert_eq!((ended.wait_ms, ended.run_ms), (Some(1_000), Some(3_000)));
        let never = row(json!({"status": "FAILED", "createdAt": 1_000, "stoppedAt": 5_000}));
        assert_eq!((never.wait_ms, never.run_ms), (Some(4_000), None));
    }

    #[test]
    fn every_field_is_always_there() {
        let value = serde_json::to_value(row(json!({"jobId": "x", "status": "SUBMITTED"}))).unwrap();
        let keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        let mut fields = JobRow::FIELDS.to_vec();
        fields.sort_unstable();
        assert_eq!(keys, fields);
        assert_eq!(value["exitCode"], json!(null));
    }
}
