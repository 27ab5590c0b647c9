//! The little language of the scenarios.
//!
//! | what | written as |
//! |---|---|
//! | host | `h1 4x8192` (4 vCPU, 8192 MiB), `h2 4x8192 lab` (joined the unmanaged environment lab) |
//! | environment | `a 16` (managed, maxvCpus 16), `f 16 fargate`, `k 16 eks`, `lab -` (unmanaged) |
//! | queue | `high 10 a b` (priority 10, environments a then b) |
//! | job | `high 2x1024`, `high 0.5x512`, `high 2` (then 1 MiB) |

use batchyard_engine::resource::{ComputeEnvironment, Host, JobQueue, Needs, Platform, State, Status};
use batchyard_engine::{Command, ComputeEnvironmentId, EnvironmentUpdate, HostId, QueueId};

/// `4x8192` or `4`: thousandths of a vCPU and MiB.
pub fn size(text: &str) -> (u32, u32) {
    let (vcpus, memory) = text.split_once('x').unwrap_or((text, "1"));
    let vcpus: f64 = vcpus.parse().expect("vCPUs");
    ((vcpus * 1000.0) as u32, memory.parse().expect("MiB"))
}

pub fn needs(text: &str) -> Needs {
    let (vcpus_milli, memory_mib) = size(text);
    Needs { vcpus_milli, memory_mib, gpus: 0 }
}

/// The environment that the host joined is given by name, beside it.
pub fn host(text: &str) -> (Host, Option<&str>) {
    let words: Vec<&str> = text.split_whitespace().collect();
    let id: i64 = words[0].trim_start_matches('h').parse().expect("a host is h and a number");
    let (vcpus, memory) = size(words[1]);
    let host = Host {
        id: HostId(id),
        instance_id: format!("i-{id:017x}").into(),
        vcpus_milli: vcpus.into(),
        memory_mib: memory.into(),
        environment: None,
    };
    (host, words.get(2).copied())
}

pub fn environment(text: &str) -> ComputeEnvironment {
    let words: Vec<&str> = text.split_whitespace().collect();
    let platform = match words.get(2) {
        Some(&"fargate") => Platform::Fargate,
        Some(&"eks") => Platform::Eks,
        None => Platform::Ec2,
        other => panic!("unknown platform {other:?}"),
    };
    ComputeEnvironment {
        id: ComputeEnvironmentId(0),
        name: words[0].into(),
        state: State::Enabled,
        status: Status::Creating,
        status_reason: "".into(),
        platform,
        managed: words[1] != "-",
        max_vcpus_milli: (words[1] != "-").then(|| size(words[1]).0.into()),
        version: 0,
        body: "{}".into(),
    }
}

/// Its environments are given by name, beside it.
pub fn queue(text: &str) -> (JobQueue, Vec<&str>) {
    let words: Vec<&str> = text.split_whitespace().collect();
    let queue = JobQueue {
        id: QueueId(0),
        name: words[0].into(),
        state: State::Enabled,
        status: Status::Creating,
        status_reason: "".into(),
        priority: words[1].parse().expect("a priority"),
        environments: Vec::new(),
        policy: None,
        time_limits: Vec::new(),
        version: 0,
        body: "{}".into(),
    };
    (queue, words[2..].to_vec())
}

/// An update that lets running jobs go on.
pub fn update(row: ComputeEnvironment) -> Command {
    Command::UpdateComputeEnvironment(EnvironmentUpdate { row, end_jobs: false })
}
