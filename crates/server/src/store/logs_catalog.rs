//! Reading rows of log groups and streams: [`Catalog`] answers what the Logs operations ask, each with an index.
//!
//! Never here: the lines themselves, writing rows.

use super::beside::TagOwner;
use super::{Reader, Readers, StoreError};
use crate::error::ApiError;
use crate::logs::{
    GroupQuery, GroupRow, LogCatalog, RangeQuery, RemovedStreams, StreamOrder, StreamQuery, StreamRow,
};
use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};
use std::collections::BTreeMap;

/// The store as the Logs operations see it. Blocks on the disk.
pub struct Catalog(pub Readers);

/// Streams with a prefix that are looked at one by one, rather than by time.
const FEW: usize = 1000;
/// The class of streams that are longer than all others, and that of those still written (`schema`).
const LONG: i64 = 15;
const OPEN: i64 = 16;

impl Catalog {
    fn rows<T>(
        &self,
        sql: &str,
        values: Vec<Value>,
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, ApiError> {
        let rows = self.0.read_here(|r: &Reader| r.rows(sql, params_from_iter(values), &read));
        rows.map_err(|error| failed(&error))
    }

    /// The classes of length that a group's streams have.
    fn spans(&self, group: i64) -> Result<Vec<i64>, ApiError> {
        let sql = "SELECT min(span) FROM log_stream WHERE log_group = ?1 AND span > ?2";
        let mut spans: Vec<i64> = Vec::new();
        loop {
            let behind = spans.last().copied().unwrap_or(-1);
            let next = self.rows(sql, vec![group.into(), behind.into()], |r| Ok(r.get(0)?))?;
            match next.into_iter().next().flatten() {
                Some(span) => spans.push(span),
                None => return Ok(spans),
            }
        }
    }

    /// The streams of one class, in the order asked for.
    fn of_span(&self, query: &RangeQuery<'_>, span: i64) -> Result<Vec<StreamRow>, ApiError> {
        let length = length_ms(span);
        let Some((behind_ms, behind)) = behind(query, length) else { return Ok(Vec::new()) };
        let (way, than) = if query.newest_first { ("DESC", "<") } else { ("ASC", ">") };
        let (above, below) = prefix_range(query.prefix);
        let sql = format!(
            "{STREAMS} WHERE log_group = ?1 AND span = ?2 AND (begin_ms, name) {than} (?3, ?4)
             AND begin_ms BETWEEN ?5 AND ?6 AND (NOT done OR last_event_ms >= ?7) AND name >= ?8 AND {below}
             ORDER BY begin_ms {way}, name {way} LIMIT ?9",
            below = below_sql(&below, "?10")
        );
        let mut values = vec![
            query.group.into(),
            span.into(),
            behind_ms.into(),
            text(&behind),
            query.start_ms.saturating_sub(length).into(),
            query.end_ms.into(),
            query.start_ms.into(),
            text(above),
            count(query.limit),
        ];
        values.extend(below.map(Value::Text));
        self.rows(&sql, values, stream)
    }

    /// All streams with a prefix that may have events in a range, if the prefix has few.
    fn with_few(&self, query: &RangeQuery<'_>) -> Result<Option<Vec<StreamRow>>, ApiError> {
        let (above, below) = prefix_range(query.prefix);
        let range = format!("log_group = ?1 AND name >= ?2 AND {}", below_sql(&below, "?4"));
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM log_stream WHERE {range} LIMIT ?3)");
        let mut values = vec![query.group.into(), text(above), count(FEW + 1)];
        values.extend(below.map(Value::Text));
        let found: Option<i64> = self.rows(&sql, values.clone(), |r| Ok(r.get(0)?))?.pop();
        if found.is_none_or(|n| n > FEW as i64) {
            return Ok(None);
        }
        let sql = format!("{STREAMS} WHERE {range} LIMIT ?3");
        let mut rows = self.rows(&sql, values, stream)?;
        rows.retain(|row| {
            row.span.is_some()
                && row.begin_ms <= query.end_ms
                && (!row.done || row.last_event_ms.is_some_and(|last| last >= query.start_ms))
                && query.after.as_ref().is_none_or(|after| {
                    if query.newest_first { row.key(true) < *after } else { row.key(false) > *after }
                })
        });
        Ok(Some(rows))
    }
}

fn failed(error: &StoreError) -> ApiError {
    tracing::error!(%error, "a read of log rows failed");
    ApiError::server()
}

/// Longest time from begin to last event in a class.
fn length_ms(span: i64) -> i64 {
    if span >= LONG { i64::MAX } else { 1000 << (2 * span) }
}

/// Where a class goes on behind a row of any class; nowhere: the class is through.
fn behind(query: &RangeQuery<'_>, length: i64) -> Option<(i64, String)> {
    let past_all = || char::MAX.to_string();
    match (&query.after, query.newest_first) {
        (None, false) => Some((i64::MIN, String::new())),
        (None, true) => Some((i64::MAX, past_all())),
        (Some((_, begin, name)), false) => Some((*begin, name.clone())),
        // The order is by the latest time that a stream may have, which is its begin and the class's length.
        (Some((until, begin, name)), true) if length == i64::MAX => {
            (*until == i64::MAX).then(|| (*begin, name.clone()))
        }
        (Some((until, begin, name)), true) => {
            let at = until.saturating_sub(length);
            Some(match at.cmp(begin) {
                std::cmp::Ordering::Less => (at, past_all()),
                std::cmp::Ordering::Equal => (at, name.clone()),
                std::cmp::Ordering::Greater => (at, String::new()),
            })
        }
    }
}

/// The names that begin with a prefix: from here, and before there if there is such a name.
fn prefix_range(prefix: Option<&str>) -> (&str, Option<String>) {
    let prefix = prefix.unwrap_or_default();
    let mut next: Vec<char> = prefix.chars().collect();
    while let Some(last) = next.pop() {
        if let Some(above) = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32) {
            next.push(above);
            return (prefix, Some(next.into_iter().collect()));
        }
    }
    (prefix, None)
}

fn below_sql(below: &Option<String>, parameter: &str) -> String {
    if below.is_some() { format!("name < {parameter}") } else { "1".to_string() }
}

const GROUPS: &str = "SELECT * FROM log_group WHERE substr(name, 1, 1) <> '*'";
const STREAMS: &str =
    "SELECT id, name, path, created_ms, first_event_ms, last_event_ms, ingested_ms, done, begin_ms,
                       span FROM log_stream";

impl LogCatalog for Catalog {
    fn group(&self, name: &str) -> Result<Option<GroupRow>, ApiError> {
        Ok(self.rows(&format!("{GROUPS} AND name = ?1"), vec![text(name)], group)?.pop())
    }

    fn groups(&self, query: &GroupQuery<'_>) -> Result<Vec<GroupRow>, ApiError> {
        let (above, below) = prefix_range(query.prefix);
        let sql = format!(
            "{GROUPS} AND name > ?1 AND name >= ?2 AND {} AND instr(name, ?3) > 0 AND (?4 = '' OR class = ?4)
             ORDER BY name LIMIT ?5",
            below_sql(&below, "?6")
        );
        let [after, contains, class] =
            [query.after, query.contains, query.class].map(|t| text(t.unwrap_or_default()));
        let mut values = vec![after, text(above), contains, class, count(query.limit)];
        values.extend(below.map(Value::Text));
        self.rows(&sql, values, group)
    }

    fn stream(&self, group: i64, name: &str) -> Result<Option<StreamRow>, ApiError> {
        let sql = format!("{STREAMS} WHERE log_group = ?1 AND name = ?2");
        Ok(self.rows(&sql, vec![group.into(), text(name)], stream)?.pop())
    }

    fn streams(&self, query: &StreamQuery<'_>) -> Result<Vec<StreamRow>, ApiError> {
        let (way, than) = if query.descending { ("DESC", "<") } else { ("ASC", ">") };
        let (order, key) = match query.order {
            StreamOrder::Name => (format!("name {way}"), "name"),
            StreamOrder::LastEvent => (
                format!("coalesce(last_event_ms, created_ms) {way}, name {way}"),
                "(coalesce(last_event_ms, created_ms), name)",
            ),
        };
        let mut values = vec![query.group.into(), count(query.limit)];
        let mut sql = format!("{STREAMS} WHERE log_group = ?1");
        // Without a prefix nothing is said of names, so that the index of the order is used.
        if query.prefix.is_some_and(|prefix| !prefix.is_empty()) {
            let (above, below) = prefix_range(query.prefix);
            for (than, name) in [(">=", Some(above.to_string())), ("<", below)] {
                if let Some(name) = name {
                    values.push(Value::Text(name));
                    sql += &format!(" AND name {than} ?{}", values.len());
                }
            }
        }
        if let Some((time, name)) = query.after {
            if query.order == StreamOrder::LastEvent {
                values.push(time.into());
            }
            values.push(text(name));
            let last = values.len();
            sql += &match query.order {
                StreamOrder::Name => format!(" AND {key} {than} ?{last}"),
                StreamOrder::LastEvent => format!(" AND {key} {than} (?{}, ?{last})", last - 1),
            };
        }
        self.rows(&format!("{sql} ORDER BY {order} LIMIT ?2"), values, stream)
    }

    fn streams_in_range(&self, query: &RangeQuery<'_>) -> Result<Vec<StreamRow>, ApiError> {
        let few = if query.prefix.is_some() { self.with_few(query)? } else { None };
        let mut rows = match few {
            Some(rows) => rows,
            None => {
                let mut rows = Vec::new();
                for span in self.spans(query.group)? {
                    rows.extend(self.of_span(query, span)?);
                }
                rows
            }
        };
        rows.sort_by_cached_key(|row| row.key(query.newest_first));
        if query.newest_first {
            rows.reverse();
        }
        rows.truncate(query.limit);
        Ok(rows)
    }

    fn expired(&self, group: i64, before_ms: i64, limit: usize) -> Result<Vec<StreamRow>, ApiError> {
        let mut rows = Vec::new();
        for span in self.spans(group)?.into_iter().filter(|span| *span != OPEN) {
            let sql = format!(
                "{STREAMS} WHERE log_group = ?1 AND span = ?2 AND begin_ms < ?3
                 AND (last_event_ms < ?3 OR (path = '' AND first_event_ms < ?3 - 3600000)) LIMIT ?4"
            );
            let values = vec![group.into(), span.into(), before_ms.into(), count(limit - rows.len())];
            rows.extend(self.rows(&sql, values, stream)?);
        }
        Ok(rows)
    }

    fn removed(&self, limit: usize) -> Result<RemovedStreams, ApiError> {
        let sql = "SELECT id FROM log_group WHERE name >= '*' AND name < '+'";
        let groups: Vec<i64> = self.rows(sql, Vec::new(), |r| Ok(r.get(0)?))?;
        let mut streams = Vec::new();
        for group in &groups {
            let sql = format!("{STREAMS} WHERE log_group = ?1 LIMIT ?2");
            streams.extend(self.rows(&sql, vec![(*group).into(), count(limit - streams.len())], stream)?);
        }
        Ok(RemovedStreams { streams, groups: groups.len() > 1 })
    }

    fn has_stream(&self, id: i64) -> Result<bool, ApiError> {
        let sql = "SELECT 1 FROM log_stream WHERE id = ?1";
        Ok(!self.rows(sql, vec![id.into()], |_| Ok(()))?.is_empty())
    }

    fn group_tags(&self, group: i64) -> Result<BTreeMap<String, String>, ApiError> {
        let tags = self.0.read_here(|reader| reader.tags(TagOwner::LogGroup, group));
        Ok(tags.map_err(|error| failed(&error))?.unwrap_or_default())
    }
}

fn text(value: &str) -> Value {
    Value::Text(value.to_string())
}

fn count(value: usize) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

fn group(row: &Row<'_>) -> Result<GroupRow, StoreError> {
    Ok(GroupRow {
        id: row.get("id")?,
        name: row.get("name")?,
        created_ms: row.get("created_ms")?,
        retention_days: row.get("retention_days")?,
        stored_bytes: row.get("stored_bytes")?,
        class: row.get("class")?,
        protected: row.get("protected")?,
    })
}

fn stream(row: &Row<'_>) -> Result<StreamRow, StoreError> {
    let span: Option<i64> = row.get("span")?;
    let begin_ms: i64 = row.get("begin_ms")?;
    Ok(StreamRow {
        id: row.get("id")?,
        name: row.get("name")?,
        created_ms: row.get("created_ms")?,
        path: row.get::<_, String>("path")?.into(),
        done: row.get("done")?,
        first_event_ms: row.get("first_event_ms")?,
        last_event_ms: row.get("last_event_ms")?,
        ingested_ms: row.get("ingested_ms")?,
        begin_ms,
        until_ms: begin_ms.saturating_add(length_ms(span.unwrap_or(0))),
        span,
    })
}
