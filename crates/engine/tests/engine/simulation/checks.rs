//! What must hold for the rows after every batch, told from the rows alone.

use crate::common::store::Store;
use crate::common::world::World;
use batchyard_engine::change::{Change, JobRow};
use batchyard_engine::resource::{Needs, State, Status};
use batchyard_engine::{AttemptRow, Effect, JobHot, JobStatus};
use std::collections::BTreeSet;

const BEHIND: &str = "waits behind other jobs of its queue";

pub fn batch(world: &World) {
    for effect in &world.effects {
        if let Effect::Start(start) = effect {
            placement(world, &world.store.attempts[&(start.job, start.attempt)]);
        }
    }
    for change in &world.changes {
        if let Change::InsertJob(_, hot) | Change::UpdateJob(hot) = change {
            let (row, _) = &world.store.jobs[&hot.id];
            assert!(hot.attempts <= row.facts.retry.attempts, "job {} has too many attempts", hot.id.0);
            if hot.status.is_terminal() {
                end(&world.store, hot);
            }
            dependencies(&world.store, row, hot);
        }
    }
    one_reason_per_queue(&world.store);
}

/// A start is where it may be, has room, and nobody of its queue was passed over (spec infrastructure §3.2).
fn placement(world: &World, row: &AttemptRow) {
    let store = &world.store;
    let (job, hot) = &store.jobs[&row.job];
    let queue = &store.queues[&job.queue];
    let environment = &store.environments[&row.environment];
    assert!(queue.environments.contains(&row.environment), "not an environment of its queue");
    assert_eq!(environment.state, State::Enabled);
    assert!(!matches!(environment.status, Status::Deleting | Status::Invalid));
    assert_eq!(environment.platform, job.facts.platform);
    assert_ne!(queue.status, Status::Deleting);
    let host = &world.hosts[&row.host];
    assert_eq!(
        host.environment,
        (!environment.managed).then_some(environment.id),
        "not a host of its environment"
    );

    let needs = |row: &&AttemptRow| store.jobs[&row.job].0.facts.needs;
    let sum = |needs: &mut dyn Iterator<Item = Needs>| {
        needs.fold((0, 0), |sum: (u64, u64), n| {
            (sum.0 + u64::from(n.vcpus_milli), sum.1 + u64::from(n.memory_mib))
        })
    };
    let on_host = sum(&mut store.open_attempts().filter(|a| a.host == row.host).map(|a| needs(&a)));
    assert!(on_host.0 <= host.vcpus_milli && on_host.1 <= host.memory_mib, "{host:?} carries {on_host:?}");
    let inside =
        sum(&mut store.open_attempts().filter(|a| a.environment == row.environment).map(|a| needs(&a)));
    assert!(
        inside.0 <= environment.max_vcpus_milli.unwrap_or(u64::MAX),
        "{environment:?} carries {inside:?}"
    );

    let place = |hot: &JobHot, begun: u32| (begun == 0, hot.id);
    let mine = place(hot, row.attempt - 1);
    for (_, other) in store.jobs.values().filter(|(other, _)| other.queue == job.queue) {
        let waits = other.status == JobStatus::Runnable;
        assert!(!waits || place(other, other.attempts) > mine, "job {} passed job {}", hot.id.0, other.id.0);
    }
}

/// How a job ended agrees with its last attempt and with what was asked (spec jobs §1.1, §7, §8).
fn end(store: &Store, hot: &JobHot) {
    let attempts: Vec<&AttemptRow> =
        store.attempts.range((hot.id, 0)..=(hot.id, u32::MAX)).map(|(_, row)| row).collect();
    assert_eq!(attempts.len(), hot.attempts as usize, "job {} lacks attempts", hot.id.0);
    assert!(attempts.iter().all(|row| row.stopped_ms.is_some()), "job {} has an open attempt", hot.id.0);
    let exit_code = attempts.last().and_then(|row| row.containers[0].exit_code);
    if let Some(words) = &hot.terminated {
        assert_eq!((hot.status, hot.status_reason.as_ref()), (JobStatus::Failed, Some(words)));
    }
    match hot.status {
        JobStatus::Succeeded => assert_eq!((exit_code, hot.cancelled), (Some(0), false)),
        _ => assert!(hot.stopped_ms.is_some() && hot.status_reason.is_some()),
    }
}

/// A job is placed after all that it depends on have succeeded, PENDING while that is open, and FAILED with the first that
/// has (spec jobs §3).
fn dependencies(store: &Store, row: &JobRow, hot: &JobHot) {
    if row.depends_on.is_empty() {
        return;
    }
    let on = store.jobs.values().filter(|(other, _)| row.depends_on.contains(&other.uuid));
    let statuses: Vec<JobStatus> = on.map(|(_, other)| other.status).collect();
    assert_eq!(statuses.len(), row.depends_on.len(), "job {} depends on who was never there", hot.id.0);
    let failed = statuses.contains(&JobStatus::Failed);
    let open = statuses.iter().any(|status| !status.is_terminal());
    let met = statuses.iter().all(|status| *status == JobStatus::Succeeded);
    let reason = hot.status_reason.as_deref().unwrap_or_default();
    match hot.status {
        JobStatus::Pending => assert!(open && !failed, "job {} waits for {statuses:?}", hot.id.0),
        JobStatus::Failed if reason == "Dependent Job failed" => {
            assert!(failed, "job {}: {statuses:?}", hot.id.0)
        }
        JobStatus::Failed => assert!(met || hot.attempts == 0, "job {}: {statuses:?}", hot.id.0),
        _ => assert!(met, "job {} is {:?} after {statuses:?}", hot.id.0, hot.status),
    }
}

/// Exactly the head of each queue says why it waits; all others say that they are behind (invariant 9).
fn one_reason_per_queue(store: &Store) {
    let mut told = BTreeSet::new();
    for (row, hot) in store.jobs.values().filter(|(_, hot)| hot.status == JobStatus::Runnable) {
        let reason = hot.status_reason.as_deref().expect("a reason");
        assert!(reason == BEHIND || told.insert(row.queue), "two heads in queue {}", row.queue.0);
    }
}
