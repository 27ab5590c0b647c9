//! Each listing gives its jobs in its order, page by page, and never reads more than its page.

use super::*;
use crate::store::children::CHILDREN_BY_STATUS;
use crate::store::schema;
use rusqlite::Connection;

/// A database with jobs: id, name, definition, created_ms, status, share.
type Job = (i64, &'static str, i64, i64, i64, Option<&'static str>);

fn database() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::prepare(&mut connection).unwrap();
    for (id, name, revision) in [(1, "d", 1), (2, "d", 2), (3, "dd", 1), (4, "e", 1), (5, "D", 1)] {
        let sql = "INSERT INTO job_definition VALUES (?1, ?2, ?3, 1, 0, NULL, '{}')";
        connection.execute(sql, params![id, name, revision]).unwrap();
    }
    connection
}

fn insert(connection: &Connection, queue: i64, (id, name, definition, created, status, share): Job) {
    let sql = "INSERT INTO job (id, uuid, queue, definition, body, kind, name, status, attempts, created_ms, cancelled,
               share_identifier) VALUES (?1, ?2, ?3, ?4, ?1, 0, ?5, ?6, 0, ?7, 0, ?8)";
    let uuid = u128::from(id.unsigned_abs()).to_be_bytes();
    connection.execute(sql, params![id, &uuid[..], queue, definition, name, status, created, share]).unwrap();
}

fn reader(jobs: &[Job]) -> Reader {
    let connection = database();
    for job in jobs {
        insert(&connection, 1, *job);
    }
    insert(&connection, 2, (99, "other", 1, 50, 4, Some("a")));
    Reader::new(connection)
}

/// All pages of a listing, each of two jobs.
fn pages(reader: &Reader, selection: &Selection) -> Vec<i64> {
    let mut listing = Listing { queue: QueueId(1), selection: selection.clone(), after: None, limit: 2 };
    let mut ids = Vec::new();
    loop {
        let page = reader.jobs(&listing).unwrap();
        let Some(last) = page.last() else { return ids };
        listing.after =
            Some(Position { id: last.hot.id.0, created_ms: last.created_ms, name: last.name.to_string() });
        ids.extend(page.iter().map(|job| job.hot.id.0));
    }
}

fn name(text: &str, prefix: bool) -> Selection {
    Selection::Name { text: text.into(), prefix }
}

fn of(name: &str, prefix: bool, revision: Option<u32>) -> Selection {
    Selection::Definition { name: name.into(), prefix, revision }
}

const JOBS: [Job; 8] = [
    (1, "Test1", 1, 100, 4, Some("a")),
    (2, "test10", 2, 100, 5, Some("a")),
    (3, "test1", 3, 100, 4, None),
    (4, "b", 4, 90, 2, Some("b")),
    (5, "TEST1", 5, 110, 4, Some("a")),
    (6, "test_1", 1, 120, 6, Some("a")),
    (7, "test", 2, 120, 4, None),
    (8, "tesu", 3, 130, 4, None),
];

#[test]
fn every_listing_has_its_jobs_in_its_order() {
    let reader = reader(&JOBS);
    let share = |status| Selection::Share { share: "a".into(), status };
    let table = [
        (Selection::Status(JobStatus::Running), vec![8, 7, 5, 3, 1]),
        (Selection::Status(JobStatus::Pending), vec![]),
        (name("TEST1", false), vec![5, 3, 1]),
        (name("test", true), vec![7, 5, 3, 1, 2, 6]),
        (name("test1", true), vec![5, 3, 1, 2]),
        (name("", true), vec![4, 7, 5, 3, 1, 2, 6, 8]),
        (name("nothing", false), vec![]),
        (of("d", false, None), vec![7, 6, 2, 1]),
        (of("d", false, Some(2)), vec![7, 2]),
        (of("d", true, None), vec![8, 7, 6, 3, 2, 1]),
        (of("x", true, None), vec![]),
        (Selection::CreatedBefore(120), vec![5, 3, 2, 1, 4]),
        (Selection::CreatedBefore(100), vec![4]),
        (Selection::CreatedAfter(100), vec![8, 7, 6, 5]),
        (Selection::CreatedAfter(130), vec![]),
        (share(None), vec![6, 5, 2, 1]),
        (share(Some(JobStatus::Running)), vec![5, 1]),
    ];
    for (selection, expected) in table {
        assert_eq!(pages(&reader, &selection), expected, "{selection:?}");
    }
}

/// The plan of each query is one search of its index: no scan of the table, no sorting.
#[test]
fn no_listing_scans_or_sorts() {
    let connection = database();
    let plan = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let empty = vec![0i64; statement.parameter_count()];
        let rows = statement.query_map(rusqlite::params_from_iter(empty), |row| row.get(3)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let table = [
        (sql(BY_STATUS), "job_by_status (queue=? AND status=? AND rowid<?)"),
        (sql(OF_NAME), "job_by_name (queue=? AND name=? AND id<?)"),
        (sql(FROM_NAME), "job_by_name (queue=? AND name>? AND name<?)"),
        (sql(AFTER_NAME), "job_by_name (queue=? AND name>? AND name<?)"),
        (sql(BY_CREATION), "job_by_creation (queue=? AND created_ms>? AND created_ms<?)"),
        (sql(BY_SHARE), "job_by_share (queue=? AND share_identifier=? AND status=? AND rowid<?)"),
        (sql(BY_DEFINITION), "job_by_definition (queue=? AND definition=? AND rowid<?)"),
        (sql(CHILDREN_BY_STATUS), "child_by_status (parent=? AND status=? AND child_index>?)"),
        (NEWEST_OF_DEFINITION.to_string(), "job_by_definition (queue=? AND definition=? AND rowid<?)"),
        (
            NEWEST_OF_SHARE.to_string(),
            "job_by_share (queue=? AND share_identifier=? AND status=? AND rowid<?)",
        ),
    ];
    for (sql, index) in table {
        let plan = plan(&sql);
        assert!(plan[0].starts_with("SEARCH") && plan[0].ends_with(index), "{sql}: {plan:?}");
        assert!(
            plan.iter().all(|step| !step.contains("SCAN") && !step.contains("TEMP B-TREE")),
            "{sql}: {plan:?}"
        );
    }
}

/// Children with and without rows, put together: the row wins, by index, whatever the segment says of it.
#[test]
fn children_are_listed_by_index_wherever_they_are_told_of() {
    let connection = database();
    insert(&connection, 1, (10, "array", 1, 100, 1, None));
    connection.execute("UPDATE job SET kind = 1, body = 10 WHERE id = 10", []).unwrap();
    connection.execute("INSERT INTO job_body VALUES (10, '1', 'me', '{}', '{}')", []).unwrap();
    let runs =
        r#"[{"first":0,"last":3,"status":2},{"first":4,"last":5,"status":6,"reason":"no","stoppedMs":7}]"#;
    connection.execute("INSERT INTO array_segment VALUES (10, 0, ?1)", [runs]).unwrap();
    connection
        .execute(
            "INSERT INTO array_segment VALUES (10, 1, '[{\"first\":256,\"last\":256,\"status\":2}]')",
            [],
        )
        .unwrap();
    connection.execute("INSERT INTO array_summary VALUES (10, 0, 0, 3, 0, 1, 1, 2, 9)", []).unwrap();
    for (id, index, status) in [(11, 0, 5), (12, 2, 4)] {
        let sql = "INSERT INTO job (id, uuid, queue, definition, body, kind, parent, child_index, name, status, attempts,
                   created_ms, cancelled) SELECT ?1, uuid, queue, definition, body, 2, 10, ?2, name, ?3, 0, 100, 0
                   FROM job WHERE id = 10";
        connection.execute(sql, params![id, index, status]).unwrap();
    }
    let reader = Reader::new(connection);
    let uuid = JobUuid(10u128.to_be_bytes());
    let listed = |status, from, limit| {
        let children = reader.children(uuid, status, from, limit).unwrap();
        children.into_iter().filter_map(|child| child.named.index).collect::<Vec<_>>()
    };
    assert_eq!(listed(JobStatus::Runnable, 0, 9), [1, 3, 256]);
    assert_eq!(listed(JobStatus::Runnable, 2, 1), [3]);
    assert_eq!(listed(JobStatus::Running, 0, 9), [2]);
    assert_eq!(listed(JobStatus::Succeeded, 1, 9), [] as [u32; 0]);
    assert_eq!(reader.failed_children(uuid).unwrap(), [(4, 5)]);
    let child = reader.job(JobRef { uuid, index: Some(4) }).unwrap().unwrap();
    assert_eq!((child.hot.status_reason.as_deref(), child.hot.stopped_ms), (Some("no"), Some(7)));
    assert_eq!(reader.job_status(JobRef { uuid, index: Some(2) }).unwrap(), Some(JobStatus::Running));
    assert!(reader.job(JobRef { uuid, index: Some(6) }).unwrap().is_none(), "beyond the array");
    let queue = Selection::Status(JobStatus::Pending);
    assert_eq!(pages(&reader, &queue), [10], "no child stands in its queue's listing");
}
