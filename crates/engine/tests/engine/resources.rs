//! Compute environments, job queues, definitions (spec infrastructure §1, §3; jobs §6.1).

use crate::common::{World, words};
use batchyard_engine::change::Change;
use batchyard_engine::input::{Command, RefusalKind};
use batchyard_engine::resource::{ComputeEnvironment, JobQueue, Platform, State, Status};
use batchyard_engine::{ComputeEnvironmentId, DefinitionId, Engine, Input, QueueId, Reply};

fn world() -> World {
    World::new("h1 2x4096", "a 2, f 2 fargate", "q 1 a")
}

fn refusal(w: &mut World, command: Command) -> (RefusalKind, String) {
    let refusal = w.refused(command);
    assert!(w.silent());
    (refusal.kind, refusal.message)
}

fn disabled_queue(w: &mut World, name: &str) -> JobQueue {
    let mut row = w.queue(name);
    row.state = State::Disabled;
    w.done(Command::UpdateJobQueue(row));
    w.queue(name)
}

fn disabled_environment(w: &mut World, name: &str) -> ComputeEnvironment {
    let mut row = w.environment(name);
    row.state = State::Disabled;
    w.done(words::update(row));
    w.environment(name)
}

/// Spec infrastructure §1.2, §3.1: CREATING, then VALID with the healthy texts.
#[test]
fn new_resources_are_valid_in_the_next_turn() {
    let mut w = world();
    w.send(Command::CreateComputeEnvironment(words::environment("b 2")));
    assert_eq!((w.environment("b").status, w.asked().as_str()), (Status::Creating, "Wake 8000"));
    w.restart();
    assert_eq!(w.environment("b").status, Status::Valid);
    let (a, q) = (w.environment("a"), w.queue("q"));
    assert_eq!(
        (a.id, a.status, &*a.status_reason),
        (ComputeEnvironmentId(1), Status::Valid, "ComputeEnvironment Healthy")
    );
    assert_eq!((q.id, q.status, &*q.status_reason), (QueueId(1), Status::Valid, "JobQueue Healthy"));
}

/// Spec infrastructure §1.2: without its cluster an environment is INVALID, and no queue may get it (§3.1); once
/// disabled it is VALID, lest nobody could delete it (§1.8).
#[test]
fn an_invalid_environment() {
    let mut w = world();
    w.queue_of_a_cluster("k");
    let row = w.environment("k");
    let text = "CLIENT_ERROR - Unable to validate Kubernetes Namespace";
    assert_eq!((row.status, &*row.status_reason), (Status::Invalid, text));
    w.done(Command::CreateComputeEnvironment(words::environment("eks 4 eks")));
    let queue = w.queue_row("r 1 a eks");
    let (kind, text) = refusal(&mut w, Command::CreateJobQueue(queue));
    assert_eq!((kind, text.as_str()), (RefusalKind::WrongState, "Compute environment eks is not valid"));
    let queue = JobQueue { priority: 9, ..w.queue("k") };
    w.done(Command::UpdateJobQueue(queue));
    assert_eq!(w.queue("k").priority, 9, "a queue that has one already can still be changed");
    assert_eq!(disabled_environment(&mut w, "eks").status, Status::Valid);
}

/// Spec infrastructure §5.3: names are taken once.
#[test]
fn names_are_unique() {
    let mut w = world();
    let exists = (RefusalKind::Exists, "Object already exists".to_owned());
    assert_eq!(refusal(&mut w, Command::CreateComputeEnvironment(words::environment("a 9"))), exists);
    let queue = w.queue_row("q 3 a");
    assert_eq!(refusal(&mut w, Command::CreateJobQueue(queue)), exists);
}

/// Spec infrastructure §3.1: one kind of environment per queue.
#[test]
fn a_queue_has_one_kind_of_environment() {
    let mut w = world();
    let queue = w.queue_row("r 1 a f");
    let (kind, text) = refusal(&mut w, Command::CreateJobQueue(queue));
    assert_eq!(kind, RefusalKind::Impossible);
    assert!(text.contains("environment f is of another kind"), "{text}");
}

/// What was read before another change is read again.
#[test]
fn an_old_version_is_stale() {
    let mut w = world();
    let (a, q) = (w.environment("a"), w.queue("q"));
    assert_eq!(w.done(words::update(a.clone())), Reply::ComputeEnvironment(a.id));
    assert_eq!(w.done(Command::UpdateJobQueue(q.clone())), Reply::JobQueue(q.id));
    assert_eq!(w.environment("a").version, a.version + 2, "UPDATING, then VALID");
    assert_eq!(w.send(words::update(a)), Reply::Stale);
    assert_eq!(w.send(Command::UpdateJobQueue(q.clone())), Reply::Stale);
    let gone = JobQueue { environments: vec![ComputeEnvironmentId(99)], ..w.queue("q") };
    assert_eq!(w.send(Command::UpdateJobQueue(gone)), Reply::Stale);
    assert!(w.silent());
}

/// Spec infrastructure §1.8: DISABLED first, out of all queues, then gone; a second time is no error.
#[test]
fn deleting_an_environment() {
    let mut w = world();
    let id = w.environment("a").id;
    let delete = Command::DeleteComputeEnvironment(id);
    let text = "Cannot delete, compute environment must be in DISABLED state";
    assert_eq!(refusal(&mut w, delete.clone()), (RefusalKind::WrongState, text.to_owned()));
    disabled_environment(&mut w, "a");
    let text = "Cannot delete, found existing JobQueue relationship";
    assert_eq!(refusal(&mut w, delete.clone()), (RefusalKind::InUse, text.to_owned()));
    let q = disabled_queue(&mut w, "q");
    w.done(Command::DeleteJobQueue(q.id));
    assert_eq!(w.send(delete.clone()), Reply::Done);
    assert_eq!(w.changes, [Change::RemoveComputeEnvironment(id)]);
    assert_eq!(w.send(delete), Reply::Done);
    assert!(w.silent());
}

/// Spec infrastructure §1.8: DELETING while jobs run; ids and names are free for a new one, ids are not.
#[test]
fn an_environment_goes_with_its_last_job() {
    let mut w = world();
    w.done(Command::CreateComputeEnvironment(words::environment("b 2")));
    w.submit("q 1");
    let mut q = w.queue("q");
    q.environments = vec![w.environment("b").id];
    w.done(Command::UpdateJobQueue(q));
    let a = disabled_environment(&mut w, "a");
    w.done(Command::DeleteComputeEnvironment(a.id));
    assert_eq!(w.environment("a").status, Status::Deleting);
    let now = w.environment("a");
    let (_, text) = refusal(&mut w, words::update(now));
    assert_eq!(text, "Cannot update, resource is being modified.");
    w.restart();
    w.exits(1, 0);
    assert!(!w.store.environments.contains_key(&a.id));
    w.done(Command::CreateComputeEnvironment(words::environment("a 2")));
    assert!(w.environment("a").id > a.id);
}

/// A name that is freed and taken within one batch: the old row goes before the new one comes (the store checks).
#[test]
fn a_name_changes_hands_within_a_batch() {
    let mut w = world();
    let old = w.queue("q").id;
    disabled_queue(&mut w, "q");
    let queue = w.queue_row("q 3 a");
    w.engine.handle(Input::Command(Command::DeleteJobQueue(old)), w.now);
    assert_eq!(w.done(Command::CreateJobQueue(queue)), Reply::JobQueue(QueueId(2)));
    assert_eq!((w.changes.len(), w.queue("q").priority), (3, 3));
}

/// Spec infrastructure §1.7: another type is another environment.
#[test]
fn an_environment_keeps_its_type() {
    let mut w = world();
    let a = ComputeEnvironment { platform: Platform::Fargate, ..w.environment("a") };
    let (kind, text) = refusal(&mut w, words::update(a));
    assert_eq!(kind, RefusalKind::WrongState);
    assert!(text.contains("environment a cannot change its type"), "{text}");
}

/// Spec infrastructure §3.2, jobs §1.5: DISABLED first; what waits fails, what runs is stopped, then the row goes.
#[test]
fn deleting_a_queue_ends_its_jobs() {
    let mut w = world();
    w.submit("q 2, q 1, q 1");
    let id = w.queue("q").id;
    let text = "Cannot delete, job queue must be in DISABLED state";
    assert_eq!(refusal(&mut w, Command::DeleteJobQueue(id)), (RefusalKind::WrongState, text.to_owned()));
    disabled_queue(&mut w, "q");
    w.done(Command::DeleteJobQueue(id));
    assert_eq!([w.status(2), w.status(3)], ["FAILED (JobQueue deleted)", "FAILED (JobQueue deleted)"]);
    assert_eq!((w.asked().as_str(), w.queue("q").status), ("Stop 1 30", Status::Deleting));
    let job = w.job("q 1");
    let (kind, _) = refusal(&mut w, Command::Submit(Box::new(job)));
    assert_eq!(kind, RefusalKind::WrongState);
    w.exits(1, 0);
    assert_eq!((w.status(1).as_str(), w.store.queues.len()), ("FAILED (JobQueue deleted)", 0));
    assert_eq!(w.send(Command::DeleteJobQueue(id)), Reply::Done);
    assert!(w.silent());
}

/// Invariant 9: a long queue ends in turns, so that others are answered in between; also over a restart.
#[test]
fn a_long_queue_ends_in_turns() {
    let mut w = World::new("", "a 2", "q 1 a");
    let jobs = vec!["q 1"; 250].join(",");
    (0..14).for_each(|_| w.submit(&jobs));
    let id = disabled_queue(&mut w, "q").id;
    w.done(Command::DeleteJobQueue(id));
    assert_eq!((w.engine.counts().queued, w.asked().starts_with("Wake")), (2500, true));
    w.join("h1 8x4096");
    assert_eq!(
        (w.engine.counts().queued, w.placed().as_str()),
        (1500, ""),
        "nothing of it is placed any more"
    );
    w.restart();
    assert_eq!((w.engine.counts().queued, w.asked().starts_with("Wake")), (500, true));
    w.step();
    assert_eq!((w.engine.counts().queued, w.asked().as_str(), w.store.queues.len()), (0, "", 0));
}

/// Spec jobs §6.1: revisions count on per name and are never used twice; deregistering twice is once.
#[test]
fn revisions() {
    let mut w = world();
    assert_eq!(w.register("d"), Reply::JobDefinition(DefinitionId(2), 2));
    assert_eq!(w.register("e"), Reply::JobDefinition(DefinitionId(3), 1));
    w.done(Command::DeregisterJobDefinition(DefinitionId(2)));
    assert_eq!(w.changes, [Change::DeactivateJobDefinition(DefinitionId(2), w.now.wall_ms - 1000)]);
    w.done(Command::DeregisterJobDefinition(DefinitionId(2)));
    assert!(w.silent());
    w.restart();
    assert_eq!(w.register("d"), Reply::JobDefinition(DefinitionId(4), 3));
    let mut rows = w.store.open_rows();
    rows.job_definitions.reverse();
    w.engine = Engine::new(7, rows, w.now);
    assert_eq!(
        w.register("d"),
        Reply::JobDefinition(DefinitionId(5), 4),
        "in whatever order the rows are read"
    );
}

/// Spec jobs §2.5: what can't be submitted.
#[test]
fn refused_submissions() {
    let mut w = world();
    let job = w.job("q 1");
    let submit = |change: &dyn Fn(&mut batchyard_engine::input::Submission)| {
        let mut job = job.clone();
        change(&mut job);
        Command::Submit(Box::new(job))
    };
    let (kind, text) = refusal(&mut w, submit(&|job| job.platform = Platform::Fargate));
    let words = "Job Queue is attached to Compute Environment that can not run Jobs with capability FARGATE";
    assert_eq!((kind, text.as_str()), (RefusalKind::Impossible, words));
    assert_eq!(w.send(submit(&|job| job.queue = QueueId(9))), Reply::Stale);
    w.submit("q 1");
    let uuid = w.stop_request(1, "").job;
    assert_eq!(w.send(submit(&|job| job.uuid = uuid.uuid)), Reply::Stale, "an id that is taken");
    assert_eq!(w.send(submit(&|job| job.definition = DefinitionId(9))), Reply::Stale);
    w.done(Command::DeregisterJobDefinition(DefinitionId(1)));
    let (kind, text) = refusal(&mut w, submit(&|_| ()));
    assert_eq!((kind, text.as_str()), (RefusalKind::WrongState, "JobDefinition d:1 is not in ACTIVE status"));
    w.register("d");
    disabled_queue(&mut w, "q");
    let (kind, text) = refusal(&mut w, submit(&|job| job.definition = DefinitionId(2)));
    assert_eq!(kind, RefusalKind::WrongState);
    assert!(text.contains("JobQueue q is in DISABLED state"), "{text}");
}
