//! What is committed is read back as it was; what is not ours or not whole is refused.

use super::{DefinitionQuery, Store, StoreError, schema};
use super::{TagChange, TagOwner, Write, Written};
use batchyard_engine::JobStatus;
use batchyard_engine::change::{AttemptRow, Change, ContainerResult, JobFacts, JobHot, JobRow};
use batchyard_engine::ids::{ComputeEnvironmentId, DefinitionId, HostId, JobId, JobUuid, QueueId, TaskId};
use batchyard_engine::job::retry::{RetryRule, RetryStrategy};
use batchyard_engine::resource::{
    ComputeEnvironment, JobDefinition, JobQueue, LimitCause, Needs, Platform, State, Status, TimeLimit,
};
use std::path::{Path, PathBuf};

/// A folder that is gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("batchyard-store-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn environment() -> ComputeEnvironment {
    ComputeEnvironment {
        id: ComputeEnvironmentId(1),
        name: "ce".into(),
        state: State::Enabled,
        status: Status::Valid,
        status_reason: "ComputeEnvironment Healthy".into(),
        platform: Platform::Fargate,
        managed: true,
        max_vcpus_milli: Some(16_000),
        version: 3,
        body: "{}".into(),
    }
}

fn queue() -> JobQueue {
    JobQueue {
        id: QueueId(1),
        name: "q".into(),
        state: State::Disabled,
        status: Status::Updating,
        status_reason: "JobQueue Healthy".into(),
        priority: 7,
        environments: vec![ComputeEnvironmentId(1)],
        policy: None,
        time_limits: vec![TimeLimit { cause: LimitCause::Capacity, max_s: 600 }],
        version: 1,
        body: "{}".into(),
    }
}

fn definition(revision: u32) -> JobDefinition {
    JobDefinition {
        id: DefinitionId(i64::from(revision)),
        name: "d".into(),
        revision,
        active: true,
        created_ms: 5,
        deregistered_ms: None,
        body: "{\"type\":\"container\"}".into(),
    }
}

fn facts() -> JobFacts {
    let rule = RetryRule {
        retry: true,
        on_status_reason: Some("Host EC2*".into()),
        on_reason: None,
        on_exit_code: None,
    };
    JobFacts {
        platform: Platform::Ec2,
        needs: Needs { vcpus_milli: 250, memory_mib: 64, gpus: 2 },
        retry: RetryStrategy { attempts: 3, rules: [rule].into() },
        timeout_s: Some(60),
        share: Some("s".into()),
        priority: 5,
    }
}

fn job(id: i64) -> JobRow {
    JobRow {
        uuid: JobUuid([u8::try_from(id).unwrap(); 16]),
        name: "j".into(),
        queue: QueueId(1),
        definition: DefinitionId(1),
        account: "123456789012".into(),
        submitter: "arn".into(),
        created_ms: 100 + id,
        facts: facts(),
        depends_on: [JobUuid([9; 16]).into()].into(),
        array: None,
        body: "{\"tags\":{}}".into(),
    }
}

fn hot(id: i64, status: JobStatus) -> JobHot {
    JobHot {
        id: JobId(id),
        status,
        status_reason: Some("because".into()),
        attempts: u32::from(status >= JobStatus::Starting),
        started_ms: None,
        stopped_ms: None,
        cancelled: false,
        terminated: None,
    }
}

fn attempt(id: i64) -> AttemptRow {
    AttemptRow {
        job: JobId(id),
        attempt: 1,
        task: TaskId([9; 16]),
        environment: ComputeEnvironmentId(1),
        host: HostId(1),
        placed_ms: 1,
        address: Some([10, 213, 0, 7].into()),
        started_ms: None,
        stopped_ms: None,
        status_reason: None,
        containers: Vec::new(),
    }
}

#[test]
fn open_rows_come_back_as_they_were_committed() {
    let folder = Folder::new();
    let changes = [
        Change::PutComputeEnvironment(environment()),
        Change::PutJobQueue(queue()),
        Change::InsertJobDefinition(definition(1)),
        Change::InsertJob(Box::new(job(1)), hot(1, JobStatus::Runnable)),
        Change::InsertJob(Box::new(job(2)), hot(2, JobStatus::Starting)),
        Change::InsertJob(Box::new(job(3)), hot(3, JobStatus::Runnable)),
        Change::PutAttempt(attempt(2)),
        Change::UpdateJob(hot(3, JobStatus::Failed)),
    ];
    Store::open(folder.path()).unwrap().1.commit(&changes, &[], &[]).unwrap();
    let rows = Store::open(folder.path()).unwrap().1.open_rows().unwrap();
    assert_eq!(rows.compute_environments, [environment()]);
    assert_eq!(rows.job_queues, [queue()]);
    assert_eq!(rows.job_definitions.len(), 1);
    assert_eq!(rows.jobs.iter().map(|j| j.id().0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(rows.jobs[1].hot, hot(2, JobStatus::Starting));
    assert_eq!(rows.jobs[1].facts, facts());
    assert_eq!(*rows.jobs[1].depends_on, [JobUuid([9; 16]).into()]);
    assert_eq!(rows.attempts, [attempt(2)]);
    assert_eq!(rows.last_ids.job, 3);
}

#[test]
fn a_job_comes_with_its_attempts() {
    let folder = Folder::new();
    let (store, mut writer) = Store::open(folder.path()).unwrap();
    let mut changes = vec![Change::PutJobQueue(queue()), Change::InsertJobDefinition(definition(1))];
    changes.extend((1..=5).map(|i| Change::InsertJob(Box::new(job(i)), hot(i, JobStatus::Runnable))));
    writer.commit(&changes, &[], &[]).unwrap();
    let reader = store.reader().unwrap();
    let ended = AttemptRow {
        stopped_ms: Some(2),
        containers: vec![ContainerResult {
            name: "default".into(),
            exit_code: Some(3),
            reason: Some("r".into()),
        }],
        ..attempt(4)
    };
    writer
        .commit(&[Change::UpdateJob(hot(4, JobStatus::Failed)), Change::PutAttempt(ended.clone())], &[], &[])
        .unwrap();
    let record = reader.job(job(4).uuid.into()).unwrap().unwrap();
    assert_eq!((record.hot.status, &record.attempts[..]), (JobStatus::Failed, &[ended][..]));
    assert!(reader.job(JobUuid([77; 16]).into()).unwrap().is_none());
}

#[test]
fn a_removed_name_is_free_and_still_known_by_id() {
    let folder = Folder::new();
    let (store, mut writer) = Store::open(folder.path()).unwrap();
    let again = ComputeEnvironment { id: ComputeEnvironmentId(2), ..environment() };
    let removed = Change::RemoveComputeEnvironment(ComputeEnvironmentId(1));
    writer
        .commit(
            &[Change::PutComputeEnvironment(environment()), removed, Change::PutComputeEnvironment(again)],
            &[],
            &[],
        )
        .unwrap();
    let reader = store.reader().unwrap();
    assert_eq!(reader.compute_environment("ce").unwrap().unwrap().id.0, 2);
    assert_eq!(reader.any_compute_environment(ComputeEnvironmentId(1)).unwrap().unwrap().name, "ce".into());
    assert_eq!(reader.compute_environments(0, 10).unwrap().len(), 1);
}

#[test]
fn definitions_are_found_by_name_revision_and_state() {
    let folder = Folder::new();
    let (store, mut writer) = Store::open(folder.path()).unwrap();
    let off = Change::DeactivateJobDefinition(DefinitionId(2), 9);
    writer
        .commit(
            &[Change::InsertJobDefinition(definition(1)), Change::InsertJobDefinition(definition(2)), off],
            &[],
            &[],
        )
        .unwrap();
    let reader = store.reader().unwrap();
    assert_eq!(reader.latest_job_definition("d").unwrap().unwrap().revision, 1);
    assert_eq!(reader.job_definition("d", 2).unwrap().unwrap().deregistered_ms, Some(9));
    let query = |active| DefinitionQuery { name: Some("d".into()), active, after: 0, limit: 10 };
    assert_eq!(reader.job_definitions(&query(None)).unwrap().len(), 2);
    assert_eq!(reader.job_definitions(&query(Some(false))).unwrap().len(), 1);
}

#[test]
fn files_that_are_not_ours_newer_or_damaged_are_refused() {
    let folder = Folder::new();
    let path = folder.path().join(super::FILE);
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE other (a)").unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::NotOurs)));
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(folder.path().join("attempts")).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Gone)));
    std::fs::remove_dir(folder.path().join("attempts")).unwrap();
    drop(Store::open(folder.path()).unwrap());
    rusqlite::Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", schema::VERSION + 1)
        .unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Newer { .. })));
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", schema::VERSION).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[4096..half].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    assert!(Store::open(folder.path()).is_err());
}

/// The transaction judges: tags count on from those it was made with, and never beyond their number.
#[test]
fn tags_are_changed_in_the_transaction() {
    let folder = Folder::new();
    let (store, mut writer) = Store::open(folder.path()).unwrap();
    let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let mut change = TagChange {
        owner: TagOwner::JobQueue,
        id: 7,
        made_with: map(&[("a", "1"), ("b", "1")]),
        set: map(&[("b", "2"), ("c", "2")]),
        remove: vec!["a".to_string(), "never".to_string()],
    };
    assert_eq!(writer.commit(&[], &[], &[Write::Tags(change.clone())]).unwrap(), [Written::Done]);
    let now = map(&[("b", "2"), ("c", "2")]);
    assert_eq!(store.reader().unwrap().tags(TagOwner::JobQueue, 7).unwrap(), Some(now));
    assert_eq!(store.reader().unwrap().tags(TagOwner::Job, 7).unwrap(), None);
    change.set = (0..49).map(|n| (format!("k{n}"), String::new())).collect();
    assert_eq!(writer.commit(&[], &[], &[Write::Tags(change.clone())]).unwrap(), [Written::TooManyTags(51)]);
    change.set.pop_last();
    assert_eq!(writer.commit(&[], &[], &[Write::Tags(change)]).unwrap(), [Written::Done]);
}
