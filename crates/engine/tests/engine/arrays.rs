//! Array jobs and the dependencies of their children (spec jobs §3, §4, §8).

use crate::common::World;
use crate::common::world::attempts;
use batchyard_engine::change::Change;
use batchyard_engine::input::{ArraySpec, Command, Dependency, Found, StopRequest, Submission};
use batchyard_engine::{JobId, JobRef, JobStatus, QueueId, Reply};

const DEPENDENT_FAILED: &str = "Dependent Job failed";

fn world() -> World {
    World::new("h1 4x4096", "a 4", "q 1 a")
}

fn array(w: &mut World, text: &str, size: u32, sequential: bool, depends_on: Vec<Dependency>) -> Reply {
    let array = Some(ArraySpec { size, sequential });
    let job = Submission { array, depends_on, ..w.job(text) };
    w.send(Command::Submit(Box::new(job)))
}

fn plain(w: &mut World, size: u32) {
    assert!(matches!(array(w, "q 1", size, false, vec![]), Reply::Job(_)));
}

/// All of a job, as the rows have it now.
fn on(w: &World, job: i64, index: Option<u32>) -> Dependency {
    let (row, hot) = &w.store.jobs[&JobId(job)];
    let found = match hot.status {
        JobStatus::Succeeded => Found::Succeeded,
        JobStatus::Failed => Found::Failed,
        _ => Found::Open,
    };
    Dependency { job: JobRef { uuid: row.uuid, index }, each: None, found }
}

/// N_TO_N on an array.
fn each(w: &World, job: i64) -> Dependency {
    let children = w.store.children_of(JobId(job)).into_iter().zip(0..);
    let failed = children.filter(|((status, _), _)| *status == JobStatus::Failed);
    Dependency { each: Some(failed.map(|(_, index)| (index, index)).collect()), ..on(w, job, None) }
}

/// `RUNNING PENDING …`: how the children stand.
fn children(w: &World, job: i64) -> String {
    let children = w.store.children_of(JobId(job));
    children.iter().map(|(status, _)| status.name()).collect::<Vec<_>>().join(" ")
}

/// The row of a child.
fn child(w: &World, job: i64, index: u32) -> i64 {
    w.store.children[&(JobId(job), index)].0
}

fn exits(w: &mut World, job: i64, index: u32, code: i32) {
    w.exits(child(w, job, index), code);
}

fn stop(w: &World, job: i64, index: u32, reason: &str) -> StopRequest {
    StopRequest { job: JobRef { index: Some(index), ..w.stop_request(job, "").job }, reason: reason.into() }
}

/// §4: the parent is PENDING until the last child has ended, and SUCCEEDED when all have.
#[test]
fn children_run_and_the_parent_ends_with_the_last() {
    let mut w = world();
    plain(&mut w, 5);
    assert_eq!(children(&w, 1), "STARTING STARTING STARTING STARTING RUNNABLE");
    assert_eq!(
        (w.status(1).as_str(), w.store.summaries[&JobId(1)].counts),
        ("PENDING", [0, 0, 1, 4, 0, 0, 0])
    );
    w.started(child(&w, 1, 2));
    for index in 0..5 {
        exits(&mut w, 1, index, 0);
    }
    assert_eq!((w.status(1).as_str(), w.store.summaries[&JobId(1)].counts[5]), ("SUCCEEDED", 5));
}

/// §4: one failed child stops no other; the parent is FAILED at the end, in AWS's words.
#[test]
fn a_failed_child_fails_the_parent_at_the_end() {
    let mut w = world();
    plain(&mut w, 3);
    exits(&mut w, 1, 0, 1);
    assert_eq!((w.status(1).as_str(), children(&w, 1).as_str()), ("PENDING", "FAILED STARTING STARTING"));
    exits(&mut w, 1, 1, 0);
    exits(&mut w, 1, 2, 0);
    assert_eq!(w.status(1), "FAILED (Array Child Job failed)");
}

/// §4, §7: a child has attempts of its own; a retry goes to the front of its queue.
#[test]
fn each_child_is_tried_again_by_itself() {
    let mut w = World::new("h1 1x4096", "a 1", "q 1 a");
    let job = Submission {
        retry: attempts(2),
        array: Some(ArraySpec { size: 3, sequential: false }),
        ..w.job("q 1")
    };
    w.send(Command::Submit(Box::new(job)));
    exits(&mut w, 1, 0, 1);
    assert_eq!(
        (children(&w, 1).as_str(), w.attempt(child(&w, 1, 0)).attempt),
        ("STARTING RUNNABLE RUNNABLE", 2)
    );
    exits(&mut w, 1, 0, 0);
    assert_eq!(children(&w, 1), "SUCCEEDED STARTING RUNNABLE");
}

/// Decision 0002: waiting children cost forty rows per ten thousand; a child gets one when it is the head.
#[test]
fn waiting_children_have_no_rows() {
    let mut w = world();
    w.submit("q 4");
    plain(&mut w, 10_000);
    assert_eq!(w.changes.len(), 43, "the parent, its summary, its first child and forty segments");
}

/// §8: cancel of the parent ends all that wait, terminate what runs, too; the parent in the caller's words.
#[test]
fn cancel_and_terminate_of_the_parent() {
    let mut w = world();
    plain(&mut w, 600);
    w.cancel(1, "not needed");
    let segments = w.changes.iter().filter(|change| matches!(change, Change::PutSegment(_))).count();
    assert_eq!((segments, w.store.summaries[&JobId(1)].counts), (3, [0, 0, 0, 4, 0, 0, 596]));
    assert_eq!(w.status(1), "PENDING (not needed)");
    w.cancel(1, "not needed");
    assert!(w.silent(), "nothing more to cancel");
    w.terminate(1, "enough");
    assert_eq!(w.asked().matches("Stop").count(), 4);
    for index in 0..4 {
        exits(&mut w, 1, index, 143);
    }
    assert_eq!(w.status(1), "FAILED (enough)");
    assert_eq!(w.store.children_of(JobId(1))[7].1.as_deref(), Some("not needed"));
}

/// §4, §8: a child alone, waiting or running; the parent fails in the end.
#[test]
fn cancel_and_terminate_of_a_child() {
    let mut w = world();
    plain(&mut w, 7);
    for request in [stop(&w, 1, 5, "that one"), stop(&w, 1, 0, "no effect"), stop(&w, 1, 99, "nobody")] {
        assert_eq!(w.send(Command::Cancel(request)), Reply::Done);
    }
    assert_eq!(w.store.children_of(JobId(1))[5], (JobStatus::Failed, Some("that one".into())));
    let (waiting, runs) = (stop(&w, 1, 6, "both"), stop(&w, 1, 1, "both"));
    w.send(Command::Terminate(waiting));
    w.send(Command::Terminate(runs));
    assert_eq!(w.asked(), format!("Stop {} 30", child(&w, 1, 1)));
    exits(&mut w, 1, 1, 143);
    for index in [0, 2, 3, 4] {
        exits(&mut w, 1, index, 0);
    }
    assert_eq!(
        (w.status(1).as_str(), w.store.summaries[&JobId(1)].counts[6]),
        ("FAILED (Array Child Job failed)", 3)
    );
}

/// §3: the whole array waits, its children with it; they are freed together.
#[test]
fn an_array_waits_for_other_jobs() {
    let mut w = world();
    w.submit("q 4");
    let after = on(&w, 1, None);
    array(&mut w, "q 1", 3, false, vec![after]);
    assert_eq!(children(&w, 2), "PENDING PENDING PENDING");
    assert_eq!(w.status(2), "PENDING (waits for the jobs that it depends on)");
    w.exits(1, 0);
    assert_eq!((children(&w, 2).as_str(), w.status(2).as_str()), ("STARTING STARTING STARTING", "PENDING"));
}

/// §3: a failed dependency fails children and parent in one step.
#[test]
fn an_array_fails_with_what_it_waits_for() {
    let mut w = world();
    w.submit("q 4");
    let after = on(&w, 1, None);
    array(&mut w, "q 1", 3, false, vec![after.clone()]);
    w.exits(1, 1);
    assert_eq!(
        (children(&w, 2).as_str(), w.status(2)),
        ("FAILED FAILED FAILED", format!("FAILED ({DEPENDENT_FAILED})"))
    );
    let after = on(&w, 1, None);
    array(&mut w, "q 1", 2, false, vec![after]);
    assert_eq!(w.status(3), format!("FAILED ({DEPENDENT_FAILED})"));
}

/// §3: others wait for a whole array, or for one child of it.
#[test]
fn others_wait_for_an_array_or_a_child() {
    let mut w = world();
    plain(&mut w, 2);
    for index in [None, Some(1)] {
        let job = Submission { depends_on: vec![on(&w, 1, index)], ..w.job("q 1") };
        w.send(Command::Submit(Box::new(job)));
    }
    let (all, one) = (4, 5);
    exits(&mut w, 1, 1, 0);
    assert_eq!((w.status(one).as_str(), &w.status(all)[..7]), ("STARTING", "PENDING"));
    w.restart();
    exits(&mut w, 1, 0, 1);
    assert_eq!(w.status(all), format!("FAILED ({DEPENDENT_FAILED})"));
}

/// §3: SEQUENTIAL without a job: child i after child i - 1; a failure fails all later ones.
#[test]
fn sequential_children_run_one_after_the_other() {
    let mut w = world();
    array(&mut w, "q 1", 5, true, vec![]);
    assert_eq!(children(&w, 1), "STARTING PENDING PENDING PENDING PENDING");
    exits(&mut w, 1, 0, 0);
    assert_eq!(children(&w, 1), "SUCCEEDED STARTING PENDING PENDING PENDING");
    w.restart();
    exits(&mut w, 1, 1, 1);
    assert_eq!(children(&w, 1), "SUCCEEDED FAILED FAILED FAILED FAILED");
    assert_eq!(w.store.children_of(JobId(1))[4].1.as_deref(), Some(DEPENDENT_FAILED));
    assert_eq!(w.status(1), "FAILED (Array Child Job failed)");
}

/// §3: N_TO_N: child i after child i of the other; only the matching child fails with it.
#[test]
fn n_to_n_children_follow_their_counterparts() {
    let mut w = world();
    plain(&mut w, 3);
    let after = each(&w, 1);
    array(&mut w, "q 1", 3, false, vec![after]);
    let second = 5;
    assert_eq!(children(&w, second), "PENDING PENDING PENDING");
    exits(&mut w, 1, 2, 0);
    assert_eq!(children(&w, second), "PENDING PENDING STARTING");
    w.restart();
    exits(&mut w, 1, 0, 1);
    exits(&mut w, 1, 1, 0);
    assert_eq!(children(&w, second), "FAILED STARTING STARTING");
    exits(&mut w, second, 1, 0);
    exits(&mut w, second, 2, 0);
    assert_eq!(w.status(second), "FAILED (Array Child Job failed)");
}

/// §3: the other array has ended before, in part or whole.
#[test]
fn n_to_n_on_what_has_ended() {
    let mut w = world();
    plain(&mut w, 3);
    for (index, code) in [(0, 0), (1, 1), (2, 0)] {
        exits(&mut w, 1, index, code);
    }
    let after = each(&w, 1);
    array(&mut w, "q 1", 3, false, vec![after]);
    assert_eq!(children(&w, 5), "STARTING FAILED STARTING");
    let early = Dependency { found: Found::Open, ..each(&w, 1) };
    assert_eq!(array(&mut w, "q 1", 3, false, vec![early]), Reply::Stale);
}

/// §3: both forms at once, as they are in use: child i after child i of the other and after the one before it.
#[test]
fn sequential_and_n_to_n_mix() {
    let mut w = world();
    plain(&mut w, 3);
    let after = each(&w, 1);
    array(&mut w, "q 1", 3, true, vec![after]);
    for index in [1, 0, 2] {
        exits(&mut w, 1, index, 0);
    }
    assert_eq!(children(&w, 5), "STARTING PENDING PENDING");
    exits(&mut w, 5, 0, 0);
    assert_eq!(children(&w, 5), "SUCCEEDED STARTING PENDING");
}

/// Infrastructure §3.2: children stand where their parent was submitted, by index; the snapshot lists them singly.
#[test]
fn children_stand_in_order() {
    let mut w = World::new("h1 1x4096", "a 1", "q 1 a");
    w.submit("q 1");
    plain(&mut w, 3);
    w.submit("q 1");
    let front = |w: &World| {
        let snapshot = w.engine.snapshot(QueueId(1)).expect("a queue");
        snapshot.front.iter().map(|(job, _)| job.index.map_or(-1, i64::from)).collect::<Vec<_>>()
    };
    assert_eq!(front(&w), [0, 1, 2, -1]);
    w.exits(1, 0);
    assert_eq!(front(&w), [1, 2, -1]);
    assert_eq!((w.engine.counts().queued, w.status(4).starts_with("RUNNABLE")), (3, true));
}

/// Jobs §1.5: a deleted queue's arrays end with it.
#[test]
fn a_deleted_queues_arrays_end() {
    let mut w = world();
    plain(&mut w, 2000);
    let mut row = w.queue("q");
    row.state = batchyard_engine::resource::State::Disabled;
    w.done(Command::UpdateJobQueue(row));
    w.done(Command::DeleteJobQueue(QueueId(1)));
    assert_eq!(w.store.summaries[&JobId(1)].counts, [0, 0, 0, 4, 0, 0, 1996]);
    for index in 0..4 {
        exits(&mut w, 1, index, 0);
    }
    assert_eq!((w.status(1).as_str(), w.store.queues.len()), ("FAILED (JobQueue deleted)", 0));
}
