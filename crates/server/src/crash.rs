//! Instants at which a test wants the server to die, so that "never twice, never lost" is tried and not believed.
//!
//! What a test does to bring it about is in the supervisor library's `hooks`. Commits are named after what they mean for
//! a job (`submit`, `place`, `started`, `retry`, `ended`, `terminate`, or `resource`), so that each of the life cycle's is
//! tried: `before_commit.ended` and the like. The other points are named where they lie. Never here: acting on the result.

use batchyard_engine::JobStatus;
use batchyard_engine::change::{Change, JobHot};
pub use batchyard_supervisor::hooks::point;

/// Comes to the point `<when>.<stage>` for each stage that these changes are; `beside` when the batch also holds writes
/// that the engine has no part in.
pub fn around(when: &str, changes: &[Change], beside: bool) {
    if batchyard_supervisor::hooks::folder().is_none() {
        return;
    }
    for stage in changes.iter().flat_map(stages).chain(beside.then_some("beside")) {
        point(&format!("{when}.{stage}"));
    }
}

fn stages(change: &Change) -> Vec<&'static str> {
    match change {
        Change::InsertJob(_, hot) => [&["submit"], status(hot)].concat(),
        Change::InsertChild(_, hot) | Change::UpdateJob(hot) => status(hot).to_vec(),
        Change::PutAttempt(_)
        | Change::PutSegment(_)
        | Change::PutArraySummary(_)
        | Change::PutShareUsage(_) => Vec::new(),
        _ => vec!["resource"],
    }
}

fn status(hot: &JobHot) -> &'static [&'static str] {
    match hot.status {
        JobStatus::Succeeded | JobStatus::Failed => &["ended"],
        _ if hot.terminated.is_some() => &["terminate"],
        JobStatus::Running => &["started"],
        JobStatus::Starting if hot.attempts > 1 => &["retry", "place"],
        JobStatus::Starting => &["place"],
        JobStatus::Runnable if hot.attempts > 0 => &["retry"],
        _ => &[],
    }
}
