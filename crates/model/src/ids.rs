//! The ids that travel in requests and answers: jobs, array children, nodes, tasks. They are small values that
//! print as AWS prints them; making new random ones is for the server.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

/// A UUID in its lower-case form with dashes, in 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(u128);

/// The id of a job, or of a part of one (spec jobs §1.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId {
    /// The job that was submitted.
    pub uuid: Uuid,
    /// Which part of it.
    pub part: JobPart,
}

/// Which part of a submitted job an id means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobPart {
    /// All of it: a plain job, an array's parent, a multi-node job.
    Whole,
    /// A child of an array, from 0: `uuid:index`.
    Child(u32),
    /// A node of a multi-node job, from 0: `uuid#node`.
    Node(u32),
}

/// The id of an ECS task or container instance: 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(u128);

/// A text that is not such an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdError(&'static str);

impl Uuid {
    /// The UUID of these bits.
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// Its bits.
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl TaskId {
    /// The id of these bits.
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// Its bits.
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl JobId {
    /// The whole job of that UUID.
    pub const fn whole(uuid: Uuid) -> Self {
        Self { uuid, part: JobPart::Whole }
    }

    /// The array child of the same job at `index`.
    pub const fn child(self, index: u32) -> Self {
        Self { uuid: self.uuid, part: JobPart::Child(index) }
    }

    /// The node of the same job at `index`.
    pub const fn node(self, index: u32) -> Self {
        Self { uuid: self.uuid, part: JobPart::Node(index) }
    }

    /// The whole job that it is, or is a part of.
    pub const fn parent(self) -> Self {
        Self::whole(self.uuid)
    }

    /// Whether it means a whole job.
    pub fn is_whole(self) -> bool {
        self.part == JobPart::Whole
    }
}

impl From<Uuid> for JobId {
    fn from(uuid: Uuid) -> Self {
        Self::whole(uuid)
    }
}

/// A number as ids and revisions write it: digits without a sign and without zeros before them.
pub(crate) fn number(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_plain { text.parse().ok() } else { None }
}

/// The bits that lower-case hex digits write.
fn hex(digits: impl Iterator<Item = u8>) -> Option<u128> {
    let mut bits: u128 = 0;
    for digit in digits {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        bits = bits << 4 | u128::from(value);
    }
    Some(bits)
}

impl FromStr for Uuid {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = IdError("not a job id: expected a uuid of lower-case hex digits and dashes");
        let bytes = text.as_bytes();
        let is_dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
        if bytes.len() != 36 || (0..36).any(|at| is_dash(at) != (bytes[at] == b'-')) {
            return Err(error);
        }
        hex(bytes.iter().copied().filter(|byte| *byte != b'-')).map(Self).ok_or(error)
    }
}

impl FromStr for TaskId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = IdError("not a task id: expected 32 lower-case hex digits");
        if text.len() != 32 {
            return Err(error);
        }
        hex(text.bytes()).map(Self).ok_or(error)
    }
}

impl FromStr for JobId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = IdError("not a job id: expected a number after the colon or hash");
        let Some(at) = text.find([':', '#']) else { return text.parse().map(Self::whole) };
        let (uuid, part) = text.split_at(at);
        let index = number(&part[1..]).ok_or(error)?;
        let whole = Self::whole(uuid.parse()?);
        Ok(if part.starts_with(':') { whole.child(index) } else { whole.node(index) })
    }
}

impl Display for Uuid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0;
        let part = |shift: u32, digits: u32| (bits >> shift) & ((1 << (digits * 4)) - 1);
        let (low, mid, high, seq, node) = (part(96, 8), part(80, 4), part(64, 4), part(48, 4), part(0, 12));
        write!(out, "{low:08x}-{mid:04x}-{high:04x}-{seq:04x}-{node:012x}")
    }
}

impl Display for TaskId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

impl Display for JobId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            JobPart::Whole => write!(out, "{}", self.uuid),
            JobPart::Child(index) => write!(out, "{}:{index}", self.uuid),
            JobPart::Node(index) => write!(out, "{}#{index}", self.uuid),
        }
    }
}

impl Display for IdError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl std::error::Error for IdError {}

/// Ids print, and travel in JSON, as their text.
macro_rules! as_text {
    ($($id:ty),*) => {$(
        impl fmt::Debug for $id {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                Display::fmt(self, out)
            }
        }

        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    )*};
}
as_text!(Uuid, JobId, TaskId);

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0c7599ae-0a82-49aa-ba5a-0727fcce14a8";

    #[test]
    fn jobs_children_and_nodes_there_and_back() {
        let whole: JobId = UUID.parse().unwrap();
        assert_eq!(whole.uuid.as_u128(), 0x0c7599ae_0a82_49aa_ba5a_0727fcce14a8);
        for (id, text) in [
            (whole, UUID.to_owned()),
            (whole.child(0), format!("{UUID}:0")),
            (whole.child(9999), format!("{UUID}:9999")),
            (whole.node(10), format!("{UUID}#10")),
        ] {
            assert_eq!(id.to_string(), text);
            assert_eq!(text.parse(), Ok(id));
            assert_eq!(id.parent(), whole);
            assert_eq!(id.is_whole(), id == whole);
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<JobId>(&json).unwrap(), id);
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let upper = UUID.to_uppercase();
        let moved = "0c7599ae0-a82-49aa-ba5a-0727fcce14a8";
        let tails = [":", "#", ":x", ":-1", ":+1", ":01", "#1:2", ":4294967296", " "]
            .map(|tail| format!("{UUID}{tail}"));
        for bad in ["", "abc", &upper, moved, &UUID[1..]].into_iter().chain(tails.iter().map(String::as_str))
        {
            assert!(bad.parse::<JobId>().is_err(), "{bad}");
        }
        assert!("é".repeat(18).parse::<JobId>().is_err());
    }

    #[test]
    fn task_ids_are_32_hex_digits() {
        let text = "00e1f2a3b4c5d6e7f8091a2b3c4d5e6f";
        assert_eq!(text.parse::<TaskId>().unwrap().to_string(), text);
        for bad in ["", &text[1..], &text.to_uppercase(), UUID] {
            assert!(bad.parse::<TaskId>().is_err(), "{bad}");
        }
    }
}
