//! Attempts (spec jobs §7).

use crate::common::World;
use crate::common::world::attempts;
use batchyard_engine::Report;
use batchyard_engine::input::Why;
use batchyard_engine::job::retry::{RetryRule, RetryStrategy};

fn world() -> World {
    World::new("h1 2x4096", "a 2", "q 1 a")
}

/// Spec jobs §7: exit 3 with attempts 3 makes three attempts; startedAt is the latest one's (§1.2).
#[test]
fn three_attempts() {
    let mut w = world();
    w.submit_with("q 1", attempts(3));
    for number in 1..=3 {
        assert_eq!(
            (w.attempt(1).attempt, w.asked().contains(&format!("Start 1.{number}@h1"))),
            (number, true)
        );
        w.started(1);
        w.exits(1, 3);
    }
    assert_eq!(w.status(1), "FAILED (Essential container in task exited)");
    let rows: Vec<_> = w.store.attempts.values().collect();
    assert_eq!(rows.iter().map(|row| row.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(rows.iter().all(|row| row.containers[0].exit_code == Some(3) && row.stopped_ms.is_some()));
    assert_eq!(w.store.job(1).started_ms, rows[2].started_ms);
    assert!(rows[0].started_ms < rows[1].started_ms);
}

/// Spec jobs §7: start failures are attempts, too, and have no exit code (§1.5).
#[test]
fn a_failed_start_is_an_attempt() {
    let mut w = world();
    w.submit_with("q 1", attempts(2));
    let words = "CannotPullContainerError: no such image";
    w.ends(1, Why::StartFailed(words.into()), None);
    assert_eq!(w.status(1), "STARTING");
    w.ends(1, Why::StartFailed(words.into()), None);
    assert_eq!(w.status(1), "FAILED (Task failed to start)");
    let row = w.attempt(1);
    assert_eq!((row.attempt, row.started_ms, w.store.job(1).started_ms), (2, None, None));
    assert_eq!((row.containers[0].exit_code, row.containers[0].reason.as_deref()), (None, Some(words)));
}

/// Spec jobs §1.5, §7: host loss is retried; with no host left the job waits at the front.
#[test]
fn a_lost_host_is_retried_elsewhere() {
    let mut w = World::new("h1 2x4096", "a 8", "q 1 a");
    w.submit_with("q 2", attempts(2));
    w.submit("q 1");
    w.started(1);
    w.leave(1);
    let row = w.attempt(1).clone();
    assert_eq!(row.status_reason.as_deref(), Some("Host EC2 (instance i-00000000000000001) terminated."));
    assert_eq!((row.containers[0].exit_code, row.stopped_ms.is_some()), (None, true));
    assert!(
        w.status(1).starts_with("RUNNABLE (waits for room: environment a has no host;"),
        "{}",
        w.status(1)
    );
    w.join("h2 2x4096");
    assert_eq!((w.placed().as_str(), w.attempt(1).attempt), ("1@h2", 2));
}

/// Nobody knows how it ended: as a lost host, the host being there.
#[test]
fn a_lost_attempt() {
    let mut w = world();
    w.submit("q 1");
    w.started(1);
    w.report(Report::Lost { task: w.task(1), at_ms: 9 });
    assert_eq!(w.status(1), "FAILED (Host EC2 (instance i-00000000000000001) terminated.)");
    assert_eq!((w.store.job(1).stopped_ms, w.asked().as_str()), (Some(9), "Forget 1"));
}

/// Spec jobs §7: `Host EC2*` RETRY, `*` EXIT.
#[test]
fn rules_decide_over_the_next_attempt() {
    let rule = |retry, status: Option<&str>, reason: Option<&str>| RetryRule {
        retry,
        on_status_reason: status.map(Into::into),
        on_reason: reason.map(Into::into),
        on_exit_code: None,
    };
    let rules = [rule(true, Some("Host EC2*"), None), rule(false, None, Some("*"))];
    let mut w = world();
    w.submit_with("q 1", RetryStrategy { attempts: 10, rules: rules.into() });
    w.report(Report::Lost { task: w.task(1), at_ms: 9 });
    assert_eq!(w.status(1), "STARTING");
    w.exits(1, 1);
    assert_eq!(
        (w.status(1).as_str(), w.attempt(1).attempt),
        ("FAILED (Essential container in task exited)", 2)
    );
}

/// Spec jobs §7: exit code 0 is never looked at.
#[test]
fn a_success_is_not_retried() {
    let rule =
        RetryRule { retry: true, on_status_reason: None, on_reason: None, on_exit_code: Some("0".into()) };
    let mut w = world();
    w.submit_with("q 1", RetryStrategy { attempts: 10, rules: [rule].into() });
    w.exits(1, 0);
    assert_eq!(w.status(1), "SUCCEEDED (Essential container in task exited)");
}
