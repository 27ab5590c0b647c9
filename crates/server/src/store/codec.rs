//! Small values as columns hold them. Numbers in columns are part of the format: never reuse one.
//!
//! Never here: whole rows.

use batchyard_engine::change::{ArrayFacts, ChildState, ContainerResult, JobFacts, Unplaced};
use batchyard_engine::job::retry::{RetryRule, RetryStrategy};
use batchyard_engine::resource::{
    FairShare, LimitCause, Needs, Platform, PolicyKind, State, Status, TimeLimit,
};
use batchyard_engine::{JobRef, JobStatus};
use batchyard_model::batch::{SchedulingPolicyDetail, ShareAttributes};
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

/// How a policy divides a queue, read from its body, whose members the API has checked; none where it does so otherwise.
pub fn fair_share(body: &str) -> Result<Option<FairShare>, String> {
    let body: SchedulingPolicyDetail = serde_json::from_str(body).map_err(|e| e.to_string())?;
    let Some(policy) = body.fairshare_policy else { return Ok(None) };
    let weight = |share: ShareAttributes| {
        let ten_thousandths = (share.weight_factor.unwrap_or(1.0) * 10_000.0).round().max(1.0);
        (share.share_identifier.unwrap_or_default().into(), ten_thousandths as u32)
    };
    Ok(Some(FairShare {
        decay_s: policy.share_decay_seconds.and_then(|s| u32::try_from(s).ok()).unwrap_or_default(),
        compute_reservation: policy
            .compute_reservation
            .and_then(|r| u8::try_from(r).ok())
            .unwrap_or_default(),
        weights: policy.share_distribution.unwrap_or_default().into_iter().map(weight).collect(),
    }))
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
    priority: i16,
    /// Public ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    array: Option<Array>,
}

/// What makes a job an array.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Array {
    size: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    sequential: bool,
    /// Public ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    each_on: Vec<String>,
}

fn is_zero(number: &i16) -> bool {
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

pub fn facts_text(facts: &JobFacts, depends_on: &[JobRef], given: Option<&ArrayFacts>) -> String {
    let array = |array: &ArrayFacts| Array {
        size: array.size,
        sequential: array.sequential,
        each_on: array.each_on.iter().map(ToString::to_string).collect(),
    };
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
        depends_on: depends_on.iter().map(ToString::to_string).collect(),
        array: given.map(array),
    };
    serde_json::to_string(&facts).expect("plain struct")
}

/// What `job_body.facts` holds: what decides, whom all of it waits for, what makes it an array.
pub type StoredFacts = (JobFacts, Arc<[JobRef]>, Option<ArrayFacts>);

pub fn facts(text: &str) -> Result<StoredFacts, String> {
    let f: Facts = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let rule = |r: Rule| RetryRule {
        retry: r.retry,
        on_status_reason: r.on_status_reason,
        on_reason: r.on_reason,
        on_exit_code: r.on_exit_code,
    };
    let named = |id: &String| id.parse().map_err(|()| format!("{id:?} is no job's id"));
    let depends_on = f.depends_on.iter().map(named).collect::<Result<_, _>>()?;
    let array = f.array.map(array).transpose()?;
    let facts = JobFacts {
        platform: platform(f.platform).ok_or_else(|| format!("platform {}", f.platform))?,
        needs: Needs { vcpus_milli: f.vcpus_milli, memory_mib: f.memory_mib, gpus: f.gpus },
        retry: RetryStrategy { attempts: f.attempts, rules: f.rules.into_iter().map(rule).collect() },
        timeout_s: f.timeout_seconds,
        share: f.share,
        priority: f.priority,
    };
    Ok((facts, depends_on, array))
}

fn array(array: Array) -> Result<ArrayFacts, String> {
    let named = |id: &String| id.parse().map_err(|()| format!("{id:?} is no job's id"));
    let each_on = array.each_on.iter().map(named).collect::<Result<_, _>>()?;
    Ok(ArrayFacts { size: array.size, sequential: array.sequential, each_on })
}

/// A run of `array_segment.runs`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    first: u32,
    last: u32,
    status: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stopped_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    cancelled: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    terminated: bool,
}

/// First, last, and what the children between them are.
pub type ChildRun = (u32, u32, ChildState);

pub fn runs_text(runs: &[ChildRun]) -> String {
    let run = |(first, last, state): &ChildRun| {
        let ended = if let ChildState::Unplaced(ended) = state { Some(ended) } else { None };
        Run {
            first: *first,
            last: *last,
            status: state.status().map_or(-1, |status| status as i64),
            reason: ended.map(|ended| ended.reason.clone()),
            stopped_ms: ended.map(|ended| ended.stopped_ms),
            cancelled: ended.is_some_and(|ended| ended.cancelled),
            terminated: ended.is_some_and(|ended| ended.terminated),
        }
    };
    serde_json::to_string(&runs.iter().map(run).collect::<Vec<_>>()).expect("plain structs")
}

pub fn runs(text: &str) -> Result<Vec<ChildRun>, String> {
    let runs: Vec<Run> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let run = |run: Run| {
        let state = match JobStatus::from_number(run.status) {
            Some(JobStatus::Pending) => ChildState::Pending,
            Some(JobStatus::Runnable) => ChildState::Runnable,
            Some(JobStatus::Failed) => ChildState::Unplaced(Arc::new(Unplaced {
                reason: run.reason.unwrap_or_default(),
                stopped_ms: run.stopped_ms.unwrap_or_default(),
                cancelled: run.cancelled,
                terminated: run.terminated,
            })),
            _ => return Err(format!("children {} to {} are {}", run.first, run.last, run.status)),
        };
        Ok((run.first, run.last, state))
    };
    runs.into_iter().map(run).collect()
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
