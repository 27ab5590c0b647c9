//! The engine made anew from the rows (invariants 3 and 4).

use crate::common::World;
use crate::common::world::attempts;
use batchyard_engine::{Counts, Engine, Report};

/// Issue 4 part 8: nothing accepted is lost, every open attempt is asked for again under its own id, and only those.
#[test]
fn open_attempts_are_resumed_and_nothing_is_decided_again() {
    let mut w = World::new("h1 3x4096", "a 8", "q 1 a");
    w.submit_with("q 1", attempts(2));
    w.submit("q 1, q 1, q 1, q 1");
    w.started(2);
    w.terminate(2, "enough");
    w.exits(3, 0);
    let (rows, tasks) = (w.store.jobs.clone(), [1, 2, 4].map(|job| w.task(job)));
    w.restart();
    assert!(w.silent(), "{:?}", w.changes);
    assert_eq!(w.store.jobs, rows);
    w.effects = w.engine.resume();
    assert_eq!(w.asked(), "Start 1.1@h1, Start 2.1@h1, Stop 2 30, Start 4.1@h1");
    assert_eq!([1, 2, 4].map(|job| w.task(job)), tasks);
    w.exits(1, 1);
    assert_eq!(w.asked(), "Forget 1, Start 1.2@h1");
    w.exits(2, 0);
    assert_eq!((w.status(2).as_str(), w.placed().as_str()), ("FAILED (enough)", "1@h1 4@h1 5@h1"));
}

/// The order of a queue follows from its rows: a retried job is still at the front.
#[test]
fn a_retried_job_stays_at_the_front() {
    let mut w = World::new("h1 2x4096", "a 8", "q 1 a");
    w.submit("q 1");
    w.submit_with("q 1", attempts(2));
    w.submit("q 1, q 1");
    w.join("h1 1x4096");
    w.exits(2, 1);
    w.restart();
    w.exits(1, 0);
    assert_eq!(w.placed(), "2@h1");
}

/// Attempts of a host that has not joined again still count, and its loss ends them.
#[test]
fn a_host_that_does_not_come_back() {
    let mut w = World::new("h1 2x4096", "a 2", "q 1 a");
    w.submit("q 2");
    w.leave(2);
    assert!(w.silent(), "an unknown host");
    w.restart();
    w.leave(1);
    assert_eq!(w.status(1), "FAILED (Host EC2 (instance i-00000000000000001) terminated.)");
    assert_eq!(w.engine.counts(), Counts::default());
}

/// Nor does it stay in memory when its attempts end one by one.
#[test]
fn attempts_of_a_host_that_never_joined_can_end() {
    let mut w = World::new("h1 2x4096", "a 2", "q 1 a");
    w.submit("q 1, q 1");
    w.engine = Engine::new(7, w.store.open_rows(), w.now);
    w.exits(1, 0);
    w.report(Report::Lost { task: w.task(2), at_ms: 9 });
    let ended = ["SUCCEEDED (Essential container in task exited)", "FAILED (Host EC2 terminated.)"];
    assert_eq!([w.status(1), w.status(2)], ended);
}

/// Rows that contradict each other are told, not repaired in silence.
#[test]
fn rows_that_do_not_fit_together() {
    let mut w = World::new("h1 2x4096", "a 2", "q 1 a");
    w.submit("q 1");
    let good = w.store.open_rows();
    let check = |rows| Engine::new(9, rows, w.now).check();
    assert_eq!(check(good.clone()), Ok(()));
    let mut rows = good.clone();
    rows.attempts.clear();
    assert_eq!(check(rows), Err("job 1 is STARTING without an attempt".to_owned()));
    let mut rows = good.clone();
    rows.jobs.clear();
    assert_eq!(check(rows), Err("attempt 1 of job 1 is open, its job is not".to_owned()));
    let mut rows = good;
    rows.job_queues.clear();
    assert_eq!(check(rows), Err("job 1 is in queue 1, which is not there".to_owned()));
}
