//! Ids as types of their own, so that a queue's number is never taken for a job's.
//!
//! Row ids are small integers that the engine gives in rising order: a job's row id is also its place in submission
//! order. Public ids are 16 bytes. Never here: how they look on the wire (the model has ARNs and texts).

use std::fmt;

macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);
    };
}

row_id!(
    /// Row id of a compute environment.
    ComputeEnvironmentId
);
row_id!(
    /// Row id of a job queue.
    QueueId
);
row_id!(
    /// Row id of a scheduling policy.
    PolicyId
);
row_id!(
    /// Row id of one revision of a job definition.
    DefinitionId
);
row_id!(
    /// Row id of a job; rises with submission.
    JobId
);
row_id!(
    /// A host that runs tasks. Stable over restarts for the same machine.
    HostId
);

/// Number of an attempt, from 1; 0 means that none has begun.
pub type AttemptNumber = u32;

/// The public id of a job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobUuid(pub [u8; 16]);

/// Which job, to the outside: a plain one or an array's parent, or with an index one of an array's children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobRef {
    /// The job, or its parent.
    pub uuid: JobUuid,
    /// The child's index, from 0.
    pub index: Option<u32>,
}

impl From<JobUuid> for JobRef {
    fn from(uuid: JobUuid) -> Self {
        Self { uuid, index: None }
    }
}

impl fmt::Display for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.uuid)?;
        self.index.map_or(Ok(()), |index| write!(f, ":{index}"))
    }
}

impl std::str::FromStr for JobRef {
    type Err = ();

    fn from_str(s: &str) -> Result<Self, ()> {
        let (uuid, index) = s.split_once(':').map_or((s, None), |(uuid, index)| (uuid, Some(index)));
        let index = index.map(|digits| digits.parse().map_err(|_| ())).transpose()?;
        Ok(Self { uuid: uuid.parse()?, index })
    }
}

/// The public id of an attempt: ECS's task id, 32 hexadecimal digits. Names the attempt folder, cgroup and log stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub [u8; 16]);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({self})")
    }
}

impl std::str::FromStr for TaskId {
    type Err = ();

    fn from_str(s: &str) -> Result<Self, ()> {
        if s.len() != 32 || !s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err(());
        }
        u128::from_str_radix(s, 16).map(|n| Self(n.to_be_bytes())).map_err(|_| ())
    }
}

impl fmt::Display for JobUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(i, b)| {
            let dash = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{b:02x}")
        })
    }
}

impl fmt::Debug for JobUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobUuid({self})")
    }
}

impl std::str::FromStr for JobUuid {
    type Err = ();

    fn from_str(s: &str) -> Result<Self, ()> {
        let b = s.as_bytes();
        if b.len() != 36 || [8, 13, 18, 23].iter().any(|&i| b[i] != b'-') {
            return Err(());
        }
        let digits: String = s.chars().filter(|&c| c != '-').collect();
        TaskId::from_str(&digits).map(|t| Self(t.0))
    }
}
