//! GetJobQueueSnapshot (spec infrastructure §4.2): the first places of a queue, since when, and what is in use.

use crate::common::World;
use crate::policies::policy;
use batchyard_engine::input::{Command, Submission};
use batchyard_engine::resource::PolicyKind;
use batchyard_engine::{JobId, JobRef, PolicyId, QueueId, Reply};

/// `2@1000 3@2000`: who stands in which place, and since which second of the world.
fn front(w: &World) -> String {
    let snapshot = w.engine.snapshot(QueueId(1)).expect("a queue");
    let job = |uuid| w.store.jobs.iter().find(|(_, (row, _))| row.uuid == uuid).map_or(0, |(id, _)| id.0);
    let place = |(name, since): &(JobRef, i64)| format!("{}@{}", job(name.uuid), (since - 1_000_000) / 1000);
    snapshot.front.iter().map(place).collect::<Vec<_>>().join(" ")
}

/// The second of the world in which the next step happens.
fn second(w: &World) -> i64 {
    (w.now.wall_ms - 1_000_000) / 1000
}

#[test]
fn places_are_held_since_somebody_before_left() {
    let mut w = World::new("h1 1x4096", "a 1", "q 1 a");
    let start = second(&w);
    w.submit("q 1, q 1, q 1");
    w.submit("q 1");
    assert_eq!(front(&w), format!("2@{start} 3@{start} 4@{}", start + 1));
    w.cancel(3, "not needed");
    assert_eq!(front(&w), format!("2@{start} 4@{}", start + 2), "only those behind move up");
    w.exits(1, 0);
    assert_eq!(front(&w), format!("4@{}", start + 3));
    assert_eq!(w.engine.snapshot(QueueId(1)).expect("a queue").used_milli, 1000);
    w.exits(2, 0);
    w.exits(4, 0);
    assert_eq!(front(&w), "");
    assert_eq!(w.engine.snapshot(QueueId(2)), None);
}

#[test]
fn a_hundred_are_shown_and_the_rest_move_up() {
    let mut w = World::new("h1 1x4096", "a 1", "q 1 a");
    let start = second(&w);
    w.submit(&vec!["q 1"; 150].join(","));
    let shown = |w: &World| w.engine.snapshot(QueueId(1)).expect("a queue").front.len();
    assert_eq!(shown(&w), 100);
    w.cancel(120, "behind what is shown");
    assert!(front(&w).ends_with(&format!("101@{start}")));
    w.cancel(50, "among them");
    let now = front(&w);
    assert!(now.contains(&format!(" 49@{start} 51@{}", start + 2)), "{now}");
    assert!(now.ends_with(&format!("102@{}", start + 2)), "{now}");
    for job in 2..40 {
        w.cancel(job, "more");
    }
    assert_eq!(shown(&w), 100);
}

/// Shares with open jobs, those that only wait included, and what each has placed; at most 500 (§4.1).
#[test]
fn shares_are_counted() {
    let mut w = World::new("h1 4x4096", "a 4", "");
    let mut row = w.queue_row("q 1 a");
    w.done(Command::CreateSchedulingPolicy(policy("p", PolicyKind::FairShare)));
    row.policy = Some(PolicyId(1));
    w.done(Command::CreateJobQueue(row));
    let submit = |w: &mut World, size: &str, share: &str| {
        let job = Submission { share: Some(share.into()), ..w.job(size) };
        w.send(Command::Submit(Box::new(job)))
    };
    for (size, share) in [("q 2", "red"), ("q 1", "blue"), ("q 1", "red"), ("q 1", "green")] {
        assert!(matches!(submit(&mut w, size, share), Reply::Job(_)));
    }
    let shares = |w: &World| {
        let shares = w.engine.snapshot(QueueId(1)).expect("a queue").shares.expect("a policy");
        shares.iter().map(|(share, milli)| format!("{share}={milli}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shares(&w), "blue=1000 green=0 red=3000");
    w.restart();
    assert_eq!(shares(&w), "blue=1000 green=0 red=3000");
    w.exits(2, 0);
    assert_eq!(shares(&w), "green=1000 red=3000");
    for number in 0..498 {
        assert!(matches!(submit(&mut w, "q 1", &format!("s{number}")), Reply::Job(JobId(_))));
    }
    let Reply::Refused(refusal) = submit(&mut w, "q 1", "one more") else { panic!("not refused") };
    assert!(refusal.message.contains("500 share identifiers"), "{}", refusal.message);
    assert!(matches!(submit(&mut w, "q 1", "red"), Reply::Job(_)), "a share that is there");
}
