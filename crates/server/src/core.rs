//! The one task that owns the engine and the store's writer.
//!
//! It takes what waits in its inbox as one batch, lets the engine handle each, runs one scheduling pass, commits all
//! changes with one sync, and only then answers and hands the effects on (invariant 1). When a commit fails its
//! outcome is unknown: every request of the batch is answered with a ServerException, no effect is carried out, and a
//! new engine is built from the rows. Never here: what the engine decides, how effects are carried out.

use crate::clock;
use crate::crash;
use crate::error::{ApiError, ErrorKind};
use crate::store::{LogStreamRow, StoreError, Write, Writer, Written};
use batchyard_engine::resource::Host;
use batchyard_engine::{Command, Effect, Engine, HostId, Input, OpenRows, QueueId, Reply, Report, Snapshot};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

/// Inputs of one batch at most; more would make the first of them wait for the last.
const BATCH: usize = 512;
/// Requests that may wait; beyond it callers wait at the door, which slows them down instead of filling memory.
const INBOX: usize = 4096;
/// How long a request may wait for its refusal while the store takes no writes.
const REFUSAL_PAUSE: Duration = Duration::from_millis(20);
/// Refusals between two tries of the store: half a second.
const REFUSALS: u32 = 25;

/// Who waits for an answer.
type Asked<T> = oneshot::Sender<Result<T, ApiError>>;

enum Message {
    Command(Box<Command>, Asked<Reply>),
    Report(Box<Report>, Vec<LogStreamRow>),
    Write(Box<Write>, Asked<Written>),
    Snapshot(QueueId, Asked<Option<Snapshot>>),
    Tick,
    Stop,
}

/// The way to the core, for anybody.
#[derive(Clone)]
pub struct Core {
    inbox: mpsc::Sender<Message>,
}

impl Core {
    /// The engine over these rows, as [`Core::start`] takes it.
    pub fn engine(rows: OpenRows) -> Engine {
        Engine::new(uuid::Uuid::new_v4().as_u128(), rows, clock::now())
    }

    /// Starts the core on a thread of its own. Effects go to `effects` after their commit.
    pub fn start(
        writer: Writer,
        engine: Engine,
        effects: mpsc::UnboundedSender<Effect>,
    ) -> std::io::Result<(Self, std::thread::JoinHandle<()>)> {
        let (sender, inbox) = mpsc::channel(INBOX);
        let owner = Owner { inbox, writer, engine, effects, hosts: BTreeMap::new() };
        let thread = std::thread::Builder::new().name("core".into()).spawn(move || owner.run())?;
        Ok((Self { inbox: sender }, thread))
    }

    /// Carries a command out; answered once it is durable.
    pub async fn command(&self, command: Command) -> Result<Reply, ApiError> {
        let (sender, answer) = oneshot::channel();
        self.inbox.send(Message::Command(Box::new(command), sender)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }

    /// Writes what the engine has no part in, in the same order as its changes; answered once it is durable.
    pub async fn write(&self, write: Write) -> Result<Written, ApiError> {
        let (sender, answer) = oneshot::channel();
        self.inbox.send(Message::Write(Box::new(write), sender)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }

    /// As [`Core::write`], on a thread that may block.
    pub fn write_here(&self, write: Write) -> Result<Written, ApiError> {
        let (sender, answer) = oneshot::channel();
        self.inbox.blocking_send(Message::Write(Box::new(write), sender)).map_err(|_| stopping())?;
        answer.blocking_recv().map_err(|_| stopping())?
    }

    /// How a queue stands, as far as it is durable; only the engine knows the order (invariant 5).
    pub async fn snapshot(&self, queue: QueueId) -> Result<Option<Snapshot>, ApiError> {
        let (sender, answer) = oneshot::channel();
        self.inbox.send(Message::Snapshot(queue, sender)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }

    /// Tells what a backend saw, with the rows of the log streams that go with it.
    pub async fn report(&self, report: Report, streams: Vec<LogStreamRow>) {
        // An inbox that is closed means that the server stops; the backend tells it again at the next start.
        let _ = self.inbox.send(Message::Report(Box::new(report), streams)).await;
    }

    /// Lets the engine look at the time.
    pub async fn tick(&self) {
        let _ = self.inbox.send(Message::Tick).await;
    }

    /// Ends the core after what already waits.
    pub async fn stop(&self) {
        let _ = self.inbox.send(Message::Stop).await;
    }
}

fn stopping() -> ApiError {
    ApiError::new(ErrorKind::Unavailable, "the server is stopping; try again in a moment")
}

struct Owner {
    inbox: mpsc::Receiver<Message>,
    writer: Writer,
    engine: Engine,
    effects: mpsc::UnboundedSender<Effect>,
    hosts: BTreeMap<HostId, Host>,
}

/// What a batch holds beside the engine's changes, and who waits for its answer.
#[derive(Default)]
struct Waiting {
    commands: Vec<(Asked<Reply>, Reply)>,
    streams: Vec<LogStreamRow>,
    writes: Vec<Write>,
    writers: Vec<Asked<Written>>,
    snapshots: Vec<(QueueId, Asked<Option<Snapshot>>)>,
}

impl Waiting {
    fn answer(self, written: Vec<Written>, engine: &Engine) {
        for (answer, reply) in self.commands {
            let _ = answer.send(Ok(reply));
        }
        for (answer, written) in self.writers.into_iter().zip(written) {
            let _ = answer.send(Ok(written));
        }
        for (queue, answer) in self.snapshots {
            let _ = answer.send(Ok(engine.snapshot(queue)));
        }
    }

    fn fail(self) {
        for (answer, _) in self.commands {
            let _ = answer.send(Err(ApiError::server()));
        }
        for answer in self.writers {
            let _ = answer.send(Err(ApiError::server()));
        }
        for (_, answer) in self.snapshots {
            let _ = answer.send(Err(ApiError::server()));
        }
    }
}

impl Owner {
    fn run(mut self) {
        for effect in self.engine.resume() {
            let _ = self.effects.send(effect);
        }
        let mut batch = Vec::with_capacity(BATCH);
        let mut going = true;
        while going && self.inbox.blocking_recv_many(&mut batch, BATCH) > 0 {
            going = self.step(&mut batch);
        }
    }

    /// One batch. False when the core is to end.
    fn step(&mut self, batch: &mut Vec<Message>) -> bool {
        let now = clock::now();
        let (mut waiting, mut going) = (Waiting::default(), true);
        for message in batch.drain(..) {
            match message {
                Message::Command(command, answer) => {
                    waiting.commands.push((answer, self.engine.handle(Input::Command(*command), now)));
                }
                Message::Report(report, rows) => {
                    waiting.streams.extend(rows);
                    self.remember_host(&report);
                    self.engine.handle(Input::Report(*report), now);
                }
                Message::Write(write, answer) => {
                    waiting.writes.push(*write);
                    waiting.writers.push(answer);
                }
                Message::Snapshot(queue, answer) => waiting.snapshots.push((queue, answer)),
                Message::Tick => drop(self.engine.handle(Input::Tick, now)),
                Message::Stop => going = false,
            }
        }
        self.engine.schedule(now);
        self.finish(waiting) && going
    }

    fn remember_host(&mut self, report: &Report) {
        match report {
            Report::HostJoined(host) => drop(self.hosts.insert(host.id, host.clone())),
            Report::HostLeft(id) => drop(self.hosts.remove(id)),
            _ => {}
        }
    }

    /// Commits, answers, lets the effects go. False when the core was told to end while the store took no writes.
    fn finish(&mut self, waiting: Waiting) -> bool {
        let (changes, effects) = self.engine.take();
        let beside = !waiting.writes.is_empty();
        crash::around("before_commit", &changes, beside);
        match self.writer.commit(&changes, &waiting.streams, &waiting.writes) {
            Ok(written) => {
                crash::around("after_commit", &changes, beside);
                self.engine.committed();
                waiting.answer(written, &self.engine);
                crash::around("after_answer", &changes, beside);
                for effect in effects {
                    let _ = self.effects.send(effect);
                }
                true
            }
            Err(error) => {
                tracing::error!(%error, changes = changes.len(), "a commit failed; reading the rows anew");
                waiting.fail();
                self.recover()
            }
        }
    }

    /// Waits until the store takes writes again, refusing what comes in meanwhile, and builds a new engine. False when
    /// the core is to end first: the rows are the truth, and the next start reads them.
    fn recover(&mut self) -> bool {
        loop {
            match self.rebuild() {
                Ok(engine) => {
                    self.engine = engine;
                    self.engine.resume().into_iter().for_each(|effect| drop(self.effects.send(effect)));
                    tracing::info!("the store takes writes again");
                    return true;
                }
                Err(error) => tracing::error!(%error, "the store takes no writes"),
            }
            for _ in 0..REFUSALS {
                std::thread::sleep(REFUSAL_PAUSE);
                if !self.refuse() {
                    return false;
                }
            }
        }
    }

    /// Refuses what waits. Reports may go: a new engine asks for all of them again. False when told to end.
    fn refuse(&mut self) -> bool {
        loop {
            match self.inbox.try_recv() {
                Ok(Message::Command(_, answer)) => drop(answer.send(Err(ApiError::server()))),
                Ok(Message::Write(_, answer)) => drop(answer.send(Err(ApiError::server()))),
                Ok(Message::Snapshot(_, answer)) => drop(answer.send(Err(ApiError::server()))),
                Ok(Message::Report(report, _)) => self.remember_host(&report),
                Ok(Message::Tick) => {}
                Ok(Message::Stop) | Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => return true,
            }
        }
    }

    fn rebuild(&mut self) -> Result<Engine, StoreError> {
        self.writer.probe()?;
        let mut engine = Core::engine(self.writer.open_rows()?);
        // Hosts are no rows: they are there, whatever the store says.
        for host in self.hosts.values() {
            engine.handle(Input::Report(Report::HostJoined(host.clone())), clock::now());
        }
        Ok(engine)
    }
}
