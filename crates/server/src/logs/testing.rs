//! Log files and a store of their own for tests of this folder.

use batchyard_supervisor::log_file::{MAGIC, push_record};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::catalog::{LogWriter, StreamRow};
use super::{LogStores, Logs};
use crate::compute::machine::testing::TempFolder;
use crate::error::ApiError;
use crate::store::{
    Catalog, Events, LogStreamRow, LogWrite, LogWritten, Readers, Store, TagChange, Write as StoreWrite,
    Writer, Written,
};
use batchyard_engine::TaskId;
use std::sync::{Arc, Mutex};

/// A log file that goes with its value.
pub struct TestLog {
    path: PathBuf,
    _folder: Option<TempFolder>,
}

impl TestLog {
    /// An empty one.
    pub fn new() -> Self {
        let folder = TempFolder::new();
        let path = folder.path().join("log");
        std::fs::write(&path, MAGIC).expect("written");
        Self { path, _folder: Some(folder) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One more record.
    pub fn append(&self, at_ms: i64, text: &[u8]) {
        let mut bytes = Vec::new();
        push_record(&mut bytes, at_ms, text);
        let mut file = OpenOptions::new().append(true).open(&self.path).expect("open");
        file.write_all(&bytes).expect("appended");
    }

    /// Leaves only so many bytes.
    pub fn cut(&self, length: u64) {
        OpenOptions::new().write(true).open(&self.path).and_then(|f| f.set_len(length)).expect("cut");
    }
}

/// A group `/aws/batch/job` with streams beside a group `other`, in a store of their own, and [`Logs`] over it.
pub struct TestGroup {
    /// What is tested.
    pub logs: Logs,
    /// What is under it.
    pub stores: LogStores,
    writer: Arc<TestWriter>,
    folder: TempFolder,
}

/// A stream's name, when it was made, and when it is done its times.
type Made<'a> = (&'a str, i64, Option<(i64, i64)>);

/// The store's writer, without a core.
struct TestWriter(Mutex<Writer>);

impl TestWriter {
    fn commit(&self, streams: &[LogStreamRow], writes: &[StoreWrite]) -> Vec<Written> {
        self.0.lock().expect("whole").commit(&[], streams, writes).expect("committed")
    }
}

impl LogWriter for TestWriter {
    fn write(&self, write: LogWrite) -> Result<LogWritten, ApiError> {
        match self.commit(&[], &[StoreWrite::Logs(write)]).pop() {
            Some(Written::Logs(written)) => Ok(written),
            other => panic!("{other:?}"),
        }
    }

    fn tag(&self, change: TagChange) -> Result<Option<usize>, ApiError> {
        match self.commit(&[], &[StoreWrite::Tags(change)]).pop() {
            Some(Written::TooManyTags(count)) => Ok(Some(count)),
            _ => Ok(None),
        }
    }
}

impl TestGroup {
    /// Without streams.
    pub fn new() -> Self {
        let folder = TempFolder::new();
        let (store, writer) = Store::open(folder.path()).expect("a store");
        let writer = Arc::new(TestWriter(Mutex::new(writer)));
        let stores = LogStores {
            catalog: Arc::new(Catalog(Readers::new(store))),
            writer: Arc::clone(&writer) as Arc<dyn LogWriter>,
            events: Events::open(folder.path()).expect("an event store"),
        };
        let logs = Logs::start(stores.clone(), folder.path(), "eu-test-1", "111122223333").expect("a thread");
        let group = Self { logs, stores, writer, folder };
        for name in ["/aws/batch/job", "other"] {
            group.call("CreateLogGroup", &format!(r#"{{"logGroupName":"{name}"}}"#));
        }
        group
    }

    /// Where files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// An operation that works; null: an empty answer.
    pub fn call(&self, operation: &str, body: &str) -> serde_json::Value {
        let answer = self.logs.call(operation, body.as_bytes()).expect(operation);
        if answer.is_empty() {
            serde_json::Value::Null
        } else {
            serde_json::from_slice(&answer).expect("JSON")
        }
    }

    /// A stream that runs, with these events; made with the time of the first one.
    pub fn stream(&self, name: &str, events: &[(i64, &str)]) -> TestLog {
        let log = self.file(name, events);
        self.commit(&[(name, events.first().map_or(0, |event| event.0), None)]);
        log
    }

    /// Many of them, written at once; done or not.
    pub fn streams(&self, streams: &[(String, Vec<(i64, &str)>)], done: bool) {
        let mut rows = Vec::new();
        for (name, events) in streams {
            self.file(name, events);
            let first = events.first().map_or(0, |event| event.0);
            let last = events.last().map_or(0, |event| event.0);
            rows.push((name.as_str(), first, done.then_some((first, last))));
        }
        self.commit(&rows);
    }

    /// Rows of streams that ended a moment after they were made, without files.
    pub fn rows_of_the_past(&self, streams: &[(String, i64)]) {
        let row = |(name, ms): &(String, i64)| LogStreamRow {
            bytes: 30,
            ..made(&(name.as_str(), *ms, Some((*ms, *ms + 500))))
        };
        self.writer.commit(&streams.iter().map(row).collect::<Vec<_>>(), &[]);
    }

    fn file(&self, name: &str, events: &[(i64, &str)]) -> TestLog {
        let path = self.folder.path().join(name.replace('/', "_"));
        let log = TestLog { path, _folder: None };
        std::fs::write(&log.path, MAGIC).expect("written");
        events.iter().for_each(|(ms, text)| log.append(*ms, text.as_bytes()));
        log
    }

    /// A stream whose file is not there yet.
    pub fn row_without_file(&self, name: &str) {
        self.commit(&[(name, 0, None)]);
    }

    /// Says in the row that a stream is done, with these times.
    pub fn done(&self, name: &str, first_ms: i64, last_ms: i64) {
        self.commit(&[(name, first_ms, Some((first_ms, last_ms)))]);
    }

    /// A stream that clients write.
    pub fn client_stream(&self, name: &str) {
        self.call(
            "CreateLogStream",
            &format!(r#"{{"logGroupName":"/aws/batch/job","logStreamName":"{name}"}}"#),
        );
    }

    /// Puts events into one; returns the answer.
    pub fn put(&self, name: &str, events: &[(i64, &str)]) -> serde_json::Value {
        let events: Vec<_> =
            events.iter().map(|(ms, text)| serde_json::json!({"timestamp": ms, "message": text})).collect();
        let body = serde_json::json!({
            "logGroupName": "/aws/batch/job", "logStreamName": name, "logEvents": events,
        });
        self.call("PutLogEvents", &body.to_string())
    }

    /// A stream's row.
    pub fn row(&self, name: &str) -> StreamRow {
        let group = self.stores.catalog.group("/aws/batch/job").expect("read").expect("a group");
        self.stores.catalog.stream(group.id, name).expect("read").expect("a stream")
    }

    fn commit(&self, rows: &[Made<'_>]) {
        let row = |row: &Made<'_>| {
            let row = made(row);
            let bytes = std::fs::metadata(self.folder.path().join(&row.path)).map_or(0, |m| m.len());
            LogStreamRow { bytes, ..row }
        };
        self.writer.commit(&rows.iter().map(row).collect::<Vec<_>>(), &[]);
    }
}

fn made((name, created_ms, times): &Made<'_>) -> LogStreamRow {
    LogStreamRow {
        group: "/aws/batch/job".into(),
        name: name.to_string(),
        task: TaskId([1; 16]),
        container: "default".into(),
        bytes: 0,
        path: name.replace('/', "_"),
        created_ms: *created_ms,
        first_event_ms: times.map(|t| t.0),
        last_event_ms: times.map(|t| t.1),
        done: times.is_some(),
    }
}
