//! From source and flags to SubmitJob's request, and the definition that must be registered before it.
//!
//! Flags go before the job file and the file before the definition. Never here: sending (mod.rs), whether it fits
//! (dry_run.rs).

use super::flags::JobFlags;
use super::script::Script;
use super::source::Source;
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::job::{last_part, number};
use crate::cli::run_request::{self, checked_name, name_from, of_image, pairs, short_hash};
use serde_json::{Map, Value, json};

/// Most bytes of a SubmitJob request (spec jobs §2.1).
pub const MOST: usize = 30 * 1024;

/// What is to be asked of the endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// SubmitJob's request; `jobDefinition` is absent where one must be registered first.
    pub body: Value,
    /// RegisterJobDefinition's request.
    pub definition: Option<Value>,
    /// The definition's name was made from its content, so that the same content is the same definition.
    pub reusable: bool,
}

impl Request {
    /// Registers what is missing; gives SubmitJob's request as it is to be sent.
    pub fn registered(&self, client: &Client) -> Result<Value, CliError> {
        let mut body = self.body.clone();
        if let Some(definition) = &self.definition {
            let arn = if self.reusable {
                run_request::registered(client, definition)?
            } else {
                run_request::register(client, definition)?
            };
            body["jobDefinition"] = arn.into();
        }
        Ok(body)
    }

    /// Bytes of SubmitJob's request.
    pub fn size(&self) -> usize {
        self.body.to_string().len()
    }
}

/// Builds it. `words` are the command, or the arguments of a script. The endpoint is asked only for a definition's kind,
/// where flags must go into the overrides of that kind.
pub fn build(
    source: Source,
    stem: &str,
    flags: JobFlags,
    words: &[String],
    client: &Client,
) -> Result<Request, CliError> {
    let (mut body, mut command) = (Map::new(), words.to_vec());
    let flags = match source {
        Source::Definition(definition) => {
            body.insert("jobDefinition".into(), definition.into());
            flags
        }
        Source::Job(job) => {
            body = job;
            flags
        }
        Source::Script(script) => {
            let Script { flags: below, command: first, .. } = *script;
            command = first.into_iter().chain(command).collect();
            flags.over(below)
        }
    };
    let (definition, reusable) = definition(&mut body, &flags)?;
    let mut body = Value::Object(body);
    fill(&mut body, &flags, stem)?;
    depend(&mut body, run_request::after(client, &flags.after)?)?;
    let overrides = overrides(&flags, command)?;
    if !overrides.is_empty() {
        let known = match (&definition, body["jobDefinition"].as_str()) {
            (Some(own), _) => Some(own.clone()),
            (None, Some(reference)) => find_definition(client, reference)?,
            (None, None) => None,
        };
        merge(&mut body, known.as_ref(), overrides)?;
    }
    Ok(Request { body, definition, reusable })
}

/// Takes the definition that must be registered out of the request, or makes one for an image.
fn definition(body: &mut Map<String, Value>, flags: &JobFlags) -> Result<(Option<Value>, bool), CliError> {
    let named = body.contains_key("jobDefinition");
    let of_flags = [("--image", flags.image.is_some()), ("--definition", flags.definition.is_some())];
    if let Some((flag, _)) = of_flags.iter().find(|(_, given)| *given && named) {
        return Err(CliError::Usage(format!("the job names its definition already; leave {flag} out")));
    }
    if flags.image.is_some() && flags.definition.is_some() {
        return Err(CliError::Usage("--image and --definition both say what runs; leave one out".into()));
    }
    if flags.image.is_none() && (flags.user.is_some() || !flags.mount.is_empty()) {
        return Err(CliError::Usage("--mount and --user go with --image; a definition has its own".into()));
    }
    if let Some(image) = &flags.image {
        return Ok((Some(of_image(image, flags.user.as_deref(), &flags.mount)?), true));
    }
    if let Some(definition) = &flags.definition {
        body.insert("jobDefinition".into(), definition.as_str().into());
    }
    match body.get("jobDefinition") {
        Some(Value::Object(_)) => {}
        Some(Value::String(_)) => return Ok((None, false)),
        Some(_) => {
            return Err(CliError::Usage("jobDefinition is a name, an ARN or a definition itself".into()));
        }
        None => {
            return Err(CliError::Usage(
                "nothing says what runs; give --image or --definition, or a #BATCH line or jobDefinition with it"
                    .into(),
            ));
        }
    }
    let mut own = body.remove("jobDefinition").unwrap_or_default();
    if own.get("type").is_none() {
        own["type"] = if own.get("nodeProperties").is_some() { "multinode" } else { "container" }.into();
    }
    let reusable = own.get("jobDefinitionName").is_none();
    if reusable {
        own["jobDefinitionName"] = format!("batchyard-submit-{}", short_hash(&own)).into();
    }
    Ok((Some(own), reusable))
}

/// What does not concern the container.
fn fill(body: &mut Value, flags: &JobFlags, stem: &str) -> Result<(), CliError> {
    match (&flags.name, body.get("jobName").is_some()) {
        (Some(name), _) => body["jobName"] = checked_name(name)?.into(),
        (None, true) => {}
        (None, false) => body["jobName"] = name_from(stem, "job").into(),
    }
    match (&flags.queue, body.get("jobQueue").is_some()) {
        (Some(queue), _) => body["jobQueue"] = queue.as_str().into(),
        (None, true) => {}
        (None, false) => body["jobQueue"] = "default".into(),
    }
    if let Some(attempts) = flags.attempts.or(flags.retries.map(|r| r + 1)) {
        object(body, "retryStrategy")?.insert("attempts".into(), attempts.into());
    }
    if let Some(size) = flags.array {
        object(body, "arrayProperties")?.insert("size".into(), size.into());
    }
    if let Some(timeout) = flags.timeout {
        object(body, "timeout")?.insert("attemptDurationSeconds".into(), timeout.as_secs().into());
    }
    for (key, words, what) in [("tags", &flags.tag, "tag"), ("parameters", &flags.parameter, "parameter")] {
        if let (false, Value::Object(more)) = (words.is_empty(), pairs(words, what)?) {
            object(body, key)?.extend(more);
        }
    }
    if let Some(share) = &flags.share {
        body["shareIdentifier"] = share.as_str().into();
    }
    if let Some(priority) = flags.priority {
        body["schedulingPriorityOverride"] = priority.into();
    }
    Ok(())
}

/// Adds to the jobs that the job file waits for.
fn depend(body: &mut Value, after: Vec<Value>) -> Result<(), CliError> {
    if after.is_empty() {
        return Ok(());
    }
    if body.get("dependsOn").is_none() {
        body["dependsOn"] = json!([]);
    }
    let all = body["dependsOn"].as_array_mut();
    all.ok_or_else(|| CliError::Usage("dependsOn must be a list in the job file".into()))?.extend(after);
    Ok(())
}

/// The object under a key, made where there is none.
fn object<'a>(body: &'a mut Value, key: &str) -> Result<&'a mut Map<String, Value>, CliError> {
    if body.get(key).is_none() {
        body[key] = json!({});
    }
    body[key]
        .as_object_mut()
        .ok_or_else(|| CliError::Usage(format!("{key} must be an object in the job file")))
}

/// What concerns the container: command, environment, sizes.
fn overrides(flags: &JobFlags, command: Vec<String>) -> Result<Map<String, Value>, CliError> {
    let mut overrides = Map::new();
    if !command.is_empty() {
        overrides.insert("command".into(), command.into());
    }
    let environment = run_request::environment(&flags.env, &flags.env_file)?;
    if !environment.is_empty() {
        let entry = |(name, value): &(String, String)| json!({ "name": name, "value": value });
        overrides.insert("environment".into(), environment.iter().map(entry).collect());
    }
    let sizes = [
        ("VCPU", flags.cpus.clone()),
        ("MEMORY", flags.memory.map(|m| m.to_string())),
        ("GPU", flags.gpus.map(|n| n.to_string())),
    ];
    let sizes: Vec<Value> = sizes
        .into_iter()
        .filter_map(|(kind, value)| Some(json!({ "type": kind, "value": value? })))
        .collect();
    if !sizes.is_empty() {
        overrides.insert("resourceRequirements".into(), sizes.into());
    }
    Ok(overrides)
}

/// Puts them where this kind of definition has its overrides, over those of the job file.
fn merge(body: &mut Value, definition: Option<&Value>, own: Map<String, Value>) -> Result<(), CliError> {
    let has = |key: &str| definition.is_some_and(|d| d.get(key).is_some_and(|v| !v.is_null()));
    if has("eksProperties") || has("nodeProperties") {
        return Err(CliError::Usage(
            "this definition is one of pods or nodes; write what is to be overridden into a job file".into(),
        ));
    }
    let target = if has("ecsProperties") {
        let containers = definition.and_then(|d| d.pointer("/ecsProperties/taskProperties/0/containers"));
        let container = match containers.and_then(Value::as_array).map(Vec::as_slice) {
            Some([one]) => one,
            _ => {
                return Err(CliError::Usage(
                    "this definition has several containers; write what is to be overridden into a job file"
                        .into(),
                ));
            }
        };
        let place = "/ecsPropertiesOverride/taskProperties/0/containers/0";
        if body.pointer(place).is_none() {
            let name = container.get("name").map(|n| json!({ "name": n })).unwrap_or_else(|| json!({}));
            body["ecsPropertiesOverride"] = json!({ "taskProperties": [{ "containers": [name] }] });
        }
        body.pointer_mut(place).and_then(Value::as_object_mut)
    } else {
        Some(object(body, "containerOverrides")?)
    };
    let target = target.ok_or_else(|| CliError::Usage("ecsPropertiesOverride has an odd shape".into()))?;
    for (key, value) in own {
        match (key.as_str(), target.get_mut(&key).and_then(Value::as_array_mut), value) {
            ("environment", Some(there), Value::Array(more)) => replace(there, more, "name"),
            ("resourceRequirements", Some(there), Value::Array(more)) => replace(there, more, "type"),
            (_, _, value) => {
                target.insert(key, value);
            }
        }
    }
    Ok(())
}

/// Adds entries; one with the same value under `key` takes the place of the former.
fn replace(there: &mut Vec<Value>, more: Vec<Value>, key: &str) {
    there.retain(|old| !more.iter().any(|new| new[key] == old[key]));
    there.extend(more);
}

/// The definition that a reference means: of a name without a revision the newest active one.
pub fn find_definition(client: &Client, reference: &str) -> Result<Option<Value>, CliError> {
    let name = last_part(reference);
    let body = match name.rsplit_once(':') {
        Some(_) => json!({ "jobDefinitions": [reference] }),
        None => json!({ "jobDefinitionName": name, "status": "ACTIVE" }),
    };
    let mut found: Vec<Value> = Vec::new();
    let mut request = body.clone();
    loop {
        let answer = client.batch("DescribeJobDefinitions", &request)?;
        found.extend(answer["jobDefinitions"].as_array().into_iter().flatten().cloned());
        match answer["nextToken"].as_str().filter(|t| !t.is_empty()) {
            Some(token) if request["nextToken"] != token => request["nextToken"] = token.into(),
            _ => break,
        }
    }
    Ok(found.into_iter().max_by_key(|d| d.get("revision").and_then(number)))
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
