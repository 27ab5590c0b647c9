//! Jobs: submit, describe, list, cancel, terminate (spec jobs §2, §8, §9).
//!
//! The body of a job's row is its JobDetail as it was submitted; what changes is filled in from columns when it is
//! read. Never here: what happens to a job; the engine decides that.

mod bulk;
mod container;
pub mod definition;
mod dependencies;
mod describe;
pub mod ecs;
mod fargate;
mod list;
mod list_token;
pub mod log_options;
pub mod merge;
mod merge_ecs;
mod objection;
pub mod requirements;
mod single;
mod stop;
mod submission;
mod submit;
mod unbuilt;
mod volumes;

pub use describe::job_ref;
pub use objection::objection;
pub use single::single;
pub use submission::needs;
pub use submit::{check_size, not_a_definition};

/// The log group and the first part of the log stream's name of a job's containers (spec jobs §1.4).
pub fn log_target(detail: &batchyard_model::batch::JobDetail) -> (String, String) {
    let single = single(detail);
    let options = single.as_ref().and_then(|s| s.container.log_configuration.as_ref());
    let options = options.and_then(|l| l.options.as_ref());
    let option = |name: &str| options.and_then(|o| o.get(name)).filter(|v| !v.is_empty()).cloned();
    let group = option("awslogs-group").unwrap_or_else(|| DEFAULT_GROUP.to_string());
    let definition = detail.job_definition.as_deref().unwrap_or_default();
    let name =
        definition.rsplit_once('/').map_or(definition, |(_, n)| n).split(':').next().unwrap_or_default();
    let limit = batchyard_model::limits::MAX_LOG_STREAM_PREFIX;
    let prefix = option("awslogs-stream-prefix").unwrap_or_else(|| name.chars().take(limit).collect());
    (group, prefix)
}

/// The public id of a job, as AWS writes it.
pub fn job_id(job: batchyard_engine::JobRef) -> batchyard_model::ids::JobId {
    use batchyard_model::ids::{JobId, Uuid};
    let whole = JobId::whole(Uuid::from_u128(u128::from_be_bytes(job.uuid.0)));
    job.index.map_or(whole, |index| whole.child(index))
}

/// The log group of jobs that name none.
pub const DEFAULT_GROUP: &str = "/aws/batch/job";

/// Whether output goes to a log stream: the log driver is `awslogs`, which it is when none is named.
pub fn has_stream(detail: &batchyard_model::batch::JobDetail) -> bool {
    let driver = single(detail).and_then(|s| s.container.log_configuration.as_ref()?.log_driver.clone());
    driver.is_none_or(|driver| driver == "awslogs")
}

/// The name of a container's log stream.
pub fn stream_name(prefix: &str, container: &str, task: &batchyard_engine::TaskId) -> String {
    format!("{prefix}/{container}/{task}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use batchyard_model::batch::{ContainerDetail, JobDetail, LogConfiguration};

    fn detail(definition: &str, options: &[(&str, &str)]) -> JobDetail {
        let options = options.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let log = LogConfiguration { options: Some(options), ..Default::default() };
        let container = ContainerDetail { log_configuration: Some(log), ..Default::default() };
        let arn = format!("arn:aws:batch:us-east-1:123456789012:job-definition/{definition}:7");
        JobDetail { job_definition: Some(arn), container: Some(container), ..Default::default() }
    }

    /// Spec jobs §1.4: the first 200 characters of the definition's name, unless a prefix is given.
    #[test]
    fn logs_go_where_the_definition_says() {
        let long = "d".repeat(250);
        assert_eq!(log_target(&detail(&long, &[])), (DEFAULT_GROUP.to_string(), "d".repeat(200)));
        let options = [("awslogs-group", "mine"), ("awslogs-stream-prefix", "p")];
        assert_eq!(log_target(&detail("d", &options)), ("mine".to_string(), "p".to_string()));
        let task = batchyard_engine::TaskId([0xab; 16]);
        assert_eq!(stream_name("p", "default", &task), format!("p/default/{}", "ab".repeat(16)));
    }
}
