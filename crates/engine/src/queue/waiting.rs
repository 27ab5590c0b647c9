//! Who waits in a queue: a line for each share, one line where no policy divides the queue. Never here: which line's head is
//! looked at first.

use crate::queue::fifo::{Entry, Fifo, Place};
use crate::queue::limit::Blocked;
use crate::slab::Key;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which line: a share's, or the only one.
pub(crate) type Share = Option<Arc<str>>;

/// The waiting jobs of one share.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// In the order in which they are looked at.
    pub jobs: Fifo,
    /// The job whose `statusReason` is that of a head; all others say that they are behind it.
    pub told: Option<Key>,
    /// Since when that one has waited for a cause that a time limit can be set for. Not in the rows: after a restart the
    /// clock starts anew.
    pub blocked: Option<Blocked>,
}

/// All lines of a queue, none of them empty.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    lines: BTreeMap<Share, Line>,
    /// Jobs in all lines.
    len: usize,
}

impl Waiting {
    /// Lines up; answers with the number of jobs before in its line, as [`Fifo::insert`].
    pub(crate) fn insert(&mut self, share: &Share, place: Place, entry: Entry) -> usize {
        let line = self.lines.entry(share.clone()).or_default();
        self.len -= line.jobs.len();
        let before = line.jobs.insert(place, entry);
        self.len += line.jobs.len();
        before
    }

    /// Takes out who stands there; answers as [`Fifo::remove`].
    pub(crate) fn remove(&mut self, share: &Share, place: Place) -> Option<usize> {
        let line = self.lines.get_mut(share)?;
        self.len -= line.jobs.len();
        let before = line.jobs.remove(place);
        self.len += line.jobs.len();
        if line.jobs.is_empty() {
            self.lines.remove(share);
        }
        before
    }

    /// Who stands there.
    pub(crate) fn at(&self, share: &Share, place: Place) -> Option<Entry> {
        self.lines.get(share)?.jobs.at(place)
    }

    /// Lines by share.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&Share, &Line)> {
        self.lines.iter()
    }

    /// As [`Self::lines`].
    pub(crate) fn lines_mut(&mut self) -> impl Iterator<Item = &mut Line> {
        self.lines.values_mut()
    }

    /// The line of a share.
    pub(crate) fn line_mut(&mut self, share: &Share) -> Option<&mut Line> {
        self.lines.get_mut(share)
    }

    /// All, line by line.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        self.lines.values().flat_map(|line| line.jobs.iter())
    }

    /// Jobs that wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }
}
