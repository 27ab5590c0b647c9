//! Log files and a catalogue of their own for tests of this folder.

use batchyard_supervisor::log_file::{MAGIC, push_record};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::Logs;
use super::catalog::{GroupQuery, GroupRow, LogCatalog, RangeQuery, StreamOrder, StreamQuery, StreamRow};
use crate::compute::machine::testing::TempFolder;
use crate::error::ApiError;
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

/// A group `/aws/batch/job` with streams, and [`Logs`] over it.
pub struct TestGroup {
    /// What is tested.
    pub logs: Logs,
    rows: Arc<Rows>,
    folder: TempFolder,
}

/// A catalogue in memory.
#[derive(Default)]
pub struct Rows(Mutex<Vec<StreamRow>>);

impl TestGroup {
    /// Without streams.
    pub fn new() -> Self {
        let (folder, rows) = (TempFolder::new(), Arc::<Rows>::default());
        let catalog = Arc::clone(&rows) as Arc<dyn LogCatalog>;
        Self { logs: Logs::new(catalog, folder.path(), "eu-test-1", "111122223333"), rows, folder }
    }

    /// A stream that runs, with these events; made with the time of the first one.
    pub fn stream(&self, name: &str, events: &[(i64, &str)]) -> TestLog {
        let path = self.folder.path().join(name.replace('/', "_"));
        let log = TestLog { path, _folder: None };
        std::fs::write(&log.path, MAGIC).expect("written");
        events.iter().for_each(|(ms, text)| log.append(*ms, text.as_bytes()));
        self.put(name, events.first().map_or(0, |event| event.0));
        log
    }

    /// A stream whose file is not there yet.
    pub fn row_without_file(&self, name: &str) {
        self.put(name, 0);
    }

    /// Says in the row that a stream is done, with these times.
    pub fn done(&self, name: &str, first_ms: i64, last_ms: i64) {
        let mut rows = self.rows.0.lock().expect("whole");
        let row = rows.iter_mut().find(|row| row.name == name).expect("a row");
        (row.done, row.first_event_ms, row.last_event_ms) = (true, Some(first_ms), Some(last_ms));
    }

    fn put(&self, name: &str, created_ms: i64) {
        let mut rows = self.rows.0.lock().expect("whole");
        rows.retain(|row| row.name != name);
        let (group, path) = ("/aws/batch/job".to_string(), PathBuf::from(name.replace('/', "_")));
        rows.push(StreamRow { group, name: name.into(), created_ms, path, ..StreamRow::default() });
    }
}

impl LogCatalog for Rows {
    fn group(&self, name: &str) -> Result<Option<GroupRow>, ApiError> {
        let group = GroupRow { name: name.into(), created_ms: 1, ..GroupRow::default() };
        Ok(["/aws/batch/job", "other"].contains(&name).then_some(group))
    }

    fn groups(&self, query: &GroupQuery<'_>) -> Result<Vec<GroupRow>, ApiError> {
        let fits = |name: &&str| {
            query.prefix.is_none_or(|p| name.starts_with(p))
                && query.contains.is_none_or(|c| name.contains(c))
                && query.after.is_none_or(|a| *name > a)
        };
        let names = ["/aws/batch/job", "other"].into_iter().filter(fits).take(query.limit);
        Ok(names.map(|name| GroupRow { name: name.into(), ..GroupRow::default() }).collect())
    }

    fn stream(&self, group: &str, name: &str) -> Result<Option<StreamRow>, ApiError> {
        let rows = self.0.lock().expect("whole");
        Ok(rows.iter().find(|row| row.group == group && row.name == name).cloned())
    }

    fn streams(&self, query: &StreamQuery<'_>) -> Result<Vec<StreamRow>, ApiError> {
        let key = |row: &StreamRow| match query.order {
            StreamOrder::Name => (0, row.name.clone()),
            StreamOrder::LastEvent => (row.last_event_ms.unwrap_or(row.created_ms), row.name.clone()),
        };
        let mut rows = self.0.lock().expect("whole").clone();
        rows.retain(|row| row.group == query.group && query.prefix.is_none_or(|p| row.name.starts_with(p)));
        rows.sort_by_key(key);
        if query.descending {
            rows.reverse();
        }
        let after = query.after.map(|(ms, name)| (ms, name.to_string()));
        let behind = |row: &StreamRow| {
            after
                .as_ref()
                .is_none_or(|after| if query.descending { key(row) < *after } else { key(row) > *after })
        };
        Ok(rows.into_iter().filter(behind).take(query.limit).collect())
    }

    fn streams_in_range(&self, query: &RangeQuery<'_>) -> Result<Vec<StreamRow>, ApiError> {
        let mut rows = self.0.lock().expect("whole").clone();
        rows.retain(|row| {
            row.group == query.group
                && query.prefix.is_none_or(|p| row.name.starts_with(p))
                && row.created_ms <= query.end_ms
                && (!row.done || row.last_event_ms.is_some_and(|last| last >= query.start_ms))
                && query.after.is_none_or(|(ms, name)| (row.created_ms, row.name.as_str()) > (ms, name))
        });
        rows.sort_by_key(|row| (row.created_ms, row.name.clone()));
        rows.truncate(query.limit);
        Ok(rows)
    }
}
