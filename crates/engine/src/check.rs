//! A walk over everything the engine remembers: does it hang together? For tests, for the simulation and for a look at
//! start. Never here: repairs.

use crate::capacity::reason::Reason;
use crate::engine::Engine;
use crate::job::array::{Array, ChildState};
use crate::job::status::JobStatus;
use crate::job::{Job, Part};
use crate::lifecycle::stop::Named;
use crate::queue::Queue;
use crate::queue::fifo::{Entry, place, place_of_run};
use crate::queue::share::RESERVED;
use crate::queue::waiting::Line;
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
        let children = self.state.jobs.iter().filter(|(_, job)| matches!(job.part, Part::Child(..))).count();
        let named = self.state.by_uuid.len() + children;
        ensure!(named == self.state.jobs.len(), "{named} public ids, {} jobs", self.state.jobs.len());
        for (key, array) in &self.state.arrays {
            self.check_array(*key, array)?;
        }
        ensure!(self.state.ended_children.is_empty(), "what follows from children's ends was not done");
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
        let found = self.find(job.named());
        let child = match job.part {
            Part::Child(parent, index) => Some(Named::Child(parent, index)),
            _ => None,
        };
        let gone = hot.status.is_terminal() && child.is_some() && found == child;
        ensure!(found == Some(Named::Job(key)) || gone, "job {id} is not found by its public id");
        ensure!(hot.status.is_terminal() == ended.contains(&key), "job {id} is {:?} and kept", hot.status);
        ensure!(
            hot.status.is_terminal() == hot.stopped_ms.is_some(),
            "job {id} is {:?}, stoppedAt",
            hot.status
        );
        ensure!(hot.status.is_placed() == job.task.is_some(), "job {id} is {:?}, its attempt", hot.status);
        if !hot.status.is_terminal() {
            let queue = self.state.queues.get(&job.queue).ok_or(format!("job {id} has no queue"))?;
            let place = place(&self.state.jobs, key);
            let waits = queue.waiting.at(&job.facts.share, place) == Some(Entry::job(key));
            ensure!(
                waits == (hot.status == JobStatus::Runnable),
                "job {id} is {:?}, waits: {waits}",
                hot.status
            );
            let on = self.state.depends.of(key);
            let pending = match self.array(key) {
                Some(array) => array.has_waiting(),
                None => hot.status == JobStatus::Pending,
            };
            let plain = job.part != Part::Array;
            ensure!(!plain || pending == on.is_some(), "job {id} is {:?} and waits for {on:?}", hot.status);
            let held = queue.pending.at(place) == Some(Entry::job(key));
            ensure!(pending == held, "job {id} is {:?}, its queue", hot.status);
            for target in on.into_iter().flatten() {
                let other = self.status_of(*target).ok_or(format!("job {id} waits for nobody"))?;
                ensure!(!other.is_terminal(), "job {id} waits for one that has ended");
            }
            ensure!(!waits || hot.status_reason.is_some(), "job {id} waits without a reason");
        }
        Ok(())
    }

    /// Its runs, its counts, its own children and its queue tell the same.
    fn check_array(&self, key: Key, array: &Array) -> Found {
        let parent = self.state.jobs.get(key).ok_or("an array without its job")?;
        let id = parent.hot.id;
        let (mut counts, mut own) = ([0; 7], 0);
        for (first, last, state) in array.children.iter() {
            match state.status() {
                Some(status) => counts[status as usize] += last - first + 1,
                None => own += last - first + 1,
            }
            let queue = self.state.queues.get(&parent.queue);
            let entry =
                queue.and_then(|queue| queue.waiting.at(&parent.facts.share, place_of_run(parent, first)));
            let run = Entry { key, first, children: last - first + 1 };
            let lined_up = entry == Some(run);
            ensure!(lined_up == (*state == ChildState::Runnable), "array {} from {first}: {state:?}", id.0);
        }
        ensure!(own as usize == array.own.len(), "array {} has {own} children of their own", id.0);
        for (index, child) in &array.own {
            let job = self.state.jobs.get(*child).ok_or(format!("array {} lacks {index}", id.0))?;
            ensure!(array.children.at(*index) == Some(&ChildState::Own), "array {}: {index}", id.0);
            ensure!(job.part == Part::Child(key, *index), "array {}: {index} is not its child", id.0);
            counts[job.hot.status as usize] += 1;
        }
        ensure!(counts == array.counts, "array {} counts {:?}, not {counts:?}", id.0, array.counts);
        ensure!(array.is_done() == parent.hot.status.is_terminal(), "array {} and its children", id.0);
        let mutual = |other: &Key| self.array(*other).is_some_and(|other| other.followers.contains(&key));
        ensure!(array.each_on.iter().all(mutual), "array {} waits for who does not know", id.0);
        let blocked = self.state.depends.of(key).is_some();
        for (first, last, _) in array.children.iter().filter(|(.., state)| **state == ChildState::Pending) {
            let held = |index: u32| {
                let other = |o: &Key| {
                    self.array(*o).and_then(|o| o.children.at(index)) == Some(&ChildState::Succeeded)
                };
                !array.before_is_done(index) || !array.each_on.iter().all(other)
            };
            ensure!(blocked || (first..=last).all(held), "array {} holds {first} to {last} back", id.0);
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
        let runnable = jobs().filter(|(_, job)| job.hot.status == JobStatus::Runnable).count();
        let runs = queue.waiting.iter().map(|entry| entry.children as usize).sum::<usize>();
        let waiting = runnable + runs;
        ensure!(waiting == queue.waiting.len(), "queue {name} holds {} of {waiting}", queue.waiting.len());
        for id in &queue.row.environments {
            ensure!(self.state.environments.contains_key(id), "queue {name} lacks environment {}", id.0);
        }
        let deleting = queue.row.status == Status::Deleting;
        ensure!(!deleting || open > 0, "queue {name} is idle and not gone");
        for (share, line) in queue.waiting.lines() {
            let here = |key: Key| line.jobs.at(place(&self.state.jobs, key)) == Some(Entry::job(key));
            let told = line.told.is_none_or(|key| self.state.jobs.get(key).is_some() && here(key));
            ensure!(told, "queue {name} remembers a head of {share:?} that does not wait");
            let timed = line.blocked.is_none_or(|blocked| line.told == Some(blocked.key));
            ensure!(timed, "queue {name} times a job of {share:?} that is not a head");
            let mut keys = line.jobs.iter().map(|entry| &self.state.jobs[entry.key].facts.share);
            ensure!(keys.all(|of| of == share), "queue {name} has jobs in the line of another share");
            if !deleting && self.state.agenda.is_empty() {
                let head = line.jobs.head().ok_or("an empty line")?;
                ensure!(head.children == 0, "a head of queue {name} has no row of its own");
                self.check_head(queue, line, head.key)?;
            }
        }
        self.check_usage(queue)
    }

    /// With nothing left on the agenda a head stays only for want of room or for a reservation, and says so.
    fn check_head(&self, queue: &Queue, line: &Line, head: Key) -> Found {
        let job = &self.state.jobs[head];
        let (id, text) = (job.hot.id.0, job.hot.status_reason.as_deref().unwrap_or_default());
        ensure!(line.told == Some(head), "job {id} is the head and was not told");
        let timed = line.blocked.map(|blocked| blocked.cause);
        if self.state.find_room(queue, job).is_some() {
            let held = !self.state.reservation_allows(queue, job, self.batch.now);
            ensure!(held && timed.is_none(), "job {id} has room and waits");
            ensure!(text == RESERVED, "job {id} is held back and says {text:?}");
            return Ok(());
        }
        let obstacles: Vec<_> = self.state.obstacles(queue, job).collect();
        let reason = Reason::new(&obstacles, job.facts.needs);
        ensure!(reason.is_told_by(text), "job {id} waits for {:?} and says {text:?}", reason.text());
        ensure!(timed == reason.limit_cause(), "job {id} waits for {:?}, timed: {timed:?}", reason.text());
        Ok(())
    }

    /// What shares run is the sum of their open attempts.
    fn check_usage(&self, queue: &Queue) -> Found {
        let mut running: BTreeMap<&str, u64> = BTreeMap::new();
        if self.state.fair_share(queue).is_some() {
            let jobs = self.state.attempts.values().map(|attempt| &self.state.jobs[attempt.key]);
            for job in jobs.filter(|job| job.queue == queue.row.id) {
                if let Some(share) = &job.facts.share {
                    *running.entry(share).or_default() += u64::from(job.facts.needs.vcpus_milli);
                }
            }
        }
        let told = queue.usage.iter().filter(|(_, usage)| usage.running_milli > 0);
        let told: BTreeMap<&str, u64> = told.map(|(share, usage)| (&**share, usage.running_milli)).collect();
        ensure!(told == running, "queue {} counts {told:?} of {running:?}", queue.row.name);
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
