//! A host for a job: its queue's environments in their order, in each the fullest host that still has room. Never here:
//! which job is next.

use crate::capacity::host::{self, HostState, Room};
use crate::ids::{ComputeEnvironmentId, HostId};
use crate::job::Job;
use crate::queue::Queue;
use crate::resource::{ComputeEnvironment, Host, State as OnOff};
use crate::state::{Environment, State};

/// Why an environment does not take a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// Not VALID.
    Invalid,
    /// DISABLED.
    Disabled,
    /// Runs another kind of job.
    OtherPlatform,
    /// Its maxvCpus is less than the job's vCPUs.
    MaxTooSmall,
    /// No host is there.
    NoHost,
    /// No host could take the job even if it were empty.
    HostsTooSmall,
    /// Its jobs leave this much of its maxvCpus.
    AtMax {
        /// Thousandths.
        free_milli: u64,
        /// Thousandths.
        max_milli: u64,
    },
    /// Its hosts are busy; the one with most room has this much.
    HostsBusy(Room),
}

impl State {
    /// Where a job of this queue can start now.
    pub(crate) fn find_room(&self, queue: &Queue, job: &Job) -> Option<(ComputeEnvironmentId, HostId)> {
        let environments = queue.row.environments.iter().filter_map(|id| self.environments.get(id));
        environments.into_iter().find_map(|e| Some((e.row.id, self.find_host(e, job).ok()?)))
    }

    /// What each environment of the queue has against the job.
    pub(crate) fn obstacles<'a>(
        &'a self,
        queue: &'a Queue,
        job: &'a Job,
    ) -> impl Iterator<Item = (&'a ComputeEnvironment, Obstacle)> {
        let environments = queue.row.environments.iter().filter_map(|id| self.environments.get(id));
        environments.filter_map(|e| Some((&e.row, self.find_host(e, job).err()?)))
    }

    fn find_host(&self, environment: &Environment, job: &Job) -> Result<HostId, Obstacle> {
        accepts(environment, job)?;
        let needs = job.facts.needs;
        let mut hosts = self.hosts_of(&environment.row).peekable();
        if hosts.peek().is_none() {
            return Err(Obstacle::NoHost);
        }
        if !self.hosts_of(&environment.row).any(|(host, _)| host::whole(host).fits(needs)) {
            return Err(Obstacle::HostsTooSmall);
        }
        has_vcpus(environment, job)?;
        let rooms =
            || self.hosts_of(&environment.row).map(|(host, state)| (host::free(host, state), host.id));
        let best = rooms().filter(|(room, _)| room.fits(needs)).min();
        let most = rooms().map(|(room, _)| room).max();
        best.map(|(_, id)| id).ok_or(most.map_or(Obstacle::NoHost, Obstacle::HostsBusy))
    }

    /// Hosts that are there: this installation's own for a managed environment, those that joined it for another.
    fn hosts_of<'a>(
        &'a self,
        environment: &ComputeEnvironment,
    ) -> impl Iterator<Item = (&'a Host, &'a HostState)> {
        let joined = (!environment.managed).then_some(environment.id);
        let there = self.hosts.values().filter_map(|state| Some((state.size.as_ref()?, state)));
        there.filter(move |(host, _)| host.environment == joined)
    }
}

/// Whether an environment would take the job at all.
fn accepts(environment: &Environment, job: &Job) -> Result<(), Obstacle> {
    let row = &environment.row;
    match (row.status, row.state) {
        (status, _) if !status.is_usable() => return Err(Obstacle::Invalid),
        (_, OnOff::Disabled) => return Err(Obstacle::Disabled),
        (_, OnOff::Enabled) => {}
    }
    if row.platform != job.facts.platform {
        return Err(Obstacle::OtherPlatform);
    }
    match row.max_vcpus_milli {
        Some(max) if max < u64::from(job.facts.needs.vcpus_milli) => Err(Obstacle::MaxTooSmall),
        _ => Ok(()),
    }
}

/// Whether its maxvCpus leaves enough.
fn has_vcpus(environment: &Environment, job: &Job) -> Result<(), Obstacle> {
    let Some(max_milli) = environment.row.max_vcpus_milli else { return Ok(()) };
    let free_milli = max_milli.saturating_sub(environment.used_milli);
    if u64::from(job.facts.needs.vcpus_milli) <= free_milli {
        return Ok(());
    }
    Err(Obstacle::AtMax { free_milli, max_milli })
}
