//! What `batchyard run` asks of the API: a definition for what only a definition can say, the rest with the job.
//!
//! The definition holds image, mounts and user; command, environment, sizes, attempts and timeout go with the
//! submission. Its name is made from a hash of its content, so that running the same image again uses the same
//! revision, and what changes from run to run (secrets in the environment too) is kept out of definitions.
//! Never here: following the job.

use super::client::Client;
use super::client::sign::hex;
use super::error::CliError;
use super::run::RunArgs;
use super::select;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Sizes of the definition; every submission overrides them.
const LEAST_MEMORY: &str = "512";

/// Registers what is missing, submits, gives the job's id.
pub fn submit(args: &RunArgs, client: &Client) -> Result<String, CliError> {
    let overrides = overrides(args)?;
    let definition = of_image(&args.image, args.user.as_deref(), &args.mount)?;
    let mut body = json!({
        "jobName": job_name(args)?,
        "jobQueue": args.queue,
        "containerOverrides": overrides,
    });
    if let Some(attempts) = args.attempts.or(args.retries.map(|r| r + 1)) {
        body["retryStrategy"] = json!({ "attempts": attempts });
    }
    if let Some(size) = args.array {
        body["arrayProperties"] = json!({ "size": size });
    }
    if let Some(timeout) = args.timeout {
        body["timeout"] = json!({ "attemptDurationSeconds": timeout.as_secs() });
    }
    if !args.after.is_empty() {
        body["dependsOn"] = after(client, &args.after)?.into();
    }
    if !args.tag.is_empty() {
        body["tags"] = pairs(&args.tag, "tag")?;
    }
    body["jobDefinition"] = registered(client, &definition)?.into();
    let answer = client.batch("SubmitJob", &body)?;
    let id = answer.get("jobId").and_then(Value::as_str);
    id.map(String::from).ok_or_else(|| CliError::Failed("the endpoint took the job but named no id".into()))
}

/// `dependsOn` for jobs that are named as people name them.
pub fn after(client: &Client, words: &[String]) -> Result<Vec<Value>, CliError> {
    words.iter().map(|word| Ok(json!({ "jobId": select::job(client, word)?.id() }))).collect()
}

/// The request that registers what a job of this image needs a definition for.
pub fn of_image(image: &str, user: Option<&str>, mounts: &[String]) -> Result<Value, CliError> {
    let properties = container_properties(image, user, mounts)?;
    let name = format!("batchyard-run-{}", short_hash(&properties));
    Ok(json!({ "jobDefinitionName": name, "type": "container", "containerProperties": properties }))
}

/// Enough of a hash of some content to name it by.
pub fn short_hash(content: &Value) -> String {
    hex(&Sha256::digest(content.to_string()))[..16].to_string()
}

/// The ARN of a definition whose name is made from its content: the newest active revision, or a new one.
pub fn registered(client: &Client, definition: &Value) -> Result<String, CliError> {
    let name = &definition["jobDefinitionName"];
    let known =
        client.batch("DescribeJobDefinitions", &json!({ "jobDefinitionName": name, "status": "ACTIVE" }))?;
    let known = known.get("jobDefinitions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let image = |d: &Value| d.pointer("/containerProperties/image").cloned();
    let same = known
        .iter()
        .filter(|d| image(d) == image(definition))
        .max_by_key(|d| d.get("revision").and_then(super::job::number));
    match same.and_then(arn) {
        Some(found) => Ok(found),
        None => register(client, definition),
    }
}

/// The ARN of a new revision.
pub fn register(client: &Client, definition: &Value) -> Result<String, CliError> {
    let answer = client.batch("RegisterJobDefinition", definition)?;
    arn(&answer)
        .ok_or_else(|| CliError::Failed("the endpoint registered the definition but named no ARN".into()))
}

fn arn(answer: &Value) -> Option<String> {
    answer.get("jobDefinitionArn").and_then(Value::as_str).map(String::from)
}

/// `KEY=VALUE` words as an object. `what` names them in errors.
pub fn pairs(words: &[String], what: &str) -> Result<Value, CliError> {
    let pair = |word: &String| match word.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_string(), Value::from(value))),
        _ => Err(CliError::Usage(format!("`{word}` is no {what}; write KEY=VALUE"))),
    };
    words.iter().map(pair).collect()
}

fn container_properties(image: &str, user: Option<&str>, mounts: &[String]) -> Result<Value, CliError> {
    let mut properties = json!({
        "image": image,
        "resourceRequirements": [
            { "type": "VCPU", "value": "1" },
            { "type": "MEMORY", "value": LEAST_MEMORY },
        ],
    });
    if let Some(user) = user {
        properties["user"] = user.into();
    }
    if !mounts.is_empty() {
        let mounts = mounts.iter().map(|m| mount(m)).collect::<Result<Vec<_>, _>>()?;
        let volume =
            |(i, m): (usize, &Mount)| json!({ "name": format!("v{i}"), "host": { "sourcePath": m.source } });
        let point = |(i, m): (usize, &Mount)| json!({ "sourceVolume": format!("v{i}"), "containerPath": m.target, "readOnly": m.read_only });
        properties["volumes"] = mounts.iter().enumerate().map(volume).collect();
        properties["mountPoints"] = mounts.iter().enumerate().map(point).collect();
    }
    Ok(properties)
}

fn overrides(args: &RunArgs) -> Result<Value, CliError> {
    let mut overrides = json!({
        "resourceRequirements": [
            { "type": "VCPU", "value": args.cpus.to_string() },
            { "type": "MEMORY", "value": args.memory.to_string() },
        ],
    });
    if !args.command.is_empty() {
        overrides["command"] = json!(args.command);
    }
    let environment = environment(&args.env, &args.env_file)?;
    if !environment.is_empty() {
        let entry = |(name, value): &(String, String)| json!({ "name": name, "value": value });
        overrides["environment"] = environment.iter().map(entry).collect();
    }
    Ok(overrides)
}

/// Variables of the files, then those of the flags; a later one takes the place of an earlier.
pub fn environment(flags: &[String], files: &[PathBuf]) -> Result<Vec<(String, String)>, CliError> {
    let mut variables: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: &str| {
        variables.retain(|(n, _)| n != name);
        variables.push((name.to_string(), value.to_string()));
    };
    for file in files {
        let text = fs::read_to_string(file)
            .map_err(|e| CliError::Usage(format!("cannot read env file {}: {e}", file.display())))?;
        for line in text.lines().map(str::trim_start).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let (name, value) = variable(line)?;
            set(&name, &value);
        }
    }
    for text in flags {
        let (name, value) = variable(text)?;
        set(&name, &value);
    }
    Ok(variables)
}

fn variable(text: &str) -> Result<(String, String), CliError> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value.to_string()),
        None => (
            text,
            env::var(text).map_err(|_| {
                CliError::Usage(format!("variable {text} is not set in this shell; write {text}=VALUE"))
            })?,
        ),
    };
    if name.is_empty() {
        return Err(CliError::Usage(format!("`{text}` is no variable; write NAME=VALUE")));
    }
    Ok((name.to_string(), value))
}

#[derive(Debug, PartialEq, Eq)]
struct Mount {
    source: String,
    target: String,
    read_only: bool,
}

fn mount(text: &str) -> Result<Mount, CliError> {
    let bad = || CliError::Usage(format!("`{text}` is no mount; write SRC:/DST or SRC:/DST:ro"));
    let mut parts = text.split(':');
    let (source, target, mode) = (parts.next(), parts.next(), parts.next());
    let read_only = match mode {
        None | Some("rw") => false,
        Some("ro") => true,
        Some(_) => return Err(bad()),
    };
    let source = source.filter(|s| !s.is_empty()).ok_or_else(bad)?;
    let target = target.filter(|t| t.starts_with('/')).ok_or_else(bad)?;
    if parts.next().is_some() {
        return Err(bad());
    }
    // The endpoint may be another machine, so an absolute path need not exist here; a relative one means this folder.
    let source = if Path::new(source).is_absolute() {
        source.to_string()
    } else {
        let path = fs::canonicalize(source)
            .map_err(|e| CliError::Usage(format!("cannot mount {source}: {e}; make the folder first")))?;
        path.to_str().ok_or_else(bad)?.to_string()
    };
    Ok(Mount { source, target: target.to_string(), read_only })
}

/// The name asked for, or one from the image: `registry/x/tools:1.2` gives `tools`.
fn job_name(args: &RunArgs) -> Result<String, CliError> {
    match &args.name {
        Some(name) => checked_name(name),
        None => {
            let last = args.image.rsplit('/').next().unwrap_or_default();
            Ok(name_from(last.split([':', '@']).next().unwrap_or_default(), "run"))
        }
    }
}

/// A name that a person chose, if AWS takes it (spec jobs §2.1).
pub fn checked_name(name: &str) -> Result<String, CliError> {
    if is_name(name) {
        return Ok(name.into());
    }
    Err(CliError::Usage(format!(
        "`{name}` is no job name; use up to 128 letters, digits, - and _, beginning with a letter or digit"
    )))
}

/// A name made of some text, else `fallback`.
pub fn name_from(text: &str, fallback: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let clean: String = text.chars().map(letter).take(100).collect();
    if is_name(&clean) { clean } else { fallback.into() }
}

fn is_name(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

#[cfg(test)]
#[path = "run_request_tests.rs"]
mod tests;
