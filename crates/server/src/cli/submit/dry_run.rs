//! `submit --dry-run`: whether a job would be taken and could ever run, from what the public API tells.
//!
//! Memory and GPUs of hosts are not in the API, so those needs are shown and not judged. Never here: submitting.

use super::needs::{self, Needs};
use super::request::{MOST, Request, find_definition};
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::job::{last_part, number};
use crate::cli::output::{Cell, Column, Listed, Look};
use serde::Serialize;
use serde_json::{Value, json};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Not judged, or in the way of one environment while another takes the job.
    Warn,
    /// The job would be refused, or would wait for ever.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it came out.
    pub state: Verdict,
    /// What was found.
    pub found: String,
}

impl Check {
    fn ok(name: &str, found: impl Into<String>) -> Self {
        Self { name: name.into(), state: Verdict::Ok, found: found.into() }
    }

    fn warn(name: &str, found: impl Into<String>) -> Self {
        Self { state: Verdict::Warn, ..Self::ok(name, found) }
    }

    fn fail(name: &str, found: impl Into<String>) -> Self {
        Self { state: Verdict::Fail, ..Self::ok(name, found) }
    }
}

impl Listed for Check {
    const KEY: &'static str = "checks";
    const FIELDS: &'static [&'static str] = &["name", "state", "found"];

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("STATE", |c: &Self, _| match c.state {
                Verdict::Ok => Cell::new("ok", Look::Good),
                Verdict::Warn => Cell::new("warn", Look::Busy),
                Verdict::Fail => Cell::new("FAIL", Look::Bad),
            }),
            Column::new("WHAT", |c: &Self, _| c.name.as_str().into()).of("name"),
            Column::new("FOUND", |c: &Self, _| c.found.as_str().into()).cut(),
        ]
    }

    fn key(&self) -> &str {
        &self.name
    }
}

/// Looks at everything that the API tells. Errors: the endpoint does not answer or denies to.
pub fn checks(client: &Client, request: &Request) -> Result<Vec<Check>, CliError> {
    let mut checks = vec![size(request)];
    let (found, definition) = definition(client, request)?;
    checks.push(found);
    let needs = definition.as_ref().map(|d| needs::of(d, &request.body));
    if let (Some(needs), Some(definition)) = (&needs, &definition) {
        checks.push(match needs.never() {
            Some(why) => Check::fail("needs", why),
            None => Check::ok("needs", needs.to_string()),
        });
        // A missing parameter breaks the rules too, and is said better so.
        checks.extend(parameters(definition, &request.body).or_else(|| rules(client, request, definition)));
    }
    let name = request.body["jobQueue"].as_str().unwrap_or_default();
    let described = client.describe_queues(&[name.to_string()])?;
    let Some(queue) = described.first() else {
        checks.push(Check::fail(
            "queue",
            format!("there is no queue {name}; `batchyard queues` lists those there are"),
        ));
        return Ok(checks);
    };
    checks.push(of_queue(queue));
    checks.extend(share(queue, &request.body));
    checks.extend(environments(client, queue, needs.as_ref())?);
    Ok(checks)
}

fn size(request: &Request) -> Check {
    let size = request.size();
    if size > MOST {
        Check::fail(
            "size",
            format!("{size} bytes, and a job may have {MOST}; keep scripts in the image or a mounted folder"),
        )
    } else {
        Check::ok("size", format!("{size} of {MOST} bytes"))
    }
}

fn definition(client: &Client, request: &Request) -> Result<(Check, Option<Value>), CliError> {
    const WHAT: &str = "definition";
    if let Some(own) = &request.definition {
        let name = own["jobDefinitionName"].as_str().unwrap_or_default();
        return Ok((Check::ok(WHAT, format!("{name} is registered with the job")), Some(own.clone())));
    }
    let reference = request.body["jobDefinition"].as_str().unwrap_or_default();
    let Some(found) = find_definition(client, reference)? else {
        let none = format!("there is no active definition {reference}");
        return Ok((Check::fail(WHAT, none), None));
    };
    let name = found["jobDefinitionName"].as_str().unwrap_or_default();
    let revision = found.get("revision").and_then(number).unwrap_or_default();
    let check = match found["status"].as_str() {
        Some("ACTIVE") | None => Check::ok(WHAT, format!("{name}:{revision}")),
        Some(status) => Check::fail(WHAT, format!("{name}:{revision} is {status}; use an active revision")),
    };
    Ok((check, Some(found)))
}

/// What this program's own server would refuse. AWS has the same rules, and can do more.
fn rules(client: &Client, request: &Request, definition: &Value) -> Option<Check> {
    let why = crate::api::jobs::objection(&request.body, definition, request.definition.is_none())?;
    Some(if client.is_aws() { Check::warn("rules", why) } else { Check::fail("rules", why) })
}

/// References in the command that nothing gives a value (spec jobs §2.3).
fn parameters(definition: &Value, body: &Value) -> Option<Check> {
    let missing: Vec<String> = needs::references(definition, body)
        .into_iter()
        .filter(|name| body["parameters"].get(name).or(definition["parameters"].get(name)).is_none())
        .collect();
    (!missing.is_empty()).then(|| {
        let flags: Vec<String> = missing.iter().map(|m| format!("-p {m}=VALUE")).collect();
        Check::fail(
            "parameters",
            format!("the command needs {}; give {}", missing.join(", "), flags.join(" ")),
        )
    })
}

fn of_queue(queue: &Value) -> Check {
    let text = |key: &str| queue[key].as_str().unwrap_or_default();
    let (name, state, status) = (text("jobQueueName"), text("state"), text("status"));
    let told = format!("{name} is {state} and {status}");
    match (state, status) {
        ("ENABLED" | "", "VALID" | "UPDATING" | "") => Check::ok("queue", told),
        ("ENABLED" | "", "CREATING") => Check::warn("queue", format!("{told}; try again when it is VALID")),
        ("ENABLED" | "", _) => Check::fail("queue", format!("{told}: {}", text("statusReason"))),
        _ => Check::fail("queue", format!("{told}; it takes no jobs")),
    }
}

/// A share identifier and a scheduling policy need each other (spec jobs §2.5).
fn share(queue: &Value, body: &Value) -> Option<Check> {
    let policy = queue["schedulingPolicyArn"].as_str().filter(|p| !p.is_empty());
    let given = |key: &str| body.get(key).is_some_and(|v| !v.is_null());
    match policy {
        Some(policy) if !given("shareIdentifier") => {
            Some(Check::fail("share", format!("the queue shares by {}; give --share", last_part(policy))))
        }
        None if given("shareIdentifier") || given("schedulingPriorityOverride") => Some(Check::fail(
            "share",
            "the queue has no scheduling policy; leave share identifier and priority out",
        )),
        _ => None,
    }
}

/// The environments of the queue in their order. While one takes the job, what others lack is a warning.
fn environments(client: &Client, queue: &Value, needs: Option<&Needs>) -> Result<Vec<Check>, CliError> {
    let mut order: Vec<&Value> = queue["computeEnvironmentOrder"].as_array().into_iter().flatten().collect();
    order.sort_by_key(|e| e.get("order").and_then(number));
    let names: Vec<&str> = order.iter().filter_map(|e| e["computeEnvironment"].as_str()).collect();
    if names.is_empty() {
        return Ok(vec![Check::fail("environments", "the queue has none, so its jobs wait for ever")]);
    }
    let answer = client.batch("DescribeComputeEnvironments", &json!({ "computeEnvironments": names }))?;
    let found: Vec<&Value> = answer["computeEnvironments"].as_array().into_iter().flatten().collect();
    let mut checks: Vec<Check> = names
        .iter()
        .map(|arn| {
            let name = last_part(arn);
            let what = format!("environment {name}");
            match found.iter().find(|e| e["computeEnvironmentName"] == name) {
                None => Check::fail(&what, "it is not there any more"),
                Some(environment) => match needs::obstacle(environment, needs) {
                    Some(why) => Check::fail(&what, why),
                    None => Check::ok(&what, needs::capacity(environment)),
                },
            }
        })
        .collect();
    if checks.iter().any(|c| c.state == Verdict::Ok) {
        for check in checks.iter_mut().filter(|c| c.state == Verdict::Fail) {
            *check = Check::warn(&check.name, check.found.clone());
        }
    }
    Ok(checks)
}

#[cfg(test)]
#[path = "dry_run_tests.rs"]
mod tests;
