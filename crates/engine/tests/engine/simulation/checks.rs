//! What must hold for the rows after every batch, told from the rows alone.

use crate::common::store::Store;
use crate::common::world::World;
use batchyard_engine::change::{Change, JobRow};
use batchyard_engine::resource::{Needs, State, Status};
use batchyard_engine::{AttemptRow, Effect, JobHot, JobRef, JobStatus};
use std::cmp::Reverse;
use std::collections::BTreeSet;

const BEHIND: &str = "waits behind other jobs of its queue";

pub fn batch(world: &World) {
    for effect in &world.effects {
        if let Effect::Start(start) = effect {
            placement(world, &world.store.attempts[&(start.job, start.attempt)]);
        }
    }
    for change in &world.changes {
        if let Change::InsertJob(_, hot) | Change::InsertChild(_, hot) | Change::UpdateJob(hot) = change {
            let (row, _) = &world.store.jobs[&hot.id];
            assert!(hot.attempts <= row.facts.retry.attempts, "job {} has too many attempts", hot.id.0);
            if row.array.is_some() {
                array(&world.store, row, hot);
            } else if hot.status.is_terminal() {
                end(&world.store, hot);
            }
            dependencies(&world.store, row, hot);
        }
        if let Change::PutArraySummary(summary) = change {
            let (row, hot) = &world.store.jobs[&summary.job];
            array(&world.store, row, hot);
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

    let place = |hot: &JobHot, begun: u32| {
        let child = store.child_of(hot.id);
        let (facts, parent) = (&store.jobs[&hot.id].0.facts, child.map_or(hot.id, |row| row.parent));
        let priority = Reverse(facts.share.as_ref().map_or(0, |_| facts.priority));
        (priority, begun == 0, parent, child.map_or(0, |row| row.index))
    };
    let mine = place(hot, row.attempt - 1);
    // Across shares it is the policy that decides.
    let line = |other: &JobRow| other.queue == job.queue && other.facts.share == job.facts.share;
    for (other_row, other) in store.jobs.values().filter(|(other, _)| line(other)) {
        let waits = other.status == JobStatus::Runnable;
        assert!(!waits || place(other, other.attempts) > mine, "job {} passed job {}", hot.id.0, other.id.0);
        if other_row.array.is_some() && !other.status.is_terminal() {
            let children = store.children_of(other.id);
            let first = children.iter().position(|(status, _)| *status == JobStatus::Runnable);
            let own = |index: u32| store.children.contains_key(&(other.id, index));
            let waits = first.map(|index| index as u32).filter(|index| !own(*index));
            let (priority, ..) = place(other, 0);
            let passed = waits.is_some_and(|index| (priority, true, other.id, index) < mine);
            assert!(!passed, "job {} passed a child of job {}", hot.id.0, other.id.0);
        }
    }
}

/// The children of an array agree with its counts, its end and what each of them waits for (spec jobs §3, §4).
fn array(store: &Store, row: &JobRow, hot: &JobHot) {
    let (children, facts) = (store.children_of(hot.id), row.array.as_ref().expect("an array"));
    let mut counts = [0; 7];
    children.iter().for_each(|(status, _)| counts[*status as usize] += 1);
    assert_eq!(store.summaries[&hot.id].counts, counts, "array {}", hot.id.0);
    let done = children.iter().all(|(status, _)| status.is_terminal());
    let well = children.iter().all(|(status, _)| *status == JobStatus::Succeeded);
    let expected = match (done, well) {
        (true, true) => JobStatus::Succeeded,
        (true, false) => JobStatus::Failed,
        _ => JobStatus::Pending,
    };
    assert_eq!(hot.status, expected, "array {} with {counts:?}", hot.id.0);
    let others = facts.each_on.iter().map(|uuid| {
        let other = store.jobs.values().find(|(row, _)| row.uuid == *uuid && row.array.is_some());
        store.children_of(other.expect("an array that was there").1.id)
    });
    let others: Vec<_> = others.collect();
    let statuses = plain_dependencies(store, row);
    for (index, (status, reason)) in children.iter().enumerate() {
        let before = (facts.sequential && index > 0).then(|| children[index - 1].0);
        let counterparts = others.iter().map(|other| other[index].0);
        let on: Vec<JobStatus> = before.into_iter().chain(counterparts).chain(statuses.clone()).collect();
        waits_rightly(&format!("array {} child {index}", hot.id.0), *status, reason.as_deref(), &on);
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

/// How what a job depends on as a whole stands.
fn plain_dependencies(store: &Store, row: &JobRow) -> Vec<JobStatus> {
    let status = |on: &JobRef| {
        let whole = |hot: &JobHot| store.child_of(hot.id).is_none();
        let mut jobs = store.jobs.values().filter(|(other, hot)| other.uuid == on.uuid && whole(hot));
        let (_, hot) = jobs.next().expect("a job that was there");
        on.index.map_or(hot.status, |index| store.children_of(hot.id)[index as usize].0)
    };
    row.depends_on.iter().map(status).collect()
}

fn dependencies(store: &Store, row: &JobRow, hot: &JobHot) {
    if row.depends_on.is_empty() || row.array.is_some() {
        return;
    }
    let reason = hot.status_reason.as_deref();
    waits_rightly(&format!("job {}", hot.id.0), hot.status, reason, &plain_dependencies(store, row));
}

/// A job is placed after all that it depends on have succeeded, PENDING while that is open, and FAILED with the first that
/// has (spec jobs §3).
fn waits_rightly(who: &str, status: JobStatus, reason: Option<&str>, on: &[JobStatus]) {
    if on.is_empty() {
        return assert_ne!(status, JobStatus::Pending, "{who} waits for nothing");
    }
    let failed = on.contains(&JobStatus::Failed);
    let open = on.iter().any(|status| !status.is_terminal());
    let met = on.iter().all(|status| *status == JobStatus::Succeeded);
    match status {
        JobStatus::Pending => assert!(open && !failed, "{who} waits for {on:?}"),
        JobStatus::Failed if reason == Some("Dependent Job failed") => assert!(failed, "{who}: {on:?}"),
        JobStatus::Failed => {}
        _ => assert!(met, "{who} is {status:?} after {on:?}"),
    }
}

/// Exactly the head of each line says why it waits; all others say that they are behind (invariant 9).
fn one_reason_per_queue(store: &Store) {
    let mut told = BTreeSet::new();
    for (row, hot) in store.jobs.values().filter(|(_, hot)| hot.status == JobStatus::Runnable) {
        let reason = hot.status_reason.as_deref().expect("a reason");
        let line = (row.queue, row.facts.share.clone());
        assert!(reason == BEHIND || told.insert(line), "two heads in queue {}", row.queue.0);
    }
}
