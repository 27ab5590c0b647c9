//! `batchyard queues`: the queues with what waits and runs in them.
//!
//! One DescribeJobQueues, and a ListJobs a queue and open state to count. Never here: changing queues.

use super::client::Client;
use super::client::calls::Depth;
use super::error::CliError;
use super::job::{State, last_part, number};
use super::output::{Cell, Column, Console, Listed, Look};
use super::rows::{dash, state_look};
use clap::Args;
use clap_complete::ArgValueCompleter;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// List queues with counts of their open jobs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  batchyard queues
  batchyard queues default -o wide
  batchyard queues -o json | jq '.queues[] | {name, waiting: .jobs.RUNNABLE}'")]
pub struct QueuesArgs {
    /// Only these queues
    #[arg(add = ArgValueCompleter::new(super::completion::queues))]
    pub queues: Vec<String>,
}

/// A row; `jobs` counts open jobs by state.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueRow {
    name: String,
    arn: Option<String>,
    state: Option<String>,
    status: Option<String>,
    reason: Option<String>,
    priority: Option<i64>,
    environments: Vec<String>,
    jobs: BTreeMap<&'static str, usize>,
}

impl QueueRow {
    fn count(&self, state: State) -> usize {
        self.jobs.get(state.name()).copied().unwrap_or_default()
    }
}

fn word(text: Option<&String>) -> Cell {
    text.map_or_else(dash, |t| Cell::new(t.as_str(), state_look(t)))
}

fn count<const STATE: usize>(row: &QueueRow, _: bool) -> Cell {
    let n = row.count(State::OPEN[STATE]);
    Cell::new(n.to_string(), if n == 0 { Look::Dim } else { Look::Plain })
}

impl Listed for QueueRow {
    const KEY: &'static str = "queues";
    const FIELDS: &'static [&'static str] =
        &["name", "arn", "state", "status", "reason", "priority", "environments", "jobs"];

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NAME", |q: &Self, _| q.name.as_str().into()),
            Column::new("STATE", |q: &Self, _| word(q.state.as_ref())),
            Column::new("STATUS", |q: &Self, _| word(q.status.as_ref())),
            Column::new("PRIO", |q: &Self, _| q.priority.map_or_else(dash, |p| p.to_string().into()))
                .right()
                .of("priority"),
            Column::new("ENVS", |q: &Self, _| q.environments.join(",").into()).cut().of("environments"),
            Column::new("SUB", count::<0>).right(),
            Column::new("PEND", count::<1>).right(),
            Column::new("RUNNABLE", count::<2>).right(),
            Column::new("START", count::<3>).right(),
            Column::new("RUN", count::<4>).right(),
            Column::new("REASON", |q: &Self, _| q.reason.as_deref().unwrap_or("-").into()).wide().cut(),
        ]
    }

    fn key(&self) -> &str {
        &self.name
    }
}

/// Runs the command.
pub fn run(args: &QueuesArgs, client: &Client, console: &mut Console) -> Result<u8, CliError> {
    let names = client.queue_names(&args.queues)?;
    let mut rows = Vec::with_capacity(names.len());
    for queue in client.describe_queues(&args.queues)? {
        let text = |key: &str| queue.get(key).and_then(Value::as_str).map(String::from);
        let name = text("jobQueueName").unwrap_or_default();
        let mut jobs = BTreeMap::new();
        for state in State::OPEN {
            jobs.insert(state.name(), client.list_jobs(&name, state, Depth::All)?.jobs.len());
        }
        rows.push(QueueRow {
            arn: text("jobQueueArn"),
            state: text("state"),
            status: text("status"),
            reason: text("statusReason"),
            priority: queue.get("priority").and_then(number),
            environments: environments(&queue),
            name,
            jobs,
        });
    }
    rows.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.name.cmp(&b.name)));
    console.list(&rows)?;
    Ok(0)
}

/// Names of the environments in their order.
fn environments(queue: &Value) -> Vec<String> {
    let list = queue.get("computeEnvironmentOrder").and_then(Value::as_array);
    let mut list: Vec<&Value> = list.into_iter().flatten().collect();
    list.sort_by_key(|e| e.get("order").and_then(number));
    let name =
        |e: &&Value| e.get("computeEnvironment").and_then(Value::as_str).map(|n| last_part(n).to_string());
    list.iter().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Format;
    use crate::cli::testing::{Captured, client_at, job, serve};
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn queues_by_priority_with_counts() {
        let url = serve(Arc::new(|operation, body| match operation {
            "describejobqueues" => (
                200,
                json!({"jobQueues": [
                    {"jobQueueName": "low", "priority": 1, "state": "ENABLED", "status": "VALID"},
                    {"jobQueueName": "high", "priority": 5, "computeEnvironmentOrder": [
                        {"order": 2, "computeEnvironment": "arn:aws:batch:r:1:compute-environment/b"},
                        {"order": 1, "computeEnvironment": "a"}]}]}),
            ),
            _ if body["jobQueue"] == "high" && body["jobStatus"] == "RUNNING" => {
                (200, json!({"jobSummaryList": [job("aa", "x", "RUNNING"), job("bb", "y", "RUNNING")]}))
            }
            _ => (200, json!({"jobSummaryList": []})),
        }));
        let captured = Captured::new(Some(Format::Json));
        run(&QueuesArgs { queues: vec![] }, &client_at(&url), &mut captured.console()).unwrap();
        let document: Value = serde_json::from_str(&captured.out()).unwrap();
        let first = &document["queues"][0];
        assert_eq!(
            (first["name"].as_str(), first["environments"].clone()),
            (Some("high"), json!(["a", "b"]))
        );
        assert_eq!(
            first["jobs"],
            json!({"SUBMITTED": 0, "PENDING": 0, "RUNNABLE": 0, "STARTING": 0, "RUNNING": 2})
        );
    }
}
