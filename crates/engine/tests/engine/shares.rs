//! Fair share (spec infrastructure §4.1): whose turn it is, what is kept back, and that it comes out fair over days.

use crate::common::World;
use crate::common::random::Random;
use crate::policies::policy;
use batchyard_engine::input::{ArraySpec, Command, Submission};
use batchyard_engine::resource::{FairShare, JobQueue, PolicyKind, SchedulingPolicy};
use batchyard_engine::{JobId, PolicyId, QueueId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A queue `q` over one host of so many vCPUs with such a policy; weights as `a:10000 b*:5000`.
fn world(vcpus: u32, weights: &str, compute_reservation: u8) -> World {
    let size = format!("{vcpus}x100000");
    let mut w = World::new(&format!("h1 {size}"), &format!("a {vcpus}"), "");
    let weight = |text: &str| {
        let (identifier, weight) = text.split_once(':').expect("a share and its weight");
        (identifier.into(), weight.parse().expect("ten-thousandths"))
    };
    let weights = weights.split_whitespace().map(weight).collect();
    let fair_share = Some(FairShare { decay_s: 600, compute_reservation, weights });
    let row = SchedulingPolicy { fair_share, ..policy("p", PolicyKind::FairShare) };
    w.done(Command::CreateSchedulingPolicy(row));
    let queue = JobQueue { policy: Some(PolicyId(1)), ..w.queue_row("q 1 a") };
    w.done(Command::CreateJobQueue(queue));
    w
}

fn submit(w: &mut World, share: &str, times: usize, priority: i16) {
    for _ in 0..times {
        let job = Submission { share: Some(share.into()), priority, ..w.job("q 1") };
        w.engine.handle(batchyard_engine::Input::Command(Command::Submit(Box::new(job))), w.now);
    }
    w.step();
}

/// How many vCPUs each share has now: `a6 b2`.
fn shares(w: &World) -> String {
    let mut running: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    for row in w.store.open_attempts() {
        let share = w.store.jobs[&row.job].0.facts.share.clone();
        *running.entry(share.expect("a share")).or_default() += 1;
    }
    running.iter().map(|(share, count)| format!("{share}{count}")).collect::<Vec<_>>().join(" ")
}

/// Ends jobs one by one, the oldest first, so many times.
fn turn_over(w: &mut World, times: usize) {
    for _ in 0..times {
        let oldest = w.store.open_attempts().next().map(|row| row.job.0);
        w.exits(oldest.expect("a running job"), 0);
    }
}

/// A smaller weight is a larger share: 0.125 has eight times what 1 has.
#[test]
fn weights_divide_the_queue() {
    let mut w = world(9, "a:1250 b:10000", 0);
    submit(&mut w, "b", 200, 0);
    submit(&mut w, "a", 200, 0);
    turn_over(&mut w, 100);
    assert_eq!(shares(&w), "a8 b1");
}

/// A share that is not listed weighs 1.
#[test]
fn who_is_not_listed_weighs_one() {
    let mut w = world(4, "a:10000", 0);
    submit(&mut w, "a", 50, 0);
    submit(&mut w, "other", 50, 0);
    turn_over(&mut w, 30);
    assert_eq!(shares(&w), "a2 other2");
}

/// The share of a prefix is divided among the active identifiers that begin so.
#[test]
fn a_prefix_is_one_share() {
    let mut w = world(8, "User*:10000 b:10000", 0);
    for share in ["UserA", "UserB", "b"] {
        submit(&mut w, share, 200, 0);
    }
    turn_over(&mut w, 150);
    assert_eq!(shares(&w), "UserA2 UserB2 b4");
}

/// Inside a share the higher priority goes first, then the older job; across shares priority says nothing.
#[test]
fn priority_orders_inside_a_share() {
    let mut w = world(1, "", 0);
    submit(&mut w, "a", 1, 0);
    submit(&mut w, "a", 1, 0);
    submit(&mut w, "a", 1, 9);
    submit(&mut w, "b", 1, 0);
    w.exits(1, 0);
    assert_eq!(w.placed(), "4@h1", "b has used nothing yet");
    w.exits(4, 0);
    assert_eq!(w.placed(), "3@h1");
}

/// 50 % of 8: one active share may use 4, two 6, three 7 together; a share that runs nothing may use the rest.
#[test]
fn a_reservation_keeps_room_for_newcomers() {
    let mut w = world(8, "", 50);
    submit(&mut w, "a", 20, 0);
    assert_eq!(shares(&w), "a4");
    let reason = w.store.jobs.values().filter_map(|(_, hot)| hot.status_reason.as_deref());
    assert_eq!(reason.filter(|text| text.contains("computeReservation")).count(), 1);
    submit(&mut w, "b", 20, 0);
    assert_eq!(shares(&w), "a4 b2");
    submit(&mut w, "c", 20, 0);
    assert_eq!(shares(&w), "a4 b2 c1");
    submit(&mut w, "d", 1, 0);
    assert_eq!(shares(&w), "a4 b2 c1 d1");
}

/// An update of the policy counts at once, for heads that were held back, too.
#[test]
fn an_update_of_the_policy_counts_at_once() {
    let mut w = world(8, "", 50);
    submit(&mut w, "a", 20, 0);
    assert_eq!(shares(&w), "a4");
    let mut row = w.store.policies[&PolicyId(1)].clone();
    row.fair_share = Some(FairShare { decay_s: 600, ..FairShare::default() });
    w.done(Command::UpdateSchedulingPolicy(row));
    assert_eq!(shares(&w), "a8");
}

/// A head that does not fit holds its own share back and no other.
#[test]
fn a_large_job_holds_only_its_share() {
    let mut w = world(4, "", 0);
    submit(&mut w, "a", 2, 0);
    let large = Submission { share: Some("a".into()), ..w.job("q 4") };
    w.send(Command::Submit(Box::new(large)));
    submit(&mut w, "a", 1, 0);
    submit(&mut w, "b", 1, 0);
    assert_eq!(w.placed(), "1@h1 2@h1 5@h1");
}

/// Usage outlives a restart, and its clock goes on.
#[test]
fn usage_is_kept_across_a_restart() {
    let mut w = world(1, "", 0);
    submit(&mut w, "a", 1, 0);
    w.now.wall_ms += 300_000;
    w.now.mono_ms += 300_000;
    w.exits(1, 0);
    let used = w.store.usage[&(QueueId(1), "a".into())].average_milli;
    assert!((390.0..400.0).contains(&used), "1 - 1/e^0.5 of a vCPU, {used}");
    submit(&mut w, "c", 1, 0);
    submit(&mut w, "a", 1, 0);
    submit(&mut w, "b", 1, 0);
    w.restart();
    w.exits(2, 0);
    assert_eq!(w.placed(), "4@h1", "b has used nothing");
    w.now.wall_ms += 86_400_000;
    w.now.mono_ms += 86_400_000;
    w.exits(4, 0);
    w.exits(3, 0);
    submit(&mut w, "z", 1, 0);
    w.now.wall_ms += 86_400_000;
    w.now.mono_ms += 86_400_000;
    w.exits(5, 0);
    assert!(!w.store.usage.contains_key(&(QueueId(1), "a".into())), "it says nothing any more");
}

/// The snapshot shows the turns that the shares would have.
#[test]
fn the_snapshot_takes_turns() {
    let mut w = world(1, "a:10000 b:5000", 0);
    submit(&mut w, "x", 1, 0);
    let array = Some(ArraySpec { size: 4, sequential: false });
    let job = Submission { share: Some("a".into()), array, ..w.job("q 1") };
    w.send(Command::Submit(Box::new(job)));
    submit(&mut w, "b", 4, 0);
    let front = w.engine.snapshot(QueueId(1)).expect("a queue").front;
    let share = |uuid| {
        w.store.jobs.values().find(|(row, _)| row.uuid == uuid).and_then(|(row, _)| row.facts.share.clone())
    };
    let turns: String = front.iter().filter_map(|(job, _)| share(job.uuid)).map(|s| s.to_string()).collect();
    assert_eq!(turns, "abbabbaa");
}

/// What a share asks for in the simulation of days.
struct Demand {
    share: &'static str,
    /// Hours of each day in which it has jobs.
    hours: std::ops::Range<u64>,
    /// Tail of its durations: the smaller, the heavier.
    tail: f64,
}

/// Three shares over five days, durations from minutes to hours (heavy-tailed), shares that come and go: while all three compete,
/// each has its part of the vCPU time within 2 %.
#[test]
fn fair_over_days() {
    let mut w = world(64, "a:10000 b:5000 c:2500", 0);
    let demands = [
        Demand { share: "a", hours: 0..24, tail: 1.5 },
        Demand { share: "b", hours: 0..20, tail: 1.2 },
        Demand { share: "c", hours: 4..22, tail: 2.0 },
    ];
    let (mut random, mut ends) = (Random(7), BTreeMap::<(u64, JobId), ()>::new());
    let mut time = BTreeMap::<&str, u64>::new();
    let mut tails = BTreeMap::new();
    const TICK_S: u64 = 20;
    for tick in 0..5 * 86_400 / TICK_S {
        let (second, hour) = (tick * TICK_S, tick * TICK_S / 3600 % 24);
        for demand in demands.iter().filter(|demand| demand.hours.contains(&hour)) {
            let waiting = w.store.jobs.values().filter(|(row, hot)| {
                row.facts.share.as_deref() == Some(demand.share)
                    && hot.attempts == 0
                    && !hot.status.is_terminal()
            });
            let lack = 70usize.saturating_sub(waiting.count());
            tails.insert(demand.share, demand.tail);
            for _ in 0..lack {
                let job = Submission { share: Some(demand.share.into()), ..w.job("q 1") };
                w.engine.handle(batchyard_engine::Input::Command(Command::Submit(Box::new(job))), w.now);
            }
        }
        let due: Vec<_> = ends.range(..=(second, JobId(i64::MAX))).map(|(key, ())| *key).collect();
        for key in due {
            ends.remove(&key);
            let (task, exit) = (w.task(key.1.0), w.exit(batchyard_engine::input::Why::Exit, Some(0)));
            w.engine.handle(
                batchyard_engine::Input::Report(batchyard_engine::Report::Exited { task, exit }),
                w.now,
            );
        }
        w.engine.schedule(w.now);
        let (changes, effects) = w.engine.take();
        w.store.commit(&changes);
        w.engine.committed();
        for effect in effects {
            if let batchyard_engine::Effect::Start(start) = effect {
                let share = w.store.jobs[&start.job].0.facts.share.clone().expect("a share");
                let unit = (random.below(1_000_000) + 1) as f64 / 1_000_000.0;
                let seconds = 60.0 * unit.powf(-1.0 / tails[&*share]);
                ends.insert((second + seconds.min(14_400.0) as u64, start.job), ());
            }
        }
        // The first hour after a share comes is where it catches up.
        if (6..19).contains(&hour) {
            for row in w.store.open_attempts() {
                let share = w.store.jobs[&row.job].0.facts.share.as_deref().expect("a share");
                let share = demands.iter().find(|demand| demand.share == share).expect("one of three").share;
                *time.entry(share).or_default() += TICK_S;
            }
        }
        w.store.jobs.retain(|_, (_, hot)| !hot.status.is_terminal());
        w.store.attempts.retain(|_, row| row.stopped_ms.is_none());
        w.now.wall_ms += TICK_S as i64 * 1000;
        w.now.mono_ms += TICK_S * 1000;
    }
    let all: u64 = time.values().sum();
    for (share, part) in [("a", 1.0 / 7.0), ("b", 2.0 / 7.0), ("c", 4.0 / 7.0)] {
        let had = time[share] as f64 / all as f64;
        assert!((had / part - 1.0).abs() < 0.02, "{share} had {had:.4}, its part is {part:.4}: {time:?}");
    }
}
