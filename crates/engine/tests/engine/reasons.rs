//! What a waiting job says (spec jobs §1.5, infrastructure §3.3), and that it is written only when its cause changes.

use crate::common::World;
use crate::common::words;
use crate::common::world::attempts;
use batchyard_engine::change::Change;
use batchyard_engine::input::{Command, Submission};
use batchyard_engine::resource::{ComputeEnvironment, Platform, State};
use batchyard_engine::{Engine, HostId, Input, Report};

const BEHIND: &str = "RUNNABLE (waits behind other jobs of its queue)";
const NEVER_FITS: &str = "RUNNABLE (MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource requirement \
    (vCPU/memory/GPU) is higher than that can be met by the CE(s) attached to the job queue.)";

fn update(w: &mut World, name: &str, change: impl Fn(&mut ComputeEnvironment)) {
    let mut row = w.environment(name);
    change(&mut row);
    w.done(words::update(row));
}

/// Spec infrastructure §3.3: JOB_RESOURCE_REQUIREMENT when no environment has a host that could ever take it.
#[test]
fn a_job_that_no_host_could_take() {
    let mut w = World::new("h1 4x4096", "a 64", "q 1 a");
    w.submit("q 1x4097, q 5x1");
    assert_eq!([w.status(1), w.status(2)], [NEVER_FITS, BEHIND]);
    w.cancel(1, "too big");
    assert_eq!([w.status(1), w.status(2)], ["FAILED (too big)", NEVER_FITS]);
}

/// Spec infrastructure §3.3: COMPUTE_ENVIRONMENT_MAX_RESOURCE when every maxvCpus is below the job's vCPUs.
#[test]
fn a_job_above_every_max_vcpus() {
    let mut w = World::new("h1 64x4096", "a 2, b 3", "q 1 a b");
    w.submit("q 4x1");
    let text = "RUNNABLE (MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - CE(s) associated with the job queue \
        cannot meet the CPU requirement of the job.)";
    assert_eq!(w.status(1), text);
    update(&mut w, "b", |b| b.max_vcpus_milli = Some(4000));
    assert_eq!(w.status(1), "STARTING");
}

/// Spec infrastructure §3.3: ACTION_REQUIRED when all environments are INVALID.
#[test]
fn a_queue_whose_environments_are_invalid() {
    let mut w = World::new("h1 4x4096", "", "");
    w.queue_of_a_cluster("q");
    let job = Submission { platform: Platform::Eks, ..w.job("q 1") };
    w.done(Command::Submit(Box::new(job)));
    assert_eq!(w.status(1), "RUNNABLE (ACTION_REQUIRED - CE(s) associated with the job queue are invalid.)");
}

/// Where AWS has no text: the cause per environment, then the numbers.
#[test]
fn the_numbers_of_the_moment() {
    let mut w = World::new("h1 4x4096", "a 2, b 8", "q 1 a b, r 1 b");
    w.submit("q 2, r 1.5, q 1x4096");
    let reason = "RUNNABLE (waits for room: environment a has reached its maxvCpus, environment b has no host with \
        room; needs 1 vCPU and 4096 MiB, a has 0 of 2 vCPU free, b has at most 0.5 vCPU and 4094 MiB free on a host)";
    assert_eq!(w.status(3), reason);
}

#[test]
fn nothing_is_there_to_run_it() {
    let mut w = World::new("", "a 4, b 4", "q 1 a b");
    update(&mut w, "b", |b| b.state = State::Disabled);
    w.submit("q 1");
    let reason = "RUNNABLE (waits for room: environment a has no host, environment b is disabled; needs 1 vCPU and \
        1 MiB)";
    assert_eq!(w.status(1), reason);
}

/// Architecture "Reasons": written when the cause changes, not when numbers do.
#[test]
fn other_numbers_are_not_written() {
    let mut w = World::new("h1 4x4096", "a 8", "q 1 a, r 1 a");
    w.submit("r 1, r 1, r 1");
    w.submit("q 4");
    let before = w.status(4);
    assert!(before.contains("a has at most 1 vCPU"), "{before}");
    w.exits(1, 0);
    assert!(!w.changes.iter().any(|change| matches!(change, Change::UpdateJob(hot) if hot.id.0 == 4)));
    assert_eq!(w.status(4), before);
    update(&mut w, "a", |a| a.max_vcpus_milli = Some(4000));
    assert!(w.status(4).contains("environment a has reached its maxvCpus"), "{}", w.status(4));
}

/// Invariant 9: jobs behind a blocked head are written once, at their submission.
#[test]
fn jobs_behind_the_head_are_not_touched() {
    let mut w = World::new("h1 1x4096", "a 8", "q 1 a");
    w.submit("q 1, q 1, q 1, q 1");
    assert_eq!([w.status(3), w.status(4)], [BEHIND, BEHIND]);
    w.submit("q 1");
    assert_eq!((w.changes.len(), w.status(5)), (1, BEHIND.to_owned()));
    w.exits(1, 0);
    let written = |id: i64| w.changes.iter().any(|c| matches!(c, Change::UpdateJob(hot) if hot.id.0 == id));
    assert_eq!([1, 2, 3, 4, 5].map(written), [true, true, true, false, false]);
}

/// A job that a retried one passes is no longer the head, and says so; also when the server was down in between.
#[test]
fn a_former_head_is_behind_again() {
    for restarted in [false, true] {
        let mut w = World::new("h1 3x4096", "a 8", "q 1 a");
        w.submit_with("q 2", attempts(2));
        w.submit("q 1");
        w.submit("q 2");
        assert!(w.status(3).contains("waits for room"), "{}", w.status(3));
        w.join("h1 1x4096");
        if restarted {
            w.engine = Engine::new(7, w.store.open_rows(), w.now);
            let host = w.hosts[&HostId(1)].clone();
            w.engine.handle(Input::Report(Report::HostJoined(host)), w.now);
        }
        w.exits(1, 1);
        assert_eq!([w.status(1).as_str(), w.status(3).as_str()], [NEVER_FITS, BEHIND], "{restarted}");
    }
}

/// A restart finds the reasons in the rows and has nothing to add.
#[test]
fn a_restart_repeats_no_reason() {
    let mut w = World::new("h1 4x4096", "a 8", "q 1 a");
    w.submit("q 3, q 2, q 1");
    w.restart();
    assert!(w.silent(), "{:?}", w.changes);
    w.engine.handle(Input::Tick, w.now);
    w.step();
    assert!(w.silent());
}
