//! `jobStateTimeLimitActions` (spec jobs §1.5, infrastructure §3.3): a head is given up after its time, by the clock that
//! never goes back.

use crate::common::World;
use crate::common::words;
use batchyard_engine::input::Command;
use batchyard_engine::resource::{JobQueue, LimitCause, TimeLimit};
use batchyard_engine::{Effect, Input};

const TOO_BIG: &str = "FAILED (Canceled by JobStateTimeLimit action due to reason: \
    MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT)";

fn limit(w: &mut World, queue: &str, limits: &[(LimitCause, u32)]) {
    let time_limits = limits.iter().map(|&(cause, max_s)| TimeLimit { cause, max_s }).collect();
    let row = JobQueue { time_limits, ..w.queue(queue) };
    w.done(Command::UpdateJobQueue(row));
}

/// Nothing happens for so many seconds, then a tick.
fn pass(w: &mut World, seconds: u64) {
    w.now.mono_ms += seconds * 1000;
    w.engine.handle(Input::Tick, w.now);
    w.step();
}

fn wakes(w: &World) -> Vec<u64> {
    let at = |effect: &Effect| if let Effect::Wake(at) = effect { Some(*at) } else { None };
    w.effects.iter().filter_map(at).collect()
}

#[test]
fn a_head_that_can_never_run_is_given_up() {
    let mut w = World::new("h1 2x4096", "a 64", "q 1 a");
    limit(&mut w, "q", &[(LimitCause::Requirement, 600), (LimitCause::Capacity, 700)]);
    let since = w.now.mono_ms;
    w.submit("q 3, q 3, q 1");
    assert_eq!(wakes(&w), [since + 600_000]);
    pass(&mut w, 598);
    assert!(w.status(1).starts_with("RUNNABLE"), "{}", w.status(1));
    pass(&mut w, 1);
    assert_eq!([w.status(1).as_str(), w.placed().as_str()], [TOO_BIG, ""]);
    // The next one has been the head from now on only.
    assert_eq!(wakes(&w).len(), 1);
    pass(&mut w, 598);
    assert!(
        w.status(2).starts_with("RUNNABLE (MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"),
        "{}",
        w.status(2)
    );
    pass(&mut w, 1);
    assert_eq!([w.status(2).as_str(), w.status(3).as_str()], [TOO_BIG, "STARTING"]);
}

#[test]
fn each_cause_has_its_own_limit() {
    let mut w = World::new("h1 8x4096", "a 2, lab -", "q 1 a, l 1 lab");
    limit(&mut w, "q", &[(LimitCause::MaxResource, 600)]);
    limit(&mut w, "l", &[(LimitCause::Capacity, 900)]);
    w.submit("q 4, l 1");
    pass(&mut w, 600);
    let text = "FAILED (Canceled by JobStateTimeLimit action due to reason: ";
    assert_eq!(w.status(1), format!("{text}MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE)"));
    assert!(w.status(2).starts_with("RUNNABLE"), "{}", w.status(2));
    pass(&mut w, 300);
    assert_eq!(w.status(2), format!("{text}CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY)"));
}

/// Waiting for busy hosts is no misconfiguration, and a queue without limits gives up nothing.
#[test]
fn who_waits_for_others_is_not_given_up() {
    let mut w = World::new("h1 2x4096", "a 64", "q 1 a, free 1 a");
    limit(&mut w, "q", &LimitCause::ALL.map(|cause| (cause, 600)));
    w.submit("q 2, q 2, free 3");
    assert_eq!(wakes(&w), []);
    pass(&mut w, 100_000);
    assert!(w.silent());
    assert!([2, 3].map(|job| w.status(job).starts_with("RUNNABLE")).iter().all(|waits| *waits));
}

/// The clock begins with the cause: time spent waiting for something else does not count.
#[test]
fn another_cause_starts_the_clock_anew() {
    let mut w = World::new("h1 2x4096", "a 64", "q 1 a");
    limit(&mut w, "q", &[(LimitCause::Requirement, 600)]);
    w.submit("q 3");
    pass(&mut w, 500);
    w.join("h1 4x4096");
    assert_eq!(w.status(1), "STARTING");
    w.submit("q 3");
    w.join("h1 2x4096");
    pass(&mut w, 598);
    assert!(w.status(2).starts_with("RUNNABLE"), "{}", w.status(2));
    pass(&mut w, 1);
    assert_eq!(w.status(2), TOO_BIG);
}

#[test]
fn a_limit_that_is_changed_counts_from_the_same_begin() {
    let mut w = World::new("h1 2x4096", "a 64", "q 1 a");
    let since = w.now.mono_ms;
    w.submit("q 3");
    pass(&mut w, 1000);
    let time_limits = vec![TimeLimit { cause: LimitCause::Requirement, max_s: 2000 }];
    w.send(Command::UpdateJobQueue(JobQueue { time_limits, ..w.queue("q") }));
    assert!(wakes(&w).contains(&(since + 2_000_000)), "{:?}", w.effects);
    w.settle();
    assert!(w.status(1).starts_with("RUNNABLE"));
    limit(&mut w, "q", &[(LimitCause::Requirement, 600)]);
    pass(&mut w, 0);
    assert_eq!(w.status(1), TOO_BIG);
}

/// Only the wall clock is moved: nothing is given up, nothing is spared.
#[test]
fn the_wall_clock_has_no_say() {
    let mut w = World::new("h1 2x4096", "a 64", "q 1 a");
    limit(&mut w, "q", &[(LimitCause::Requirement, 600)]);
    w.submit("q 3");
    w.now.wall_ms += 3_600_000;
    pass(&mut w, 1);
    assert!(w.status(1).starts_with("RUNNABLE"));
    w.now.wall_ms -= 7_200_000;
    pass(&mut w, 600);
    assert_eq!(w.status(1), TOO_BIG);
}

/// A restart starts the clock anew, and asks for its tick again.
#[test]
fn after_a_restart_the_whole_time_is_waited_again() {
    let mut w = World::new("h1 2x4096", "a 64", "q 1 a");
    limit(&mut w, "q", &[(LimitCause::Requirement, 600)]);
    w.submit("q 3");
    pass(&mut w, 500);
    w.restart();
    assert_eq!(wakes(&w), [600_000]);
    pass(&mut w, 598);
    assert!(w.status(1).starts_with("RUNNABLE"));
    pass(&mut w, 1);
    assert_eq!(w.status(1), TOO_BIG);
}

/// Spec infrastructure §10.2, §3.1.
#[test]
fn at_most_fifty_queues_and_none_changes_its_kind() {
    let mut w = World::new("h1 2x4096", "a 2, f 2 fargate", "q0 1 a");
    let fargate = JobQueue { environments: vec![w.environment("f").id], ..w.queue("q0") };
    let refusal = w.refused(Command::UpdateJobQueue(fargate));
    assert!(refusal.message.contains("whose type can't be changed"), "{}", refusal.message);
    for n in 1..50 {
        let queue = w.queue_row(&format!("q{n} 1 a"));
        w.done(Command::CreateJobQueue(queue));
    }
    let (more, _) = words::queue("q50 1");
    let more = JobQueue { environments: vec![w.environment("a").id], ..more };
    assert!(w.refused(Command::CreateJobQueue(more)).message.contains("50 job queues"));
}
