//! How often what happened, so that a simulation that has gone to sleep is noticed.

use crate::common::world::World;
use batchyard_engine::change::Change;
use batchyard_engine::{Effect, JobHot, JobStatus};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub struct Seen(pub BTreeMap<&'static str, usize>);

impl Seen {
    pub fn note(&mut self, world: &World) {
        for effect in &world.effects {
            match effect {
                Effect::Start(start) if start.attempt > 1 => self.count("retries"),
                Effect::Start(_) => self.count("starts"),
                Effect::Stop { .. } => self.count("stops"),
                Effect::Forget { .. } | Effect::Wake(_) => {}
            }
        }
        for change in &world.changes {
            match change {
                Change::InsertJob(_, hot) | Change::InsertChild(_, hot) | Change::UpdateJob(hot) => {
                    self.job(hot)
                }
                Change::PutSegment(_) => self.count("segments"),
                Change::RemoveJobQueue(_) => self.count("queues removed"),
                Change::RemoveComputeEnvironment(_) => self.count("environments removed"),
                _ => {}
            }
        }
    }

    fn job(&mut self, hot: &JobHot) {
        let reason = hot.status_reason.as_deref().unwrap_or_default();
        match hot.status {
            JobStatus::Succeeded => self.count("SUCCEEDED"),
            JobStatus::Failed if hot.attempts == 0 => self.count("FAILED before its start"),
            JobStatus::Failed => self.count("FAILED"),
            JobStatus::Runnable if reason.starts_with("waits for room") => self.count("waiting for room"),
            JobStatus::Runnable if reason.contains("computeReservation") => self.count("held back"),
            JobStatus::Runnable if reason.starts_with("MISCONF") => self.count("misconfigured"),
            _ => {}
        }
        if hot.status == JobStatus::Pending {
            self.count("PENDING");
        }
        if reason == "Dependent Job failed" {
            self.count("failed with another");
        }
        if hot.status == JobStatus::Failed && reason == "JobQueue deleted" {
            self.count("JobQueue deleted");
        }
        if reason.starts_with("Canceled by JobStateTimeLimit") {
            self.count("given up");
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub fn add(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }
}
