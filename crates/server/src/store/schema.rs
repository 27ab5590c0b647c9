//! The tables and their versions. Why they look like this: docs/decisions/0002-tables.md.
//!
//! Never here: reading or writing rows.

use super::StoreError;
use rusqlite::Connection;

/// The version that this program writes. A database of a newer one is refused.
pub const VERSION: i64 = 4;

/// Marks the file as ours (`PRAGMA application_id`): "BYRD".
const APPLICATION_ID: i64 = 0x4259_5244;

/// One script per version, each bringing the version before it forward.
const MIGRATIONS: [&str; 4] = [V1, V2, V3, V4];

const V1: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- Removed resources keep their row (status 5 = DELETED), because ended jobs still name them.
CREATE TABLE compute_environment (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    state INTEGER NOT NULL,
    status INTEGER NOT NULL,
    status_reason TEXT NOT NULL,
    platform INTEGER NOT NULL,
    managed INTEGER NOT NULL,
    max_vcpus_milli INTEGER,
    version INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX compute_environment_by_name ON compute_environment (name) WHERE status <> 5;

CREATE TABLE job_queue (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    state INTEGER NOT NULL,
    status INTEGER NOT NULL,
    status_reason TEXT NOT NULL,
    priority INTEGER NOT NULL,
    environments TEXT NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX job_queue_by_name ON job_queue (name) WHERE status <> 5;

CREATE TABLE job_definition (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    revision INTEGER NOT NULL,
    active INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    deregistered_ms INTEGER,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX job_definition_by_name ON job_definition (name, revision);

-- The hot row. Row ids rise with submission, so they stand for creation order in every listing.
CREATE TABLE job (
    id INTEGER PRIMARY KEY,
    uuid BLOB NOT NULL,
    queue INTEGER NOT NULL,
    definition INTEGER NOT NULL,
    body INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    parent INTEGER,
    child_index INTEGER,
    name TEXT NOT NULL,
    status INTEGER NOT NULL,
    status_reason TEXT,
    attempts INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    started_ms INTEGER,
    stopped_ms INTEGER,
    cancelled INTEGER NOT NULL,
    terminated TEXT
);
CREATE UNIQUE INDEX job_by_uuid ON job (uuid);
CREATE INDEX job_by_status ON job (queue, status);

-- Written once; shared by the children of an array.
CREATE TABLE job_body (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    submitter TEXT NOT NULL,
    facts TEXT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE attempt (
    job INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    task BLOB NOT NULL,
    environment INTEGER NOT NULL,
    host INTEGER NOT NULL,
    placed_ms INTEGER NOT NULL,
    started_ms INTEGER,
    stopped_ms INTEGER,
    status_reason TEXT,
    containers TEXT NOT NULL,
    PRIMARY KEY (job, attempt)
) WITHOUT ROWID;

CREATE TABLE log_group (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL,
    retention_days INTEGER
);

CREATE TABLE log_stream (
    id INTEGER PRIMARY KEY,
    log_group INTEGER NOT NULL,
    name TEXT NOT NULL,
    task BLOB NOT NULL,
    container TEXT NOT NULL,
    path TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    first_event_ms INTEGER,
    last_event_ms INTEGER,
    bytes INTEGER NOT NULL,
    done INTEGER NOT NULL
);
CREATE UNIQUE INDEX log_stream_by_name ON log_stream (log_group, name);
CREATE INDEX log_stream_by_last_event ON log_stream (log_group, coalesce(last_event_ms, created_ms), name);
CREATE INDEX log_stream_by_creation ON log_stream (log_group, created_ms, name);
";

const V2: &str = "
CREATE TABLE scheduling_policy (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    kind INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX scheduling_policy_by_name ON scheduling_policy (name) WHERE NOT removed;
ALTER TABLE job_queue ADD COLUMN scheduling_policy INTEGER;
-- What the engine enforces of jobStateTimeLimitActions, a JSON object from reason to seconds; null: nothing.
ALTER TABLE job_queue ADD COLUMN time_limits TEXT;

-- Tags as the tag operations left them; who has no row has those of its body.
CREATE TABLE tag_set (
    owner_kind INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    tags TEXT NOT NULL,
    PRIMARY KEY (owner_kind, owner)
) WITHOUT ROWID;

-- The filters of ListJobs; each ends in the row id, which rises with creation.
ALTER TABLE job ADD COLUMN share_identifier TEXT;
CREATE INDEX job_by_creation ON job (queue, created_ms);
CREATE INDEX job_by_name ON job (queue, name COLLATE NOCASE, id DESC);
CREATE INDEX job_by_definition ON job (queue, definition);
CREATE INDEX job_by_share ON job (queue, share_identifier, status) WHERE share_identifier IS NOT NULL;

-- DescribeJobDefinitions by state, and the latest ACTIVE revision, past any number of deregistered ones.
CREATE INDEX job_definition_by_state ON job_definition (active);
CREATE INDEX job_definition_by_name_and_state ON job_definition (name, active, revision);

-- A group's size is kept, not summed. What is removed gets a name that nobody can ask for, a group `*<id>`, a stream
-- `*<id>` in group 0, until its files are cleared away. A stream without a path has its events in the event store.
ALTER TABLE log_group ADD COLUMN stored_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log_group ADD COLUMN class TEXT NOT NULL DEFAULT 'STANDARD';
ALTER TABLE log_group ADD COLUMN protected INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log_stream ADD COLUMN ingested_ms INTEGER;
UPDATE log_group SET stored_bytes = (SELECT coalesce(sum(bytes), 0) FROM log_stream WHERE log_group = log_group.id);
INSERT INTO log_group (id, name, created_ms) VALUES (0, '*', 0);
-- Streams by the time that they span, in classes of four times the length each, so that those of a moment are found
-- without a look at the others: of class k only those that began within 4^k s before it can be meant. 15: longer;
-- 16: still written; none: nothing in it.
ALTER TABLE log_stream ADD COLUMN begin_ms INTEGER AS (min(created_ms, coalesce(first_event_ms, created_ms))) VIRTUAL;
ALTER TABLE log_stream ADD COLUMN span INTEGER AS (CASE
    WHEN NOT done THEN 16
    WHEN bytes = 0 OR last_event_ms IS NULL THEN NULL
    WHEN last_event_ms - begin_ms <= 1000 THEN 0
    WHEN last_event_ms - begin_ms <= 4000 THEN 1
    WHEN last_event_ms - begin_ms <= 16000 THEN 2
    WHEN last_event_ms - begin_ms <= 64000 THEN 3
    WHEN last_event_ms - begin_ms <= 256000 THEN 4
    WHEN last_event_ms - begin_ms <= 1024000 THEN 5
    WHEN last_event_ms - begin_ms <= 4096000 THEN 6
    WHEN last_event_ms - begin_ms <= 16384000 THEN 7
    WHEN last_event_ms - begin_ms <= 65536000 THEN 8
    WHEN last_event_ms - begin_ms <= 262144000 THEN 9
    WHEN last_event_ms - begin_ms <= 1048576000 THEN 10
    WHEN last_event_ms - begin_ms <= 4194304000 THEN 11
    WHEN last_event_ms - begin_ms <= 16777216000 THEN 12
    WHEN last_event_ms - begin_ms <= 67108864000 THEN 13
    WHEN last_event_ms - begin_ms <= 268435456000 THEN 14
    ELSE 15 END) VIRTUAL;
DROP INDEX log_stream_by_creation;
CREATE INDEX log_stream_by_time ON log_stream (log_group, span, begin_ms, name);
";

const V3: &str = "
-- Of attempts with a network of their own.
ALTER TABLE attempt ADD COLUMN address TEXT;
";

const V4: &str = "
-- A child of an array has its parent's uuid and stands in no listing but its parent's.
DROP INDEX job_by_uuid;
DROP INDEX job_by_status;
DROP INDEX job_by_creation;
DROP INDEX job_by_name;
DROP INDEX job_by_definition;
DROP INDEX job_by_share;
CREATE UNIQUE INDEX job_by_uuid ON job (uuid) WHERE parent IS NULL;
CREATE INDEX job_by_status ON job (queue, status) WHERE parent IS NULL;
CREATE INDEX job_by_creation ON job (queue, created_ms) WHERE parent IS NULL;
CREATE INDEX job_by_name ON job (queue, name COLLATE NOCASE, id DESC) WHERE parent IS NULL;
CREATE INDEX job_by_definition ON job (queue, definition) WHERE parent IS NULL;
CREATE INDEX job_by_share ON job (queue, share_identifier, status)
    WHERE share_identifier IS NOT NULL AND parent IS NULL;
CREATE UNIQUE INDEX child_by_index ON job (parent, child_index) WHERE parent IS NOT NULL;
CREATE INDEX child_by_status ON job (parent, status, child_index) WHERE parent IS NOT NULL;

-- Children without a row of their own, 256 to a row.
CREATE TABLE array_segment (
    job INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    runs TEXT NOT NULL,
    PRIMARY KEY (job, segment)
) WITHOUT ROWID;
-- The decayed average of a share's vCPUs, in thousandths, at a time.
CREATE TABLE share_usage (
    queue INTEGER NOT NULL,
    share TEXT NOT NULL,
    average_milli REAL NOT NULL,
    as_of_ms INTEGER NOT NULL,
    PRIMARY KEY (queue, share)
) WITHOUT ROWID;
CREATE TABLE array_summary (
    job INTEGER PRIMARY KEY,
    submitted INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    runnable INTEGER NOT NULL,
    starting INTEGER NOT NULL,
    running INTEGER NOT NULL,
    succeeded INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
);
";

/// Says why a database can't be used: it is another program's, a newer one's, or damaged. Only reads.
pub fn check(connection: &Connection) -> Result<(), StoreError> {
    // The first read already finds what is no database at all.
    let version = version(connection)?;
    let ours: i64 = connection.pragma_query_value(None, "application_id", |r| r.get(0))?;
    if ours != APPLICATION_ID && !is_new(connection, version)? {
        return Err(StoreError::NotOurs);
    }
    if version > VERSION {
        return Err(StoreError::Newer { found: version });
    }
    check_whole(connection)
}

fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |r| r.get(0))?)
}

fn is_new(connection: &Connection, version: i64) -> Result<bool, StoreError> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
    Ok(version == 0 && tables == 0)
}

/// Brings a database that was checked to [`VERSION`].
pub fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    let version = version(connection)?;
    if is_new(connection, version)? {
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    for (script, to) in MIGRATIONS.iter().zip(1..).skip(usize::try_from(version).unwrap_or(0)) {
        let step = connection.transaction()?;
        step.execute_batch(script)?;
        step.pragma_update(None, "user_version", to)?;
        step.commit()?;
    }
    crate::crash::point("before_whole");
    // So that the file itself is a whole database from here on, with or without its log, and so that what an earlier log
    // left behind is never taken for a part of this one.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// Damage is found at start and refused, never served.
fn check_whole(connection: &Connection) -> Result<(), StoreError> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |r| r.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(StoreError::Damaged { verdict }) }
}
