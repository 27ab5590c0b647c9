//! CancelJob and TerminateJob (spec jobs §8).

use crate::common::World;
use crate::common::world::attempts;
use batchyard_engine::input::{Command, StopRequest, Why};
use batchyard_engine::{JobUuid, Reply, Report};

fn world() -> World {
    World::new("h1 1x4096", "a 2", "q 1 a")
}

/// Spec jobs §8: RUNNABLE, both: FAILED with the caller's words, no attempts, and the next job has its turn.
#[test]
fn what_waits_ends_at_once() {
    let mut w = world();
    w.submit("q 1, q 2, q 1, q 1");
    w.cancel(2, "not needed");
    w.terminate(3, "nor this");
    assert_eq!([w.status(2), w.status(3)], ["FAILED (not needed)", "FAILED (nor this)"]);
    let flags = |job: i64| (w.store.job(job).cancelled, w.store.job(job).terminated.is_some());
    assert_eq!([flags(2), flags(3)], [(true, false), (false, true)]);
    assert_eq!((w.store.job(2).attempts, w.store.job(2).started_ms), (0, None));
    assert!(w.store.job(2).stopped_ms.is_some());
    assert!(w.status(4).contains("waits for room"), "the head now: {}", w.status(4));
}

/// Spec jobs §8: CancelJob from STARTING on is accepted and does nothing.
#[test]
fn cancelling_what_is_placed_does_nothing() {
    let mut w = world();
    w.submit("q 1");
    w.cancel(1, "too late");
    assert!(w.silent());
    w.started(1);
    w.cancel(1, "too late");
    assert!(w.silent());
    w.exits(1, 0);
    assert_eq!(
        (w.status(1).as_str(), w.store.job(1).cancelled),
        ("SUCCEEDED (Essential container in task exited)", false)
    );
}

/// Spec jobs §8: stopped with 30 seconds of grace, once; FAILED with the words, the code its own, not retried.
#[test]
fn terminating_what_runs() {
    let mut w = world();
    w.submit_with("q 1", attempts(3));
    w.started(1);
    w.terminate(1, "enough");
    assert_eq!((w.asked().as_str(), w.status(1).as_str()), ("Stop 1 30", "RUNNING"));
    w.terminate(1, "really");
    assert!(w.silent());
    w.ends(1, Why::Stopped, Some(143));
    assert_eq!(w.status(1), "FAILED (enough)");
    let row = w.attempt(1);
    assert_eq!((row.status_reason.as_deref(), row.containers[0].exit_code), (Some("enough"), Some(143)));
    assert_eq!(row.attempt, 1);
}

/// Spec jobs §8: whatever ends a terminated job, it is FAILED with the words.
#[test]
fn a_terminated_job_fails_however_it_ends() {
    for end in 0..4 {
        let mut w = world();
        w.submit_with("q 1", attempts(3));
        w.terminate(1, "enough");
        match end {
            0 => w.exits(1, 0),
            1 => w.ends(1, Why::StartFailed("x".into()), None),
            2 => w.report(Report::Lost { task: w.task(1), at_ms: 1 }),
            _ => w.leave(1),
        }
        assert_eq!((w.status(1).as_str(), w.attempt(1).attempt), ("FAILED (enough)", 1), "end {end}");
    }
}

/// Spec jobs §8: ended or unknown, 200 and nothing.
#[test]
fn what_is_over_or_unknown_is_left_alone() {
    let mut w = world();
    w.submit("q 1");
    w.exits(1, 0);
    w.cancel(1, "x");
    assert!(w.silent());
    w.terminate(1, "x");
    assert!(w.silent());
    let nobody = StopRequest { job: JobUuid([99; 16]).into(), reason: "x".into() };
    assert_eq!(w.send(Command::Terminate(nobody)), Reply::Done);
    assert!(w.silent());
}
