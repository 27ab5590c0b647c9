//! Dependencies between jobs (spec jobs §3, §8).

use crate::common::World;
use crate::common::world::attempts;
use batchyard_engine::input::{Command, Dependency, Found, Submission};
use batchyard_engine::{JobUuid, QueueId, Reply};

const PENDING: &str = "PENDING (waits for the jobs that it depends on)";
const DEPENDENT_FAILED: &str = "FAILED (Dependent Job failed)";

fn world() -> World {
    World::new("h1 4x4096", "a 4", "q 1 a, other 1 a")
}

fn statuses(w: &World, jobs: std::ops::RangeInclusive<i64>) -> Vec<String> {
    jobs.map(|job| w.status(job)).collect()
}

/// §1.1: PENDING until all have succeeded, in whatever queue they are; then placed in the same step.
#[test]
fn a_job_waits_for_all_that_it_depends_on() {
    let mut w = world();
    w.submit("q 1, other 1");
    w.submit_after("q 1", &[1, 2]);
    assert_eq!((w.status(3).as_str(), w.placed().as_str()), (PENDING, "1@h1 2@h1"));
    w.exits(2, 0);
    assert_eq!(w.status(3), PENDING);
    w.exits(1, 0);
    assert_eq!((w.status(3).as_str(), w.placed().as_str()), ("STARTING", "3@h1"));
}

/// §3: what has succeeded before is met; with nothing else open the job is not PENDING for a moment.
#[test]
fn what_has_ended_before_decides_at_once() {
    let mut w = world();
    w.submit("q 1, q 1");
    w.exits(1, 0);
    w.exits(2, 3);
    w.submit_after("q 1", &[1]);
    w.submit_after("q 1", &[1, 2]);
    assert_eq!([w.status(3), w.status(4)], ["STARTING", DEPENDENT_FAILED]);
    assert_eq!((w.store.job(4).attempts, w.store.job(4).started_ms), (0, None));
}

/// §3: a failed job fails all that depend on it, and those that depend on them; a job that does not, goes on.
#[test]
fn a_failure_cascades() {
    let mut w = world();
    w.submit("q 1");
    w.submit_after("q 1", &[1]);
    w.submit_after("q 1", &[2]);
    w.submit_after("q 1", &[1, 3]);
    w.submit("q 1");
    w.exits(1, 1);
    let failed = [DEPENDENT_FAILED; 3].map(String::from);
    assert_eq!(statuses(&w, 2..=4), failed);
    assert_eq!(w.placed(), "5@h1");
}

/// §3: with attempts left a failed one decides nothing.
#[test]
fn a_retry_keeps_the_others_waiting() {
    let mut w = world();
    w.submit_with("q 1", attempts(2));
    w.submit_after("q 1", &[1]);
    w.exits(1, 1);
    assert_eq!((w.status(1).as_str(), w.status(2).as_str()), ("STARTING", PENDING));
    w.exits(1, 0);
    assert_eq!(w.status(2), "STARTING");
}

/// §3, §8: cancel and terminate are failures to those that depend; what is PENDING ends at once, and only it and those behind.
#[test]
fn cancel_and_terminate_cascade() {
    let mut w = world();
    w.submit("q 1, q 1");
    w.submit_after("q 1", &[1]);
    w.submit_after("q 1", &[3]);
    w.submit_after("q 1", &[2]);
    w.cancel(3, "not needed");
    assert_eq!([w.status(3), w.status(4)], ["FAILED (not needed)", DEPENDENT_FAILED]);
    w.terminate(2, "enough");
    assert_eq!(w.status(5), PENDING, "2 has not ended yet");
    w.exits(2, 143);
    assert_eq!((w.status(2).as_str(), w.status(5).as_str()), ("FAILED (enough)", DEPENDENT_FAILED));
    w.exits(1, 0);
    assert_eq!(w.placed(), "", "nobody waits for 1 any more");
}

/// Infrastructure §3.2: a job whose dependencies are met stands where it was submitted.
#[test]
fn it_stands_where_it_was_submitted() {
    let mut w = World::new("h1 1x4096", "a 1", "q 1 a");
    w.submit("q 1");
    w.submit_after("q 1", &[1]);
    w.submit("q 1, q 1");
    w.exits(1, 0);
    assert_eq!(w.placed(), "2@h1", "before 3 and 4, which came later");
}

/// Infrastructure §3.2: one that is tried again stands before it.
#[test]
fn a_retry_stands_at_the_front() {
    let mut w = World::new("h1 2x4096", "a 2", "q 1 a");
    w.submit("q 1");
    w.submit_after("q 2", &[1]);
    w.submit_with("q 1", attempts(2));
    w.submit("q 2");
    w.exits(1, 0);
    w.exits(3, 1);
    assert_eq!((w.placed().as_str(), w.store.job(3).attempts), ("3@h1", 2));
}

/// §1.5: a deleted queue's PENDING jobs end with it, and jobs of other queues that wait for them.
#[test]
fn a_deleted_queues_pending_jobs_end() {
    let mut w = world();
    w.submit("q 1");
    w.submit_after("other 1", &[1]);
    w.submit_after("q 1", &[2]);
    w.submit_after("q 1", &[2]);
    let mut row = w.queue("other");
    row.state = batchyard_engine::resource::State::Disabled;
    w.done(Command::UpdateJobQueue(row));
    w.done(Command::DeleteJobQueue(QueueId(2)));
    assert_eq!(w.status(2), "FAILED (JobQueue deleted)");
    assert_eq!(statuses(&w, 3..=4), [DEPENDENT_FAILED; 2].map(String::from));
}

/// A dependency that was seen open and has ended since: the caller looks again.
#[test]
fn what_the_caller_saw_too_early_is_stale() {
    let mut w = world();
    w.submit("q 1");
    let uuid = w.store.jobs[&batchyard_engine::JobId(1)].0.uuid;
    w.exits(1, 0);
    let after = |found| vec![Dependency { job: uuid.into(), each: None, found }];
    let job = Submission { depends_on: after(Found::Open), ..w.job("q 1") };
    assert_eq!(w.send(Command::Submit(Box::new(job))), Reply::Stale);
    assert!(w.silent());
    let unknown = vec![Dependency { job: JobUuid([9; 16]).into(), each: None, found: Found::Succeeded }];
    let job = Submission { depends_on: unknown, ..w.job("q 1") };
    assert!(matches!(w.send(Command::Submit(Box::new(job))), Reply::Job(_)));
    assert_eq!(w.placed(), "2@h1");
}

/// In the same batch: the dependency ends, or is submitted, together with what depends on it; the same one twice counts once.
#[test]
fn within_one_batch() {
    let mut w = world();
    w.submit("q 1");
    let first = w.store.jobs[&batchyard_engine::JobId(1)].0.uuid;
    let twice = vec![Dependency { job: first.into(), each: None, found: Found::Open }; 2];
    let job = Submission { depends_on: twice, ..w.job("q 1") };
    let exit = w.exit(batchyard_engine::input::Why::Exit, Some(0));
    let report = batchyard_engine::Report::Exited { task: w.task(1), exit };
    w.engine.handle(batchyard_engine::Input::Command(Command::Submit(Box::new(job))), w.now);
    w.engine.handle(batchyard_engine::Input::Report(report), w.now);
    w.step();
    assert_eq!(w.placed(), "2@h1");
}

/// Who waits for whom follows from the rows; what was met before needs no look at it again.
#[test]
fn after_a_restart() {
    let mut w = world();
    w.submit("q 1, q 1");
    w.submit_after("q 1", &[1, 2]);
    w.submit_after("q 1", &[3]);
    w.exits(1, 0);
    w.restart();
    assert_eq!(statuses(&w, 3..=4), [PENDING; 2].map(String::from));
    w.exits(2, 0);
    assert_eq!(w.placed(), "3@h1");
    w.restart();
    w.exits(3, 1);
    assert_eq!(w.status(4), DEPENDENT_FAILED);
}

/// A chain as long as anybody's fails in one step without running out of stack.
#[test]
fn a_long_chain_fails_at_once() {
    let mut w = world();
    w.submit("q 1");
    for job in 1..3000 {
        w.submit_after("q 1", &[job]);
    }
    w.exits(1, 1);
    assert_eq!(w.status(3000), DEPENDENT_FAILED);
    assert!(w.store.jobs.values().all(|(_, hot)| hot.status.is_terminal()));
}
