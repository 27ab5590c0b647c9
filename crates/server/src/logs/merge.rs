//! Many streams of a group as one sequence of events by time, oldest or newest first.
//!
//! Streams are opened only when the time comes at which they may have events and closed when they have no more, so the
//! work of a page depends on what ran at that time and not on how many streams there are. Never here: what a page is
//! (`filter`, `tail`), reading one stream (`source`).

use super::api::Logs;
use super::catalog::{GroupRow, RangeQuery, StreamKey, StreamRow};
use super::source::{Place, Source, Waiting, Window};
use crate::error::ApiError;
use std::collections::{BTreeSet, HashMap, VecDeque};

/// Rows that are read from the catalogue at once.
const ROWS: usize = 200;
/// Files that are kept open at once; of more streams each is opened anew whenever it is read from.
const OPEN_FILES: usize = 200;
/// Bytes of events that all open streams together hold in memory, roughly.
const HELD_BYTES: usize = 1 << 20;

/// Which streams of a group.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Streams<'a> {
    pub names: Option<&'a [String]>,
    pub prefix: Option<&'a str>,
}

/// All that is read from, in the order of events.
pub(super) struct Merge<'a> {
    logs: &'a Logs,
    group: i64,
    prefix: Option<&'a str>,
    window: Window,
    /// Streams that were not opened yet, in the order of their turn.
    pending: VecDeque<StreamRow>,
    after: Option<StreamKey>,
    more: bool,
    open: HashMap<u64, Source>,
    heads: BTreeSet<(Place, u64)>,
    opened: u64,
}

impl<'a> Merge<'a> {
    /// Over these streams.
    ///
    /// # Errors
    /// A stream that is named does not exist.
    pub fn new(
        logs: &'a Logs,
        group: &GroupRow,
        streams: Streams<'a>,
        window: Window,
    ) -> Result<Self, ApiError> {
        let mut pending = Vec::new();
        for name in streams.names.unwrap_or_default() {
            pending.push(logs.stream(group, name)?);
        }
        let newest_first = window.newest_first;
        pending.sort_by_cached_key(|row| row.key(newest_first));
        pending.dedup_by(|a, b| a.name == b.name);
        if newest_first {
            pending.reverse();
        }
        Ok(Self {
            logs,
            group: group.id,
            prefix: streams.prefix,
            window,
            pending: pending.into(),
            after: None,
            more: streams.names.is_none(),
            open: HashMap::new(),
            heads: BTreeSet::new(),
            opened: 0,
        })
    }

    /// The next event's place, and the stream that has it.
    pub fn peek(&mut self) -> Result<Option<(Place, u64)>, ApiError> {
        loop {
            let next = if self.window.newest_first { self.heads.last() } else { self.heads.first() };
            let due_ms = next.map(|(place, _)| place.0);
            match self.next_due(due_ms)? {
                Some(row) => self.open(row)?,
                None if self.window.newest_first => return Ok(self.heads.last().cloned()),
                None => return Ok(self.heads.first().cloned()),
            }
        }
    }

    /// The stream and its next event.
    pub fn head(&self, id: u64) -> Option<(&Source, &Waiting)> {
        let source = self.open.get(&id)?;
        Some((source, source.head(&self.window)?))
    }

    /// Takes the head off a stream.
    pub fn advance(&mut self, id: u64) -> Result<(), ApiError> {
        if self.window.newest_first {
            self.heads.pop_last();
        } else {
            self.heads.pop_first();
        }
        if let Some(source) = self.open.get_mut(&id) {
            source.advance(&self.window);
        }
        self.show(id)
    }

    fn open(&mut self, row: StreamRow) -> Result<(), ApiError> {
        let Some(source) = Source::open(self.logs, row, &self.window)? else { return Ok(()) };
        self.opened += 1;
        self.open.insert(self.opened, source);
        self.show(self.opened)
    }

    /// Puts a stream's next event among the heads, or closes the stream when it has none.
    fn show(&mut self, id: u64) -> Result<(), ApiError> {
        let budget = (HELD_BYTES / self.open.len().max(1)).clamp(4 << 10, 256 << 10);
        let close = self.open.len() > OPEN_FILES;
        let Some(source) = self.open.get_mut(&id) else { return Ok(()) };
        if source.waiting.is_empty() {
            source.fill(self.logs, &self.window, budget, close)?;
        }
        match source.head(&self.window) {
            Some(first) => {
                let place = (first.order_ms, source.row.name.clone(), first.at);
                self.heads.insert((place, id));
            }
            None => {
                self.open.remove(&id);
            }
        }
        Ok(())
    }

    /// The next stream to open, if its time has come: no event of it is beyond the times that its row tells.
    fn next_due(&mut self, due_ms: Option<i64>) -> Result<Option<StreamRow>, ApiError> {
        let newest_first = self.window.newest_first;
        if self.pending.is_empty() && self.more {
            let (start_ms, end_ms) = self.window.times();
            let rows = self.logs.catalog.streams_in_range(&RangeQuery {
                group: self.group,
                prefix: self.prefix,
                start_ms,
                end_ms,
                newest_first,
                after: self.after.take(),
                limit: ROWS,
            })?;
            self.more = rows.len() == ROWS;
            self.after = rows.last().map(|row| row.key(newest_first));
            self.pending = rows.into();
        }
        let due = |row: &StreamRow, ms| if newest_first { row.until_ms >= ms } else { row.begin_ms <= ms };
        let due = self.pending.front().is_some_and(|row| due_ms.is_none_or(|ms| due(row, ms)));
        Ok(if due { self.pending.pop_front() } else { None })
    }
}
