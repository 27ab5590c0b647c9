//! Work grows with what changed, never with the backlog (invariant 9).

use crate::common::words;
use batchyard_engine::input::{Command, Submission};
use batchyard_engine::job::retry::RetryStrategy;
use batchyard_engine::resource::{JobDefinition, Platform};
use batchyard_engine::{
    ComputeEnvironmentId, DefinitionId, Effect, Engine, Input, JobUuid, Now, OpenRows, QueueId, Reply, Report,
};
use std::time::{Duration, Instant};

const NOW: Now = Now { wall_ms: 1, mono_ms: 1 };

fn engine() -> Engine {
    let mut engine = Engine::new(1, OpenRows::default(), NOW);
    let mut queue = words::queue("q 1").0;
    queue.environments = vec![ComputeEnvironmentId(1)];
    let definition = JobDefinition {
        id: DefinitionId(0),
        name: "d".into(),
        revision: 0,
        active: true,
        created_ms: 0,
        deregistered_ms: None,
        body: "".into(),
    };
    engine.handle(Input::Report(Report::HostJoined(words::host("h1 1x4096").0)), NOW);
    for command in [
        Command::CreateComputeEnvironment(words::environment("a 8")),
        Command::CreateJobQueue(queue),
        Command::RegisterJobDefinition(definition),
    ] {
        let reply = engine.handle(Input::Command(command), NOW);
        assert!(!matches!(reply, Reply::Refused(_) | Reply::Stale));
    }
    engine.schedule(NOW);
    assert_eq!(engine.take().0.len(), 3);
    engine.committed();
    engine
}

fn submission(number: u128) -> Box<Submission> {
    Box::new(Submission {
        array: None,
        uuid: JobUuid((number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_be_bytes()),
        name: "j".into(),
        queue: QueueId(1),
        definition: DefinitionId(1),
        platform: Platform::Ec2,
        needs: words::needs("1"),
        retry: RetryStrategy::default(),
        depends_on: Vec::new(),
        timeout_s: None,
        share: None,
        priority: 0,
        overrides_priority: false,
        fails: None,
        account: "1".into(),
        submitter: "me".into(),
        body: "{}".into(),
    })
}

/// A batch of one input each, as a busy server has them at worst; gives the time of each hundred.
fn submit(engine: &mut Engine, jobs: std::ops::Range<u128>) -> Duration {
    let begin = Instant::now();
    for number in jobs {
        engine.handle(Input::Command(Command::Submit(submission(number))), NOW);
        engine.schedule(NOW);
        assert_eq!(engine.take().0.len(), 1 + usize::from(number == 0), "its own rows and no other");
        engine.committed();
    }
    begin.elapsed()
}

/// Each exit places the next job; only the three rows concerned and the new head's are written, whatever waits.
#[test]
fn an_exit_writes_the_same_few_rows_however_many_wait() {
    for waiting in [10, 5000] {
        let mut engine = engine();
        for number in 0..waiting {
            engine.handle(Input::Command(Command::Submit(submission(number))), NOW);
        }
        engine.schedule(NOW);
        let (_, effects) = engine.take();
        let [Effect::Start(start)] = effects.as_slice() else { panic!("one start") };
        engine.handle(Input::Report(Report::Lost { task: start.task, at_ms: 1 }), NOW);
        engine.schedule(NOW);
        let (changes, effects) = engine.take();
        assert_eq!((changes.len(), effects.len()), (5, 2), "two attempts, three jobs; a start, an end");
    }
}

/// Run by hand: `cargo test -p batchyard-engine --release -- --ignored --nocapture backlog`.
#[test]
#[ignore = "prints times, which say nothing on a busy machine"]
fn a_hundred_thousand_jobs_behind_a_blocked_head() {
    let mut engine = engine();
    let all = submit(&mut engine, 0..100_000);
    println!("100,000 submissions, a pass each: {all:?}, the last 1,000:");
    println!("{:?}", submit(&mut engine, 100_000..101_000));
    let begin = Instant::now();
    for _ in 0..100_000 {
        engine.handle(Input::Tick, NOW);
        engine.schedule(NOW);
    }
    println!("100,000 passes with nothing new: {:?}", begin.elapsed());
    let begin = Instant::now();
    engine.check().expect("an engine that hangs together");
    println!("a check: {:?}; {:?}", begin.elapsed(), engine.counts());
}
