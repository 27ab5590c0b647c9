//! The engine's memory, made from open rows (invariant 3). Never here: reading them; deciding again what was decided.

use crate::change::AttemptRow;
use crate::engine::Engine;
use crate::ids::{JobId, JobUuid};
use crate::job::Job;
use crate::job::status::{Event, JobStatus};
use crate::queue::Queue;
use crate::restore::{LastIds, OpenJob, OpenRows};
use crate::slab::Key;
use crate::state::{Attempt, Environment};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn fill(engine: &mut Engine, rows: OpenRows) {
    let state = &mut engine.state;
    state.last = last_ids(&rows);
    state.environments =
        rows.compute_environments.into_iter().map(|row| (row.id, Environment::new(row))).collect();
    state.queues = rows.job_queues.into_iter().map(|row| (row.id, Queue::new(row))).collect();
    state.policies = rows.scheduling_policies.into_iter().map(|row| (row.id, row)).collect();
    rows.job_definitions.into_iter().for_each(|facts| state.definitions.insert(facts));
    let mut keys = BTreeMap::new();
    let mut pending = Vec::new();
    for open in rows.jobs {
        let (id, on) = (open.id(), open.depends_on.clone());
        let key = add_job(engine, open);
        keys.insert(id, key);
        if engine.state.jobs[key].hot.status == JobStatus::Pending {
            pending.push((key, on));
        }
    }
    pending.into_iter().for_each(|(key, on)| add_pending(engine, key, &on));
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

fn add_job(engine: &mut Engine, open: OpenJob) -> Key {
    let OpenJob { mut hot, uuid, queue, mut facts, depends_on: _ } = open;
    let state = &mut engine.state;
    hot.status_reason = hot.status_reason.map(|text| state.shared.text(text));
    facts.retry.rules = state.shared.rules(facts.retry.rules);
    let status = hot.status;
    let key = state.jobs.insert(Job { hot, uuid, queue, facts, task: None, dirty: false });
    let job = &state.jobs[key];
    state.by_uuid.insert(uuid, key);
    match state.queues.get_mut(&queue) {
        Some(queue) => {
            queue.opened(job);
            if status == JobStatus::Runnable {
                queue.line_up(&job.hot, key);
            }
        }
        None => {
            engine.problems.push(format!("job {} is in queue {}, which is not there", job.hot.id.0, queue.0))
        }
    }
    if status == JobStatus::Submitted {
        engine.make_runnable(key, Event::Ready);
    }
    key
}

/// Those of its dependencies that are not among the open jobs have succeeded, or it would have failed with them.
fn add_pending(engine: &mut Engine, key: Key, on: &[JobUuid]) {
    let open: BTreeSet<Key> = on.iter().filter_map(|uuid| engine.state.by_uuid.get(uuid)).copied().collect();
    if open.is_empty() {
        return engine.make_runnable(key, Event::Ready);
    }
    engine.keep_pending(key, open);
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
    engine.state.occupy(Attempt { key, row });
}

/// A waiting job whose text is not the common one was its queue's head when that was written.
fn find_told_heads(engine: &mut Engine) {
    let state = &mut engine.state;
    for queue in state.queues.values_mut() {
        let told = |key: &Key| state.jobs[*key].hot.status_reason.as_ref() != Some(&state.shared.behind);
        queue.told = queue.waiting.iter().find(told);
    }
}
