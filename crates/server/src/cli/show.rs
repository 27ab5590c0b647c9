//! `batchyard show`: jobs in full, attempts last.
//!
//! Never here: an answer's own JSON is printed as it came, not rebuilt.

use super::client::Client;
use super::error::CliError;
use super::job::{Job, last_part, member, number};
use super::output::{Console, Format};
use super::{completion, rows, select, units};
use clap::Args;
use clap_complete::ArgValueCompleter;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Show jobs in full.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  batchyard show last
  batchyard show 3f2a -o yaml
  batchyard show 'train-*' --status FAILED
  batchyard show nightly -o json | jq '.attempts'      the DescribeJobs detail as the endpoint gave it")]
pub struct ShowArgs {
    /// Ids, beginnings of ids, ARNs, names (the newest), patterns ('train-*'), last, last:3, @tag=value
    #[arg(add = ArgValueCompleter::new(completion::jobs))]
    pub jobs: Vec<String>,
    /// Narrow the words.
    #[command(flatten)]
    pub filters: select::TimedFilters,
}

/// Runs the command.
pub fn run(args: &ShowArgs, client: &Client, console: &mut Console) -> Result<u8, CliError> {
    let selection = args.filters.with(&args.jobs)?;
    let jobs = select::jobs(client, &selection, select::Usual::ALL)?;
    let rows = |jobs: &[Job]| rows::JobRow::of(jobs, units::now_ms());
    match console.format() {
        Format::Csv | Format::Id if !console.shape.has_query() => console.list(&rows(&jobs))?,
        _ if !console.shape.columns().is_empty() => console.list(&rows(&jobs))?,
        _ if console.wants_document() => console.document(match jobs.as_slice() {
            [one] => one.raw().clone(),
            several => several.iter().map(|j| j.raw().clone()).collect(),
        })?,
        _ => console.print(&jobs.iter().map(describe).collect::<Vec<_>>().join("\n"))?,
    }
    Ok(0)
}

/// Lines `Key: value`, keys padded.
struct Page(String);

impl Page {
    fn put(&mut self, key: &str, value: impl AsRef<str>) {
        let clean: String = value.as_ref().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let key = format!("{key}:");
        let _ = writeln!(self.0, "{key:<18}{clean}");
    }

    fn put_some(&mut self, key: &str, value: Option<impl AsRef<str>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// A heading with one indented line an entry; nothing when there is none.
    fn block(&mut self, key: &str, lines: impl IntoIterator<Item = String>) {
        for (i, line) in lines.into_iter().enumerate() {
            self.put(if i == 0 { key } else { "" }, line);
            if i > 0 {
                // A continued block has no key, so its colon goes.
                self.uncolon();
            }
        }
    }

    fn uncolon(&mut self) {
        let start = self.0.trim_end_matches('\n').rfind('\n').map_or(0, |i| i + 1);
        if self.0[start..].starts_with(':') {
            self.0.replace_range(start..=start, " ");
        }
    }
}

fn describe(job: &Job) -> String {
    let mut page = Page(String::new());
    identity(&mut page, job);
    container(&mut page, job);
    rules(&mut page, job);
    attempts(&mut page, job);
    page.0
}

fn identity(page: &mut Page, job: &Job) {
    page.put("Name", job.name());
    page.put("Id", job.id());
    page.put_some("ARN", job.text("/jobArn"));
    page.put("Queue", job.queue());
    page.put_some("Definition", job.text("/jobDefinition").map(last_part));
    page.put("State", job.status());
    page.put_some("Reason", job.reason());
    page.put_some("Container reason", job.container_reason());
    page.put_some("Exit code", job.exit_code().map(|c| c.to_string()));
    page.put_some("Created", job.created().map(units::stamp));
    let row = rows::JobRow::of(std::slice::from_ref(job), units::now_ms()).remove(0);
    let with = |at: Option<i64>, word: &str, ms: Option<i64>| {
        let length = ms.map(|ms| format!(" ({word} {})", units::length(ms))).unwrap_or_default();
        at.map(|at| units::stamp(at) + &length)
    };
    page.put_some("Started", with(job.started(), "waited", row.wait_ms.filter(|_| row.run_ms.is_some())));
    page.put_some("Stopped", with(job.stopped(), "ran", row.run_ms));
    page.block(
        "Depends on",
        job.list("/dependsOn").iter().filter_map(|d| Some(d.get("jobId")?.as_str()?.into())),
    );
    page.put_some("Share", job.text("/shareIdentifier"));
    page.put_some("Array size", job.number("/arrayProperties/size").map(|n| n.to_string()));
    page.block("Array", pairs(job, "/arrayProperties/statusSummary"));
    page.block("Parameters", pairs(job, "/parameters"));
    page.block("Tags", pairs(job, "/tags"));
}

fn container(page: &mut Page, job: &Job) {
    page.put_some("Image", job.text("/container/image"));
    let command: Vec<String> = job
        .list("/container/command")
        .iter()
        .filter_map(Value::as_str)
        .map(super::env::quoted_if_needed)
        .collect();
    page.put_some("Command", (!command.is_empty()).then(|| command.join(" ")));
    page.put_some("User", job.text("/container/user"));
    let needs: Vec<String> = job
        .list("/container/resourceRequirements")
        .iter()
        .filter_map(|r| need(r.get("type")?.as_str()?, r.get("value")?.as_str()?))
        .collect();
    page.put_some("Needs", (!needs.is_empty()).then(|| needs.join(", ")));
    page.block(
        "Environment",
        job.list("/container/environment")
            .iter()
            .filter_map(|e| Some(format!("{}={}", e.get("name")?.as_str()?, e.get("value")?.as_str()?))),
    );
    let source = |name: &str| {
        let volume = job.list("/container/volumes").iter().find(|v| v["name"] == name)?;
        Some(volume.pointer("/host/sourcePath")?.as_str()?.to_string())
    };
    page.block(
        "Mounts",
        job.list("/container/mountPoints").iter().filter_map(|m| {
            let volume = m.get("sourceVolume")?.as_str()?;
            let mode = if m["readOnly"] == json!(true) { " (read only)" } else { "" };
            let from = source(volume).unwrap_or_else(|| format!("volume {volume}"));
            Some(format!("{from} at {}{mode}", m.get("containerPath")?.as_str()?))
        }),
    );
    page.put_some("Host", job.text("/container/containerInstanceArn").map(last_part));
}

fn need(kind: &str, value: &str) -> Option<String> {
    Some(match kind {
        "VCPU" => format!("{value} vCPU"),
        "MEMORY" => format!("{value} MiB"),
        other => format!("{value} {other}"),
    })
}

fn rules(page: &mut Page, job: &Job) {
    page.put_some("Attempts", job.number("/retryStrategy/attempts").map(|n| format!("at most {n}")));
    page.put_some("Timeout", job.number("/timeout/attemptDurationSeconds").map(|s| units::length(s * 1000)));
}

fn attempts(page: &mut Page, job: &Job) {
    if let (true, Some((group, stream))) = (job.list("/attempts").is_empty(), job.streams().last()) {
        page.put("Log", format!("{group} {stream}"));
    }
    for (i, attempt) in job.list("/attempts").iter().enumerate() {
        let at = |key: &str| attempt.get(key).and_then(number).filter(|t| *t > 0);
        let _ = writeln!(page.0, "\nAttempt {}", i + 1);
        page.put_some("  Started", at("startedAt").map(units::stamp));
        let ran =
            at("startedAt").zip(at("stoppedAt")).map(|(a, b)| format!(" (ran {})", units::length(b - a)));
        page.put_some("  Stopped", at("stoppedAt").map(|t| units::stamp(t) + &ran.unwrap_or_default()));
        page.put_some(
            "  Exit code",
            member(attempt, "/container/exitCode").and_then(number).map(|c| c.to_string()),
        );
        page.put_some("  Reason", attempt.get("statusReason").and_then(Value::as_str));
        page.put_some("  Container", member(attempt, "/container/reason").and_then(Value::as_str));
        for (group, stream) in job.attempt_streams(i + 1) {
            page.put("  Log", format!("{group} {stream}"));
        }
    }
}

fn pairs(job: &Job, pointer: &str) -> Vec<String> {
    let map = job.raw().pointer(pointer).and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().map_or_else(|| v.to_string(), Into::into)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{Captured, client_at, job, jobs_of, serve};

    fn detail() -> Value {
        let mut job = job("ab", "align", "FAILED");
        let more = json!({
            "statusReason": "Essential container in task exited", "startedAt": 1_700_000_001_000_i64,
            "stoppedAt": 1_700_000_003_500_i64, "retryStrategy": {"attempts": 2}, "tags": {"project": "x"},
            "container": {"image": "busybox", "command": ["sh", "-c", "exit 7"], "exitCode": 7,
                "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
                "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                "volumes": [{"name": "v0", "host": {"sourcePath": "/src"}}],
                "mountPoints": [{"sourceVolume": "v0", "containerPath": "/dst", "readOnly": true}],
                "logStreamName": "s2"},
            "attempts": [
                {"container": {"exitCode": 3, "logStreamName": "s1"}, "startedAt": 1, "stoppedAt": 2},
                {"container": {"exitCode": 7, "logStreamName": "s2"}, "statusReason": "Essential"}],
        });
        job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        job
    }

    fn show(format: Option<Format>) -> String {
        let captured = Captured::new(format);
        let client = client_at(&serve(jobs_of(vec![detail()])));
        run(
            &ShowArgs { jobs: vec!["align".into()], filters: select::TimedFilters::default() },
            &client,
            &mut captured.console(),
        )
        .unwrap();
        captured.out()
    }

    #[test]
    fn people_see_everything_with_attempts_last() {
        let text = show(None);
        for line in [
            "Exit code:        7",
            "Command:          sh -c 'exit 7'",
            "Needs:            1 vCPU, 64 MiB",
            "Environment:      A=1\n                  B=2\n",
            "Mounts:           /src at /dst (read only)",
            "Started:          2023-11-14 22:13:21Z (waited 1.0s)",
            "Stopped:          2023-11-14 22:13:23Z (ran 2.5s)",
            "Tags:             project=x",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        let last = text.split("\nAttempt 2\n").nth(1).unwrap();
        assert!(last.contains("Log:            /aws/batch/job s2"), "{text}");
    }

    #[test]
    fn programs_see_the_answer_itself() {
        assert_eq!(serde_json::from_str::<Value>(&show(Some(Format::Json))).unwrap(), detail());
    }
}
