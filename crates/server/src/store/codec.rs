//! Small values as columns hold them. Numbers in columns are part of the format: never reuse one.
//!
//! Never here: whole rows.

use batchyard_engine::JobUuid;
use batchyard_engine::change::{ContainerResult, JobFacts};
use batchyard_engine::job::retry::{RetryRule, RetryStrategy};
use batchyard_engine::resource::{LimitCause, Needs, Platform, PolicyKind, State, Status, TimeLimit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Status number of a resource that is gone; its row stays because ended jobs name it.
pub const DELETED: i64 = 5;

pub fn state_number(state: State) -> i64 {
    match state {
        State::Enabled => 1,
        State::Disabled => 0,
    }
}

pub fn state(number: i64) -> Option<State> {
    [State::Enabled, State::Disabled].into_iter().find(|s| state_number(*s) == number)
}

pub fn status_number(status: Status) -> i64 {
    match status {
        Status::Creating => 0,
        Status::Updating => 1,
        Status::Deleting => 2,
        Status::Valid => 3,
        Status::Invalid => 4,
    }
}

pub fn status(number: i64) -> Option<Status> {
    use Status as S;
    [S::Creating, S::Updating, S::Deleting, S::Valid, S::Invalid]
        .into_iter()
        .find(|s| status_number(*s) == number)
}

pub fn platform_number(platform: Platform) -> i64 {
    match platform {
        Platform::Ec2 => 0,
        Platform::Fargate => 1,
        Platform::ManagedInstances => 2,
        Platform::Eks => 3,
    }
}

pub fn platform(number: i64) -> Option<Platform> {
    use Platform as P;
    [P::Ec2, P::Fargate, P::ManagedInstances, P::Eks].into_iter().find(|p| platform_number(*p) == number)
}

pub fn policy_number(kind: PolicyKind) -> i64 {
    match kind {
        PolicyKind::FairShare => 0,
        PolicyKind::QuotaShare => 1,
    }
}

pub fn policy(number: i64) -> Option<PolicyKind> {
    [PolicyKind::FairShare, PolicyKind::QuotaShare].into_iter().find(|k| policy_number(*k) == number)
}

/// `job_queue.time_limits`; nothing where there are none.
pub fn time_limits_text(limits: &[TimeLimit]) -> Option<String> {
    let seconds: BTreeMap<&str, u32> = limits.iter().map(|l| (l.cause.name(), l.max_s)).collect();
    (!limits.is_empty()).then(|| serde_json::to_string(&seconds).expect("a map of numbers"))
}

pub fn time_limits(text: Option<&str>) -> Option<Vec<TimeLimit>> {
    let seconds: BTreeMap<String, u32> =
        text.map_or(Some(BTreeMap::new()), |t| serde_json::from_str(t).ok())?;
    let limit =
        |(name, max_s): (String, u32)| Some(TimeLimit { cause: LimitCause::from_name(&name)?, max_s });
    seconds.into_iter().map(limit).collect()
}

/// `job_body.facts`: what the engine reads back of an open job.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Facts {
    platform: i64,
    vcpus_milli: u32,
    memory_mib: u32,
    #[serde(default)]
    gpus: u16,
    attempts: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rules: Vec<Rule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "is_zero")]
    priority: i32,
    /// Public ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<uuid::Uuid>,
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    retry: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_status_reason: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_reason: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_exit_code: Option<Arc<str>>,
}

pub fn facts_text(facts: &JobFacts, depends_on: &[JobUuid]) -> String {
    let rule = |r: &RetryRule| Rule {
        retry: r.retry,
        on_status_reason: r.on_status_reason.clone(),
        on_reason: r.on_reason.clone(),
        on_exit_code: r.on_exit_code.clone(),
    };
    let facts = Facts {
        platform: platform_number(facts.platform),
        vcpus_milli: facts.needs.vcpus_milli,
        memory_mib: facts.needs.memory_mib,
        gpus: facts.needs.gpus,
        attempts: facts.retry.attempts,
        rules: facts.retry.rules.iter().map(rule).collect(),
        timeout_seconds: facts.timeout_s,
        share: facts.share.clone(),
        priority: facts.priority,
        depends_on: depends_on.iter().map(|job| uuid::Uuid::from_bytes(job.0)).collect(),
    };
    serde_json::to_string(&facts).expect("plain struct")
}

pub fn facts(text: &str) -> Result<(JobFacts, Arc<[JobUuid]>), String> {
    let f: Facts = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let rule = |r: Rule| RetryRule {
        retry: r.retry,
        on_status_reason: r.on_status_reason,
        on_reason: r.on_reason,
        on_exit_code: r.on_exit_code,
    };
    let depends_on = f.depends_on.iter().map(|job| JobUuid(*job.as_bytes())).collect();
    let facts = JobFacts {
        platform: platform(f.platform).ok_or_else(|| format!("platform {}", f.platform))?,
        needs: Needs { vcpus_milli: f.vcpus_milli, memory_mib: f.memory_mib, gpus: f.gpus },
        retry: RetryStrategy { attempts: f.attempts, rules: f.rules.into_iter().map(rule).collect() },
        timeout_s: f.timeout_seconds,
        share: f.share,
        priority: f.priority,
    };
    Ok((facts, depends_on))
}

/// One element of `attempt.containers`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    name: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Arc<str>>,
}

pub fn containers_text(containers: &[ContainerResult]) -> String {
    let all: Vec<Container> = containers
        .iter()
        .map(|c| Container { name: c.name.clone(), exit_code: c.exit_code, reason: c.reason.clone() })
        .collect();
    serde_json::to_string(&all).expect("plain structs")
}

pub fn containers(text: &str) -> Result<Vec<ContainerResult>, String> {
    let all: Vec<Container> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    Ok(all
        .into_iter()
        .map(|c| ContainerResult { name: c.name, exit_code: c.exit_code, reason: c.reason })
        .collect())
}
