//! Clearing away what nobody sees any more: files and events past a group's retention, and of what was removed.
//!
//! A thread of its own, a little at a time: files first, then the rows, so that a crash in between is repaired by the
//! next round. Streams that a job writes are left alone. Never here: hiding events (the readers do that by time).

use super::api::{DAY_MS, LogStores};
use super::catalog::{GroupQuery, GroupRow, StreamRow};
use crate::clock;
use crate::error::ApiError;
use crate::store::LogWrite;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// How often retention is looked at.
const PERIOD: Duration = Duration::from_secs(60);
/// Streams that are cleared with one write.
const BATCH: usize = 500;
/// Groups that are read at once.
const GROUPS: usize = 100;

/// Starts the thread. It ends with the sender, which wakes it.
pub(super) fn start(stores: LogStores, data: PathBuf) -> io::Result<SyncSender<()>> {
    let (wake, woken) = sync_channel(1);
    let run = move || run(&stores, &data, &woken);
    std::thread::Builder::new().name("log-sweep".into()).spawn(run)?;
    Ok(wake)
}

fn run(stores: &LogStores, data: &Path, woken: &Receiver<()>) {
    if let Err(error) = orphans(stores) {
        tracing::warn!(%error, "stored log events of removed streams can't be cleared away yet");
    }
    loop {
        if let Err(error) = sweep(stores, data, clock::wall_ms()) {
            tracing::warn!(%error, "old logs can't be cleared away yet");
        }
        if woken.recv_timeout(PERIOD) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

/// One round.
///
/// # Errors
/// The store or the disk refuses; the next round goes on.
pub(super) fn sweep(stores: &LogStores, data: &Path, now_ms: i64) -> Result<(), ApiError> {
    removed(stores, data)?;
    let mut after = String::new();
    loop {
        let query = GroupQuery { after: Some(&after), limit: GROUPS, ..GroupQuery::default() };
        let groups = stores.catalog.groups(&query)?;
        for group in &groups {
            expired(stores, data, group, now_ms)?;
        }
        match groups.last() {
            Some(last) if groups.len() == GROUPS => after.clone_from(&last.name),
            _ => return Ok(()),
        }
    }
}

/// What was removed, a batch after the other.
fn removed(stores: &LogStores, data: &Path) -> Result<(), ApiError> {
    loop {
        let found = stores.catalog.removed(BATCH)?;
        if found.streams.is_empty() && !found.groups {
            return Ok(());
        }
        for stream in &found.streams {
            clear(stores, data, stream, i64::MAX)?;
        }
        let last = found.streams.len() < BATCH;
        stores.writer.write(LogWrite::Forget(found.streams.iter().map(|stream| stream.id).collect()))?;
        if last {
            return Ok(());
        }
    }
}

/// What is past a group's retention.
fn expired(stores: &LogStores, data: &Path, group: &GroupRow, now_ms: i64) -> Result<(), ApiError> {
    let Some(days) = group.retention_days else { return Ok(()) };
    let before_ms = now_ms - i64::from(days) * DAY_MS;
    loop {
        let streams = stores.catalog.expired(group.id, before_ms, BATCH)?;
        let (all, some): (Vec<_>, Vec<_>) =
            streams.iter().partition(|stream| stream.last_event_ms.is_some_and(|last| last < before_ms));
        for stream in &all {
            clear(stores, data, stream, before_ms)?;
        }
        if !all.is_empty() {
            let streams = all.iter().map(|stream| stream.id).collect();
            stores.writer.write(LogWrite::Emptied { streams, before_ms })?;
        }
        for stream in some {
            let bytes = clear(stores, data, stream, before_ms)?;
            stores.writer.write(LogWrite::Trimmed { stream: stream.id, first_ms: before_ms, bytes })?;
        }
        if streams.len() < BATCH {
            return Ok(());
        }
    }
}

/// Removes a stream's file, or its stored events before a time; returns the size of the events.
fn clear(stores: &LogStores, data: &Path, stream: &StreamRow, before_ms: i64) -> Result<i64, ApiError> {
    if !stream.path.as_os_str().is_empty() {
        let path = data.join(&stream.path);
        return match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::error!(path = %path.display(), %error, "a log file can't be removed");
                Err(ApiError::server())
            }
            _ => Ok(0),
        };
    }
    events(stores, stream.id, before_ms)
}

fn events(stores: &LogStores, stream: i64, before_ms: i64) -> Result<i64, ApiError> {
    let mut total = 0;
    loop {
        let (count, bytes) =
            stores.events.clear(stream, before_ms).map_err(|error| super::api::failed(&error))?;
        total += i64::try_from(bytes).unwrap_or(i64::MAX);
        if count == 0 {
            return Ok(total);
        }
    }
}

/// Events that came while their stream was removed, at the time of a crash or just before it.
fn orphans(stores: &LogStores) -> Result<(), ApiError> {
    let mut stream = i64::MIN;
    loop {
        let next = stores.events.stream_after(stream).map_err(|error| super::api::failed(&error))?;
        let Some(next) = next else { return Ok(()) };
        stream = next;
        if !stores.catalog.has_stream(stream)? {
            events(stores, stream, i64::MAX)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::testing::TestGroup;
    use batchyard_model::logs::{DescribeLogStreamsRequest, GetLogEventsRequest, PutRetentionPolicyRequest};

    fn stored(group: &TestGroup) -> Option<i64> {
        group.call("DescribeLogGroups", "{}")["logGroups"][0]["storedBytes"].as_i64()
    }

    #[test]
    fn what_is_past_retention_goes_and_running_streams_stay() {
        let group = TestGroup::new();
        let day = |n: i64| clock::wall_ms() - n * DAY_MS;
        for (name, last) in [("old", day(8)), ("young", day(1)), ("running", day(9))] {
            group.stream(name, &[(day(9), "first"), (last, "last")]);
        }
        group.done("old", day(9), day(8));
        group.done("young", day(9), day(1));
        let before = stored(&group).expect("a size");
        let input = PutRetentionPolicyRequest {
            log_group_name: Some("/aws/batch/job".into()),
            retention_in_days: Some(7),
        };
        group.logs.put_retention_policy(&input).expect("set");
        sweep(&group.stores, group.folder(), clock::wall_ms()).expect("swept");
        let there: Vec<bool> = ["old", "young", "running"].map(|n| group.folder().join(n).exists()).into();
        assert_eq!(there, [false, true, true]);
        assert!(stored(&group).expect("a size") < before);
        let input = GetLogEventsRequest {
            log_group_name: Some("/aws/batch/job".into()),
            start_from_head: Some(true),
            ..GetLogEventsRequest::default()
        };
        for (name, seen) in [("old", 0), ("young", 1), ("running", 0)] {
            let input = GetLogEventsRequest { log_stream_name: Some(name.into()), ..input.clone() };
            let answer = group.logs.get_log_events(&input).expect("a page");
            assert_eq!(answer.events.map_or(9, |events| events.len()), seen, "{name}");
        }
        let input = DescribeLogStreamsRequest {
            log_group_name: Some("/aws/batch/job".into()),
            ..DescribeLogStreamsRequest::default()
        };
        let streams = group.logs.describe_log_streams(&input).expect("a page").log_streams;
        assert_eq!(streams.map(|streams| streams.len()), Some(3), "the streams themselves stay");
        sweep(&group.stores, group.folder(), clock::wall_ms()).expect("swept again");
    }

    #[test]
    fn removed_groups_and_streams_leave_nothing() {
        let group = TestGroup::new();
        let streams: Vec<_> = (0..1100).map(|i| (format!("s{i}"), vec![(i, "x")])).collect();
        group.streams(&streams, true);
        group.call("DeleteLogStream", r#"{"logGroupName":"/aws/batch/job","logStreamName":"s7"}"#);
        sweep(&group.stores, group.folder(), clock::wall_ms()).expect("swept");
        assert!(!group.folder().join("s7").exists() && group.folder().join("s8").exists());
        group.call("DeleteLogGroup", r#"{"logGroupName":"/aws/batch/job"}"#);
        group.call("CreateLogGroup", r#"{"logGroupName":"/aws/batch/job"}"#);
        sweep(&group.stores, group.folder(), clock::wall_ms()).expect("swept");
        assert!((0..1100).all(|i| !group.folder().join(format!("s{i}")).exists()));
        let left = group.stores.catalog.removed(10).expect("read");
        assert!(
            left.streams.len() == 1 && !left.groups,
            "only the row that keeps its id from being used again"
        );
        group.client_stream("in other");
        assert!(group.row("in other").id > left.streams[0].id);
        sweep(&group.stores, group.folder(), clock::wall_ms()).expect("swept");
        assert!(group.stores.catalog.removed(10).expect("read").streams.is_empty());
    }

    #[test]
    fn stored_events_go_with_their_stream_and_with_time() {
        let group = TestGroup::new();
        let now = clock::wall_ms();
        group.client_stream("mine");
        for (ms, text) in [(now - 3 * DAY_MS, "old"), (now - 1000, "young")] {
            group.put("mine", &[(ms, text)]);
        }
        group.call("PutRetentionPolicy", r#"{"logGroupName":"/aws/batch/job","retentionInDays":1}"#);
        sweep(&group.stores, group.folder(), now).expect("swept");
        let row = group.row("mine");
        let mut left = Vec::new();
        let all = ((i64::MIN, 0), (i64::MAX, u64::MAX));
        let read = group.stores.events.read(row.id, all, false, |event| {
            left.push(event.message);
            true
        });
        read.expect("read");
        assert_eq!(left, ["young"]);
        // The new policy woke the thread, too: it may have removed the event and not yet counted it.
        let patience = std::time::Instant::now() + Duration::from_secs(10);
        while stored(&group) != Some(31) {
            assert!(std::time::Instant::now() < patience, "still {:?} bytes", stored(&group));
            std::thread::yield_now();
        }
        group.call("DeleteLogStream", r#"{"logGroupName":"/aws/batch/job","logStreamName":"mine"}"#);
        sweep(&group.stores, group.folder(), now).expect("swept");
        assert_eq!(group.stores.events.stream_after(0).expect("read"), None);
        group.client_stream("next");
        sweep(&group.stores, group.folder(), now).expect("forgotten");
        // As left by a crash between the removal and a put that was under way.
        group.stores.events.insert(row.id, now, vec![(now, "late".into())]).expect("stored");
        orphans(&group.stores).expect("cleared");
        assert_eq!(group.stores.events.stream_after(0).expect("read"), None);
    }
}
