//! What `cancel` and `terminate` share: which jobs, asking before many, and what came of each.
//!
//! Never here: waiting until they have ended (`batchyard wait` does that).

use super::client::Client;
use super::client::calls::Ending;
use super::completion;
use super::error::{CliError, FAILED, NOT_FOUND, OK};
use super::job::{Job, State};
use super::output::{Cell, Column, Console, Listed, Look};
use super::select::{self, TimedFilters, Usual};
use super::selector::Selection;
use clap::Args;
use clap_complete::ArgValueCompleter;
use serde::Serialize;
use std::collections::HashMap;

/// Most jobs that are ended without asking.
const UNASKED: usize = 10;

/// Which jobs to end.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// Ids, beginnings of ids, ARNs, names (the newest), patterns ('train-*'), last, last:3, @tag=value
    #[arg(add = ArgValueCompleter::new(completion::open_jobs))]
    pub jobs: Vec<String>,
    /// Narrow the words.
    #[command(flatten)]
    pub filters: TimedFilters,
    /// Do not ask, however many jobs these are
    #[arg(short, long)]
    pub yes: bool,
}

/// What came of one job.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    id: String,
    name: Option<String>,
    /// `cancelled`, `terminated`, `ended`, `running` or `failed`.
    outcome: &'static str,
    error: Option<String>,
    #[serde(skip)]
    code: u8,
}

impl Outcome {
    fn new(id: &str, job: Option<&Job>, outcome: &'static str) -> Self {
        Self { id: id.into(), name: job.map(|j| j.name().into()), outcome, error: None, code: OK }
    }

    fn because(mut self, code: u8, error: impl Into<String>) -> Self {
        self.code = code;
        self.error = Some(error.into());
        self
    }
}

impl Listed for Outcome {
    const KEY: &'static str = "results";
    const FIELDS: &'static [&'static str] = &["id", "name", "outcome", "error"];

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("ID", |o: &Self, _| o.id.as_str().into()),
            Column::new("NAME", |o: &Self, _| o.name.as_deref().unwrap_or("-").into()).cut(),
            Column::new("OUTCOME", |o: &Self, _| {
                Cell::new(o.outcome, if o.error.is_some() { Look::Bad } else { Look::Plain })
            }),
            Column::new("ERROR", |o: &Self, _| o.error.as_deref().unwrap_or("-").into()).cut(),
        ]
    }

    fn key(&self) -> &str {
        &self.id
    }
}

/// Ends the jobs and prints what came of each: 0 when all were ended or had ended, else the code of the first that
/// was not.
pub fn end(
    how: Ending,
    which: &Which,
    reason: &str,
    client: &Client,
    console: &mut Console,
) -> Result<u8, CliError> {
    let selection = which.filters.with(&which.jobs)?;
    let usual = if how == Ending::Cancel { Usual::WAITING } else { Usual::ONLY_OPEN };
    let known = known(client, &selection, usual)?;
    let to_end: Vec<&Job> =
        known.iter().filter_map(|(_, job)| job.as_ref()).filter(|j| is_to_end(how, j)).collect();
    if to_end.len() > UNASKED && !which.yes {
        ask(how, &to_end, console)?;
    }
    let ids: Vec<String> = to_end.iter().map(|j| j.id().to_string()).collect();
    let answers = client.end_jobs(how, &ids, reason)?;
    let mut asked: HashMap<&str, _> = ids.iter().map(String::as_str).zip(answers).collect();
    // What was done is told also where this look fails.
    let look = || client.describe_jobs(&ids).unwrap_or_default();
    let after = if how == Ending::Cancel { look() } else { vec![] };
    let after: HashMap<&str, &Job> = after.iter().map(|j| (j.id(), j)).collect();
    let outcomes: Vec<Outcome> = known
        .iter()
        .map(|(id, job)| {
            outcome(how, id, job.as_ref(), asked.remove(id.as_str()), after.get(id.as_str()).copied())
        })
        .collect();
    console.list(&outcomes)?;
    Ok(outcomes.iter().map(|o| o.code).find(|c| *c != OK).unwrap_or(OK))
}

/// The jobs meant. Of full ids also those that do not exist, so that the others are ended nevertheless.
fn known(
    client: &Client,
    selection: &Selection,
    usual: Usual,
) -> Result<Vec<(String, Option<Job>)>, CliError> {
    if selection.narrows() || selection.full_ids().is_none() {
        let jobs = select::jobs(client, selection, usual)?;
        return Ok(jobs.into_iter().map(|j| (j.id().to_string(), Some(j))).collect());
    }
    let ids = selection.full_ids().unwrap_or_default();
    let found = client.describe_jobs(&ids)?;
    let found: HashMap<&str, &Job> = found.iter().map(|j| (j.id(), j)).collect();
    Ok(ids.into_iter().map(|id| (id.clone(), found.get(id.as_str()).copied().cloned())).collect())
}

/// Whether there is anything to ask for.
fn is_to_end(how: Ending, job: &Job) -> bool {
    !job.has_ended() && (how == Ending::Terminate || !has_begun(job))
}

fn has_begun(job: &Job) -> bool {
    matches!(job.state(), Some(State::Starting | State::Running))
}

/// Lets through what a person agrees to.
fn ask(how: Ending, jobs: &[&Job], console: &mut Console) -> Result<(), CliError> {
    let verb = if how == Ending::Cancel { "cancel" } else { "terminate" };
    let mut states: Vec<String> = Vec::new();
    for state in State::OPEN {
        let count = jobs.iter().filter(|j| j.state() == Some(state)).count();
        if count > 0 {
            states.push(format!("{count} {}", state.name()));
        }
    }
    let text = format!("{} jobs ({})", jobs.len(), states.join(", "));
    match console.confirm(&format!("{verb} {text}?")) {
        Some(true) => Ok(()),
        Some(false) => Err(CliError::Failed("nothing was changed".into())),
        None => Err(CliError::Usage(format!(
            "that is {text}; give -y to {verb} them without a terminal to ask on"
        ))),
    }
}

fn outcome(
    how: Ending,
    id: &str,
    job: Option<&Job>,
    answer: Option<Result<(), CliError>>,
    after: Option<&Job>,
) -> Outcome {
    let new = |outcome| Outcome::new(id, job, outcome);
    let runs = || new("running").because(FAILED, "it runs; `batchyard terminate` ends it");
    match (job, answer) {
        (None, _) => new("failed").because(NOT_FOUND, "no such job"),
        (Some(job), None) if job.has_ended() => new("ended"),
        (Some(_), None) => runs(),
        (Some(_), Some(Err(error))) => new("failed").because(error.exit_code(), error.to_string()),
        // It began before the request came; the API says nothing of that (spec jobs §8).
        (Some(_), Some(Ok(()))) if after.is_some_and(has_begun) => runs(),
        (Some(_), Some(Ok(()))) => new(if how == Ending::Cancel { "cancelled" } else { "terminated" }),
    }
}

#[cfg(test)]
#[path = "ending_tests.rs"]
mod tests;
