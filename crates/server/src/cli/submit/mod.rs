//! `batchyard submit`: a definition, a job file or a script becomes a job.
//!
//! Never here: what each of the three is (source.rs, script.rs), the request (request.rs), whether it fits (dry_run.rs).

mod dry_run;
mod flags;
mod needs;
mod request;
mod script;
mod source;

pub use dry_run::Check;
use dry_run::Verdict;
pub use flags::JobFlags;
use request::Request;
use source::Source;

use super::client::Client;
use super::error::{CliError, FAILED, OK};
use super::interrupt::Interrupts;
use super::job::last_part;
use super::output::{Column, Console, Format, Listed, SCHEMA_VERSION};
use super::wait::{self, Until};
use super::{completion, run, units};
use clap::Args;
use clap_complete::ArgValueCompleter;
use serde::Serialize;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// What ECS takes of overrides; more is accepted by AWS Batch and fails when the job starts (spec jobs §12.9).
const ECS_OVERRIDES: usize = 8192;

/// Submit a definition, a job file or a script.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  batchyard submit nightly --env DAY=monday -- ./report --full
  batchyard submit job.yaml --dry-run
  batchyard submit -f --image busybox --cpus 2 train.sh -- first second
  id=$(batchyard submit train.sh) && batchyard wait $id

A script carries its options on lines before its first command, and goes with the job as text:
  #!/bin/sh
  #BATCH --image busybox --memory 1g
  #BATCH --tag project=demo
  echo \"$1 runs on $(hostname)\"

A job file holds SubmitJob's members in AWS's names; jobDefinition may be an object with RegisterJobDefinition's members, \
or containerProperties stand beside jobName: that definition is registered first. Flags go before the file, the file goes \
before the definition. Without -w or -f the job's id is printed. --dry-run submits nothing, and ends with 1 where the job \
would not fit.")]
pub struct SubmitArgs {
    /// Definition (NAME, NAME:REVISION, ARN), job file (.json, .yaml), script, or - for standard input
    #[arg(value_name = "DEF|FILE", add = ArgValueCompleter::new(completion::sources))]
    pub source: String,
    /// The command in place of the definition's; arguments of a script
    #[arg(last = true)]
    pub words: Vec<String>,
    /// Say whether the job would fit, and submit nothing
    #[arg(short = 'n', long, conflicts_with_all = ["wait", "follow"])]
    pub dry_run: bool,
    /// Wait until the job has ended, exit with its code
    #[arg(short, long, conflicts_with = "follow")]
    pub wait: bool,
    /// Stream the job's log until it has ended, exit with its code
    #[arg(short, long)]
    pub follow: bool,
    /// With --wait: longest time to wait (90s, 10m, 2h)
    #[arg(long, value_parser = units::duration, requires = "wait")]
    pub wait_timeout: Option<Duration>,
    /// With --follow: terminate the job when this command is interrupted
    #[arg(long, requires = "follow")]
    pub kill_on_exit: bool,
    /// What is said of the job.
    #[command(flatten)]
    pub flags: JobFlags,
}

/// A job that was taken.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Submitted {
    id: String,
    arn: Option<String>,
    name: String,
    queue: String,
    definition: String,
}

impl Listed for Submitted {
    const KEY: &'static str = "submitted";
    const FIELDS: &'static [&'static str] = &["id", "arn", "name", "queue", "definition"];

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("ID", |s: &Self, _| s.id.as_str().into()),
            Column::new("NAME", |s: &Self, _| s.name.as_str().into()).cut(),
            Column::new("QUEUE", |s: &Self, _| s.queue.as_str().into()).cut(),
            Column::new("DEFINITION", |s: &Self, _| last_part(&s.definition).into()).cut(),
        ]
    }

    fn key(&self) -> &str {
        &self.id
    }
}

/// Runs the command.
pub fn run(args: &SubmitArgs, client: &Client, console: &mut Console) -> Result<u8, CliError> {
    let (source, stem) = source::read(&args.source)?;
    if let Source::Script(script) = &source {
        for line in &script.too_late {
            console.note(format!(
                "{}:{line}: this #BATCH line comes after a command and counts for nothing; move it up",
                args.source
            ));
        }
    }
    let request = request::build(source, &stem, args.flags.clone(), &args.words, client)?;
    if args.dry_run {
        return tell_whether_it_fits(&request, client, console);
    }
    check_size(&request, client, console)?;
    // Before the submission, so that no interruption finds a job without an owner.
    let interrupts = if args.follow { Some(Interrupts::install()?) } else { None };
    let job = submit(&request, client).map_err(|e| with_hint(e, &args.source))?;
    if let Some(interrupts) = interrupts {
        return run::attach(client, console, &interrupts, &job.id, args.kill_on_exit);
    }
    if args.wait {
        return wait::until(client, vec![job.id], Until::Terminal, args.wait_timeout, console);
    }
    let plain = console.format.is_none() && !console.wants_document() && console.shape.columns().is_empty();
    if plain {
        console.line(&job.id)?
    } else {
        console.list(&[job])?
    }
    Ok(OK)
}

fn submit(request: &Request, client: &Client) -> Result<Submitted, CliError> {
    let body = request.registered(client)?;
    let answer = client.batch("SubmitJob", &body)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    if !answer["jobId"].is_string() {
        return Err(CliError::Failed("the endpoint took the job but named no id".into()));
    }
    Ok(Submitted {
        id: text(&answer["jobId"]),
        arn: answer["jobArn"].as_str().map(String::from),
        name: text(&body["jobName"]),
        queue: last_part(&text(&body["jobQueue"])).to_string(),
        definition: text(&body["jobDefinition"]),
    })
}

/// Says in words of its own what the endpoint would say of a job that is too large, before anything is registered.
fn check_size(request: &Request, client: &Client, console: &mut Console) -> Result<(), CliError> {
    let size = request.size();
    if size > request::MOST {
        return Err(CliError::Usage(format!(
            "the job has {size} bytes, and AWS Batch takes {}; put the script into the image or a mounted folder",
            request::MOST
        )));
    }
    if client.is_aws() && request.body["containerOverrides"].to_string().len() > ECS_OVERRIDES {
        console.note(format!(
            "the overrides have more than {ECS_OVERRIDES} characters: ECS may refuse them when the job starts"
        ));
    }
    Ok(())
}

/// For those who mean a file without an ending.
fn with_hint(error: CliError, word: &str) -> CliError {
    match error {
        CliError::Api { code, message, status }
            if message.contains(word) && !word.contains(['/', '.']) && Path::new(word).is_file() =>
        {
            let message = format!("{message}; for the file here write ./{word}");
            CliError::Api { code, message, status }
        }
        other => other,
    }
}

fn tell_whether_it_fits(request: &Request, client: &Client, console: &mut Console) -> Result<u8, CliError> {
    let checks = dry_run::checks(client, request)?;
    let fits = checks.iter().all(|c| c.state != Verdict::Fail);
    let whole = console.shape.has_query() || matches!(console.format, Some(Format::Json | Format::Yaml));
    if whole && console.shape.columns().is_empty() {
        console.document(json!({
            "schemaVersion": SCHEMA_VERSION, "fits": fits, "checks": checks,
            "request": request.body, "definition": request.definition,
        }))?;
    } else {
        console.list(&checks)?;
    }
    if matches!(console.format(), Format::Table | Format::Wide) {
        console.note(if fits { "the job fits; nothing was submitted" } else { "the job does not fit" });
    }
    Ok(if fits { OK } else { FAILED })
}

#[cfg(test)]
#[path = "submit_tests.rs"]
mod tests;
