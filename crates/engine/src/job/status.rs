//! The seven states of a job and the rules that hang on them (spec jobs §1.1, §8). Never here: what causes a change.

/// `status` of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum JobStatus {
    /// Accepted.
    Submitted = 0,
    /// Waits for another job.
    Pending = 1,
    /// Waits for room.
    Runnable = 2,
    /// Placed; image and container are being made ready.
    Starting = 3,
    /// Its container runs.
    Running = 4,
    /// Ended well.
    Succeeded = 5,
    /// Ended otherwise.
    Failed = 6,
}

/// What can happen to a job's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It has to wait for another job.
    Waits,
    /// Nothing holds it back but room.
    Ready,
    /// It has a host.
    Placed,
    /// Its container runs.
    Started,
    /// Its attempt failed and the rules allow another.
    Retried,
    /// Its attempt ended well.
    Succeeded,
    /// All children of this parent have ended well.
    ChildrenSucceeded,
    /// It ended otherwise, or was ended.
    Failed,
}

impl JobStatus {
    /// All states, in the order of a job's life.
    pub const ALL: [Self; 7] = [
        Self::Submitted,
        Self::Pending,
        Self::Runnable,
        Self::Starting,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
    ];

    /// AWS's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Pending => "PENDING",
            Self::Runnable => "RUNNABLE",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
        }
    }

    /// The state of this AWS name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }

    /// The state of this number in a row.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|s| *s as i64 == number)
    }

    /// SUCCEEDED or FAILED.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }

    /// CancelJob ends it here; from STARTING on it does nothing (spec jobs §8).
    pub fn can_cancel(self) -> bool {
        matches!(self, Self::Submitted | Self::Pending | Self::Runnable)
    }

    /// It has a host, so an attempt is open.
    pub fn is_placed(self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }

    /// The state after an event, or nothing where the event is not allowed.
    pub fn on(self, event: Event) -> Option<Self> {
        use JobStatus as S;
        match (self, event) {
            (S::Submitted, Event::Waits) => Some(S::Pending),
            (S::Submitted | S::Pending, Event::Ready) => Some(S::Runnable),
            (S::Runnable, Event::Placed) => Some(S::Starting),
            (S::Starting, Event::Started) => Some(S::Running),
            (S::Starting | S::Running, Event::Retried) => Some(S::Runnable),
            (S::Starting | S::Running, Event::Succeeded) => Some(S::Succeeded),
            (S::Pending, Event::ChildrenSucceeded) => Some(S::Succeeded),
            (s, Event::Failed) if !s.is_terminal() => Some(S::Failed),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
