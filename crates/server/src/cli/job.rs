//! A job as an answer of the API shows it, read leniently: what is absent is absent, what is unknown stays unread.
//!
//! Serves both the summaries of ListJobs and the details of DescribeJobs. Never here: asking for them, printing them.

use serde_json::Value;

/// Where AWS puts logs when the definition says nothing (spec jobs §1.4).
const LOG_GROUP: &str = "/aws/batch/job";
/// The statusReason of a container that ended by itself (spec jobs §1.5).
const PLAIN_END: &str = "Essential container in task exited";

/// The states of a job, in the order of its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum State {
    /// Accepted.
    Submitted,
    /// Waits for other jobs.
    Pending,
    /// Waits for room.
    Runnable,
    /// Placed; its image is fetched, its container made.
    Starting,
    /// Its container runs.
    Running,
    /// Ended with exit code 0.
    Succeeded,
    /// Ended otherwise.
    Failed,
}

impl State {
    /// The states of jobs that have not ended.
    pub const OPEN: [Self; 5] =
        [Self::Submitted, Self::Pending, Self::Runnable, Self::Starting, Self::Running];
    /// The states of jobs that no host has been given yet.
    pub const WAITING: [Self; 3] = [Self::Submitted, Self::Pending, Self::Runnable];
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Submitted,
        Self::Pending,
        Self::Runnable,
        Self::Starting,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
    ];

    /// AWS's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Pending => "PENDING",
            Self::Runnable => "RUNNABLE",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
        }
    }

    /// SUCCEEDED or FAILED.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// A job; cheap to read from, holds the answer as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    raw: Value,
    queue: Option<String>,
}

impl Job {
    /// From an entry of `jobs` or `jobSummaryList`.
    pub fn new(raw: Value) -> Self {
        Self { raw, queue: None }
    }

    /// With the queue that was asked for, since summaries do not name it.
    pub fn in_queue(mut self, queue: &str) -> Self {
        self.queue = Some(last_part(queue).to_string());
        self
    }

    /// The answer's own text.
    pub fn raw(&self) -> &Value {
        &self.raw
    }

    /// A string at a JSON pointer. `/container/…` is also found in the task of a job of `ecsProperties`.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        member(&self.raw, pointer)?.as_str()
    }

    /// A number at a JSON pointer. Some servers write whole numbers with a point; that is taken too.
    pub fn number(&self, pointer: &str) -> Option<i64> {
        number(member(&self.raw, pointer)?)
    }

    /// The entries of a list at a JSON pointer; none when it is absent.
    pub fn list(&self, pointer: &str) -> &[Value] {
        member(&self.raw, pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Job id.
    pub fn id(&self) -> &str {
        self.text("/jobId").unwrap_or_default()
    }

    /// Job name.
    pub fn name(&self) -> &str {
        self.text("/jobName").unwrap_or_default()
    }

    /// Name of its queue.
    pub fn queue(&self) -> &str {
        self.queue.as_deref().unwrap_or_else(|| last_part(self.text("/jobQueue").unwrap_or_default()))
    }

    /// The state as the endpoint writes it, also when it is one that this program does not know.
    pub fn status(&self) -> &str {
        self.text("/status").unwrap_or("UNKNOWN")
    }

    /// The state, when this program knows it.
    pub fn state(&self) -> Option<State> {
        State::ALL.into_iter().find(|s| s.name() == self.status())
    }

    /// SUCCEEDED or FAILED.
    pub fn has_ended(&self) -> bool {
        self.state().is_some_and(State::has_ended)
    }

    /// statusReason.
    pub fn reason(&self) -> Option<&str> {
        self.text("/statusReason").filter(|r| !r.is_empty())
    }

    /// The container's own reason, such as the out-of-memory text.
    pub fn container_reason(&self) -> Option<&str> {
        self.text("/container/reason").filter(|r| !r.is_empty())
    }

    /// Milliseconds since the epoch.
    pub fn created(&self) -> Option<i64> {
        self.number("/createdAt")
    }

    /// Milliseconds since the epoch. Zero counts as absent.
    pub fn started(&self) -> Option<i64> {
        self.number("/startedAt").filter(|t| *t > 0)
    }

    /// Milliseconds since the epoch. Zero counts as absent.
    pub fn stopped(&self) -> Option<i64> {
        self.number("/stoppedAt").filter(|t| *t > 0)
    }

    /// Exit code of the container; absent when no process ever ran. Of an open job it is a former attempt's, so absent.
    pub fn exit_code(&self) -> Option<i64> {
        if self.has_ended() { self.number("/container/exitCode") } else { None }
    }

    /// The code that a command ends with on behalf of this ended job: the job's own, and never 0 for a failed one.
    pub fn process_code(&self) -> u8 {
        match self.state() {
            Some(State::Succeeded) => 0,
            _ => self.exit_code().and_then(|c| u8::try_from(c & 0xff).ok()).filter(|c| *c != 0).unwrap_or(1),
        }
    }

    /// What there is to say about a failure beyond its exit code. Nothing for a container that ended by itself.
    pub fn failure(&self) -> Option<String> {
        if self.state() != Some(State::Failed) {
            return None;
        }
        match (self.reason(), self.container_reason()) {
            (Some(PLAIN_END) | None, None) if self.exit_code().is_some_and(|c| c != 0) => None,
            (Some(PLAIN_END), None) => Some("the container ended with code 0, and yet the job failed".into()),
            (Some(reason), Some(detail)) if reason != PLAIN_END => Some(format!("{reason}: {detail}")),
            (_, Some(detail)) => Some(detail.to_string()),
            (Some(reason), None) => Some(reason.to_string()),
            (None, None) => Some("no reason was given".into()),
        }
    }

    /// The log driver, where that is not the one that makes log streams.
    pub fn other_log_driver(&self) -> Option<&str> {
        self.text("/container/logConfiguration/logDriver").filter(|driver| *driver != "awslogs")
    }

    /// Group and stream of each attempt's log in order, the running attempt's last.
    pub fn streams(&self) -> Vec<(String, String)> {
        let group =
            self.text("/container/logConfiguration/options/awslogs-group").unwrap_or(LOG_GROUP).to_string();
        let mut names: Vec<&str> = Vec::new();
        for holder in self.list("/attempts").iter().chain([&self.raw]) {
            for name in stream_names(holder) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names.into_iter().map(|name| (group.clone(), name.to_string())).collect()
    }

    /// Streams of one attempt, counted from 1; the one after the ended ones is the running one.
    pub fn attempt_streams(&self, attempt: usize) -> Vec<(String, String)> {
        let ended = self.list("/attempts");
        let names = match ended.get(attempt.wrapping_sub(1)) {
            Some(holder) => stream_names(holder),
            None if attempt == ended.len() + 1 => {
                let former: Vec<&str> = ended.iter().flat_map(stream_names).collect();
                stream_names(&self.raw).into_iter().filter(|n| !former.contains(n)).collect()
            }
            None => Vec::new(),
        };
        self.streams().into_iter().filter(|(_, name)| names.contains(&name.as_str())).collect()
    }
}

/// What a job or an attempt holds at a JSON pointer. Where it has a task in place of its one container, `/container/…` is
/// that of the first container that failed, or of the first there is, or else the task's own.
pub fn member<'a>(holder: &'a Value, pointer: &str) -> Option<&'a Value> {
    let of_task = || {
        let part = pointer.strip_prefix("/container")?;
        let task = tasks(holder)?.get(0)?;
        let containers = task.get("containers")?.as_array()?;
        let failed = |c: &&Value| c.get("exitCode").and_then(number).is_some_and(|code| code != 0);
        let container = containers.iter().find(failed).or(containers.first())?;
        container.pointer(part).or_else(|| task.pointer(part))
    };
    holder.pointer(pointer).or_else(of_task)
}

fn tasks(holder: &Value) -> Option<&Value> {
    holder.get("taskProperties").or_else(|| holder.pointer("/ecsProperties/taskProperties"))
}

/// Streams of an attempt or of the job itself: its single container's, or those of a task's containers.
fn stream_names(holder: &Value) -> Vec<&str> {
    let single = holder.pointer("/container/logStreamName");
    let of_tasks = tasks(holder).and_then(|t| t.pointer("/0/containers")).and_then(Value::as_array);
    single
        .into_iter()
        .chain(of_tasks.into_iter().flatten().filter_map(|c| c.get("logStreamName")))
        .filter_map(Value::as_str)
        .filter(|s| !s.is_empty())
        .collect()
}

/// A whole number, also when it is written with a point.
pub fn number(value: &Value) -> Option<i64> {
    #[allow(clippy::cast_possible_truncation)] // millisecond stamps and exit codes are far below 2^53
    value.as_i64().or_else(|| value.as_f64().map(|f| f as i64))
}

/// The name at the end of an ARN, or the name itself.
pub fn last_part(arn_or_name: &str) -> &str {
    if arn_or_name.starts_with("arn:") {
        arn_or_name.rsplit('/').next().unwrap_or_default()
    } else {
        arn_or_name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn failed(reason: Option<&str>, container: Value) -> Job {
        Job::new(json!({"status": "FAILED", "statusReason": reason, "container": container}))
    }

    #[test]
    fn a_task_is_read_like_the_one_container_that_decides() {
        let good = json!({"name": "a", "exitCode": 0, "image": "x"});
        let bad = json!({"name": "b", "exitCode": 4, "reason": "because", "image": "y"});
        let task = json!({"containers": [good, bad], "volumes": [{"name": "v"}]});
        let job = Job::new(json!({"status": "FAILED", "ecsProperties": {"taskProperties": [task]}}));
        assert_eq!((job.process_code(), job.container_reason()), (4, Some("because")));
        assert_eq!((job.text("/container/image"), job.list("/container/volumes").len()), (Some("y"), 1));
        let attempt = json!({"taskProperties": [{"containers": [{"exitCode": 0}]}]});
        assert_eq!(member(&attempt, "/container/exitCode"), Some(&json!(0)));
    }

    #[test]
    fn the_process_code_is_the_jobs_and_never_0_for_a_failure() {
        assert_eq!(failed(None, json!({"exitCode": 7})).process_code(), 7);
        assert_eq!(failed(None, json!({"exitCode": 0})).process_code(), 1);
        assert_eq!(failed(None, json!({"exitCode": 256})).process_code(), 1);
        assert_eq!(failed(None, json!({})).process_code(), 1);
        assert_eq!(Job::new(json!({"status": "SUCCEEDED"})).process_code(), 0);
    }

    #[test]
    fn only_a_plain_end_needs_no_words() {
        assert_eq!(failed(Some(PLAIN_END), json!({"exitCode": 3})).failure(), None);
        let oom = json!({"exitCode": 137, "reason": "OutOfMemoryError: killed"});
        assert_eq!(failed(Some(PLAIN_END), oom).failure().unwrap(), "OutOfMemoryError: killed");
        let start = json!({"reason": "CannotPullContainerError: x"});
        assert_eq!(
            failed(Some("Task failed to start"), start).failure().unwrap(),
            "Task failed to start: CannotPullContainerError: x"
        );
        assert!(failed(Some(PLAIN_END), json!({"exitCode": 0})).failure().is_some());
        assert!(failed(None, json!({})).failure().is_some());
    }

    #[test]
    fn streams_of_attempts_come_first_and_once() {
        let job = Job::new(json!({
            "status": "RUNNING",
            "container": {"logStreamName": "c", "logConfiguration": {"options": {"awslogs-group": "/mine"}}},
            "attempts": [{"container": {"logStreamName": "a"}}, {"container": {"logStreamName": "b"}}],
        }));
        let names: Vec<_> = job.streams().into_iter().map(|s| s.1).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(job.streams()[0].0, "/mine");
        assert_eq!(job.attempt_streams(1), [("/mine".to_string(), "a".to_string())]);
        assert_eq!(job.attempt_streams(3), [("/mine".to_string(), "c".to_string())]);
        assert!(job.attempt_streams(0).is_empty() && job.attempt_streams(4).is_empty());
    }

    #[test]
    fn an_exit_code_of_a_former_attempt_is_not_shown_while_the_job_is_open() {
        let job = Job::new(json!({"status": "RUNNABLE", "container": {"exitCode": 3}}));
        assert_eq!(job.exit_code(), None);
    }

    #[test]
    fn numbers_with_a_point_are_read() {
        assert_eq!(Job::new(json!({"createdAt": 1700000000123.0})).created(), Some(1_700_000_000_123));
    }
}
