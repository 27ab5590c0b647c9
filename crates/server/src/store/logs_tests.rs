//! Rows of log groups and streams: found by name and by time, whatever their number, and judged when they are written.

use super::{Catalog, LogStreamRow, LogWrite, LogWritten, NewGroup, Readers, Store, Write, Writer, Written};
use crate::compute::machine::testing::TempFolder;
use crate::logs::{GroupQuery, LogCatalog, RangeQuery, StreamOrder, StreamQuery, StreamRow};
use batchyard_engine::TaskId;
use std::time::Instant;

const GROUP: &str = "/aws/batch/job";

fn row(name: &str, created_ms: i64, times: Option<(i64, i64)>) -> LogStreamRow {
    LogStreamRow {
        group: GROUP.into(),
        name: name.into(),
        task: TaskId([1; 16]),
        container: "default".into(),
        path: format!("logs/{name}"),
        created_ms,
        first_event_ms: times.map(|t| t.0),
        last_event_ms: times.map(|t| t.1),
        bytes: 5,
        done: times.is_some(),
    }
}

struct Rows {
    writer: Writer,
    catalog: Catalog,
    _folder: TempFolder,
}

impl Rows {
    fn new(rows: &[LogStreamRow]) -> Self {
        let folder = TempFolder::new();
        let (store, mut writer) = Store::open(folder.path()).unwrap();
        writer.commit(&[], rows, &[]).unwrap();
        Self { writer, catalog: Catalog(Readers::new(store)), _folder: folder }
    }

    fn group(&self) -> i64 {
        self.catalog.group(GROUP).unwrap().unwrap().id
    }

    fn write(&mut self, write: LogWrite) -> LogWritten {
        match self.writer.commit(&[], &[], &[Write::Logs(write)]).unwrap().pop() {
            Some(Written::Logs(written)) => written,
            other => panic!("{other:?}"),
        }
    }
}

fn names(rows: Vec<StreamRow>) -> Vec<String> {
    rows.into_iter().map(|r| r.name).collect()
}

#[test]
fn streams_are_found_by_name_prefix_and_time() {
    let rows =
        Rows::new(&[row("a/1", 10, Some((20, 20))), row("a/2", 10, None), row("b/1", 10, Some((90, 90)))]);
    let (catalog, group) = (&rows.catalog, rows.group());
    let by_name = |after| StreamQuery { group, prefix: Some("a/"), after, limit: 10, ..Default::default() };
    assert_eq!(names(catalog.streams(&by_name(None)).unwrap()), ["a/1", "a/2"]);
    assert_eq!(names(catalog.streams(&by_name(Some((0, "a/1")))).unwrap()), ["a/2"]);
    let by_time = StreamQuery {
        group,
        order: StreamOrder::LastEvent,
        descending: true,
        limit: 10,
        ..Default::default()
    };
    assert_eq!(names(catalog.streams(&by_time).unwrap()), ["b/1", "a/1", "a/2"]);
    let rest = StreamQuery { after: Some((20, "a/1")), ..by_time };
    assert_eq!(names(catalog.streams(&rest).unwrap()), ["a/2"]);
    let range = RangeQuery { group, start_ms: 50, end_ms: 100, limit: 10, ..Default::default() };
    assert_eq!(names(catalog.streams_in_range(&range).unwrap()), ["a/2", "b/1"]);
    assert!(catalog.stream(group, "c").unwrap().is_none());
    assert!(catalog.group("nope").unwrap().is_none() && catalog.group("*").unwrap().is_none());
    let groups =
        GroupQuery { prefix: Some("/aws"), contains: Some("batch"), limit: 10, ..Default::default() };
    assert_eq!(catalog.groups(&groups).unwrap()[0].stored_bytes, 15);
}

/// Against a plain look at every row: streams of all lengths, both orders, pages of every size.
#[test]
fn a_range_finds_exactly_the_streams_that_span_it() {
    let mut all = Vec::new();
    for i in 0..300i64 {
        let (created, length) =
            (i * 7919 % 1_000_000, [0, 900, 5_000, 70_000, 400_000, 3_000_000][i as usize % 6]);
        let late = if i % 10 == 0 { -50_000 } else { 5 };
        let times = (i % 7 != 0).then_some((created + late, created + late.max(0) + length));
        all.push(row(&format!("{}/{i:03}", ["x", "y"][i as usize % 2]), created, times));
    }
    let rows = Rows::new(&all);
    let group = rows.group();
    for (start_ms, end_ms) in
        [(0, 10), (500_000, 560_000), (990_000, i64::MAX), (i64::MIN, i64::MAX), (450_000, 450_000)]
    {
        for (prefix, newest_first) in [(None, false), (None, true), (Some("y/"), false), (Some("y/"), true)] {
            let mut expected: Vec<String> = all
                .iter()
                .filter(|r| prefix.is_none_or(|p| r.name.starts_with(p)))
                .filter(|r| r.created_ms.min(r.first_event_ms.unwrap_or(i64::MAX)) <= end_ms)
                .filter(|r| r.last_event_ms.is_none_or(|last| last >= start_ms))
                .map(|r| r.name.clone())
                .collect();
            for limit in [1, 7, 1000] {
                let mut query =
                    RangeQuery { group, prefix, start_ms, end_ms, newest_first, limit, after: None };
                let (mut found, mut keys) = (Vec::new(), Vec::new());
                loop {
                    let page = rows.catalog.streams_in_range(&query).unwrap();
                    keys.extend(page.iter().map(|r| r.key(newest_first)));
                    query.after = page.last().map(|r| r.key(newest_first));
                    let full = page.len() == limit;
                    found.extend(names(page));
                    if !full {
                        break;
                    }
                }
                assert!(if newest_first {
                    keys.is_sorted_by(|a, b| a > b)
                } else {
                    keys.is_sorted_by(|a, b| a < b)
                });
                found.sort();
                expected.sort();
                assert_eq!(found, expected, "{start_ms} {end_ms} {prefix:?} {newest_first} {limit}");
            }
        }
    }
}

#[test]
fn writes_are_judged_where_they_are_written() {
    let mut rows = Rows::new(&[row("running", 10, None), row("done", 10, Some((20, 20)))]);
    let new = |name: &str| LogWrite::CreateGroup(NewGroup { name: name.into(), ..NewGroup::default() });
    let stream = |group: &str, name: &str| LogWrite::CreateStream {
        group: group.into(),
        name: name.into(),
        created_ms: 5,
    };
    let gone = |group: &str, name: &str| LogWrite::DeleteStream { group: group.into(), name: name.into() };
    let put = |group: &str, name: &str| LogWrite::Put {
        group: group.into(),
        name: name.into(),
        times_ms: (3, 9),
        ingested_ms: 12,
        bytes: 40,
    };
    let cases = [
        (new(GROUP), LogWritten::Exists),
        (new("mine"), LogWritten::Done),
        (stream("no", "s"), LogWritten::NoGroup),
        (stream("mine", "s"), LogWritten::Done),
        (stream("mine", "s"), LogWritten::Exists),
        (put("no", "s"), LogWritten::NoGroup),
        (put("mine", "no"), LogWritten::NoStream),
        (put(GROUP, "done"), LogWritten::OfJob),
        (gone("no", "s"), LogWritten::NoGroup),
        (gone(GROUP, "no"), LogWritten::NoStream),
        (gone(GROUP, "running"), LogWritten::Busy("running".into())),
        (LogWrite::DeleteGroup(GROUP.into()), LogWritten::Busy("running".into())),
        (LogWrite::DeleteGroup("no".into()), LogWritten::NoGroup),
        (LogWrite::Retention { group: "no".into(), days: Some(1) }, LogWritten::NoGroup),
    ];
    for (write, expected) in cases {
        assert_eq!(rows.write(write.clone()), expected, "{write:?}");
    }
    let group = rows.catalog.group("mine").unwrap().unwrap();
    let id = rows.catalog.stream(group.id, "s").unwrap().unwrap().id;
    assert_eq!(rows.write(put("mine", "s")), LogWritten::Stream(id));
    let of = |rows: &Rows| rows.catalog.stream(group.id, "s").unwrap();
    let row = of(&rows).unwrap();
    assert_eq!((row.begin_ms, row.last_event_ms, row.ingested_ms), (3, Some(9), Some(12)));
    assert_eq!(rows.catalog.group("mine").unwrap().unwrap().stored_bytes, 40);
    assert_eq!(rows.write(gone("mine", "s")), LogWritten::Done);
    assert_eq!((of(&rows), rows.catalog.group("mine").unwrap().unwrap().stored_bytes), (None, 0));
    assert_eq!(rows.write(LogWrite::DeleteGroup("mine".into())), LogWritten::Done);
    assert!(rows.catalog.group("mine").unwrap().is_none());
    assert_eq!(rows.write(new("mine")), LogWritten::Done);
}

/// Prints what it takes; the bound is loose, for slow machines, and far below a look at every row.
#[test]
fn the_last_minute_of_a_hundred_thousand_streams_is_found_at_once() {
    let last = 100_000 * 1000;
    let all: Vec<_> = (0..100_000i64)
        .map(|i| row(&format!("job/default/{i:06}"), i * 1000, Some((i * 1000 + 10, i * 1000 + 30_000))))
        .collect();
    let rows = Rows::new(&all);
    let group = rows.group();
    for (what, start_ms) in [("last minute", last - 60_000), ("minute in the middle", last / 2)] {
        let query =
            RangeQuery { group, start_ms, end_ms: start_ms + 60_000, limit: 200, ..Default::default() };
        for newest_first in [false, true] {
            let began = Instant::now();
            let found =
                rows.catalog.streams_in_range(&RangeQuery { newest_first, ..query.clone() }).unwrap().len();
            let took = began.elapsed();
            println!("{what} of 100,000 streams, newest first {newest_first}: {found} streams in {took:?}");
            assert!((80..=95).contains(&found), "{found}");
            assert!(took.as_millis() < 100, "{took:?}");
        }
    }
    let began = Instant::now();
    let page = StreamQuery {
        group,
        order: StreamOrder::LastEvent,
        descending: true,
        limit: 50,
        ..Default::default()
    };
    assert_eq!(rows.catalog.streams(&page).unwrap()[0].name, "job/default/099999");
    let took = began.elapsed();
    println!("newest 50 of 100,000 streams: {took:?}");
    assert!(took.as_millis() < 100, "{took:?}");
    let began = Instant::now();
    assert_eq!(
        rows.catalog.groups(&GroupQuery { limit: 50, ..Default::default() }).unwrap()[0].stored_bytes,
        500_000
    );
    println!("the group of 100,000 streams: {:?}", began.elapsed());
}
