//! A scheduling pass over one group: each queue's heads are placed until one does not fit, then the next queue has its
//! turn (spec infrastructure §3.2). Never here: jobs behind a head that stays.

use crate::capacity::reason::Reason;
use crate::change::AttemptRow;
use crate::effect::{Effect, StartTask};
use crate::engine::Engine;
use crate::ids::{ComputeEnvironmentId, HostId, JobRef, QueueId};
use crate::input::Now;
use crate::job::status::Event;
use crate::resource::Status;
use crate::slab::Key;
use crate::state::Attempt;

impl Engine {
    /// One pass over a group's queues, highest priority first. Who stays is told at the end, when it is known what the
    /// others have taken.
    pub(crate) fn pass(&mut self, queues: &[QueueId], now: Now) {
        let mut staying = Vec::new();
        for id in queues {
            while let Some(key) = self.next_of(*id) {
                let queue = &self.state.queues[id];
                let Some((environment, host)) = self.state.find_room(queue, &self.state.jobs[key]) else {
                    staying.push((*id, key));
                    break;
                };
                self.place(key, environment, host, now);
            }
        }
        for (id, key) in staying {
            self.tell_head(id, key, now);
        }
    }

    /// The head; a child that waited in a run becomes a job of its own.
    fn next_of(&mut self, id: QueueId) -> Option<Key> {
        let queue = self.state.queues.get(&id)?;
        let head = queue.waiting.head().filter(|_| queue.row.status != Status::Deleting)?;
        Some(if head.children == 0 { head.key } else { self.own_child(head) })
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
    }

    /// The head stays: its row says why, unless it says so already. A job that was the head before no longer does.
    fn tell_head(&mut self, id: QueueId, key: Key, now: Now) {
        let queue = &self.state.queues[&id];
        let told = queue.told;
        let job = &self.state.jobs[key];
        let obstacles: Vec<_> = self.state.obstacles(queue, job).collect();
        let reason = Reason::new(&obstacles, job.facts.needs);
        if !job.hot.status_reason.as_deref().is_some_and(|text| reason.is_told_by(text)) {
            self.say(key, reason.text().into());
        }
        if told != Some(key) {
            if let Some(former) = told {
                self.say(former, self.state.shared.behind.clone());
            }
            if let Some(queue) = self.state.queues.get_mut(&id) {
                queue.told = Some(key);
            }
        }
        self.head_waits(id, key, reason.limit_cause(), now);
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
