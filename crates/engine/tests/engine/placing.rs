//! Which job is placed where (spec infrastructure §3.2). Each scenario: hosts, environments and queues; jobs; where
//! they are. Jobs are numbered from 1 in the order of their submission.

use crate::common::World;
use crate::common::words::update;
use crate::common::world::attempts;
use batchyard_engine::input::Command;
use batchyard_engine::resource::State;

/// Spec infrastructure §3.2: first in, first out.
#[test]
fn jobs_start_in_the_order_of_submission() {
    let mut w = World::new("h1 2x4096", "a 8", "q 1 a");
    w.submit("q 1, q 1, q 1, q 1");
    assert_eq!(w.placed(), "1@h1 2@h1");
    w.exits(2, 0);
    assert_eq!(w.placed(), "1@h1 3@h1");
}

/// Spec infrastructure §3.2: the head blocks those behind it, even where they would fit.
#[test]
fn a_head_that_does_not_fit_blocks_its_queue() {
    let mut w = World::new("h1 4x4096", "a 8", "q 1 a");
    w.submit("q 3, q 2, q 1");
    assert_eq!(w.placed(), "1@h1");
    w.exits(1, 0);
    assert_eq!(w.placed(), "2@h1 3@h1");
}

/// Spec infrastructure §3.2: a blocked head does not block other queues, so a lower one may overtake.
#[test]
fn a_blocked_queue_leaves_room_to_a_lower_one() {
    let mut w = World::new("h1 4x4096", "a 8", "high 10 a, low 1 a");
    w.submit("high 3, high 2, low 1, low 1");
    assert_eq!(w.placed(), "1@h1 3@h1");
}

/// Spec infrastructure §3.2: queues that share an environment go by priority, whatever was submitted first.
#[test]
fn the_higher_queue_goes_first() {
    let mut w = World::new("h1 2x4096", "a 8", "low 1 a, high 10 a");
    w.submit("low 2, low 2, high 2, high 2");
    assert_eq!(w.placed(), "3@h1");
    w.exits(3, 0);
    assert_eq!(w.placed(), "4@h1");
    w.exits(4, 0);
    assert_eq!(w.placed(), "1@h1");
}

/// Architecture "A scheduling pass": by priority over the whole group; the environments share this machine.
#[test]
fn priority_counts_across_environments_that_share_hosts() {
    let mut w = World::new("h1 2x4096", "a 8, b 8", "low 1 a, high 10 b");
    w.submit("low 1, low 2, high 2, high 1");
    w.exits(3, 0);
    assert_eq!(w.placed(), "1@h1 4@h1");
}

/// Spec infrastructure §3.2: retried jobs re-enter at the front.
#[test]
fn a_retried_job_goes_to_the_front() {
    let mut w = World::new("h1 2x4096", "a 8", "q 1 a");
    w.submit_with("q 2", attempts(2));
    w.submit("q 2, q 2");
    w.exits(1, 1);
    assert_eq!(w.placed(), "1@h1");
    assert_eq!(w.asked(), "Forget 1, Start 1.2@h1");
    w.exits(1, 0);
    assert_eq!(w.placed(), "2@h1");
}

/// Spec infrastructure §3.2: the first environment in the queue's order that has room, else the next.
#[test]
fn environments_are_tried_in_order() {
    let mut w = World::new("h1 8x4096", "a 1, b 2", "q 1 b a");
    w.submit("q 1, q 1, q 1, q 1");
    assert_eq!(w.environments(), "1@b 2@b 3@a");
    w.exits(1, 0);
    assert_eq!(w.environments(), "2@b 3@a 4@b");
}

/// Spec infrastructure §1.2: a DISABLED environment gets no new jobs, those that run go on.
#[test]
fn a_disabled_environment_gets_nothing_new() {
    let mut w = World::new("h1 8x4096", "a 8, b 8", "q 1 a b");
    w.submit("q 1");
    let mut a = w.environment("a");
    a.state = State::Disabled;
    w.done(update(a));
    w.submit("q 1");
    assert_eq!(w.environments(), "1@a 2@b");
    w.exits(1, 0);
    assert_eq!(w.status(1), "SUCCEEDED (Essential container in task exited)");
}

/// Issue 4 part 4: each environment under its maxvCpus, all on one machine; raising it starts what waited.
#[test]
fn max_vcpus_holds_and_can_be_raised() {
    let mut w = World::new("h1 8x4096", "a 2, b 8", "q 1 a, r 1 b");
    w.submit("q 1, q 1, q 0.5, r 5");
    assert_eq!(w.environments(), "1@a 2@a 4@b");
    let mut a = w.environment("a");
    a.max_vcpus_milli = Some(3000);
    w.done(update(a));
    assert_eq!(w.environments(), "1@a 2@a 3@a 4@b");
}

/// Issue 4 part 4: placement by memory, too; no host is ever over-committed.
#[test]
fn memory_counts() {
    let mut w = World::new("h1 8x1024", "a 8", "q 1 a");
    w.submit("q 1x600, q 1x424, q 1x1");
    assert_eq!(w.placed(), "1@h1 2@h1");
    w.exits(1, 0);
    assert_eq!(w.placed(), "2@h1 3@h1");
}

/// Best fit: the fullest host that has room, so that large jobs keep a place.
#[test]
fn small_jobs_share_the_fuller_host() {
    let mut w = World::new("h1 8x8192, h2 4x8192", "a 64", "q 1 a");
    w.submit("q 1, q 1, q 8, q 2");
    assert_eq!(w.placed(), "1@h2 2@h2 3@h1 4@h2");
}

/// Spec infrastructure §7.1: an unmanaged environment has the hosts that joined it and no other.
#[test]
fn unmanaged_hosts_are_their_own() {
    let mut w = World::new("h1 4x4096", "a 8, lab -", "q 1 a, lq 1 lab");
    w.submit("lq 1");
    assert_eq!(w.placed(), "");
    w.join("h2 2x4096 lab");
    w.submit("q 4, q 1");
    assert_eq!(w.placed(), "1@h2 2@h1");
}

/// Spec infrastructure §3.1: a DISABLED queue lets what is queued finish.
#[test]
fn a_disabled_queue_finishes_what_it_has() {
    let mut w = World::new("h1 1x4096", "a 8", "q 1 a");
    w.submit("q 1, q 1");
    let mut q = w.queue("q");
    q.state = State::Disabled;
    w.done(Command::UpdateJobQueue(q));
    w.exits(1, 0);
    assert_eq!(w.placed(), "2@h1");
}

/// Architecture: a host that comes back smaller kills nothing, there is just no room.
#[test]
fn a_host_that_shrinks_keeps_its_jobs() {
    let mut w = World::new("h1 4x4096", "a 8", "q 1 a");
    w.submit("q 2, q 2, q 1");
    w.join("h1 2x4096");
    w.exits(1, 0);
    assert_eq!(w.placed(), "2@h1");
    w.join("h1 2x4096");
    assert!(w.silent(), "nothing new");
    w.join("h1 3x4096");
    assert_eq!(w.placed(), "2@h1 3@h1");
}
