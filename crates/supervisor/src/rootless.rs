//! What a server of an ordinary user and its supervisors know of the user namespace that they are root of.
//!
//! Never here: making it (the program), what cannot be had in it (the server says so).

use crate::format::{FormatError, parse};

/// The variable that tells a program how the making of its user namespace went, see [`Marker`].
pub const MARKER: &str = "BATCHYARD_ROOTLESS";

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marker {
    /// The program is root of a user namespace of the user with this id.
    Inside(u32),
    /// It is not, and this is why.
    Refused(String),
}

impl Marker {
    /// The variable's text.
    pub fn encode(&self) -> String {
        match self {
            Self::Inside(uid) => format!("user {uid}"),
            Self::Refused(why) => format!("no: {}", why.replace('\0', "")),
        }
    }

    /// Reads it; what is neither is a refusal.
    pub fn decode(text: &str) -> Self {
        match text.strip_prefix("user ").and_then(|uid| uid.parse().ok()) {
            Some(uid) => Self::Inside(uid),
            None => Self::Refused(text.strip_prefix("no: ").unwrap_or(text).to_string()),
        }
    }

    /// This process's own, if it has one.
    pub fn own() -> Option<Self> {
        std::env::var(MARKER).ok().filter(|text| !text.is_empty()).map(|text| Self::decode(&text))
    }
}

/// What a supervisor needs to know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rootless {
    /// How many users and groups there are, from 0 on. One: no container has another user than root.
    pub ids: u32,
    /// Control groups can be made, so limits hold.
    pub limits: bool,
}

impl Rootless {
    pub(crate) fn encode(self) -> String {
        format!("{} {}", self.ids, u8::from(self.limits))
    }

    pub(crate) fn decode(value: &str) -> Result<Self, FormatError> {
        let bad = || FormatError::Value { key: "rootless".to_string() };
        let (ids, limits) = value.split_once(' ').ok_or_else(bad)?;
        Ok(Self { ids: parse("rootless", ids)?, limits: limits == "1" })
    }
}

/// How many users and groups this process's user namespace has, from 0 on.
pub fn ids() -> u32 {
    let count = |file: &str| from_zero(&std::fs::read_to_string(file).unwrap_or_default());
    count("/proc/self/uid_map").min(count("/proc/self/gid_map"))
}

/// The length of the gapless range from 0 in a map of the kernel: lines of first id inside, outside, and count.
fn from_zero(map: &str) -> u32 {
    let number = |word: Option<&str>| word.and_then(|w| w.parse::<u32>().ok());
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let (first, _outside, count) = (number(words.next())?, words.next()?, number(words.next())?);
        Some((first, count))
    };
    let mut ranges: Vec<(u32, u32)> = map.lines().filter_map(line).collect();
    ranges.sort_unstable();
    ranges
        .into_iter()
        .fold(0, |end, (first, count)| if first == end { end.saturating_add(count) } else { end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_counted_from_zero() {
        assert_eq!(from_zero("         0          0 4294967295\n"), u32::MAX);
        assert_eq!(from_zero("0 1000 1\n"), 1);
        assert_eq!(from_zero("0 1000 1\n1 100000 65536\n"), 65_537);
        assert_eq!(from_zero("0 1000 1\n5 100000 65536\n"), 1, "a gap ends it");
        assert_eq!(from_zero(""), 0);
    }

    #[test]
    fn markers_come_back() {
        for marker in [Marker::Inside(1000), Marker::Refused("unshare: not permitted".into())] {
            assert_eq!(Marker::decode(&marker.encode()), marker);
        }
        assert_eq!(Marker::decode("1"), Marker::Refused("1".into()));
    }
}
