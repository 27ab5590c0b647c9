//! What a compute environment, queue, definition and host are to the engine: the facts that decide, and the body that
//! is only carried into its row.
//!
//! Never here: the wire shapes. The API's handlers check those and hand in facts beside the finished body.

use crate::ids::{ComputeEnvironmentId, DefinitionId, HostId, PolicyId, QueueId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `state` of a compute environment or queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Takes work.
    Enabled,
    /// Finishes what it has.
    Disabled,
}

/// `status` of a compute environment or queue (spec infrastructure §1.2, §3.1). What is gone has no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Being made.
    Creating,
    /// Being changed.
    Updating,
    /// Waits for its last job.
    Deleting,
    /// Works.
    Valid,
    /// Cannot work; the reason is in the row.
    Invalid,
}

impl Status {
    /// On the way to a lasting status, which the next batch gives it.
    pub fn is_passing(self) -> bool {
        matches!(self, Self::Creating | Self::Updating)
    }

    /// Takes jobs and queues: VALID, or about to be as far as anybody knows.
    pub fn is_usable(self) -> bool {
        self.is_passing() || self == Self::Valid
    }
}

/// What runs the jobs of a compute environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// EC2 and SPOT shapes, and unmanaged ECS hosts.
    Ec2,
    /// FARGATE and FARGATE_SPOT shapes.
    Fargate,
    /// ECS_MANAGED_INSTANCES.
    ManagedInstances,
    /// Kubernetes.
    Eks,
}

impl Platform {
    /// AWS's name of the capability that a job asks for; EKS, which has none, by its own name.
    pub fn capability(self) -> &'static str {
        match self {
            Self::Ec2 => "EC2",
            Self::Fargate => "FARGATE",
            Self::ManagedInstances => "MANAGED_INSTANCES",
            Self::Eks => "EKS",
        }
    }
}

/// A compute environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComputeEnvironment {
    /// Row id; 0 on creation, the engine gives it.
    pub id: ComputeEnvironmentId,
    /// `computeEnvironmentName`.
    pub name: Arc<str>,
    /// Takes new jobs or not.
    pub state: State,
    /// Where its life stands.
    pub status: Status,
    /// `statusReason`.
    pub status_reason: Arc<str>,
    /// What it runs.
    pub platform: Platform,
    /// Its hosts are this installation's own (managed); an unmanaged one has those that join it.
    pub managed: bool,
    /// Upper limit of the vCPUs of its jobs at once, in thousandths. Absent for unmanaged ones.
    pub max_vcpus_milli: Option<u64>,
    /// Rises with every change of the row; an update names the one that it read.
    pub version: u32,
    /// The rest of the resource as JSON text, written to the row as it is.
    pub body: Arc<str>,
}

/// A job queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobQueue {
    /// Row id; 0 on creation, the engine gives it.
    pub id: QueueId,
    /// `jobQueueName`.
    pub name: Arc<str>,
    /// Takes submissions or not.
    pub state: State,
    /// Where its life stands.
    pub status: Status,
    /// `statusReason`.
    pub status_reason: Arc<str>,
    /// Higher first, over all queues that share hosts.
    pub priority: i32,
    /// Its environments in the order in which they are tried.
    pub environments: Vec<ComputeEnvironmentId>,
    /// Its scheduling policy; without one its jobs run in the order of submission.
    pub policy: Option<PolicyId>,
    /// When a head that can't be placed is given up; without any it waits for ever.
    pub time_limits: Vec<TimeLimit>,
    /// Rises with every change of the row; an update names the one that it read.
    pub version: u32,
    /// The rest of the resource as JSON text.
    pub body: Arc<str>,
}

/// One of a queue's `jobStateTimeLimitActions`: a RUNNABLE head that waits for this cause for so long ends (spec
/// infrastructure §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimit {
    /// What it waits for.
    pub cause: LimitCause,
    /// Seconds.
    pub max_s: u32,
}

/// The causes that a time limit can be set for, where jobs run in compute environments (spec infrastructure §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitCause {
    /// No environment of the queue has any host.
    Capacity,
    /// The maxvCpus of each environment is below what the job needs.
    MaxResource,
    /// No environment has a host that is large enough.
    Requirement,
}

impl LimitCause {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Capacity, Self::MaxResource, Self::Requirement];

    /// AWS's `reason`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Capacity => "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
            Self::MaxResource => "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
            Self::Requirement => "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        }
    }

    /// The cause of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == name)
    }
}

/// What a scheduling policy orders by; it never changes (spec infrastructure §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyKind {
    /// `fairsharePolicy`.
    FairShare,
    /// `quotaSharePolicy`.
    QuotaShare,
}

/// `fairsharePolicy` (spec infrastructure §4.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FairShare {
    /// `shareDecaySeconds`; 0 for the default of 600.
    pub decay_s: u32,
    /// `computeReservation`, percent.
    pub compute_reservation: u8,
    /// `shareDistribution`: identifier, or beginning of one with a `*`, and its weight in ten-thousandths. A smaller
    /// weight is a larger share; who is not listed weighs 10,000. No two fit one share.
    pub weights: BTreeMap<Arc<str>, u32>,
}

/// A scheduling policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulingPolicy {
    /// Row id; 0 on creation, the engine gives it.
    pub id: PolicyId,
    /// `name`.
    pub name: Arc<str>,
    /// What it orders by.
    pub kind: PolicyKind,
    /// How it divides a queue, when it does by fair share.
    pub fair_share: Option<FairShare>,
    /// Rises with every change of the row; an update names the one that it read.
    pub version: u32,
    /// The rest of the policy as JSON text.
    pub body: Arc<str>,
}

/// A revision of a job definition, for its row. The engine keeps only name, revision and whether it is ACTIVE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobDefinition {
    /// Row id; 0 on registration, the engine gives it.
    pub id: DefinitionId,
    /// `jobDefinitionName`.
    pub name: Arc<str>,
    /// From 1; 0 on registration, the engine gives it. Numbers are never used twice.
    pub revision: u32,
    /// ACTIVE; an INACTIVE one can't be submitted.
    pub active: bool,
    /// When it was registered, wall milliseconds.
    pub created_ms: i64,
    /// When it was deregistered, wall milliseconds.
    pub deregistered_ms: Option<i64>,
    /// The rest of the definition as JSON text.
    pub body: Arc<str>,
}

/// A host that runs tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Stable over restarts for the same machine.
    pub id: HostId,
    /// `i-` and 17 hexadecimal digits.
    pub instance_id: Arc<str>,
    /// vCPUs in thousandths, found or declared.
    pub vcpus_milli: u64,
    /// Memory that jobs may have together, MiB, found or declared.
    pub memory_mib: u64,
    /// The unmanaged environment that it joined; absent: every managed one may use it.
    pub environment: Option<ComputeEnvironmentId>,
}

/// What a job needs from a host, per attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// vCPUs in thousandths.
    pub vcpus_milli: u32,
    /// Memory, MiB.
    pub memory_mib: u32,
    /// Whole GPUs.
    pub gpus: u16,
}
