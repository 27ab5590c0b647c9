//! StartLiveTail: a session that tells once a second which events are new in some groups, until its client goes.
//!
//! It looks back a little each time and leaves out what it told, so that events that come late are told too. Never
//! here: the framing of the stream (`event_stream`), the connection (`http`).

use super::api::{Logs, group_of_identifier, invalid, kept_from, no_group};
use super::catalog::GroupRow;
use super::event_stream;
use super::filter;
use super::merge::{Merge, Streams};
use super::pattern::Pattern;
use super::source::Window;
use crate::clock;
use crate::error::{ApiError, ErrorKind};
use batchyard_model::logs::{
    FilteredLogEvent, LiveTailSessionLogEvent, LiveTailSessionMetadata, LiveTailSessionStart,
    LiveTailSessionUpdate, StartLiveTailRequest,
};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Sessions at the same time, as AWS has it.
pub(super) const SESSIONS: usize = 15;
/// How long a session lasts at most, as AWS has it.
const LONGEST: Duration = Duration::from_secs(3 * 3600);
/// How often it tells.
const PERIOD: Duration = Duration::from_secs(1);
/// How far it looks back, milliseconds.
const BACK_MS: i64 = 10_000;
/// Events that it tells at once, as AWS has it.
const TOLD: usize = 500;
/// Events of a group that it looks at each time.
const SEEN: usize = 10_000;
/// Updates that wait for a slow client.
const WAITING: usize = 10;

/// What a session tells of, and what it told.
struct Session {
    groups: Vec<GroupRow>,
    names: Option<Vec<String>>,
    prefixes: Vec<Option<String>>,
    pattern: Pattern,
    since_ms: i64,
    told: HashMap<String, i64>,
    _place: OwnedSemaphorePermit,
}

impl Logs {
    /// Begins a session: the parts of its answer, as they come. It ends when nobody takes them any more. Blocks.
    ///
    /// # Errors
    /// No such group; a pattern that cannot be read; streams of several groups; too many sessions.
    pub fn start_live_tail(
        self: &Arc<Self>,
        body: &[u8],
        request_id: &str,
        runtime: &tokio::runtime::Handle,
    ) -> Result<Receiver<Bytes>, ApiError> {
        let input: StartLiveTailRequest = super::api::read(body)?;
        let session = self.session(&input)?;
        let start = LiveTailSessionStart {
            request_id: Some(request_id.to_string()),
            session_id: Some(uuid::Uuid::new_v4().to_string()),
            log_group_identifiers: input.log_group_identifiers,
            log_stream_names: input.log_stream_names,
            log_stream_name_prefixes: input.log_stream_name_prefixes,
            log_event_filter_pattern: input.log_event_filter_pattern,
        };
        let (sender, parts) = channel(WAITING);
        let first = event_stream::event("initial-response", &serde_json::json!({}));
        let second = event_stream::event("sessionStart", &start);
        runtime.spawn(run(Arc::clone(self), session, sender, [first, second]));
        Ok(parts)
    }

    fn session(&self, input: &StartLiveTailRequest) -> Result<Session, ApiError> {
        let mut groups = Vec::new();
        for identifier in input.log_group_identifiers.iter().flatten() {
            let name = group_of_identifier(identifier)?;
            groups.push(self.catalog.group(name)?.ok_or_else(no_group)?);
        }
        let (names, prefixes) = (&input.log_stream_names, &input.log_stream_name_prefixes);
        if names.is_some() && prefixes.is_some() {
            return Err(invalid("logStreamNames and logStreamNamePrefixes must not be given together"));
        }
        if groups.len() > 1 && (names.is_some() || prefixes.is_some()) {
            return Err(invalid("logStreamNames and logStreamNamePrefixes work with one log group only"));
        }
        let place = Arc::clone(&self.tails).try_acquire_owned().map_err(|_| {
            let text = format!("there are {SESSIONS} Live Tail sessions already; end one of them");
            ApiError::new(ErrorKind::LimitExceeded, text)
        })?;
        let prefixes = prefixes.iter().flatten().cloned().map(Some).collect::<Vec<_>>();
        Ok(Session {
            groups,
            names: names.clone(),
            prefixes: if prefixes.is_empty() { vec![None] } else { prefixes },
            pattern: Pattern::parse(input.log_event_filter_pattern.as_deref().unwrap_or_default())?,
            since_ms: clock::wall_ms(),
            told: HashMap::new(),
            _place: place,
        })
    }

    /// What is new.
    fn update(&self, session: &mut Session) -> Result<LiveTailSessionUpdate, ApiError> {
        let start_ms = session.since_ms.max(clock::wall_ms() - BACK_MS);
        session.told.retain(|_, at_ms| *at_ms >= start_ms);
        let mut results = Vec::new();
        for group in &session.groups {
            for prefix in &session.prefixes {
                let start_ms = start_ms.max(kept_from(group));
                let window = Window { start_ms, end_ms: i64::MAX, newest_first: true, behind: None };
                let names = self.there(group, session.names.as_deref())?;
                let streams = Streams { names: names.as_deref(), prefix: prefix.as_deref() };
                let mut merge = Merge::new(self, group, streams, window)?;
                let (events, _) = filter::page(&mut merge, &session.pattern, SEEN)?;
                for event in events.into_iter().rev() {
                    let (id, at_ms) =
                        (event.event_id.clone().unwrap_or_default(), event.timestamp.unwrap_or_default());
                    if session.told.insert(id, at_ms).is_none() {
                        results.push(told(self.arn(&group.name), event));
                    }
                }
            }
        }
        results.sort_by_key(|event| event.timestamp);
        let sampled = results.len() > TOLD;
        results.truncate(TOLD);
        let session_metadata = Some(LiveTailSessionMetadata { sampled: Some(sampled) });
        Ok(LiveTailSessionUpdate { session_metadata, session_results: Some(results) })
    }

    /// Those of the named streams that exist by now.
    fn there(&self, group: &GroupRow, names: Option<&[String]>) -> Result<Option<Vec<String>>, ApiError> {
        let Some(names) = names else { return Ok(None) };
        let mut there = Vec::new();
        for name in names {
            if self.catalog.stream(group.id, name)?.is_some() {
                there.push(name.clone());
            }
        }
        Ok(Some(there))
    }
}

/// Places for sessions.
pub(super) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(SESSIONS))
}

fn told(group: String, event: FilteredLogEvent) -> LiveTailSessionLogEvent {
    LiveTailSessionLogEvent {
        ingestion_time: event.ingestion_time,
        log_group_identifier: Some(group),
        log_stream_name: event.log_stream_name,
        message: event.message,
        timestamp: event.timestamp,
    }
}

/// Tells once a second. A client that is gone, or takes nothing any more, ends it.
async fn run(logs: Arc<Logs>, mut session: Session, parts: Sender<Bytes>, first: [Bytes; 2]) {
    for part in first {
        if parts.send(part).await.is_err() {
            return;
        }
    }
    let end = Instant::now() + LONGEST;
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while Instant::now() < end {
        tick.tick().await;
        let logs = Arc::clone(&logs);
        let looked = tokio::task::spawn_blocking(move || {
            let update = logs.update(&mut session);
            (session, update)
        });
        let Ok((same, update)) = looked.await else { return };
        session = same;
        let part = match update {
            Ok(update) => event_stream::event("sessionUpdate", &update),
            Err(error) => {
                let last = event_stream::exception("SessionStreamingException", &error.message);
                let _ = parts.send(last).await;
                return;
            }
        };
        if parts.send(part).await.is_err() {
            return;
        }
    }
    let last = event_stream::exception("SessionTimeoutException", "the session lasted for three hours");
    let _ = parts.send(last).await;
}
