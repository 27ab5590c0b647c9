//! The operations that the commands use, with their paging and batching.
//!
//! Never here: choosing jobs by name (select.rs), showing anything.

use super::Client;
use crate::cli::error::CliError;
use crate::cli::job::{Job, State};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Most ids of one DescribeJobs.
const DESCRIBE: usize = 100;
/// Page size of ListJobs, the most that the API allows.
const PAGE: usize = 1000;
/// Page size of ListJobs with filters.
const FILTERED_PAGE: usize = 100;
/// Most ids of one CancelJobs or TerminateJobs (spec jobs §8).
const ENDED: usize = 50;

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Milliseconds since the epoch.
    pub at: i64,
    /// The line.
    pub text: String,
}

/// A listing, and whether more was there than asked for.
#[derive(Debug, Default)]
pub struct Listed {
    /// In the order of the answer.
    pub jobs: Vec<Job>,
    /// There is more than what was asked for.
    pub cut: bool,
}

/// How far to read a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// All pages.
    All,
    /// This many jobs.
    First(usize),
    /// Until the newest jobs, this many, are sure: no more pages where pages are sorted newest first, all elsewhere.
    Newest(usize),
}

/// What ListJobs can look for in all states at once (spec jobs §9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// A name in any letter case; with `*` at its end, what begins so.
    Name(String),
    /// Submitted at this time or later, milliseconds since the epoch.
    Since(i64),
}

impl Filter {
    fn body(&self) -> Value {
        match self {
            Self::Name(name) => json!([{ "name": "JOB_NAME", "values": [name] }]),
            // AWS does not say whether that millisecond counts: one before, and the caller looks itself.
            Self::Since(at) => {
                json!([{ "name": "AFTER_CREATED_AT", "values": [(at - 1).max(0).to_string()] }])
            }
        }
    }
}

/// How jobs are to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Those that wait.
    Cancel,
    /// Those that wait or run.
    Terminate,
}

impl Client {
    /// The jobs of these ids, in this order; unknown ones are left out, as the API does.
    pub fn describe_jobs(&self, ids: &[String]) -> Result<Vec<Job>, CliError> {
        let mut found = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(DESCRIBE) {
            let answer = self.batch("DescribeJobs", &json!({ "jobs": chunk }))?;
            found.extend(items(answer, "jobs").into_iter().map(Job::new));
        }
        let places: HashMap<&str, usize> = ids.iter().enumerate().map(|(i, id)| (id.as_str(), i)).collect();
        found.sort_by_key(|job: &Job| places.get(job.id()).copied());
        Ok(found)
    }

    /// The job of this id.
    pub fn describe_job(&self, id: &str) -> Result<Option<Job>, CliError> {
        Ok(self.describe_jobs(&[id.to_string()])?.pop())
    }

    /// The jobs of a queue in one state. Children of arrays and nodes are not among them (spec jobs §9).
    pub fn list_jobs(&self, queue: &str, state: State, depth: Depth) -> Result<Listed, CliError> {
        self.listing(queue, &json!({ "jobQueue": queue, "jobStatus": state.name() }), PAGE, depth)
    }

    /// The jobs of a queue in all states that a filter lets through; nothing where the endpoint refuses filters.
    pub fn filter_jobs(
        &self,
        queue: &str,
        filter: &Filter,
        depth: Depth,
    ) -> Result<Option<Vec<Job>>, CliError> {
        if self.no_filters.get() {
            return Ok(None);
        }
        let body = json!({ "jobQueue": queue, "filters": filter.body() });
        match self.listing(queue, &body, FILTERED_PAGE, depth) {
            Ok(listed) => Ok(Some(listed.jobs)),
            Err(error) if is_refusal(&error) => {
                self.no_filters.set(true);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn listing(&self, queue: &str, body: &Value, page: usize, depth: Depth) -> Result<Listed, CliError> {
        let mut listed = Listed::default();
        let mut token: Option<String> = None;
        loop {
            let wanted = match depth {
                Depth::First(n) => page.min(n - listed.jobs.len()).max(1),
                _ => page,
            };
            let mut body = body.clone();
            body["maxResults"] = wanted.into();
            if let Some(token) = &token {
                body["nextToken"] = token.as_str().into();
            }
            let mut answer = self.batch("ListJobs", &body)?;
            let next = text(&mut answer, "nextToken");
            listed
                .jobs
                .extend(items(answer, "jobSummaryList").into_iter().map(|j| Job::new(j).in_queue(queue)));
            let enough = match depth {
                Depth::All => false,
                Depth::First(n) => listed.jobs.len() >= n,
                Depth::Newest(n) => {
                    listed.jobs.len() >= n && listed.jobs.is_sorted_by(|a, b| a.created() >= b.created())
                }
            };
            if next.is_none() || next == token || enough {
                listed.cut = next.is_some() && next != token;
                if let Depth::First(n) = depth {
                    listed.cut |= listed.jobs.len() > n;
                    listed.jobs.truncate(n);
                }
                return Ok(listed);
            }
            token = next;
        }
    }

    /// The queues of these names or ARNs; all when none is given.
    pub fn describe_queues(&self, names: &[String]) -> Result<Vec<Value>, CliError> {
        let mut found = Vec::new();
        let mut body = json!({});
        if !names.is_empty() {
            body["jobQueues"] = json!(names);
        }
        loop {
            let mut answer = self.batch("DescribeJobQueues", &body)?;
            let next = text(&mut answer, "nextToken");
            found.extend(items(answer, "jobQueues"));
            match next {
                Some(next) if body.get("nextToken").and_then(Value::as_str) != Some(&next) => {
                    body["nextToken"] = next.into();
                }
                _ => return Ok(found),
            }
        }
    }

    /// Names of all queues, or of those given after a look whether they exist.
    pub fn queue_names(&self, wanted: &[String]) -> Result<Vec<String>, CliError> {
        let names: Vec<String> = self
            .describe_queues(wanted)?
            .iter()
            .filter_map(|q| q.get("jobQueueName").and_then(Value::as_str).map(String::from))
            .collect();
        let known = |w: &&String| !names.iter().any(|n| n == *w || w.ends_with(&format!(":job-queue/{n}")));
        match wanted.iter().find(known) {
            Some(missing) => Err(CliError::NotFound(format!(
                "no queue {missing} at {}; `batchyard queues` lists those there are",
                self.endpoint()
            ))),
            None => Ok(names),
        }
    }

    /// Asks for a job's end.
    pub fn terminate_job(&self, id: &str, reason: &str) -> Result<(), CliError> {
        self.batch("TerminateJob", &json!({ "jobId": id, "reason": reason })).map(|_| ())
    }

    /// Asks for the end of jobs, many a request where the endpoint can; gives what became of each, in this order.
    /// Errors: no answer at all. What came of the jobs asked for before is lost then, and asking again does no harm.
    pub fn end_jobs(
        &self,
        how: Ending,
        ids: &[String],
        reason: &str,
    ) -> Result<Vec<Result<(), CliError>>, CliError> {
        let mut outcomes = Vec::with_capacity(ids.len());
        let mut bulk = ids.len() > 1;
        for chunk in ids.chunks(ENDED) {
            if bulk {
                match self.end_many(how, chunk, reason) {
                    Ok(of_chunk) => {
                        outcomes.extend(of_chunk);
                        continue;
                    }
                    Err(error @ CliError::Unreachable { .. }) => return Err(error),
                    // An older endpoint answers an operation that it does not know in many ways, so any error counts.
                    Err(_) => bulk = false,
                }
            }
            for id in chunk {
                match self.end_one(how, id, reason) {
                    Err(error @ CliError::Unreachable { .. }) => return Err(error),
                    other => outcomes.push(other),
                }
            }
        }
        Ok(outcomes)
    }

    fn end_one(&self, how: Ending, id: &str, reason: &str) -> Result<(), CliError> {
        match how {
            Ending::Terminate => self.terminate_job(id, reason),
            Ending::Cancel => self.batch("CancelJob", &json!({ "jobId": id, "reason": reason })).map(|_| ()),
        }
    }

    fn end_many(
        &self,
        how: Ending,
        ids: &[String],
        reason: &str,
    ) -> Result<Vec<Result<(), CliError>>, CliError> {
        let operation = if how == Ending::Cancel { "CancelJobs" } else { "TerminateJobs" };
        let answer = self.batch(operation, &json!({ "jobs": ids, "reason": reason }))?;
        if !answer["successful"].is_array() && !answer["errors"].is_array() {
            return Err(CliError::Failed(format!("{operation} told no outcome")));
        }
        let errors = items(answer, "errors");
        let of = |id: &String| match errors.iter().find(|e| e["job"] == **id) {
            None => Ok(()),
            Some(error) => {
                let text = |key: &str| error[key].as_str().unwrap_or_default().to_string();
                // The code as the single form would have it, and with it the exit code.
                let status = if text("code").starts_with("AccessDenied") { 403 } else { 400 };
                Err(CliError::Api { code: text("code"), message: text("message"), status })
            }
        };
        Ok(ids.iter().map(of).collect())
    }

    /// A page of a log stream, forward, after `token`; gives the token after it. An absent group or stream is an empty
    /// page without a token, since streams come into being a moment after the job.
    pub fn log_page(
        &self,
        stream: &(String, String),
        since: Option<i64>,
        token: Option<&str>,
    ) -> Result<(Vec<Event>, Option<String>), CliError> {
        let mut body = json!({ "logGroupName": stream.0, "logStreamName": stream.1, "startFromHead": true });
        if let Some(since) = since {
            body["startTime"] = since.into();
        }
        if let Some(token) = token {
            body["nextToken"] = token.into();
        }
        let mut answer = match self.logs("GetLogEvents", &body) {
            Err(CliError::Api { code, .. }) if code == "ResourceNotFoundException" => {
                return Ok((vec![], None));
            }
            other => other?,
        };
        let next = text(&mut answer, "nextForwardToken");
        let events = items(answer, "events")
            .into_iter()
            .map(|mut e| Event {
                at: e.get("timestamp").and_then(Value::as_i64).unwrap_or_default(),
                text: text(&mut e, "message").unwrap_or_default(),
            })
            .collect();
        Ok((events, next))
    }
}

/// Whether the endpoint understood and will not: not a matter of keys, rate or a moment.
fn is_refusal(error: &CliError) -> bool {
    matches!(error, CliError::Api { status: 400 | 404 | 501, .. })
}

/// The list under a key; nothing there is an empty list.
fn items(mut answer: Value, key: &str) -> Vec<Value> {
    match answer.get_mut(key).map(Value::take) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}

fn text(answer: &mut Value, key: &str) -> Option<String> {
    match answer.get_mut(key).map(Value::take) {
        Some(Value::String(s)) if !s.is_empty() => Some(s),
        _ => None,
    }
}
