//! Fair share (spec infrastructure §4.1): how much a share has used, and which share's turn it is. Never here: whether a job
//! fits anywhere.
//!
//! A share's usage is the average of its vCPUs, in which what lies back counts less: after the policy's decay time a bit
//! more than a third of it. What it uses now is added, so that a share does not take everything while its average still
//! grows. The share with the least usage for its weight is served first.

use crate::engine::Engine;
use crate::ids::QueueId;
use crate::input::Now;
use crate::job::Job;
use crate::queue::Queue;
use crate::queue::fifo::{Entry, Place};
use crate::queue::waiting::Share;
use crate::resource::FairShare;
use crate::slab::Key;
use crate::state::State;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// `statusReason` of a share's head that would have room. AWS gives none.
pub(crate) const RESERVED: &str =
    "waits because computeReservation keeps the free vCPUs for other share identifiers";
/// Averages below this are nothing, in thousandths of a vCPU.
const NOTHING: f64 = 1.0;

/// Shares of a queue whose usage is kept for their decay time however little it is.
const KEPT: usize = 1000;

/// What a share has used of its queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Usage {
    /// Average at that time, in thousandths of a vCPU.
    pub average_milli: f64,
    /// When its running vCPUs last changed: wall milliseconds.
    pub at_wall_ms: i64,
    /// The same on the monotonic clock; before its zero after a restart.
    pub at_mono_ms: i64,
    /// vCPUs of its placed jobs, in thousandths.
    pub running_milli: u64,
}

impl Usage {
    fn new(now: Now) -> Self {
        let at_mono_ms = now.mono_ms.cast_signed();
        Self { average_milli: 0.0, at_wall_ms: now.wall_ms, at_mono_ms, running_milli: 0 }
    }

    /// As a row says; the wall clock tells how long ago that was.
    pub(crate) fn restored(average_milli: f64, as_of_ms: i64, now: Now) -> Self {
        let ago = (now.wall_ms - as_of_ms).max(0);
        let at_mono_ms = now.mono_ms.cast_signed() - ago;
        Self { average_milli, at_wall_ms: as_of_ms, at_mono_ms, running_milli: 0 }
    }

    fn age_s(&self, now: Now) -> f64 {
        (now.mono_ms.cast_signed() - self.at_mono_ms).max(0) as f64 / 1000.0
    }

    /// The average now.
    fn average(&self, decay_s: f64, now: Now) -> f64 {
        let running = self.running_milli as f64;
        running + (self.average_milli - running) * (-self.age_s(now) / decay_s).exp()
    }

    /// From now on it runs so much.
    fn runs(&mut self, running_milli: u64, decay_s: f64, now: Now) {
        self.average_milli = self.average(decay_s, now);
        (self.at_wall_ms, self.at_mono_ms) = (now.wall_ms, now.mono_ms.cast_signed());
        self.running_milli = running_milli;
    }
}

impl FairShare {
    fn decay_s(&self) -> f64 {
        // 0 means the default window.
        f64::from(if self.decay_s == 0 { 600 } else { self.decay_s })
    }

    /// The entry that a share belongs to, if any. No two fit one share and `*` comes before letters and digits, so what fits
    /// stands right before the share.
    fn entry(&self, share: &str) -> Option<(&Arc<str>, u32)> {
        let upto = (Bound::Unbounded, Bound::Included(share));
        let (identifier, weight) = self.weights.range::<str, _>(upto).next_back()?;
        let fits = match identifier.strip_suffix('*') {
            Some(stem) => share.starts_with(stem),
            None => share == &**identifier,
        };
        fits.then_some((identifier, *weight))
    }
}

/// What a share has used, and what a unit of that counts.
#[derive(Debug, Clone, Copy, Default)]
struct Turn {
    used_milli: f64,
    factor: f64,
}

impl Turn {
    /// The least comes first; `more` is counted as running, too.
    fn key(self, more: u64) -> f64 {
        (self.used_milli + more as f64) * self.factor
    }
}

impl State {
    /// The policy that divides a queue.
    pub(crate) fn fair_share(&self, queue: &Queue) -> Option<&FairShare> {
        self.policies.get(&queue.row.policy?)?.fair_share.as_ref()
    }

    /// A share counts while it has open jobs, and for the decay time afterwards.
    fn is_active(queue: &Queue, policy: &FairShare, share: &str, now: Now) -> bool {
        queue.shares.contains_key(share)
            || queue.usage.get(share).is_some_and(|usage| usage.age_s(now) <= policy.decay_s())
    }

    fn active<'a>(queue: &'a Queue, policy: &'a FairShare, now: Now) -> impl Iterator<Item = &'a Arc<str>> {
        let used = queue.usage.keys().filter(|share| !queue.shares.contains_key(*share));
        let all = queue.shares.keys().chain(used);
        all.filter(move |share| Self::is_active(queue, policy, share, now))
    }

    /// Of each share that waits.
    fn turns(&self, queue: &Queue, now: Now) -> BTreeMap<Share, Turn> {
        let Some(policy) = self.fair_share(queue) else { return BTreeMap::new() };
        let mut of_prefix: BTreeMap<&str, u64> = BTreeMap::new();
        for share in Self::active(queue, policy, now) {
            if let Some((identifier, _)) = policy.entry(share).filter(|(id, _)| id.ends_with('*')) {
                *of_prefix.entry(identifier).or_default() += 1;
            }
        }
        let turn = |share: &Share| {
            let name = share.as_deref().unwrap_or_default();
            let usage = queue.usage.get(name);
            let used_milli = usage.map_or(0.0, |u| u.average(policy.decay_s(), now) + u.running_milli as f64);
            let (weight, times) = match policy.entry(name) {
                Some((identifier, weight)) => (weight, of_prefix.get(&**identifier).copied().unwrap_or(1)),
                None => (10_000, 1),
            };
            Turn { used_milli, factor: f64::from(weight) * times as f64 }
        };
        queue.waiting.lines().map(|(share, _)| (share.clone(), turn(share))).collect()
    }

    /// The heads of a queue's lines in the order of their turns, without those that are passed over.
    pub(crate) fn heads(&self, queue: &Queue, over: &BTreeSet<Share>, now: Now) -> Vec<(Share, Entry)> {
        let turns = self.turns(queue, now);
        let lines = queue.waiting.lines().filter(|(share, _)| !over.contains(*share));
        let heads = lines.filter_map(|(share, line)| {
            let (place, entry) = line.jobs.first()?;
            Some((turns.get(share).copied().unwrap_or_default().key(0), place, share.clone(), entry))
        });
        let mut heads: Vec<_> = heads.collect();
        heads.sort_by(|(a, at, ..), (b, bt, ..)| a.total_cmp(b).then_with(|| Place::age(at, bt)));
        heads.into_iter().map(|(.., share, entry)| (share, entry)).collect()
    }

    /// The order in which waiting jobs would be looked at if each were placed; so many at most. Each with the place in a
    /// run of children.
    pub(crate) fn in_turn(&self, queue: &Queue, most: usize, now: Now) -> Vec<(Entry, u32)> {
        let mut lines: BTreeMap<Share, _> = BTreeMap::new();
        for (share, line) in queue.waiting.lines() {
            let jobs = line.jobs.iter().flat_map(|e| (0..e.children.max(1)).map(move |n| (e, n)));
            lines.insert(share.clone(), jobs.take(most).peekable());
        }
        let turns = self.turns(queue, now);
        let (mut more, mut order) = (BTreeMap::<Share, u64>::new(), Vec::new());
        while order.len() < most {
            let key = |share: &Share| {
                let turn = turns.get(share).copied().unwrap_or_default();
                turn.key(more.get(share).copied().unwrap_or_default())
            };
            let waiting =
                lines.iter_mut().filter_map(|(share, jobs)| Some((key(share), share, *jobs.peek()?)));
            let row = |(entry, _): &(Entry, u32)| self.jobs[entry.key].hot.id;
            let next =
                waiting.min_by(|(a, _, x), (b, _, y)| a.total_cmp(b).then_with(|| row(x).cmp(&row(y))));
            let Some((share, job)) = next.map(|(_, share, job)| (share.clone(), job)) else { break };
            lines.get_mut(&share).map(Iterator::next);
            *more.entry(share).or_default() += u64::from(self.jobs[job.0.key].facts.needs.vcpus_milli);
            order.push(job);
        }
        order
    }

    /// Whether the policy's reservation lets a job go: shares that run something leave a part of the queue's vCPUs to
    /// those that do not yet.
    pub(crate) fn reservation_allows(&self, queue: &Queue, job: &Job, now: Now) -> bool {
        let Some(policy) = self.fair_share(queue).filter(|policy| policy.compute_reservation > 0) else {
            return true;
        };
        let running = |usage: &Usage| usage.running_milli;
        let own = job.facts.share.as_ref().and_then(|share| queue.usage.get(share)).map_or(0, running);
        if own == 0 {
            return true;
        }
        let active = Self::active(queue, policy, now).count().min(1000);
        let kept = (f64::from(policy.compute_reservation) / 100.0).powi(active as i32);
        let limit = self.most_milli(queue) as f64 * (1.0 - kept);
        let all: u64 = queue.usage.values().map(running).sum();
        (all + u64::from(job.facts.needs.vcpus_milli)) as f64 <= limit
    }

    /// What a queue's jobs can have at once: what its environments allow, no more than the hosts that are there have.
    fn most_milli(&self, queue: &Queue) -> u64 {
        let environments = queue.row.environments.iter().filter_map(|id| self.environments.get(id));
        let rows: Vec<_> = environments.map(|environment| &environment.row).collect();
        let allowed = rows.iter().map(|row| row.max_vcpus_milli.unwrap_or(u64::MAX));
        let allowed = allowed.fold(0, u64::saturating_add);
        let joined = |host: &Option<_>| match host {
            None => rows.iter().any(|row| row.managed),
            Some(id) => rows.iter().any(|row| row.id == *id),
        };
        let sizes = self.hosts.values().filter_map(|host| host.size.as_ref());
        let there = sizes.filter(|host| joined(&host.environment)).map(|host| host.vcpus_milli).sum();
        allowed.min(there)
    }
}

impl Engine {
    /// A job of a share has been placed, or its attempt is over.
    pub(crate) fn count_usage(&mut self, key: Key, placed: bool) {
        let now = self.batch.now;
        let job = &self.state.jobs[key];
        let (Some(share), id) = (job.facts.share.clone(), job.queue) else { return };
        let vcpus = u64::from(job.facts.needs.vcpus_milli);
        let Some(decay_s) =
            self.state.queues.get(&id).and_then(|queue| self.state.fair_share(queue)).map(FairShare::decay_s)
        else {
            return;
        };
        let Some(queue) = self.state.queues.get_mut(&id) else { return };
        let usage = queue.usage.entry(share.clone()).or_insert_with(|| Usage::new(now));
        let running =
            if placed { usage.running_milli + vcpus } else { usage.running_milli.saturating_sub(vcpus) };
        usage.runs(running, decay_s, now);
        self.batch.share(id, share);
    }

    /// Drops what shares without jobs have used so long ago that it says nothing; of very many shares also so little.
    pub(crate) fn forget_usage(&mut self, id: QueueId, now: Now) {
        let Some(queue) = self.state.queues.get(&id) else { return };
        let Some(policy) = self.state.fair_share(queue) else { return };
        let nothing = |(share, usage): &(&Arc<str>, &Usage)| {
            let kept = usage.age_s(now) <= policy.decay_s() && queue.usage.len() <= KEPT;
            !queue.shares.contains_key(*share) && !kept && usage.average(policy.decay_s(), now) < NOTHING
        };
        let gone: Vec<Arc<str>> =
            queue.usage.iter().filter(nothing).map(|(share, _)| share.clone()).collect();
        let Some(queue) = self.state.queues.get_mut(&id) else { return };
        for share in gone {
            queue.usage.remove(&share);
            self.batch.share(id, share);
        }
    }
}
