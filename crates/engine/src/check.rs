//! A walk over everything the engine remembers: does it hang together? For tests, for the simulation and for a look at
//! start. Never here: repairs.

use crate::capacity::reason::Reason;
use crate::engine::Engine;
use crate::job::Job;
use crate::job::status::JobStatus;
use crate::queue::Queue;
use crate::resource::Status;
use crate::slab::Key;
use std::collections::{BTreeMap, BTreeSet};

type Found = Result<(), String>;

macro_rules! ensure {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err(format!($($words)+));
        }
    };
}

impl Engine {
    /// Walks all cross references, in time that grows with everything there is; the first contradiction is the error.
    ///
    /// Right after [`Self::new`] it also tells what does not fit together in the rows.
    pub fn check(&self) -> Result<(), String> {
        ensure!(self.problems.is_empty(), "{}", self.problems.join("; "));
        let ended: BTreeSet<Key> = self.leaving.iter().chain(&self.batch.ended).copied().collect();
        for (key, job) in self.state.jobs.iter() {
            self.check_job(key, job, &ended)?;
        }
        ensure!(self.state.by_uuid.len() == self.state.jobs.len(), "more public ids than jobs");
        for queue in self.state.queues.values() {
            self.check_queue(queue)?;
        }
        let (dependents, waits) = self.state.depends.pairs();
        ensure!(dependents == waits, "{dependents} jobs are waited for, {waits} wait");
        ensure!(self.state.depends.is_settled(), "what follows from an end was not done");
        self.check_attempts()?;
        self.check_sums()
    }

    fn check_job(&self, key: Key, job: &Job, ended: &BTreeSet<Key>) -> Found {
        let (id, hot) = (job.hot.id.0, &job.hot);
        ensure!(self.state.by_uuid.get(&job.uuid) == Some(&key), "job {id} is not found by its public id");
        ensure!(hot.status.is_terminal() == ended.contains(&key), "job {id} is {:?} and kept", hot.status);
        ensure!(
            hot.status.is_terminal() == hot.stopped_ms.is_some(),
            "job {id} is {:?}, stoppedAt",
            hot.status
        );
        ensure!(hot.status.is_placed() == job.task.is_some(), "job {id} is {:?}, its attempt", hot.status);
        if !hot.status.is_terminal() {
            let queue = self.state.queues.get(&job.queue).ok_or(format!("job {id} has no queue"))?;
            let waits = queue.waiting.holds(hot, key);
            ensure!(
                waits == (hot.status == JobStatus::Runnable),
                "job {id} is {:?}, waits: {waits}",
                hot.status
            );
            let on = self.state.depends.of(key);
            let pending = hot.status == JobStatus::Pending;
            ensure!(pending == on.is_some(), "job {id} is {:?} and waits for {on:?}", hot.status);
            ensure!(pending == queue.pending.holds(hot, key), "job {id} is {:?}, its queue", hot.status);
            for dependency in on.into_iter().flatten() {
                let other = self.state.jobs.get(*dependency).ok_or(format!("job {id} waits for nobody"))?;
                ensure!(!other.hot.status.is_terminal(), "job {id} waits for one that has ended");
            }
            ensure!(!waits || hot.status_reason.is_some(), "job {id} waits without a reason");
        }
        Ok(())
    }

    fn check_queue(&self, queue: &Queue) -> Found {
        let name = &queue.row.name;
        let jobs = || self.state.jobs.iter().filter(|(_, job)| job.queue == queue.row.id);
        let open = jobs().filter(|(_, job)| !job.hot.status.is_terminal()).count();
        let mut shares = BTreeMap::new();
        for (_, job) in jobs().filter(|(_, job)| !job.hot.status.is_terminal()) {
            if let Some(share) = &job.facts.share {
                *shares.entry(share.clone()).or_insert(0usize) += 1;
            }
        }
        ensure!(shares == queue.shares, "queue {name} counts shares {:?} of {shares:?}", queue.shares);
        ensure!(open == queue.open, "queue {name} counts {} open jobs of {open}", queue.open);
        let waiting = jobs().filter(|(_, job)| job.hot.status == JobStatus::Runnable).count();
        ensure!(waiting == queue.waiting.len(), "queue {name} holds {} of {waiting}", queue.waiting.len());
        for id in &queue.row.environments {
            ensure!(self.state.environments.contains_key(id), "queue {name} lacks environment {}", id.0);
        }
        let told = queue
            .told
            .map(|key| self.state.jobs.get(key).is_some_and(|job| queue.waiting.holds(&job.hot, key)));
        ensure!(told != Some(false), "queue {name} remembers a head that does not wait");
        let timed = queue.blocked.is_none_or(|blocked| queue.told == Some(blocked.key));
        ensure!(timed, "queue {name} times a job that is not its head");
        let deleting = queue.row.status == Status::Deleting;
        ensure!(!deleting || open > 0, "queue {name} is idle and not gone");
        match queue.waiting.head() {
            Some(head) if !deleting && self.state.agenda.is_empty() => self.check_head(queue, head),
            _ => Ok(()),
        }
    }

    /// With nothing left on the agenda a head stays only for want of room, and says so.
    fn check_head(&self, queue: &Queue, head: Key) -> Found {
        let job = &self.state.jobs[head];
        let id = job.hot.id.0;
        ensure!(self.state.find_room(queue, job).is_none(), "job {id} has room and waits");
        ensure!(queue.told == Some(head), "job {id} is the head and was not told");
        let obstacles: Vec<_> = self.state.obstacles(queue, job).collect();
        let reason = Reason::new(&obstacles, job.facts.needs);
        let text = job.hot.status_reason.as_deref().unwrap_or_default();
        ensure!(reason.is_told_by(text), "job {id} waits for {:?} and says {text:?}", reason.text());
        let timed = queue.blocked.map(|blocked| blocked.cause);
        ensure!(timed == reason.limit_cause(), "job {id} waits for {:?}, timed: {timed:?}", reason.text());
        Ok(())
    }

    fn check_attempts(&self) -> Found {
        for (task, attempt) in &self.state.attempts {
            let row = &attempt.row;
            let job = self.state.jobs.get(attempt.key).ok_or(format!("attempt {task} has no job"))?;
            ensure!(row.task == *task && job.task == Some(*task), "attempt {task} is not its job's");
            ensure!(
                row.job == job.hot.id && row.attempt == job.hot.attempts,
                "attempt {task} is not the newest"
            );
            ensure!(row.stopped_ms.is_none(), "attempt {task} ended and is open");
            ensure!(
                self.state.environments.contains_key(&row.environment),
                "attempt {task} has no environment"
            );
            let host = self.state.hosts.get(&row.host);
            ensure!(host.is_some_and(|host| host.tasks.contains(task)), "attempt {task} is not on its host");
        }
        let placed = self.state.jobs.iter().filter(|(_, job)| job.task.is_some()).count();
        ensure!(placed == self.state.attempts.len(), "{placed} jobs are placed");
        Ok(())
    }

    /// What is in use is the sum of the open attempts, nothing else.
    fn check_sums(&self) -> Found {
        let (mut environments, mut hosts) = (BTreeMap::new(), BTreeMap::new());
        for attempt in self.state.attempts.values() {
            let needs = self.state.jobs[attempt.key].facts.needs;
            let environment = environments.entry(attempt.row.environment).or_insert((0u64, 0usize));
            environment.0 += u64::from(needs.vcpus_milli);
            environment.1 += 1;
            let host = hosts.entry(attempt.row.host).or_insert((0u64, 0u64, 0usize));
            host.0 += u64::from(needs.vcpus_milli);
            host.1 += u64::from(needs.memory_mib);
            host.2 += 1;
        }
        for (id, environment) in &self.state.environments {
            let sum = environments.get(id).copied().unwrap_or_default();
            ensure!(
                sum == (environment.used_milli, environment.tasks),
                "environment {} is not {sum:?}",
                id.0
            );
            let idle = environment.row.status == Status::Deleting && sum.1 == 0;
            ensure!(!idle, "environment {} is idle and not gone", id.0);
        }
        for (id, host) in &self.state.hosts {
            ensure!(
                host.size.is_some() || !host.tasks.is_empty(),
                "host {} is not there and has nothing",
                id.0
            );
            let sum = hosts.get(id).copied().unwrap_or_default();
            ensure!(
                sum == (host.used_milli, host.used_mib, host.tasks.len()),
                "host {} is not {sum:?}",
                id.0
            );
        }
        Ok(())
    }
}
