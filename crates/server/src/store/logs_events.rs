//! Events that clients sent with PutLogEvents: a database of their own, in the order of their times, however late they
//! come. Apart from the main one, so that neither its size nor its writer has a part in other requests.
//!
//! A thread writes; requests that wait share a transaction and its sync. Never here: which stream a row id means.

use super::{Readers, Store, StoreError, configure, keep_private};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Its file, in the folder of log files.
const FILE: &str = "logs/events.db";
/// The version of the tables below.
const VERSION: i64 = 1;
/// Pages of its log at which the writer moves them into the file: 16 MiB.
const CHECKPOINT_PAGES: u32 = 4096;
/// Requests that share a transaction at most.
const BATCH: usize = 64;
/// Events that go at once when a stream is cleared.
const CLEAR: u32 = 10_000;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS event (
    stream INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    ingested_ms INTEGER NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (stream, at_ms, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS next_seq (seq INTEGER NOT NULL);
INSERT INTO next_seq SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM next_seq);
";

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its own time, wall milliseconds.
    pub at_ms: i64,
    /// Rises with arrival; unique among all.
    pub seq: u64,
    /// When it came, wall milliseconds.
    pub ingested_ms: i64,
    /// Its text.
    pub message: String,
}

/// A place between events: behind those before `(at_ms, seq)` and that one itself, or before them.
pub type EventPlace = (i64, u64);

type Answer<T> = SyncSender<Result<T, String>>;

enum Job {
    Insert { stream: i64, ingested_ms: i64, events: Vec<(i64, String)>, answer: Answer<u64> },
    Clear { stream: i64, before_ms: i64, answer: Answer<(u64, u64)> },
}

/// The store of events. Blocks on the disk.
#[derive(Clone)]
pub struct Events {
    jobs: SyncSender<Job>,
    readers: Readers,
}

impl Events {
    /// Makes or opens it in a data folder and starts its thread, which ends with the last clone.
    ///
    /// # Errors
    /// The file cannot be made, opened or read; the text says what to do.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let path = data_dir.join(FILE);
        let mut connection = prepare(&path).map_err(|error| StoreError::Events(error.to_string()))?;
        let (jobs, inbox) = sync_channel(BATCH * 2);
        let run = move || run(&mut connection, &inbox);
        std::thread::Builder::new().name("log-events".into()).spawn(run).map_err(StoreError::File)?;
        Ok(Self { jobs, readers: Readers::new(Store { path }) })
    }

    /// Stores events durably; returns the number that the next one will have.
    ///
    /// # Errors
    /// The disk does not take them: none is stored.
    pub fn insert(
        &self,
        stream: i64,
        ingested_ms: i64,
        events: Vec<(i64, String)>,
    ) -> Result<u64, StoreError> {
        self.ask(|answer| Job::Insert { stream, ingested_ms, events, answer })
    }

    /// Removes a stream's events before a time, some at once; returns how many went and their size. None: all are gone.
    ///
    /// # Errors
    /// The disk does not let them go.
    pub fn clear(&self, stream: i64, before_ms: i64) -> Result<(u64, u64), StoreError> {
        self.ask(|answer| Job::Clear { stream, before_ms, answer })
    }

    fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, StoreError> {
        let (answer, answered) = sync_channel(1);
        let ended = || StoreError::Events("its thread has ended".to_string());
        self.jobs.send(job(answer)).map_err(|_| ended())?;
        answered.recv().map_err(|_| ended())?.map_err(StoreError::Events)
    }

    /// Gives a stream's events between two places, both exclusive, until `visit` wants no more.
    ///
    /// # Errors
    /// The disk does not give them.
    pub fn read(
        &self,
        stream: i64,
        (above, below): (EventPlace, EventPlace),
        newest_first: bool,
        mut visit: impl FnMut(StoredEvent) -> bool,
    ) -> Result<(), StoreError> {
        let way = if newest_first { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT at_ms, seq, ingested_ms, message FROM event WHERE stream = ?1 AND (at_ms, seq) > (?2, ?3)
             AND (at_ms, seq) < (?4, ?5) ORDER BY at_ms {way}, seq {way}"
        );
        let number = |seq: u64| i64::try_from(seq).unwrap_or(i64::MAX);
        let params = params![stream, above.0, number(above.1), below.0, number(below.1)];
        self.readers.read_here(|reader| {
            reader.visit(&sql, params, |row| {
                let event = StoredEvent {
                    at_ms: row.get(0)?,
                    seq: u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default(),
                    ingested_ms: row.get(2)?,
                    message: row.get(3)?,
                };
                Ok(visit(event))
            })
        })
    }

    /// The row id of the next stream that has events, behind this one.
    ///
    /// # Errors
    /// The disk does not give it.
    pub fn stream_after(&self, stream: i64) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT min(stream) FROM event WHERE stream > ?1";
        let found = self.readers.read_here(|reader| reader.rows(sql, [stream], |row| Ok(row.get(0)?)))?;
        Ok(found.into_iter().next().flatten())
    }
}

fn prepare(path: &Path) -> Result<Connection, StoreError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(StoreError::File)?;
    }
    keep_private(path)?;
    let connection = Connection::open(path)?;
    configure(&connection)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |r| r.get(0))?;
    if found > VERSION {
        return Err(StoreError::Newer { found });
    }
    connection.execute_batch(SCHEMA)?;
    connection.pragma_update(None, "user_version", VERSION)?;
    Ok(connection)
}

fn run(connection: &mut Connection, inbox: &Receiver<Job>) {
    while let Ok(first) = inbox.recv() {
        let jobs: Vec<Job> = std::iter::once(first).chain(inbox.try_iter().take(BATCH - 1)).collect();
        match carry_out(connection, &jobs) {
            Ok(results) => jobs.into_iter().zip(results).for_each(|(job, result)| answer(job, Ok(result))),
            Err(error) => {
                tracing::error!(%error, "log events were not stored");
                jobs.into_iter().for_each(|job| answer(job, Err(error.to_string())));
            }
        }
    }
}

/// Whoever asked may be gone: nobody is left to tell.
fn answer(job: Job, result: Result<(u64, u64), String>) {
    match job {
        Job::Insert { answer, .. } => drop(answer.send(result.map(|(seq, _)| seq))),
        Job::Clear { answer, .. } => drop(answer.send(result)),
    }
}

fn carry_out(connection: &mut Connection, jobs: &[Job]) -> Result<Vec<(u64, u64)>, StoreError> {
    let t = connection.transaction()?;
    let mut results = Vec::with_capacity(jobs.len());
    let before: i64 = t.query_row("SELECT seq FROM next_seq", [], |r| r.get(0))?;
    let mut seq = before;
    for job in jobs {
        results.push(match job {
            Job::Insert { stream, ingested_ms, events, .. } => {
                insert(&t, *stream, *ingested_ms, events, &mut seq)?;
                (u64::try_from(seq).unwrap_or_default(), 0)
            }
            Job::Clear { stream, before_ms, .. } => clear(&t, *stream, *before_ms)?,
        });
    }
    if seq != before {
        t.execute("UPDATE next_seq SET seq = ?1", [seq])?;
    }
    t.commit()?;
    Ok(results)
}

fn insert(
    t: &Transaction<'_>,
    stream: i64,
    ingested_ms: i64,
    events: &[(i64, String)],
    seq: &mut i64,
) -> Result<(), StoreError> {
    let mut statement = t.prepare_cached("INSERT INTO event VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (at_ms, message) in events {
        statement.execute(params![stream, at_ms, *seq, ingested_ms, message])?;
        *seq += 1;
    }
    Ok(())
}

fn clear(t: &Transaction<'_>, stream: i64, before_ms: i64) -> Result<(u64, u64), StoreError> {
    let sql =
        "SELECT at_ms, seq FROM event WHERE stream = ?1 AND at_ms < ?2 ORDER BY at_ms, seq LIMIT 1 OFFSET ?3";
    let read = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, r.get(1)?));
    let beyond: Option<(i64, i64)> =
        t.prepare_cached(sql)?.query_row(params![stream, before_ms, CLEAR], read).optional()?;
    let (ms, seq) = beyond.unwrap_or((before_ms, 0));
    let sql = "SELECT count(*), coalesce(sum(length(CAST(message AS BLOB)) + 26), 0) FROM event
               WHERE stream = ?1 AND (at_ms, seq) < (?2, ?3)";
    let gone: (i64, i64) =
        t.prepare_cached(sql)?.query_row([stream, ms, seq], |r| Ok((r.get(0)?, r.get(1)?)))?;
    let sql = "DELETE FROM event WHERE stream = ?1 AND (at_ms, seq) < (?2, ?3)";
    t.prepare_cached(sql)?.execute([stream, ms, seq])?;
    Ok((u64::try_from(gone.0).unwrap_or_default(), u64::try_from(gone.1).unwrap_or_default()))
}
