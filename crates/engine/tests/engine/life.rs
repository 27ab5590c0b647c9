//! A job from submission to its end (spec jobs §1).

use crate::common::World;
use batchyard_engine::change::{Change, ContainerResult};
use batchyard_engine::input::{Command, ContainerExit, StopRequest, TaskExit, Why};
use batchyard_engine::{Effect, Input, JobStatus, Report};

fn world() -> World {
    World::new("h1 2x4096", "a 2", "q 1 a")
}

/// Spec jobs §1.1, architecture "SubmitJob, from socket to exit" 5: accepted and placed in one batch, one row each.
#[test]
fn submission_and_placement_are_one_batch() {
    let mut w = world();
    w.submit("q 1x512");
    let [Change::InsertJob(row, hot), Change::PutAttempt(attempt)] = w.changes.as_slice() else {
        panic!("{:?}", w.changes)
    };
    assert_eq!((hot.status, hot.attempts, hot.status_reason.clone()), (JobStatus::Starting, 1, None));
    assert_eq!(
        (row.created_ms, attempt.placed_ms, attempt.started_ms),
        (w.now.wall_ms - 1000, row.created_ms, None)
    );
    assert_eq!(w.asked(), "Start 1.1@h1");
    let [Effect::Start(start)] = w.effects.as_slice() else { panic!("{:?}", w.effects) };
    assert_eq!((start.task, start.name, start.job), (attempt.task, row.uuid.into(), hot.id));
}

/// Spec jobs §1.1, §1.2, §1.3: startedAt, stoppedAt, and a success that has a statusReason, too.
#[test]
fn a_job_that_goes_well() {
    let mut w = world();
    w.submit("q 1x512");
    w.report(Report::Progress(vec![(w.task(1), "pulling 10 MB of 20 MB".into())]));
    assert_eq!(w.status(1), "STARTING (pulling 10 MB of 20 MB)");
    w.report(Report::Started { task: w.task(1), at_ms: 77 });
    assert_eq!(w.status(1), "RUNNING");
    w.exits(1, 0);
    assert_eq!(w.status(1), "SUCCEEDED (Essential container in task exited)");
    assert_eq!(w.asked(), "Forget 1");
    let job = w.store.job(1);
    assert_eq!((job.started_ms, job.stopped_ms), (Some(77), Some(w.now.wall_ms - 1000)));
    let attempt = w.attempt(1);
    assert_eq!((attempt.started_ms, attempt.stopped_ms), (Some(77), job.stopped_ms));
    assert_eq!(attempt.status_reason.as_deref(), Some("Essential container in task exited"));
    let container = ContainerResult { name: "default".into(), exit_code: Some(0), reason: None };
    assert_eq!(attempt.containers, [container]);
    assert_eq!(w.engine.counts().hosts, 1);
}

/// Spec jobs §1.5: killed for memory is an exit whose container says why.
#[test]
fn a_job_that_is_killed_for_memory() {
    let mut w = world();
    w.submit("q 1x64");
    let container = ContainerExit { name: "default".into(), code: Some(137), oom: true, disk_full: None };
    let exit = TaskExit { why: Why::Exit, started_ms: Some(5), stopped_ms: 9, containers: vec![container] };
    w.report(Report::Exited { task: w.task(1), exit });
    assert_eq!(w.status(1), "FAILED (Essential container in task exited)");
    let container = &w.attempt(1).containers[0];
    assert_eq!(container.reason.as_deref(), Some("OutOfMemoryError: Container killed due to memory usage"));
    assert_eq!(container.exit_code, Some(137));
}

/// Spec jobs §7: a timeout fails the job at once, attempts left or not; the backend gets the seconds with the start.
#[test]
fn a_job_that_runs_too_long() {
    let mut w = world();
    let mut job = w.job("q 1x64");
    (job.timeout_s, job.retry.attempts) = (Some(60), 3);
    w.done(Command::Submit(Box::new(job)));
    assert!(matches!(w.effects.as_slice(), [Effect::Start(start)] if start.timeout_s == Some(60)));
    w.started(1);
    w.ends(1, Why::Timeout, Some(137));
    assert_eq!(w.status(1), "FAILED (Job attempt duration exceeded timeout)");
    assert_eq!(w.attempt(1).containers[0].exit_code, Some(137));
}

/// A report that was missed is made up for by the next one.
#[test]
fn an_end_without_a_start_report() {
    let mut w = world();
    w.submit("q 1x64");
    w.exits(1, 0);
    let job = w.store.job(1);
    assert_eq!(job.status, JobStatus::Succeeded);
    assert_eq!(job.started_ms, job.stopped_ms.map(|at| at - 1000));
}

/// What is told twice, late or of nothing known changes nothing.
#[test]
fn repeated_reports_are_silent() {
    let mut w = world();
    w.submit("q 1x64");
    let task = w.task(1);
    let progress = Report::Progress(vec![(task, "pulling".into())]);
    let started = Report::Started { task, at_ms: 5 };
    let exited = Report::Exited { task, exit: w.exit(Why::Exit, Some(0)) };
    for report in [progress.clone(), started.clone(), exited.clone()] {
        w.report(report.clone());
        assert!(!w.silent(), "{report:?}");
        w.report(report.clone());
        assert!(w.silent(), "{report:?} twice: {:?}", w.changes);
    }
    let lost = Report::Lost { task, at_ms: 9 };
    let late = Report::Exited { task, exit: w.exit(Why::Exit, Some(1)) };
    for report in [progress, started, lost, late] {
        w.report(report);
        assert!(w.silent());
    }
    w.engine.handle(Input::Tick, w.now);
    w.step();
    assert!(w.silent());
    assert_eq!(w.status(1), "SUCCEEDED (Essential container in task exited)");
}

/// An attempt that is over before its batch was taken is neither started nor stopped any more.
#[test]
fn no_start_or_stop_of_what_is_over() {
    let mut w = world();
    let job = w.job("q 1x64");
    let uuid = job.uuid;
    w.engine.handle(Input::Command(Command::Submit(Box::new(job))), w.now);
    w.engine.schedule(w.now);
    let terminate = Command::Terminate(StopRequest { job: uuid.into(), reason: "enough".into() });
    w.engine.handle(Input::Command(terminate), w.now);
    w.engine.handle(Input::Report(Report::HostLeft(batchyard_engine::HostId(1))), w.now);
    w.step();
    assert_eq!(w.asked(), "Forget 1");
    assert_eq!(w.status(1), "FAILED (enough)");
}
