//! Where a container's output goes, as a line of the task file.
//!
//! Never here: writing it there.

use crate::format::{FormatError, escape_part, parse, unescape_part};

/// Where output goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sink {
    /// The log file with this program's own records, see `log_file`.
    #[default]
    Own,
    /// A file of JSON objects, one a line, as Docker's driver of that name writes.
    JsonFile {
        /// Bytes of one file, after which a new one is begun. 0: it only grows.
        max_bytes: u64,
        /// How many there are at most, the one that grows included.
        files: u32,
    },
    /// A syslog.
    Syslog(Syslog),
}

/// A syslog and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syslog {
    /// Where it listens: `unix:PATH`, `udp:ADDRESS:PORT` or `tcp:ADDRESS:PORT`, the addresses being numbers.
    pub address: String,
    /// Number of the facility, 3 being `daemon`.
    pub facility: u8,
    /// How messages are written.
    pub format: SyslogFormat,
    /// What messages are marked with.
    pub tag: String,
}

/// How messages are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SyslogFormat {
    /// Without the machine's name, as programs speak to their own machine's syslog. Docker's default everywhere.
    #[default]
    Local,
    /// RFC 3164.
    Rfc3164,
    /// RFC 5424, whole seconds.
    Rfc5424,
    /// RFC 5424, microseconds.
    Rfc5424Micro,
}

impl SyslogFormat {
    /// All of them with their names; that of the first is nobody's choice.
    pub const NAMES: [(&str, Self); 4] = [
        ("local", Self::Local),
        ("rfc3164", Self::Rfc3164),
        ("rfc5424", Self::Rfc5424),
        ("rfc5424micro", Self::Rfc5424Micro),
    ];

    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, format)| *format == self).map_or("local", |(name, _)| name)
    }
}

impl Sink {
    /// The value of the task file's line; none for the default.
    pub(crate) fn encode(&self) -> Option<String> {
        match self {
            Self::Own => None,
            Self::JsonFile { max_bytes, files } => Some(format!("json-file\t{max_bytes}\t{files}")),
            Self::Syslog(Syslog { address, facility, format, tag }) => {
                let (address, format) = (escape_part(address), format.name());
                Some(format!("syslog\t{address}\t{facility}\t{format}\t{tag}"))
            }
        }
    }

    pub(crate) fn decode(value: &str) -> Result<Self, FormatError> {
        let bad = || FormatError::Value { key: "sink".to_string() };
        let mut parts = value.splitn(5, '\t');
        let mut next = || parts.next().ok_or_else(bad);
        match next()? {
            "json-file" => {
                Ok(Self::JsonFile { max_bytes: parse("sink", next()?)?, files: parse("sink", next()?)? })
            }
            "syslog" => {
                let (address, facility, format) = (unescape_part(next()?), parse("sink", next()?)?, next()?);
                let format = SyslogFormat::NAMES.iter().find(|(name, _)| *name == format).ok_or_else(bad)?.1;
                Ok(Self::Syslog(Syslog { address, facility, format, tag: next()?.to_string() }))
            }
            _ => Err(bad()),
        }
    }
}
