//! GetJobQueueSnapshot: the front of a queue and what of it is in use (spec infrastructure §4.2). Never here: the order; the
//! engine has it.

use crate::api::input::required;
use crate::api::jobs::job_id;
use crate::api::service::Service;
use crate::clock::wall_ms;
use crate::error::ApiError;
use batchyard_engine::Snapshot;
use batchyard_model::arn::{Arn, ArnKind, name_or_arn};
use batchyard_model::batch::*;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Shares that are shown, those with the most in use.
const SHARES: usize = 20;

impl Service {
    pub(in crate::api) async fn get_job_queue_snapshot(
        &self,
        input: GetJobQueueSnapshotRequest,
    ) -> Result<GetJobQueueSnapshotResponse, ApiError> {
        let text = required(&input.job_queue, "jobQueue")?;
        let missing = || ApiError::client(format!("JobQueue {text} not found."));
        let reference = name_or_arn(ArnKind::JobQueue, text).map_err(|_| missing())?;
        if !reference.is_in(&self.region, &self.account) {
            return Err(missing());
        }
        let queue = self.queue(&reference.name).await?.ok_or_else(missing)?;
        let Some(snapshot) = self.core.snapshot(queue.id).await? else {
            // What was remembered of it is out of date.
            self.known.forget_queue(&reference.name);
            return Err(missing());
        };
        Ok(self.shown_snapshot(&snapshot, wall_ms()))
    }

    fn shown_snapshot(&self, snapshot: &Snapshot, now_ms: i64) -> GetJobQueueSnapshotResponse {
        let job = |(job, since): &(batchyard_engine::JobRef, i64)| {
            let id = job_id(*job);
            FrontOfQueueJobSummary {
                job_arn: Some(Arn::job(&self.region, &self.account, id).to_string()),
                earliest_time_at_position: Some(*since),
            }
        };
        let front = FrontOfQueueDetail {
            jobs: Some(snapshot.front.iter().map(job).collect()),
            last_updated_at: Some(now_ms),
        };
        let utilization = QueueSnapshotUtilizationDetail {
            total_capacity_usage: Some(vec![QueueSnapshotCapacityUsage {
                capacity_unit: Some(UNIT.into()),
                quantity: Some(vcpus(snapshot.used_milli)),
            }]),
            fairshare_utilization: snapshot.shares.as_ref().map(fairshare),
            last_updated_at: Some(now_ms),
            ..QueueSnapshotUtilizationDetail::default()
        };
        GetJobQueueSnapshotResponse {
            front_of_queue: Some(front),
            queue_utilization: Some(utilization),
            ..GetJobQueueSnapshotResponse::default()
        }
    }
}

/// What is counted.
const UNIT: &str = "VCPU";

fn vcpus(milli: u64) -> f64 {
    milli as f64 / 1000.0
}

fn fairshare(shares: &BTreeMap<Arc<str>, u64>) -> FairshareUtilizationDetail {
    let mut used: Vec<_> = shares.iter().filter(|(_, milli)| **milli > 0).collect();
    used.sort_by_key(|(share, milli)| (Reverse(**milli), (*share).clone()));
    let share = |(share, milli): (&Arc<str>, &u64)| FairshareCapacityUtilization {
        share_identifier: Some(share.to_string()),
        capacity_usage: Some(vec![FairshareCapacityUsage {
            capacity_unit: Some(UNIT.into()),
            quantity: Some(vcpus(*milli)),
        }]),
    };
    FairshareUtilizationDetail {
        active_share_count: i64::try_from(shares.len()).ok(),
        top_capacity_utilization: Some(used.into_iter().take(SHARES).map(share).collect()),
    }
}
