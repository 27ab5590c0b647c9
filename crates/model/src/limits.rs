//! Limits that the service models do not state, and where the models are stricter than AWS is. Handlers apply the
//! numbers; they live here only. "jobs" and "infrastructure" name the fact sheets that the sections are of.

/// Enums whose values are taken in any case, by shape.
///
/// `RetryAction` is documented so (jobs §7). The others are treated so by AWS's own tooling, and being generous costs
/// nothing (infrastructure §1.1). Which case is stored is for the handler: `validate::canonical` gives AWS's.
pub const CASE_INSENSITIVE: &[&str] = &[
    "CEState",
    "CEType",
    "CRAllocationStrategy",
    "CRType",
    "CRUpdateAllocationStrategy",
    "ContainerInsights",
    "EksAccessEntryDesiredState",
    "JobStateTimeLimitActionsAction",
    "RetryAction",
    "ServiceJobRetryAction",
    "UserdataType",
];

/// Collections that may be empty though the model says one entry at least, by shape. Widely used clients send
/// `tags: {}` with every submission, and AWS takes it.
pub const MAY_BE_EMPTY: &[&str] = &["TagrisTagsMap"];

/// Bytes of a SubmitJob body (jobs §2.1, infrastructure §10.2).
pub const MAX_SUBMIT_JOB_BYTES: usize = 30 * 1024;
/// Bytes of a RegisterJobDefinition body (infrastructure §10.2).
pub const MAX_REGISTER_BYTES: usize = 24 * 1024;
/// Bytes of a SubmitServiceJob body (infrastructure §10.2).
pub const MAX_SUBMIT_SERVICE_JOB_BYTES: usize = 30 * 1024;
/// Bytes of a service job's `serviceRequestPayload` (infrastructure §10.2).
pub const MAX_SERVICE_PAYLOAD_BYTES: usize = 10 * 1024;
/// Characters of the container overrides of one start, as JSON, beyond which AWS fails the job (jobs §1.5).
pub const MAX_CONTAINER_OVERRIDES: usize = 8192;

/// Characters of a job's, definition's, queue's, environment's or other resource's name (infrastructure §5.3).
pub const MAX_NAME: usize = 128;
/// Characters of the reason of a cancellation or termination (jobs §8).
pub const MAX_REASON: usize = 1024;
/// Characters of a share identifier (jobs §2.1).
pub const MAX_SHARE_IDENTIFIER: usize = 255;
/// Characters of an image's name (jobs §6.2).
pub const MAX_IMAGE_NAME: usize = 255;
/// Characters of a container's `reason` (jobs §1.5).
pub const MAX_CONTAINER_REASON: usize = 255;
/// Characters of a definition's name that its log streams start with (jobs §1.4).
pub const MAX_LOG_STREAM_PREFIX: usize = 200;

/// Children of an array job, both ends included (jobs §2.1).
pub const ARRAY_SIZE: std::ops::RangeInclusive<i32> = 2..=10_000;
/// Jobs that a job may depend on (jobs §2.1).
pub const MAX_DEPENDENCIES: usize = 20;
/// Nodes of a multi-node job (jobs §5).
pub const MAX_NODES: i32 = 1000;
/// Node ranges of a multi-node job (jobs §5).
pub const MAX_NODE_RANGES: usize = 5;
/// Containers of a task, and of a pod, its init containers counted apart (jobs §6.3, §6.4).
pub const MAX_CONTAINERS: usize = 10;

/// Attempts of a job (jobs §7).
pub const ATTEMPTS: std::ops::RangeInclusive<i32> = 1..=10;
/// Entries of `evaluateOnExit` (jobs §7).
pub const MAX_EVALUATE_ON_EXIT: usize = 5;
/// Characters of a pattern in `evaluateOnExit` (jobs §7).
pub const MAX_EXIT_PATTERN: usize = 512;
/// The least seconds of an attempt's timeout (jobs §7).
pub const MIN_TIMEOUT_SECONDS: i32 = 60;
/// Scheduling priorities within a share (jobs §2.1).
pub const SCHEDULING_PRIORITY: std::ops::RangeInclusive<i32> = 0..=9999;
/// The least MiB of a container (jobs §6.2).
pub const MIN_MEMORY_MIB: i32 = 4;

/// Tags of a resource, a job's own and its definition's together (jobs §2.1).
pub const MAX_TAGS: usize = 50;
/// What a tag's key may not start with, in any case (infrastructure §5.4).
pub const RESERVED_TAG_PREFIX: &str = "aws:";

/// Ids of a DescribeJobs call, and names of the other Describe calls (infrastructure §10.2).
pub const MAX_DESCRIBE: usize = 100;
/// Items of a ListJobs page without filters, and the page when none is asked for (jobs §9).
pub const MAX_LIST_JOBS: i32 = 1000;
/// Items of a ListJobs page with filters, and of a page of any other List or Describe call (jobs §9).
pub const MAX_PAGE: i32 = 100;
/// Ids of a bulk call (infrastructure §10.2).
pub const MAX_BULK: usize = 50;

/// Job queues of an account and Region (infrastructure §10.2).
pub const MAX_JOB_QUEUES: usize = 50;
/// Compute environments of an account and Region (infrastructure §10.2).
pub const MAX_COMPUTE_ENVIRONMENTS: usize = 50;
/// Compute environments of a queue (infrastructure §10.2).
pub const MAX_ENVIRONMENTS_PER_QUEUE: usize = 3;
/// Priorities of a queue (infrastructure §3.1).
pub const QUEUE_PRIORITY: std::ops::RangeInclusive<i32> = 0..=1000;
/// Seconds of a queue's limit on time at its head (infrastructure §3.3).
pub const STATE_TIME_LIMIT_SECONDS: std::ops::RangeInclusive<i32> = 600..=86_400;
