//! An array's children as a whole: made, freed, ended, given a row of their own (spec jobs §3, §4). Never here: what happens
//! to a child once it is a job of its own.

use crate::change::{ChildRow, JobHot};
use crate::engine::Engine;
use crate::ids::JobId;
use crate::input::{ArraySpec, Now};
use crate::job::array::{Array, CHILD_FAILED, ChildState, Unplaced};
use crate::job::depends::FAILED;
use crate::job::status::{Event, JobStatus};
use crate::job::{Job, Part};
use crate::queue::fifo::{Entry, place, place_of_run};
use crate::slab::Key;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Children that have ended; what follows has not been done yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChildrenEnded {
    array: Key,
    first: u32,
    last: u32,
    well: bool,
}

impl Engine {
    /// Gives a new parent its children, all PENDING, and lets each wait for those of the other arrays.
    pub(crate) fn make_array(&mut self, parent: Key, spec: ArraySpec, each_on: BTreeSet<Key>) {
        let mut array = Array::new(spec.size, spec.sequential);
        array.each_on.clone_from(&each_on);
        let last = array.children.size() - 1;
        self.state.arrays.insert(parent, array);
        for other in each_on {
            if let Some(other) = self.state.arrays.get_mut(&other) {
                other.followers.insert(parent);
            }
        }
        self.batch.children(parent, 0, last);
        self.note_waiting(parent);
    }

    /// Children that already wait in vain: their counterparts have failed.
    pub(crate) fn fail_followers_of(&mut self, parent: Key, failed: &[(u32, u32)], now: Now) {
        let mut failed = failed.to_vec();
        for other in self.array(parent).map(|array| array.each_on.clone()).into_iter().flatten() {
            let runs = self.array(other).into_iter().flat_map(|array| array.children.iter());
            let bad = runs.filter(|(_, _, state)| state.status() == Some(JobStatus::Failed));
            failed.extend(bad.map(|(first, last, _)| (first, last)));
        }
        for (first, last) in failed {
            self.fail_children(parent, (first, last), &FAILED.into(), now);
        }
    }

    /// What the parent itself waited for is done: each child waits only for its own dependencies now.
    pub(crate) fn free_children(&mut self, parent: Key) {
        let Some(array) = self.array(parent) else { return };
        let last = array.children.size() - 1;
        if !array.sequential && array.each_on.is_empty() {
            return self.change_children(parent, 0, last, &ChildState::Runnable);
        }
        let pending = array.children.iter().filter(|(_, _, state)| **state == ChildState::Pending);
        let pending: Vec<(u32, u32)> = pending.map(|(first, last, _)| (first, last)).collect();
        for index in pending.into_iter().flat_map(|(first, last)| first..=last) {
            self.free_child(parent, index);
        }
    }

    /// PENDING → RUNNABLE, if nothing holds this child back any more.
    fn free_child(&mut self, parent: Key, index: u32) {
        let Some(array) = self.array(parent) else { return };
        let counterpart = |other: &Key| {
            self.array(*other).is_none_or(|o| o.children.at(index) == Some(&ChildState::Succeeded))
        };
        let ready = array.children.at(index) == Some(&ChildState::Pending)
            && self.state.depends.of(parent).is_none()
            && array.before_is_done(index)
            && array.each_on.iter().all(counterpart);
        if ready {
            self.change_children(parent, index, index, &ChildState::Runnable);
        }
    }

    /// Ends children that wait without a row of their own.
    pub(crate) fn fail_children(&mut self, parent: Key, range: (u32, u32), reason: &Arc<str>, now: Now) {
        let hot = &self.state.jobs[parent].hot;
        let ended = ChildState::Unplaced(Arc::new(Unplaced {
            reason: reason.clone(),
            stopped_ms: now.wall_ms,
            cancelled: hot.cancelled,
            terminated: hot.terminated.is_some(),
        }));
        self.change_children(parent, range.0, range.1, &ended);
    }

    /// Ends a whole array with these words: children that wait, with or without a row of their own. Those that are placed
    /// go on. The parent ends with its last child.
    pub(crate) fn fail_array(&mut self, parent: Key, reason: &Arc<str>, now: Now) {
        let id = self.state.jobs[parent].hot.id;
        self.state.depends.leave(id, parent);
        if self.state.jobs[parent].hot.status_reason.as_ref() != Some(reason) {
            self.say(parent, reason.clone());
        }
        let own = self.array(parent).map(|array| array.own.values().copied().collect::<Vec<_>>());
        for child in own.into_iter().flatten() {
            if self.state.jobs[child].hot.status.can_cancel() {
                let (cancelled, terminated) = self.asked_of(parent);
                let hot = &mut self.state.jobs[child].hot;
                (hot.cancelled, hot.terminated) = (cancelled, terminated);
                self.fail_waiting(child, reason.clone(), now);
            }
        }
        self.fail_children(parent, (0, u32::MAX), reason, now);
    }

    fn asked_of(&self, parent: Key) -> (bool, Option<Arc<str>>) {
        let hot = &self.state.jobs[parent].hot;
        (hot.cancelled, hot.terminated.clone())
    }

    /// Waiting children become this: the array, its queue and the batch learn of it, and of the ends among them.
    pub(crate) fn change_children(&mut self, parent: Key, first: u32, last: u32, to: &ChildState) {
        let Some(size) = self.array(parent).map(|array| array.children.size()) else { return };
        let last = last.min(size - 1);
        self.line_out(parent, first, last);
        let changed = match self.state.arrays.get_mut(&parent) {
            Some(array) => array.change(first, last, to),
            None => Vec::new(),
        };
        self.line_in(parent, first, last);
        for (first, last) in changed {
            self.batch.children(parent, first, last);
            if to.status().is_some_and(JobStatus::is_terminal) {
                self.state.ended_children.push_back(ChildrenEnded {
                    array: parent,
                    first,
                    last,
                    well: false,
                });
            }
        }
        self.note_waiting(parent);
    }

    /// Runs of RUNNABLE children that have one between these, or touch them.
    fn runnable_runs(&self, parent: Key, first: u32, last: u32) -> Vec<(u32, u32)> {
        let Some(array) = self.array(parent) else { return Vec::new() };
        let runs = array.children.within(first.saturating_sub(1), last.saturating_add(1));
        let runnable = runs.filter(|(_, _, state)| **state == ChildState::Runnable);
        runnable.map(|(first, last, _)| (first, last)).collect()
    }

    /// Takes the runs around these out of their queue.
    fn line_out(&mut self, parent: Key, first: u32, last: u32) {
        let runs = self.runnable_runs(parent, first, last);
        let job = &self.state.jobs[parent];
        let Some(queue) = self.state.queues.get_mut(&job.queue) else { return };
        for (begin, _) in runs {
            if queue.take_out(&job.facts.share, place_of_run(job, begin)) {
                self.state.agenda.queues.insert(queue.row.id);
            }
        }
    }

    /// Lines the runs around these up.
    pub(crate) fn line_in(&mut self, parent: Key, first: u32, last: u32) {
        let runs = self.runnable_runs(parent, first, last);
        let job = &self.state.jobs[parent];
        let Some(queue) = self.state.queues.get_mut(&job.queue) else { return };
        for (first, last) in runs {
            let entry = Entry { key: parent, first, children: last - first + 1 };
            if queue.line_up(&job.facts.share, place_of_run(job, first), entry) {
                self.state.agenda.queues.insert(queue.row.id);
            }
        }
    }

    /// Keeps the array among the PENDING of its queue exactly while children of it wait without a row of their own.
    pub(crate) fn note_waiting(&mut self, parent: Key) {
        let waiting = self.array(parent).is_some_and(Array::has_waiting);
        let queue = self.state.jobs[parent].queue;
        let place = place(&self.state.jobs, parent);
        let Some(queue) = self.state.queues.get_mut(&queue) else { return };
        match (waiting, queue.pending.at(place)) {
            (true, None) => drop(queue.pending.insert(place, Entry::job(parent))),
            (false, Some(_)) => drop(queue.pending.remove(place)),
            _ => {}
        }
    }

    pub(crate) fn array(&self, parent: Key) -> Option<&Array> {
        self.state.arrays.get(&parent)
    }

    /// Makes the first child of a run at the head of a queue a job of its own; it stays where it stood.
    pub(crate) fn own_child(&mut self, run: Entry) -> Key {
        let (parent, index) = (run.key, run.first);
        self.state.last.job += 1;
        let (id, above) = (JobId(self.state.last.job), &self.state.jobs[parent]);
        let hot = JobHot {
            id,
            status: JobStatus::Runnable,
            status_reason: Some(self.state.shared.behind.clone()),
            attempts: 0,
            started_ms: None,
            stopped_ms: None,
            cancelled: false,
            terminated: None,
        };
        let (uuid, queue, facts) = (above.uuid, above.queue, above.facts.clone());
        let row = ChildRow { parent: above.hot.id, index };
        let part = Part::Child(parent, index);
        let key = self.state.jobs.insert(Job { hot, uuid, part, queue, facts, task: None, dirty: false });
        self.batch.insert_child(&mut self.state.jobs, key, row);
        if let Some(array) = self.state.arrays.get_mut(&parent) {
            array.children.set(index, index, ChildState::Own);
            array.own.insert(index, key);
        }
        if let Some(queue) = self.state.queues.get_mut(&queue) {
            let (job, above) = (&self.state.jobs[key], &self.state.jobs[parent]);
            let share = &job.facts.share;
            queue.opened(job);
            queue.waiting.insert(share, place(&self.state.jobs, key), Entry::job(key));
            if run.children > 1 {
                let rest = Entry { first: index + 1, children: run.children - 1, ..run };
                queue.waiting.insert(share, place_of_run(above, index + 1), rest);
            }
        }
        self.note_waiting(parent);
        key
    }

    /// A child that is a job of its own has ended.
    pub(crate) fn child_ended(&mut self, parent: Key, index: u32, well: bool) {
        if let Some(array) = self.state.arrays.get_mut(&parent) {
            let state = if well { ChildState::Succeeded } else { ChildState::Failed };
            array.children.set(index, index, state);
            array.own.remove(&index);
        }
        self.state.ended_children.push_back(ChildrenEnded { array: parent, first: index, last: index, well });
    }

    /// What follows from the end of children: for jobs and children that wait for them, and for the parent.
    pub(crate) fn follow_children(&mut self, ended: ChildrenEnded, now: Now) {
        let ChildrenEnded { array: parent, first, last, well } = ended;
        self.state.depends.end_children(parent, first, last, well);
        let Some(array) = self.array(parent) else { return };
        let (sequential, size, done) = (array.sequential, array.children.size(), array.is_done());
        let followers: Vec<Key> = array.followers.iter().copied().collect();
        if sequential && last + 1 < size {
            if well {
                self.free_child(parent, last + 1);
            } else {
                self.fail_children(parent, (last + 1, size - 1), &FAILED.into(), now);
            }
        }
        for follower in followers {
            if well {
                (first..=last).for_each(|index| self.free_child(follower, index));
            } else {
                self.fail_children(follower, (first, last), &FAILED.into(), now);
            }
        }
        if done {
            self.end_array(parent, now);
        }
    }

    /// The parent ends with its last child (spec jobs §4).
    fn end_array(&mut self, parent: Key, now: Now) {
        let (hot, array) = (&self.state.jobs[parent].hot, self.array(parent));
        if hot.status.is_terminal() {
            return;
        }
        let failed = array.is_some_and(|array| array.counts[JobStatus::Failed as usize] > 0);
        if failed {
            let reason = hot.status_reason.clone().unwrap_or_else(|| CHILD_FAILED.into());
            self.end_job(parent, Event::Failed, Some(reason), now.wall_ms);
        } else {
            self.end_job(parent, Event::ChildrenSucceeded, None, now.wall_ms);
        }
    }

    /// The array leaves memory: nobody waits for its children any more.
    pub(crate) fn forget_array(&mut self, parent: Key) {
        let Some(array) = self.state.arrays.remove(&parent) else { return };
        for follower in array.followers {
            if let Some(follower) = self.state.arrays.get_mut(&follower) {
                follower.each_on.remove(&parent);
            }
        }
        for other in array.each_on {
            if let Some(other) = self.state.arrays.get_mut(&other) {
                other.followers.remove(&parent);
            }
        }
    }
}
