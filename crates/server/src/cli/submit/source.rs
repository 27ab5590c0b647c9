//! What `submit` is given: a definition, a job file or a script; told apart, read, and checked as far as a file can be
//! wrong by itself.
//!
//! Never here: flags and defaults (request.rs).

use super::script::{self, Script};
use crate::cli::error::CliError;
use batchyard_model::batch::{RegisterJobDefinitionRequest, SubmitJobRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// Longest file that is read: far more than a job can hold.
const MOST: u64 = 1 << 20;

/// Members of SubmitJob's request.
pub const SUBMIT: &[&str] = &[
    "arrayProperties",
    "consumableResourcePropertiesOverride",
    "containerOverrides",
    "dependsOn",
    "ecsPropertiesOverride",
    "eksPropertiesOverride",
    "jobDefinition",
    "jobName",
    "jobQueue",
    "nodeOverrides",
    "parameters",
    "propagateTags",
    "retryStrategy",
    "schedulingPriorityOverride",
    "shareIdentifier",
    "tags",
    "timeout",
];

/// Members of RegisterJobDefinition's request.
pub const REGISTER: &[&str] = &[
    "consumableResourceProperties",
    "containerProperties",
    "ecsProperties",
    "eksProperties",
    "jobDefinitionName",
    "nodeProperties",
    "parameters",
    "platformCapabilities",
    "propagateTags",
    "retryStrategy",
    "schedulingPriority",
    "tags",
    "timeout",
    "type",
];

/// What a job is made from.
#[derive(Debug, PartialEq, Eq)]
pub enum Source {
    /// A definition that is registered: name, name:revision or ARN.
    Definition(String),
    /// SubmitJob's request. `jobDefinition` may be an object: a definition to register first.
    Job(Map<String, Value>),
    /// A script.
    Script(Box<Script>),
}

/// Reads what a word means, and gives a name for the job from it.
pub fn read(word: &str) -> Result<(Source, String), CliError> {
    if is_definition(word) {
        let name = crate::cli::job::last_part(word).split(':').next().unwrap_or_default();
        return Ok((Source::Definition(word.into()), name.into()));
    }
    let text = text_of(word)?;
    let path = Path::new(word);
    let part = |part: Option<&std::ffi::OsStr>| part.and_then(|p| p.to_str()).unwrap_or_default().to_string();
    let (file, stem) = (part(path.file_name()), part(path.file_stem()));
    let shown = if word == "-" { "standard input" } else { word };
    let source = match part(path.extension()).to_ascii_lowercase().as_str() {
        "json" | "yaml" | "yml" => Source::Job(job(&text, shown)?),
        _ if script::looks_like_one(&text) => {
            Source::Script(Box::new(script::read(&text, if word == "-" { "script" } else { &file })?))
        }
        "" if word == "-" => Source::Job(job(&text, shown)?),
        "sh" | "bash" => Source::Script(Box::new(script::read(&text, &file)?)),
        _ => {
            return Err(CliError::Usage(format!(
                "{word} is neither a job file (.json, .yaml) nor a script (#! or #BATCH lines); what is it?"
            )));
        }
    };
    Ok((source, stem))
}

/// A definition's name can hold neither a dot nor a slash, so the two are told apart without looking.
fn is_definition(word: &str) -> bool {
    let (name, revision) = word.split_once(':').unwrap_or((word, ""));
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let named = !name.is_empty() && name != "-" && name.chars().all(letter);
    word.starts_with("arn:") || (named && revision.chars().all(|c| c.is_ascii_digit()))
}

fn text_of(word: &str) -> Result<String, CliError> {
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => CliError::NotFound(format!(
            "no file {word}; for a definition write its name, name:revision or ARN"
        )),
        io::ErrorKind::PermissionDenied => CliError::Denied(format!("cannot read {word}: {e}")),
        _ => CliError::Usage(format!("cannot read {word}: {e}")),
    };
    let mut bytes = Vec::new();
    if word == "-" {
        io::stdin().lock().take(MOST + 1).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let file = fs::File::open(word).map_err(failed)?;
        file.take(MOST + 1).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() as u64 > MOST {
        return Err(CliError::Usage(format!("{word} is far too long for a job; AWS takes 30 KiB")));
    }
    String::from_utf8(bytes).map_err(|_| CliError::Usage(format!("{word} is no UTF-8 text")))
}

/// A job file: YAML, of which JSON is a part. Errors: [`CliError::Usage`].
fn job(text: &str, shown: &str) -> Result<Map<String, Value>, CliError> {
    let wrong = |why: &str| CliError::Usage(format!("{shown}: {why}"));
    let first_line = |e: &dyn std::fmt::Display| {
        wrong(e.to_string().lines().next().unwrap_or_default().trim_start_matches("error: "))
    };
    let value: Value = if text.trim_start().starts_with('{') {
        // The messages of the JSON reader are about JSON. What it cannot read may still be YAML in braces.
        serde_json::from_str(text).or_else(|json| yaml(text).map_err(|_| first_line(&json)))?
    } else {
        yaml(text).map_err(|e| first_line(&e))?
    };
    let Value::Object(mut job) = without_nulls(value) else {
        return Err(wrong("a job file holds SubmitJob's members: jobName, jobQueue, jobDefinition, …"));
    };
    inline(&mut job, shown)?;
    known(&job, SUBMIT, "", shown)?;
    if let Some(Value::Object(definition)) = job.get("jobDefinition") {
        known(definition, REGISTER, "jobDefinition.", shown)?;
    }
    let mut value = Value::Object(job);
    texts(&mut value, &mut String::new()).map_err(|why| wrong(&why))?;
    match value {
        Value::Object(job) => {
            nested(&job).map_or(Ok(()), |odd| Err(wrong(&format!("{odd} is no member that AWS has"))))?;
            Ok(job)
        }
        _ => Err(wrong("it holds no job")),
    }
}

/// The first member at any depth that the API would leave out without a word. What has another type is the server's to say.
fn nested(job: &Map<String, Value>) -> Option<String> {
    let mut request = job.clone();
    let own = request.insert("jobDefinition".into(), "".into());
    lost::<SubmitJobRequest>(&request.into(), "").or_else(|| {
        let own = own.filter(Value::is_object)?;
        lost::<RegisterJobDefinitionRequest>(&own, "jobDefinition.")
    })
}

fn lost<T: DeserializeOwned + Serialize>(given: &Value, place: &str) -> Option<String> {
    let typed: T = serde_json::from_value(given.clone()).ok()?;
    missing(given, &serde_json::to_value(typed).ok()?, place.trim_end_matches('.'))
}

fn missing(given: &Value, kept: &Value, place: &str) -> Option<String> {
    match (given, kept) {
        (Value::Object(given), Value::Object(kept)) => given.iter().find_map(|(key, inner)| {
            let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
            match kept.get(key) {
                Some(kept) => missing(inner, kept, &place),
                None => Some(place),
            }
        }),
        (Value::Array(given), Value::Array(kept)) => {
            given.iter().zip(kept).enumerate().find_map(|(i, (g, k))| missing(g, k, &format!("{place}[{i}]")))
        }
        _ => None,
    }
}

/// YAML 1.2, in which `no`, `007` and `1_000` are text.
fn yaml(text: &str) -> Result<Value, serde_saphyr::Error> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    };
    serde_saphyr::from_str_with_options(text, options)
}

/// Generated skeletons are full of nulls, which stand for nothing.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, without_nulls(v))).collect()
        }
        Value::Array(list) => list.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// Takes what describes a container at the top of the file for a definition of its own.
fn inline(job: &mut Map<String, Value>, shown: &str) -> Result<(), CliError> {
    let own =
        ["containerProperties", "ecsProperties", "eksProperties", "nodeProperties", "platformCapabilities"];
    let mut definition = Map::new();
    for key in own {
        if let Some(value) = job.remove(key) {
            definition.insert(key.into(), value);
        }
    }
    if definition.is_empty() {
        return Ok(());
    }
    if job.contains_key("jobDefinition") {
        return Err(CliError::Usage(format!(
            "{shown}: jobDefinition and {} both say what runs; leave one out",
            definition.keys().next().map_or("", String::as_str)
        )));
    }
    job.insert("jobDefinition".into(), definition.into());
    Ok(())
}

fn known(map: &Map<String, Value>, members: &[&str], place: &str, shown: &str) -> Result<(), CliError> {
    let Some(odd) = map.keys().find(|k| !members.contains(&k.as_str())) else { return Ok(()) };
    let near = members.iter().find(|m| m.eq_ignore_ascii_case(odd));
    let advice =
        near.map_or_else(|| format!("known are {}", members.join(", ")), |m| format!("AWS writes {m}"));
    Err(CliError::Usage(format!("{shown}: {place}{odd} is no member; {advice}")))
}

/// Where AWS wants text, YAML's `value: 8080` and `value: true` become text.
fn texts(value: &mut Value, place: &mut String) -> Result<(), String> {
    let length = place.len();
    match value {
        Value::Object(map) => {
            let map_of_texts = [".tags", ".parameters"].iter().any(|p| place.ends_with(p));
            let listed = [".environment[]", ".resourceRequirements[]"].iter().any(|p| place.ends_with(p));
            for (key, inner) in map {
                place.push('.');
                place.push_str(key);
                if map_of_texts || (listed && key == "value") {
                    text(inner, place)?;
                } else {
                    texts(inner, place)?;
                }
                place.truncate(length);
            }
        }
        Value::Array(list) => {
            place.push_str("[]");
            list.iter_mut().try_for_each(|inner| texts(inner, place))?;
            place.truncate(length);
        }
        _ => {}
    }
    Ok(())
}

fn text(value: &mut Value, place: &str) -> Result<(), String> {
    match value {
        Value::Bool(b) => *value = b.to_string().into(),
        Value::Number(n) if !n.is_f64() || place.contains(".resourceRequirements") => {
            *value = n.to_string().into()
        }
        // 1.10 has become 1.1 already.
        Value::Number(_) => {
            return Err(format!(
                "{} is text to AWS; put the number in quotes",
                place.trim_start_matches('.')
            ));
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
