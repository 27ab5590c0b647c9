//! The text form of the records: a first line `batchyard-<kind> <version>`, then a line `key value` each.
//!
//! Values escape `\`, newline and carriage return with a backslash, so any UTF-8 text without NUL fits a line. Unknown
//! keys are skipped, so a newer writer may add facts; a newer version number is refused, since it changes meanings.
//! Never here: which keys a record has.

use std::fmt;

/// The newest version of every record that this program reads and the one that it writes.
pub const VERSION: u32 = 1;

/// Why a record could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormatError {
    /// The first line is not `batchyard-<kind> <version>`.
    NotARecord {
        /// The kind of record that was expected.
        kind: &'static str,
    },
    /// The record is of a version that this program does not know.
    Version {
        /// The version found.
        found: u32,
    },
    /// The record ends early: its last line `end` is missing.
    CutOff,
    /// A key has a value that does not fit it.
    Value {
        /// The key.
        key: String,
    },
    /// A key that the record cannot do without is missing.
    Missing {
        /// The key.
        key: &'static str,
    },
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotARecord { kind } => write!(f, "not a batchyard {kind} record"),
            Self::Version { found } => {
                write!(f, "record version {found} is newer than {VERSION}; use the newer program")
            }
            Self::CutOff => write!(f, "record is cut off"),
            Self::Value { key } => write!(f, "record value of {key} cannot be read"),
            Self::Missing { key } => write!(f, "record lacks {key}"),
        }
    }
}

impl std::error::Error for FormatError {}

/// Builds a record's text.
pub struct Writer(String);

impl Writer {
    /// Starts a record of `kind`.
    pub fn new(kind: &str) -> Self {
        Self(format!("batchyard-{kind} {VERSION}\n"))
    }

    /// Adds a line.
    pub fn put(&mut self, key: &str, value: impl fmt::Display) {
        self.0.push_str(key);
        self.0.push(' ');
        for c in value.to_string().chars() {
            match c {
                '\\' => self.0.push_str("\\\\"),
                '\n' => self.0.push_str("\\n"),
                '\r' => self.0.push_str("\\r"),
                c => self.0.push(c),
            }
        }
        self.0.push('\n');
    }

    /// Adds a line when there is a value.
    pub fn put_some(&mut self, key: &str, value: Option<impl fmt::Display>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// Closes the record. A record without this last line is known to be cut off.
    pub fn finish(mut self) -> String {
        self.0.push_str("end\n");
        self.0
    }
}

/// Reads a record of `kind` into its lines, in order, values unescaped.
pub fn read(kind: &'static str, text: &str) -> Result<Vec<(String, String)>, FormatError> {
    let mut lines = text.split('\n');
    let version = lines
        .next()
        .and_then(|l| l.strip_prefix("batchyard-"))
        .and_then(|l| l.strip_prefix(kind))
        .and_then(|l| l.strip_prefix(' '))
        .and_then(|v| v.parse::<u32>().ok())
        .ok_or(FormatError::NotARecord { kind })?;
    if version > VERSION {
        return Err(FormatError::Version { found: version });
    }
    let mut out = Vec::new();
    for line in lines {
        if line == "end" {
            return Ok(out);
        }
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        out.push((key.to_string(), unescape(value)));
    }
    Err(FormatError::CutOff)
}

fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some(other)) => out.push(other),
            (c, _) => out.push(c),
        }
    }
    out
}

/// Parses a value, naming its key when it does not fit.
pub fn parse<T: std::str::FromStr>(key: &str, value: &str) -> Result<T, FormatError> {
    value.parse().map_err(|_| FormatError::Value { key: key.to_string() })
}

/// A part of a value whose parts tabs separate: it has none itself.
pub(crate) fn escape_part(text: &str) -> String {
    text.replace('%', "%25").replace('\t', "%09")
}

/// The text of such a part.
pub(crate) fn unescape_part(text: &str) -> String {
    text.replace("%09", "\t").replace("%25", "%")
}

/// Bytes as lower-case hexadecimal text.
pub fn to_hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
    })
}

/// The bytes of hexadecimal text.
pub fn from_hex(key: &str, text: &str) -> Result<Vec<u8>, FormatError> {
    let bad = || FormatError::Value { key: key.to_string() };
    if !text.bytes().all(|b| b.is_ascii_hexdigit()) || !text.len().is_multiple_of(2) {
        return Err(bad());
    }
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).map_err(|_| bad())).collect()
}
