//! The engine's memory, made from open rows (invariant 3). Never here: reading them; deciding again what was decided.

use crate::change::{ArrayFacts, AttemptRow};
use crate::engine::Engine;
use crate::ids::{JobId, JobRef};
use crate::input::Now;
use crate::job::array::{Array, ChildState};
use crate::job::depends::Target;
use crate::job::status::{Event, JobStatus};
use crate::job::{Job, Part};
use crate::queue::Queue;
use crate::queue::fifo::{Entry, place};
use crate::queue::share::Usage;
use crate::restore::{LastIds, OpenArray, OpenJob, OpenRows};
use crate::slab::Key;
use crate::state::{Attempt, Environment};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn fill(engine: &mut Engine, rows: OpenRows, now: Now) {
    let state = &mut engine.state;
    state.last = last_ids(&rows);
    state.environments =
        rows.compute_environments.into_iter().map(|row| (row.id, Environment::new(row))).collect();
    state.queues = rows.job_queues.into_iter().map(|row| (row.id, Queue::new(row))).collect();
    state.policies = rows.scheduling_policies.into_iter().map(|row| (row.id, row)).collect();
    rows.job_definitions.into_iter().for_each(|facts| state.definitions.insert(facts));
    for row in rows.share_usage {
        if let Some(queue) = state.queues.get_mut(&row.queue) {
            queue.usage.insert(row.share, Usage::restored(row.average_milli, row.as_of_ms, now));
        }
    }
    let mut keys = BTreeMap::new();
    let mut waiting = Vec::new();
    for open in rows.jobs {
        let (id, on, array) = (open.id(), open.depends_on.clone(), open.array.clone());
        let Some(key) = add_job(engine, &keys, open) else { continue };
        keys.insert(id, key);
        if let Some(facts) = &array {
            engine.state.arrays.insert(key, Array::new(facts.size, facts.sequential));
        }
        if engine.state.jobs[key].hot.status == JobStatus::Pending {
            waiting.push((key, on, array));
        }
    }
    rows.arrays.into_iter().for_each(|children| add_children(engine, &keys, children));
    // Dependencies are told by what their jobs and children are, so those come first.
    for (key, on, array) in waiting {
        add_waiting(engine, key, &on);
        array.iter().for_each(|facts| add_counterparts(engine, key, facts));
    }
    engine.follow_ends(now);
    for row in rows.attempts {
        add_attempt(engine, &keys, row);
    }
    for (id, key) in &keys {
        let job = &engine.state.jobs[*key];
        if job.hot.status.is_placed() && job.task.is_none() {
            engine.problems.push(format!("job {} is {} without an attempt", id.0, job.hot.status.name()));
        }
    }
    find_told_heads(engine);
    engine.state.unsettled.due_all(&engine.state.environments, &engine.state.queues);
    engine.state.agenda.all = true;
}

/// The counters, never below what the rows hold.
fn last_ids(rows: &OpenRows) -> LastIds {
    let last = rows.last_ids;
    let most = |ids: &mut dyn Iterator<Item = i64>, last: i64| ids.fold(last, i64::max);
    LastIds {
        compute_environment: most(
            &mut rows.compute_environments.iter().map(|e| e.id.0),
            last.compute_environment,
        ),
        job_queue: most(&mut rows.job_queues.iter().map(|q| q.id.0), last.job_queue),
        scheduling_policy: most(&mut rows.scheduling_policies.iter().map(|p| p.id.0), last.scheduling_policy),
        job_definition: most(&mut rows.job_definitions.iter().map(|d| d.id.0), last.job_definition),
        job: most(&mut rows.jobs.iter().map(|j| j.id().0), last.job),
    }
}

/// Nothing: a child whose array is not there, which is a problem.
fn add_job(engine: &mut Engine, keys: &BTreeMap<JobId, Key>, open: OpenJob) -> Option<Key> {
    let OpenJob { mut hot, uuid, queue, mut facts, child, array, depends_on: _ } = open;
    let state = &mut engine.state;
    hot.status_reason = hot.status_reason.map(|text| state.shared.text(text));
    facts.retry.rules = state.shared.rules(facts.retry.rules);
    let (id, status) = (hot.id, hot.status);
    let part = match child {
        None => array.map_or(Part::Whole, |_| Part::Array),
        Some(row) => match keys.get(&row.parent) {
            Some(parent) => Part::Child(*parent, row.index),
            None => {
                engine.problems.push(format!("job {} is a child of {}, which has ended", id.0, row.parent.0));
                return None;
            }
        },
    };
    let key = state.jobs.insert(Job { hot, uuid, part, queue, facts, task: None, dirty: false });
    if let Part::Child(parent, index) = part
        && let Some(array) = state.arrays.get_mut(&parent)
    {
        array.own.insert(index, key);
    } else {
        state.by_uuid.insert(uuid, key);
    }
    let place = place(&state.jobs, key);
    match state.queues.get_mut(&queue) {
        Some(queue) => {
            queue.opened(&state.jobs[key]);
            if status == JobStatus::Runnable {
                queue.line_up(&state.jobs[key].facts.share, place, Entry::job(key));
            }
        }
        None => engine.problems.push(format!("job {} is in queue {}, which is not there", id.0, queue.0)),
    }
    if status == JobStatus::Submitted {
        engine.make_runnable(key, Event::Ready);
    }
    Some(key)
}

/// What the children of an array are: as its segments say, unless they have a row of their own.
fn add_children(engine: &mut Engine, keys: &BTreeMap<JobId, Key>, rows: OpenArray) {
    let state = &mut engine.state;
    let Some(array) = keys.get(&rows.job).and_then(|key| state.arrays.get_mut(key)) else {
        return engine.problems.push(format!("the children of job {} have no array", rows.job.0));
    };
    for (first, last, child) in rows.runs {
        array.children.set(first, last, child);
    }
    for (index, well) in rows.ended {
        array.children.set(index, index, if well { ChildState::Succeeded } else { ChildState::Failed });
    }
    let own: Vec<(u32, Key)> = array.own.iter().map(|(index, key)| (*index, *key)).collect();
    own.iter().for_each(|(index, _)| array.children.set(*index, *index, ChildState::Own));
    array.counts = Default::default();
    for (first, last, child) in array.children.iter() {
        if let Some(status) = child.status() {
            array.counts[status as usize] += last - first + 1;
        }
    }
    own.iter().for_each(|(_, key)| array.counts[state.jobs[*key].hot.status as usize] += 1);
}

/// Those of its dependencies that are not among what is open have succeeded, or it would have failed with them.
fn add_waiting(engine: &mut Engine, key: Key, on: &[JobRef]) {
    let known = |job: &JobRef| Some((*engine.state.by_uuid.get(&job.uuid)?, job.index));
    let is_open = |target: &Target| engine.status_of(*target).is_some_and(|status| !status.is_terminal());
    let open: BTreeSet<Target> = on.iter().filter_map(known).filter(is_open).collect();
    let is_array = engine.state.jobs[key].part == Part::Array;
    match (open.is_empty(), is_array) {
        (true, false) => engine.make_runnable(key, Event::Ready),
        (true, true) => {
            engine.line_in(key, 0, u32::MAX);
            engine.note_waiting(key);
        }
        (false, _) => engine.keep_pending(key, open),
    }
}

/// Arrays that are not there any more have ended, and what followed for this one has been done.
fn add_counterparts(engine: &mut Engine, key: Key, facts: &ArrayFacts) {
    for uuid in &*facts.each_on {
        let Some(other) = engine.state.by_uuid.get(uuid).copied() else { continue };
        if let Some(array) = engine.state.arrays.get_mut(&key) {
            array.each_on.insert(other);
        }
        if let Some(array) = engine.state.arrays.get_mut(&other) {
            array.followers.insert(key);
        }
    }
}

fn add_attempt(engine: &mut Engine, keys: &BTreeMap<JobId, Key>, row: AttemptRow) {
    let name = format!("attempt {} of job {}", row.attempt, row.job.0);
    let Some(&key) = keys.get(&row.job) else {
        engine.problems.push(format!("{name} is open, its job is not"));
        return;
    };
    let job = &mut engine.state.jobs[key];
    if job.task.is_some() || !job.hot.status.is_placed() || job.hot.attempts != row.attempt {
        engine.problems.push(format!("{name} is open, its job is {}", job.hot.status.name()));
        return;
    }
    job.task = Some(row.task);
    let (share, vcpus) = (job.facts.share.clone(), u64::from(job.facts.needs.vcpus_milli));
    let queue = engine.state.queues.get_mut(&job.queue);
    if let Some(usage) = share.zip(queue).and_then(|(share, queue)| queue.usage.get_mut(&share)) {
        usage.running_milli += vcpus;
    }
    engine.state.occupy(Attempt { key, row });
}

/// A waiting job whose text is not the common one was its queue's head when that was written.
fn find_told_heads(engine: &mut Engine) {
    let state = &mut engine.state;
    for queue in state.queues.values_mut() {
        let told = |key: &Key| state.jobs[*key].hot.status_reason.as_ref() != Some(&state.shared.behind);
        for line in queue.waiting.lines_mut() {
            let mut own = line.jobs.iter().filter(|entry| entry.children == 0).map(|entry| entry.key);
            line.told = own.find(told);
        }
    }
}
