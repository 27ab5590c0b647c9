//! A scheduling pass over one group: each queue's heads are placed until one does not fit, then the next queue has its
//! turn (spec infrastructure §3.2). Never here: jobs behind a head that stays.

use crate::capacity::reason::Reason;
use crate::change::AttemptRow;
use crate::effect::{Effect, StartTask};
use crate::engine::Engine;
use crate::ids::{ComputeEnvironmentId, HostId, JobRef, QueueId};
use crate::input::Now;
use crate::job::status::Event;
use crate::queue::share::RESERVED;
use crate::queue::waiting::Share;
use crate::resource::Status;
use crate::slab::Key;
use crate::state::Attempt;
use std::collections::BTreeSet;

impl Engine {
    /// One pass over a group's queues, highest priority first. Who stays is told at the end, when it is known what the
    /// others have taken.
    pub(crate) fn pass(&mut self, queues: &[QueueId], now: Now) {
        let mut staying = Vec::new();
        for id in queues {
            // A line whose head stays has had its turn.
            let mut over = BTreeSet::new();
            while self.place_next(*id, &mut over, &mut staying, now) {}
            self.forget_usage(*id, now);
        }
        for (id, share, key) in staying {
            self.tell_head(id, &share, key, now);
        }
    }

    /// Places the first head that may go, in the order of their turns. Those before it stay. False when none may go.
    fn place_next(
        &mut self,
        id: QueueId,
        over: &mut BTreeSet<Share>,
        staying: &mut Vec<(QueueId, Share, Key)>,
        now: Now,
    ) -> bool {
        let queue = self.state.queues.get(&id).filter(|queue| queue.row.status != Status::Deleting);
        let heads = queue.map(|queue| self.state.heads(queue, over, now)).unwrap_or_default();
        for (share, head) in heads {
            // A child that waited in a run becomes a job of its own.
            let key = if head.children == 0 { head.key } else { self.own_child(head) };
            if let Some((environment, host)) = self.room_for(id, key, now) {
                self.place(key, environment, host, now);
                return true;
            }
            staying.push((id, share.clone(), key));
            over.insert(share);
        }
        false
    }

    fn room_for(&self, id: QueueId, key: Key, now: Now) -> Option<(ComputeEnvironmentId, HostId)> {
        let (queue, job) = (self.state.queues.get(&id)?, &self.state.jobs[key]);
        let room = self.state.find_room(queue, job)?;
        self.state.reservation_allows(queue, job, now).then_some(room)
    }

    /// RUNNABLE → STARTING: the next attempt is opened and its start asked for.
    fn place(&mut self, key: Key, environment: ComputeEnvironmentId, host: HostId, now: Now) {
        self.leave_queue(key);
        let task = self.new_task();
        self.advance(key, Event::Placed);
        let job = &mut self.state.jobs[key];
        job.hot.attempts += 1;
        job.hot.status_reason = None;
        job.task = Some(task);
        let row = AttemptRow {
            job: job.hot.id,
            attempt: job.hot.attempts,
            task,
            environment,
            host,
            placed_ms: now.wall_ms,
            address: None,
            started_ms: None,
            stopped_ms: None,
            status_reason: None,
            containers: Vec::new(),
        };
        self.batch.effect(start_effect(job.named(), job.facts.timeout_s, &row));
        self.batch.touch(&mut self.state.jobs, key);
        self.batch.attempt(&row);
        self.state.occupy(Attempt { key, row });
        self.count_usage(key, true);
    }

    /// The head stays: its row says why, unless it says so already. A job that was the head before no longer does.
    fn tell_head(&mut self, id: QueueId, share: &Share, key: Key, now: Now) {
        let queue = &self.state.queues[&id];
        let job = &self.state.jobs[key];
        let (text, cause) = match self.state.find_room(queue, job) {
            // It is held back although there is room.
            Some(_) => ((job.hot.status_reason.as_deref() != Some(RESERVED)).then(|| RESERVED.into()), None),
            None => {
                let obstacles: Vec<_> = self.state.obstacles(queue, job).collect();
                let reason = Reason::new(&obstacles, job.facts.needs);
                let is_told = job.hot.status_reason.as_deref().is_some_and(|text| reason.is_told_by(text));
                ((!is_told).then(|| reason.text().into()), reason.limit_cause())
            }
        };
        if let Some(text) = text {
            self.say(key, text);
        }
        let line = self.state.queues.get_mut(&id).and_then(|queue| queue.waiting.line_mut(share));
        let former = line.and_then(|line| line.told.replace(key)).filter(|former| *former != key);
        if let Some(former) = former {
            self.say(former, self.state.shared.behind.clone());
        }
        self.head_waits(id, share, key, cause, now);
    }
}

/// What starts an attempt; the same after a restart.
pub(crate) fn start_effect(name: JobRef, timeout_s: Option<u32>, row: &AttemptRow) -> Effect {
    Effect::Start(StartTask {
        task: row.task,
        job: row.job,
        name,
        attempt: row.attempt,
        host: row.host,
        environment: row.environment,
        timeout_s,
    })
}
