//! `batchyard terminate`: end jobs, and say of each what came of it.
//!
//! Never here: waiting until they have ended (`batchyard wait` does that).

use super::client::Client;
use super::error::{CliError, NOT_FOUND, OK};
use super::output::{Cell, Column, Console, Listed, Look};
use super::select;
use clap::Args;
use serde::Serialize;

/// End jobs, whether they wait or run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  batchyard terminate last
  batchyard terminate 3f2a 77b1 --reason 'wrong input'
  batchyard ps --queue default --status RUNNABLE -o id | xargs -r batchyard terminate

A job that has ended already stays as it is, which is no error.")]
pub struct TerminateArgs {
    /// Ids, beginnings of ids, ARNs, names (the newest) or `last`
    #[arg(required = true)]
    pub jobs: Vec<String>,
    /// Becomes the job's statusReason
    #[arg(long, default_value = "terminated with `batchyard terminate`")]
    pub reason: String,
}

/// What came of one job.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    id: String,
    name: Option<String>,
    /// `terminated`, `ended` or `failed`.
    outcome: &'static str,
    error: Option<String>,
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

/// Runs the command: 0 when all were ended or had ended, else the code of the first that could not be.
pub fn run(args: &TerminateArgs, client: &Client, console: &mut Console) -> Result<u8, CliError> {
    let ids = select::ids(client, &args.jobs)?;
    let known = client.describe_jobs(&ids)?;
    let mut code = OK;
    let mut outcomes = Vec::with_capacity(ids.len());
    for id in ids {
        let job = known.iter().find(|j| j.id() == id);
        let name = job.map(|j| j.name().to_string());
        let (outcome, error) = match job {
            None => ("failed", Some((NOT_FOUND, "no such job".to_string()))),
            Some(job) if job.has_ended() => ("ended", None),
            Some(_) => match client.terminate_job(&id, &args.reason) {
                Ok(()) => ("terminated", None),
                Err(e) => ("failed", Some((e.exit_code(), e.to_string()))),
            },
        };
        if let (OK, Some((first, _))) = (code, &error) {
            code = *first;
        }
        outcomes.push(Outcome { id, name, outcome, error: error.map(|(_, text)| text) });
    }
    console.list(&outcomes)?;
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Format;
    use crate::cli::testing::{Captured, client_at, job, jobs_of, serve};
    use serde_json::{Value, json};
    use std::sync::Arc;

    #[test]
    fn each_job_has_its_outcome_and_the_first_failure_gives_the_code() {
        let jobs =
            jobs_of(vec![job("aa", "a", "RUNNING"), job("bb", "b", "SUCCEEDED"), job("cc", "c", "RUNNING")]);
        let url = serve(Arc::new(move |operation, body| {
            if operation == "terminatejob" && body["jobId"].as_str().unwrap().starts_with("cc") {
                return (403, json!({"__type": "AccessDeniedException", "message": "not yours"}));
            }
            jobs(operation, body)
        }));
        let captured = Captured::new(Some(Format::Json));
        let gone = job("dd", "", "")["jobId"].as_str().unwrap().to_string();
        let args =
            TerminateArgs { jobs: vec!["aa".into(), "bb".into(), "cc".into(), gone], reason: "test".into() };
        assert_eq!(run(&args, &client_at(&url), &mut captured.console()).unwrap(), 4);
        let document: Value = serde_json::from_str(&captured.out()).unwrap();
        let of = |i: usize| document["results"][i]["outcome"].as_str().unwrap().to_string();
        assert_eq!([of(0), of(1), of(2), of(3)], ["terminated", "ended", "failed", "failed"]);
        assert!(document["results"][2]["error"].as_str().unwrap().contains("not yours"));
    }
}
