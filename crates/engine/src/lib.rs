//! What happens next: the life cycle of jobs, the order of queues, the placement on hosts, as one plain value.
//!
//! [`Engine::handle`] takes an [`Input`] and the time and gives a [`Reply`]; what must be written and done piles up as
//! [`Change`]s and [`Effect`]s until [`Engine::take`] hands them out, after [`Engine::schedule`] has placed what fits.
//! Changes are committed before any answer leaves or any effect is carried out (invariant 1).
//!
//! Absent on purpose: clocks, sockets, disks, async, randomness that was not passed in. The same engine runs in the
//! server, in a seeded simulation and in a benchmark. Bodies (command, environment, …) never pass through here except
//! on their way into a row.

mod batch;
mod capacity;
pub mod change;
mod check;
pub mod effect;
mod engine;
pub mod ids;
pub mod input;
pub mod job;
mod lifecycle;
mod queue;
mod random;
mod rebuild;
pub mod resource;
mod resources;
pub mod restore;
mod slab;
mod state;

pub use change::{AttemptRow, Change, ContainerResult, JobHot, JobRow};
pub use effect::{Effect, StartTask};
pub use engine::{Counts, Engine};
pub use ids::{
    AttemptNumber, ComputeEnvironmentId, DefinitionId, HostId, JobId, JobRef, JobUuid, PolicyId, QueueId,
    TaskId,
};
pub use input::{Command, EnvironmentUpdate, Input, Now, Refusal, RefusalKind, Reply, Report};
pub use job::depends::WAITS as PENDING_REASON;
pub use job::status::JobStatus;
pub use queue::front::Snapshot;
pub use restore::OpenRows;
pub use state::BEHIND as RUNNABLE_REASON;
