//! Scheduling policies (spec infrastructure §4.1), the queues that have them, and updates that take hosts away (§1.7).

use crate::common::world::attempts;
use crate::common::{World, words};
use batchyard_engine::input::{Command, EnvironmentUpdate, Submission, Why};
use batchyard_engine::resource::{FairShare, JobQueue, PolicyKind, SchedulingPolicy};
use batchyard_engine::{PolicyId, Reply};

pub fn policy(name: &str, kind: PolicyKind) -> SchedulingPolicy {
    let fair_share = (kind == PolicyKind::FairShare).then(FairShare::default);
    SchedulingPolicy { id: PolicyId(0), name: name.into(), kind, fair_share, version: 0, body: "{}".into() }
}

fn world() -> World {
    let mut w = World::new("h1 2x4096", "a 2", "fifo 1 a");
    w.done(Command::CreateSchedulingPolicy(policy("p", PolicyKind::FairShare)));
    let queue = JobQueue { policy: Some(PolicyId(1)), ..w.queue_row("shared 1 a") };
    w.done(Command::CreateJobQueue(queue));
    w
}

#[test]
fn a_policy_stays_while_a_queue_has_it() {
    let mut w = world();
    let taken = w.refused(Command::CreateSchedulingPolicy(policy("p", PolicyKind::FairShare)));
    assert_eq!(taken.message, "Object already exists");
    let used = w.refused(Command::DeleteSchedulingPolicy(PolicyId(1)));
    assert_eq!(used.message, "Cannot delete, scheduling policy p is used by job queue shared");
    w.done(Command::CreateSchedulingPolicy(policy("p2", PolicyKind::FairShare)));
    let replaced = JobQueue { policy: Some(PolicyId(2)), ..w.queue("shared") };
    w.done(Command::UpdateJobQueue(replaced));
    w.restart();
    w.done(Command::DeleteSchedulingPolicy(PolicyId(1)));
    assert_eq!(w.send(Command::DeleteSchedulingPolicy(PolicyId(1))), Reply::Done);
    w.done(Command::CreateSchedulingPolicy(policy("p", PolicyKind::QuotaShare)));
    assert!(w.store.policies.contains_key(&PolicyId(3)), "ids are not used twice");
}

#[test]
fn a_policy_keeps_its_kind_and_a_queue_its_kind_of_policy() {
    let mut w = world();
    let row = w.store.policies[&PolicyId(1)].clone();
    let other = SchedulingPolicy { kind: PolicyKind::QuotaShare, ..row.clone() };
    assert!(w.refused(Command::UpdateSchedulingPolicy(other)).message.contains("cannot change its kind"));
    let changed = SchedulingPolicy { body: "{\"x\":1}".into(), ..row.clone() };
    w.done(Command::UpdateSchedulingPolicy(changed));
    assert_eq!(w.send(Command::UpdateSchedulingPolicy(row)), Reply::Stale);

    w.done(Command::CreateSchedulingPolicy(policy("quota", PolicyKind::QuotaShare)));
    for (name, policy, words) in [
        ("fifo", Some(PolicyId(1)), "can't get one"),
        ("shared", None, "can't be removed"),
        ("shared", Some(PolicyId(2)), "same kind"),
    ] {
        let queue = JobQueue { policy, ..w.queue(name) };
        let refusal = w.refused(Command::UpdateJobQueue(queue));
        assert!(refusal.message.contains(words), "{}", refusal.message);
    }
    let gone = JobQueue { policy: Some(PolicyId(9)), ..w.queue("shared") };
    assert_eq!(w.send(Command::UpdateJobQueue(gone)), Reply::Stale);
}

/// Spec jobs §2.5.
#[test]
fn a_share_is_named_exactly_where_a_policy_divides_by_it() {
    let mut w = world();
    let bare = w.job("shared 1");
    assert_eq!(w.refused(Command::Submit(Box::new(bare))).message, "shareIdentifier must be specified.");
    let named = Submission { share: Some("s".into()), ..w.job("shared 1") };
    w.done(Command::Submit(Box::new(named)));
    for job in [
        Submission { share: Some("s".into()), ..w.job("fifo 1") },
        Submission { overrides_priority: true, ..w.job("fifo 1") },
    ] {
        let refusal = w.refused(Command::Submit(Box::new(job)));
        assert!(refusal.message.starts_with("Job with shareIdentifier or schedulingPriority can onlybe"));
    }
}

/// Spec jobs §2.4: accepted, and FAILED without an attempt.
#[test]
fn a_job_that_fails_after_its_answer() {
    let mut w = world();
    let job = Submission { fails: Some("too many tags".into()), ..w.job("fifo 1") };
    assert!(matches!(w.done(Command::Submit(Box::new(job))), Reply::Job(_)));
    assert_eq!((w.status(1).as_str(), w.placed().as_str()), ("FAILED (too many tags)", ""));
}

/// Spec infrastructure §1.7, terminateJobsOnUpdate: jobs are killed at once and retried by their own rules.
#[test]
fn an_update_that_ends_jobs_is_a_host_that_went_away() {
    let mut w = world();
    w.submit_with("fifo 1", attempts(2));
    w.started(1);
    let update = |w: &World| EnvironmentUpdate { row: w.environment("a"), end_jobs: true };
    let first = update(&w);
    w.done(Command::UpdateComputeEnvironment(first));
    assert_eq!(w.asked(), "Stop 1 30");
    let again = update(&w);
    w.done(Command::UpdateComputeEnvironment(again));
    assert_eq!(w.asked(), "", "asked once");
    w.restart();
    assert_eq!(w.engine.resume().len(), 2, "started, if it was not, and stopped");
    w.ends(1, Why::Stopped, Some(137));
    assert_eq!((w.status(1).as_str(), w.attempt(1).attempt), ("STARTING", 2));
    let first = w.store.attempts.values().next().and_then(|row| row.status_reason.clone());
    assert_eq!(
        first.as_deref(),
        Some(&*format!("Host EC2 (instance {}) terminated.", words::host("h1 1x1").0.instance_id))
    );
}
