//! Random inputs, in any order, repeated and late, with crashes at the worst instants; the same for the same seed.
//!
//! After every step the engine hangs together and has nothing to add ([`World::step`]), the rows keep the rules
//! ([`super::common::store`], [`checks`]), and an engine made from the rows agrees with the one in memory. Seeds that
//! found something are kept in `FOUND`.

mod backend;
mod checks;
mod inputs;
mod seen;

use crate::common::random::Random;
use crate::common::world::World;
use crate::policies::policy;
use backend::Backend;
use batchyard_engine::change::Change;
use batchyard_engine::input::Command;
use batchyard_engine::resource::{JobQueue, PolicyKind};
use batchyard_engine::{Effect, Engine, HostId, Input, JobStatus, PolicyId, Report};
use seen::Seen;

/// Seeds that have failed once.
const FOUND: [u64; 0] = [];

struct Simulation {
    world: World,
    backend: Backend,
    random: Random,
    /// What was reported lately, to be told again.
    told: Vec<Report>,
    seen: Seen,
}

/// Tells the seed when a step panics, wherever it does.
struct Telltale {
    seed: u64,
    step: usize,
}

impl Drop for Telltale {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("simulation: seed {} failed in step {}", self.seed, self.step);
        }
    }
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let queues = "high 10 a b, low 1 a, mid 5 b lab, alone 7 lab";
        let mut world = World::new("h1 4x4096, h2 2x8192, h3 2x2048 lab", "a 4, b 3, lab -", queues);
        world.done(Command::CreateSchedulingPolicy(policy("p", PolicyKind::FairShare)));
        let fair = JobQueue { policy: Some(PolicyId(1)), ..world.queue_row("fair 6 b") };
        world.done(Command::CreateJobQueue(fair));
        Self {
            world,
            backend: Backend::default(),
            random: Random(seed),
            told: Vec::new(),
            seen: Seen::default(),
        }
    }

    fn run(seed: u64, steps: usize) -> Seen {
        let mut telltale = Telltale { seed, step: 0 };
        let mut simulation = Self::new(seed);
        for step in 0..steps {
            telltale.step = step;
            simulation.step();
        }
        telltale.step = steps;
        simulation.wind_up();
        simulation.seen
    }

    fn step(&mut self) {
        for _ in 0..=self.random.below(4) {
            self.random_input();
        }
        if self.random.once_in(20) {
            // The shortest time that a head may be given, so that some are given up.
            self.world.now.mono_ms += 600_000;
            self.world.now.wall_ms += 600_000;
        }
        match self.random.below(40) {
            0 => {
                // Killed before the commit: nothing of the batch has happened.
                self.restart();
            }
            1 => {
                // Killed after the commit, before its effects.
                self.end_batch();
                self.restart();
            }
            _ => {
                self.end_batch();
                self.carry_out();
            }
        }
        if self.random.once_in(8) && !self.world.store.unsettled() {
            self.compare_with_rows();
        }
    }

    /// Commits and checks; effects are left.
    fn end_batch(&mut self) {
        self.world.step();
        checks::batch(&self.world);
        self.seen.note(&self.world);
    }

    fn carry_out(&mut self) {
        for effect in std::mem::take(&mut self.world.effects) {
            self.backend.carry_out(effect, &self.world.store);
        }
    }

    /// A new engine, then what the server does at start: looks what became of every attempt.
    fn restart(&mut self) {
        self.world.restart();
        self.carry_out();
        let resumed = self.world.engine.resume();
        let mut reports = self.backend.resume(resumed, &self.world.store);
        let there: Vec<HostId> = self.world.hosts.keys().copied().collect();
        reports.extend((1..=4).map(HostId).filter(|id| !there.contains(id)).map(Report::HostLeft));
        for report in reports {
            self.world.engine.handle(Input::Report(report), self.world.now);
        }
        self.end_batch();
        self.carry_out();
    }

    /// An engine made from the rows knows the same and has nothing to say (invariant 3).
    fn compare_with_rows(&self) {
        let (world, now) = (&self.world, self.world.now);
        let mut other = Engine::new(99, world.store.open_rows(), now);
        for host in world.hosts.values() {
            other.handle(Input::Report(Report::HostJoined(host.clone())), now);
        }
        other.schedule(now);
        assert_eq!(other.check(), Ok(()));
        let (mut changes, mut effects) = other.take();
        // Its first pass looks at every queue, and so at usage that has decayed to nothing since the last one.
        changes.retain(|change| !matches!(change, Change::RemoveShareUsage(..)));
        // Heads are timed anew, which asks for nothing but the time.
        effects.retain(|effect| !matches!(effect, Effect::Wake(_)));
        assert_eq!((changes, effects), (vec![], vec![]), "an engine from the rows decides otherwise");
        assert_eq!(other.resume(), world.engine.resume());
        assert_eq!(other.counts(), world.engine.counts());
    }

    /// Every open job can still end, and leaves nothing behind.
    fn wind_up(&mut self) {
        let open = [JobStatus::Pending, JobStatus::Runnable, JobStatus::Starting, JobStatus::Running];
        for job in self.world.store.jobs_in(&open) {
            self.world.terminate(job.0, "the end");
            self.carry_out();
        }
        for report in self.backend.end_all(self.world.now.wall_ms) {
            self.world.report(report);
            self.carry_out();
        }
        assert_eq!(self.world.store.jobs_in(&open), [], "jobs that can't end");
        assert_eq!(self.world.store.open_attempts().count(), 0);
        assert!(self.backend.is_empty(), "attempts that nobody forgets");
        let counts = self.world.engine.counts();
        assert_eq!((counts.queued, counts.starting, counts.running), (0, 0, 0));
    }
}

#[test]
fn seeds_that_failed_once() {
    for seed in FOUND {
        Simulation::run(seed, 1000);
    }
}

#[test]
fn random_inputs_and_crashes() {
    let mut seen = Seen::default();
    for seed in 1..=8 {
        seen.add(&Simulation::run(seed, 1000));
    }
    // A simulation in which nothing happens finds nothing.
    for (what, at_least) in [
        ("starts", 1000),
        ("retries", 300),
        ("stops", 30),
        ("SUCCEEDED", 400),
        ("FAILED", 500),
        ("FAILED before its start", 100),
        ("JobQueue deleted", 5),
        ("queues removed", 3),
        ("environments removed", 1),
        ("waiting for room", 300),
        ("misconfigured", 50),
        ("given up", 20),
        ("PENDING", 100),
        ("failed with another", 100),
        ("segments", 500),
        ("held back", 5),
    ] {
        assert!(seen.0.get(what).is_some_and(|times| *times >= at_least), "{what}: {:?}", seen.0);
    }
}

/// Run by hand: `cargo test -p batchyard-engine --release -- --ignored many_steps`, with `SEED` to begin elsewhere.
#[test]
#[ignore = "takes minutes"]
fn many_steps() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1000);
    for seed in seed..seed + 200 {
        Simulation::run(seed, 5000);
    }
}
