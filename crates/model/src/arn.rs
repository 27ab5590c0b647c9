//! The one place that names ARNs: those of Batch's own resources as a type, those of other services as text.
//! It knows their form (spec infrastructure §5.3), never whether the resource exists.

mod foreign;
mod reference;
#[cfg(test)]
mod tests;

use std::fmt::{self, Display};
use std::str::FromStr;

pub use foreign::{
    ecs_cluster, ecs_container_instance, ecs_task, iam_role, iam_root, iam_user, log_group,
    log_group_for_listing, log_stream, service_linked_role,
};
pub use reference::{DefinitionReference, Reference, name_or_arn};

use crate::ids::{JobId, Uuid};
use crate::limits::MAX_NAME;

/// The partition of every ARN that is made here.
pub const PARTITION: &str = "aws";

/// The ARN of a resource of Batch: `arn:aws:batch:{region}:{account}:{kind}/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Arn {
    /// The Region's name.
    pub region: String,
    /// The account's 12 digits.
    pub account: String,
    /// The resource within them.
    pub resource: ArnResource,
}

/// What an ARN names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ArnResource {
    /// A compute environment, by name.
    ComputeEnvironment(String),
    /// A consumable resource, by name.
    ConsumableResource(String),
    /// A job, an array child or a node.
    Job(JobId),
    /// A job definition: one revision, or all of them.
    JobDefinition {
        /// The name that all revisions share.
        name: String,
        /// The revision, from 1.
        revision: Option<u32>,
    },
    /// A job queue, by name.
    JobQueue(String),
    /// A quota share of a queue.
    QuotaShare {
        /// The queue's name.
        queue: String,
        /// The share's name.
        name: String,
    },
    /// A scheduling policy, by name.
    SchedulingPolicy(String),
    /// A service environment, by name.
    ServiceEnvironment(String),
    /// A service job.
    ServiceJob(Uuid),
}

/// The kinds of resources that ARNs of Batch name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ArnKind {
    /// `compute-environment/{name}`
    ComputeEnvironment,
    /// `consumable-resource/{name}`
    ConsumableResource,
    /// `job/{id}`
    Job,
    /// `job-definition/{name}` and `job-definition/{name}:{revision}`
    JobDefinition,
    /// `job-queue/{name}`
    JobQueue,
    /// `job-queue/{queue}/quota-share/{name}`
    QuotaShare,
    /// `scheduling-policy/{name}`
    SchedulingPolicy,
    /// `service-environment/{name}`
    ServiceEnvironment,
    /// `service-job/{id}`
    ServiceJob,
}

/// Why a text is not the name or ARN that was asked for. Its text says what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArnError {
    /// It has not the form of an ARN.
    NotAnArn,
    /// It is an ARN of another service or partition.
    NotBatch,
    /// It names a resource of Batch that there is not, or not in the right form.
    NoSuchForm,
    /// It names a resource of another kind than was asked for.
    WrongKind {
        /// What was asked for.
        wanted: ArnKind,
        /// What it names.
        got: ArnKind,
    },
    /// It is neither an ARN nor a name that a resource can have.
    NotAName,
}

impl Arn {
    /// The ARN of a compute environment.
    pub fn compute_environment(region: &str, account: &str, name: &str) -> Self {
        Self::new(region, account, ArnResource::ComputeEnvironment(name.to_owned()))
    }

    /// The ARN of a consumable resource.
    pub fn consumable_resource(region: &str, account: &str, name: &str) -> Self {
        Self::new(region, account, ArnResource::ConsumableResource(name.to_owned()))
    }

    /// The ARN of a job, an array child or a node.
    pub fn job(region: &str, account: &str, id: JobId) -> Self {
        Self::new(region, account, ArnResource::Job(id))
    }

    /// The ARN of one revision of a job definition.
    pub fn job_definition(region: &str, account: &str, name: &str, revision: u32) -> Self {
        let name = name.to_owned();
        Self::new(region, account, ArnResource::JobDefinition { name, revision: Some(revision) })
    }

    /// The ARN of a job definition whatever its revision, as IAM policies write it.
    pub fn job_definition_family(region: &str, account: &str, name: &str) -> Self {
        let name = name.to_owned();
        Self::new(region, account, ArnResource::JobDefinition { name, revision: None })
    }

    /// The ARN of a job queue.
    pub fn job_queue(region: &str, account: &str, name: &str) -> Self {
        Self::new(region, account, ArnResource::JobQueue(name.to_owned()))
    }

    /// The ARN of a quota share of a queue.
    pub fn quota_share(region: &str, account: &str, queue: &str, name: &str) -> Self {
        let (queue, name) = (queue.to_owned(), name.to_owned());
        Self::new(region, account, ArnResource::QuotaShare { queue, name })
    }

    /// The ARN of a scheduling policy.
    pub fn scheduling_policy(region: &str, account: &str, name: &str) -> Self {
        Self::new(region, account, ArnResource::SchedulingPolicy(name.to_owned()))
    }

    /// The ARN of a service environment.
    pub fn service_environment(region: &str, account: &str, name: &str) -> Self {
        Self::new(region, account, ArnResource::ServiceEnvironment(name.to_owned()))
    }

    /// The ARN of a service job.
    pub fn service_job(region: &str, account: &str, id: Uuid) -> Self {
        Self::new(region, account, ArnResource::ServiceJob(id))
    }

    /// The ARN of `resource`.
    pub fn new(region: &str, account: &str, resource: ArnResource) -> Self {
        Self { region: region.to_owned(), account: account.to_owned(), resource }
    }

    /// What kind of resource it names.
    pub fn kind(&self) -> ArnKind {
        self.resource.kind()
    }

    /// Whether it names a resource of that account and Region.
    pub fn is_in(&self, region: &str, account: &str) -> bool {
        self.region == region && self.account == account
    }
}

impl ArnResource {
    /// What kind of resource it is.
    pub fn kind(&self) -> ArnKind {
        match self {
            Self::ComputeEnvironment(_) => ArnKind::ComputeEnvironment,
            Self::ConsumableResource(_) => ArnKind::ConsumableResource,
            Self::Job(_) => ArnKind::Job,
            Self::JobDefinition { .. } => ArnKind::JobDefinition,
            Self::JobQueue(_) => ArnKind::JobQueue,
            Self::QuotaShare { .. } => ArnKind::QuotaShare,
            Self::SchedulingPolicy(_) => ArnKind::SchedulingPolicy,
            Self::ServiceEnvironment(_) => ArnKind::ServiceEnvironment,
            Self::ServiceJob(_) => ArnKind::ServiceJob,
        }
    }

    /// The resource that the last part of an ARN names.
    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('/')?;
        let named = || is_name(rest).then(|| rest.to_owned());
        Some(match kind {
            "compute-environment" => Self::ComputeEnvironment(named()?),
            "consumable-resource" => Self::ConsumableResource(named()?),
            "job" => Self::Job(rest.parse().ok()?),
            "job-definition" => {
                let DefinitionReference { name, revision, .. } = DefinitionReference::parse_plain(rest)?;
                Self::JobDefinition { name, revision }
            }
            "job-queue" => match rest.split_once("/quota-share/") {
                Some((queue, name)) if is_name(queue) && is_name(name) => {
                    Self::QuotaShare { queue: queue.to_owned(), name: name.to_owned() }
                }
                Some(_) => return None,
                None => Self::JobQueue(named()?),
            },
            "scheduling-policy" => Self::SchedulingPolicy(named()?),
            "service-environment" => Self::ServiceEnvironment(named()?),
            "service-job" => Self::ServiceJob(rest.parse().ok()?),
            _ => return None,
        })
    }
}

/// Whether a resource can be called `text`: 1 to 128 of letters, digits, `-` and `_`, a letter or digit first
/// (spec infrastructure §5.3; jobs follow the same rule, jobs §2.1).
pub fn is_name(text: &str) -> bool {
    let starts_well = text.starts_with(|first: char| first.is_ascii_alphanumeric());
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    starts_well && text.len() <= MAX_NAME && text.bytes().all(letters)
}

impl FromStr for Arn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().ok_or(ArnError::NotAnArn);
        let (head, partition, service) = (next()?, next()?, next()?);
        let (region, account, resource) = (next()?, next()?, next()?);
        if head != "arn" {
            return Err(ArnError::NotAnArn);
        }
        if partition != PARTITION || service != "batch" {
            return Err(ArnError::NotBatch);
        }
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let is_region =
            !region.is_empty() && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_account || !is_region {
            return Err(ArnError::NotAnArn);
        }
        let resource = ArnResource::parse(resource).ok_or(ArnError::NoSuchForm)?;
        Ok(Self::new(region, account, resource))
    }
}

impl Display for Arn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "arn:{PARTITION}:batch:{}:{}:{}", self.region, self.account, self.resource)
    }
}

impl Display for ArnResource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QuotaShare { queue, name } => {
                return write!(out, "{}/{queue}/quota-share/{name}", ArnKind::JobQueue);
            }
            _ => write!(out, "{}/", self.kind())?,
        }
        match self {
            Self::Job(id) => write!(out, "{id}"),
            Self::ServiceJob(id) => write!(out, "{id}"),
            Self::JobDefinition { name, revision: Some(revision) } => write!(out, "{name}:{revision}"),
            Self::ComputeEnvironment(name)
            | Self::ConsumableResource(name)
            | Self::JobDefinition { name, revision: None }
            | Self::JobQueue(name)
            | Self::QuotaShare { name, .. }
            | Self::SchedulingPolicy(name)
            | Self::ServiceEnvironment(name) => out.write_str(name),
        }
    }
}

impl Display for ArnKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::ComputeEnvironment => "compute-environment",
            Self::ConsumableResource => "consumable-resource",
            Self::Job => "job",
            Self::JobDefinition => "job-definition",
            Self::JobQueue => "job-queue",
            Self::QuotaShare => "quota-share",
            Self::SchedulingPolicy => "scheduling-policy",
            Self::ServiceEnvironment => "service-environment",
            Self::ServiceJob => "service-job",
        })
    }
}

impl std::error::Error for ArnError {}

impl Display for ArnError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnArn => out.write_str("not an arn: expected arn:aws:batch:region:account:kind/name"),
            Self::NotBatch => {
                write!(out, "not an arn of batch: expected it to start with arn:{PARTITION}:batch")
            }
            Self::NoSuchForm => {
                out.write_str("the arn names no resource of batch: check what follows the account")
            }
            Self::WrongKind { wanted, got } => write!(out, "the arn names a {got}: expected a {wanted}"),
            Self::NotAName => write!(
                out,
                "not a name: expected an arn or 1 to {MAX_NAME} letters, digits, - and _, a letter or digit first"
            ),
        }
    }
}
