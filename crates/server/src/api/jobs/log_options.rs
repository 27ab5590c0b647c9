//! The options of `logConfiguration`: which each log driver has here, what their values may be, what they come to.
//!
//! Values are read as Docker reads them, whose drivers these are. Never here: which drivers there are (`unbuilt`), the
//! names of groups and streams.

use crate::compute::{LogSink, host_of};
use crate::error::ApiError;
use batchyard_model::batch::LogConfiguration;
use batchyard_supervisor::multiline::{self, FirstLine};
use batchyard_supervisor::sink::SyslogFormat;

/// Names of syslog's facilities by their numbers; 12 to 15 have none.
const FACILITIES: [(&str, u8); 20] = [
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("ftp", 11),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];
/// Where a machine's own syslog listens.
pub const OWN_SYSLOG: &str = "unix:///dev/log";
/// Longest tag: RFC 5424's limit of a program's name.
const TAG_MAX: usize = 48;

/// The options that a driver has here. Nothing: the driver does not work.
pub fn known(driver: &str) -> Option<&'static [&'static str]> {
    Some(match driver {
        "awslogs" => &[
            "awslogs-group",
            "awslogs-stream-prefix",
            "awslogs-create-group",
            "awslogs-region",
            "awslogs-multiline-pattern",
            "awslogs-datetime-format",
            "mode",
            "max-buffer-size",
        ],
        "json-file" => &["max-size", "max-file", "mode", "max-buffer-size"],
        "syslog" => &["syslog-address", "syslog-facility", "syslog-format", "tag", "mode", "max-buffer-size"],
        _ => return None,
    })
}

/// What the options come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// Where output goes, with another driver than `awslogs`.
    pub sink: Option<LogSink>,
    /// The pattern of the lines that begin an event, for `awslogs`.
    pub first_line: Option<String>,
    /// A log group that is missing may be made.
    pub create_group: bool,
}

/// Reads them.
///
/// # Errors
/// A value that its option cannot have.
pub fn read(log: Option<&LogConfiguration>) -> Result<LogOptions, ApiError> {
    let given = log.and_then(|l| l.options.as_ref());
    let option = |name: &str| given?.get(name).map(String::as_str).filter(|v| !v.is_empty());
    if !matches!(option("mode"), None | Some("blocking" | "non-blocking")) {
        return Err(bad("mode", "must be blocking or non-blocking"));
    }
    option("max-buffer-size").map_or(Ok(0), |text| size("max-buffer-size", text, 1024))?;
    let mut read = LogOptions { sink: None, first_line: None, create_group: true };
    match log.and_then(|l| l.log_driver.as_deref()) {
        Some("json-file") => read.sink = Some(json_file(option("max-size"), option("max-file"))?),
        Some("syslog") => {
            let options = ["syslog-address", "syslog-facility", "syslog-format", "tag"];
            read.sink = Some(syslog(options.map(option))?);
        }
        _ => {
            read.first_line =
                first_line(option("awslogs-datetime-format"), option("awslogs-multiline-pattern"))?;
            read.create_group = match option("awslogs-create-group").map(str::to_ascii_lowercase).as_deref() {
                None | Some("true" | "t" | "1") => true,
                Some("false" | "f" | "0") => false,
                Some(_) => return Err(bad("awslogs-create-group", "must be true or false")),
            };
        }
    }
    Ok(read)
}

fn bad(option: &str, why: &str) -> ApiError {
    ApiError::wrapped(format!("logConfiguration.options: {option} {why}"))
}

/// The date's format goes before a pattern (spec jobs §6.2).
fn first_line(datetime: Option<&str>, pattern: Option<&str>) -> Result<Option<String>, ApiError> {
    let wrong = |option, why: String| bad(option, &format!("cannot be read: {why}"));
    let (option, pattern) = match (datetime, pattern) {
        (Some(format), _) => {
            let option = "awslogs-datetime-format";
            (option, multiline::of_datetime(format).map_err(|e| wrong(option, e))?)
        }
        (None, Some(pattern)) => ("awslogs-multiline-pattern", pattern.to_string()),
        (None, None) => return Ok(None),
    };
    if pattern.contains('\0') {
        return Err(bad(option, "must not contain a NUL character"));
    }
    FirstLine::new(&pattern).map_err(|e| wrong(option, e))?;
    Ok(Some(pattern))
}

fn json_file(max_size: Option<&str>, max_file: Option<&str>) -> Result<LogSink, ApiError> {
    let max_bytes = match max_size {
        None | Some("-1") => 0,
        Some(text) => size("max-size", text, 1000)?,
    };
    let files = match max_file.map(str::parse::<u32>) {
        None => 1,
        Some(Ok(files @ 1..=1000)) => files,
        Some(_) => return Err(bad("max-file", "must be 1 to 1000")),
    };
    Ok(LogSink::JsonFile { max_bytes, files })
}

/// Bytes, in thousands or in steps of 1,024 as Docker counts that option.
fn size(option: &str, text: &str, step: u64) -> Result<u64, ApiError> {
    let lower = text.to_ascii_lowercase();
    let number = lower.strip_suffix('b').unwrap_or(&lower);
    let (number, power) = match number.strip_suffix(['k', 'm', 'g', 't']) {
        Some(rest) => (rest, "kmgt".find(&number[rest.len()..]).map_or(0, |i| i as u32 + 1)),
        None => (number, 0),
    };
    let bytes = number.parse::<u64>().ok().and_then(|n| n.checked_mul(step.pow(power)));
    match bytes.filter(|b| *b > 0 && number.bytes().all(|b| b.is_ascii_digit())) {
        Some(bytes) => Ok(bytes),
        None => Err(bad(option, &format!("must be a size such as 10m, got {text:?}"))),
    }
}

fn syslog([address, facility, format, tag]: [Option<&str>; 4]) -> Result<LogSink, ApiError> {
    let address = address.unwrap_or(OWN_SYSLOG);
    let reachable = match address.split_once("://") {
        Some(("unix" | "unixgram", path)) => {
            path.starts_with('/') && path.len() < 108 && !path.contains('\0')
        }
        Some(("udp" | "tcp", place)) => host_of(place).is_some(),
        _ => false,
    };
    if !reachable {
        let why = "must be unix:///path, udp://host:port or tcp://host:port";
        return Err(bad("syslog-address", &format!("{why}, got {address:?}")));
    }
    let facility = match facility {
        None => 3,
        Some(text) => {
            let named = FACILITIES.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
            let number = text.parse::<u8>().ok().filter(|n| *n < 24);
            named.or(number).ok_or_else(|| bad("syslog-facility", &format!("is no facility: {text:?}")))?
        }
    };
    let format = match format {
        None => SyslogFormat::Local,
        Some(text) => SyslogFormat::NAMES[1..]
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, format)| *format)
            .ok_or_else(|| bad("syslog-format", "must be rfc3164, rfc5424 or rfc5424micro"))?,
    };
    let plain =
        |tag: &str| tag.len() <= TAG_MAX && tag.bytes().all(|b| b.is_ascii_graphic()) && !tag.contains("{{");
    if let Some(tag) = tag.filter(|tag| !plain(tag)) {
        let why = format!("must be at most {TAG_MAX} visible characters without a template, got {tag:?}");
        return Err(bad("tag", &why));
    }
    let tag = tag.map(str::to_string);
    Ok(LogSink::Syslog { address: address.to_string(), facility, format, tag })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(driver: &str, options: &[(&str, &str)]) -> Result<LogOptions, String> {
        let options = options.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let log = LogConfiguration {
            log_driver: Some(driver.into()),
            options: Some(options),
            ..Default::default()
        };
        read(Some(&log)).map_err(|e| e.message)
    }

    #[test]
    fn sizes_are_dockers() {
        let files =
            |size, files| said("json-file", &[("max-size", size), ("max-file", files)]).map(|o| o.sink);
        let sink = |max_bytes, files| Ok(Some(LogSink::JsonFile { max_bytes, files }));
        assert_eq!(files("10m", "3"), sink(10_000_000, 3));
        assert_eq!(files("2KB", ""), sink(2000, 1));
        assert_eq!(files("-1", "1"), sink(0, 1));
        for (size, count) in
            [("0", ""), ("x", ""), ("1.5m", ""), ("+1", ""), ("99999999999999t", ""), ("", "0"), ("", "many")]
        {
            assert!(files(size, count).is_err(), "{size} {count}");
        }
    }

    #[test]
    fn addresses_of_a_syslog() {
        let address = |text: &str| said("syslog", &[("syslog-address", text)]).is_ok();
        for good in ["", "unix:///dev/log", "udp://log.example:514", "udp://10.0.0.1", "tcp://[::1]:601"] {
            assert!(address(good), "{good}");
        }
        for bad in [
            "/dev/log",
            "unix://dev/log",
            "tcp+tls://a:1",
            "udp://",
            "udp://:514",
            "tcp://a:0",
            "tcp://a:b",
            "udp://a b",
        ] {
            assert!(!address(bad), "{bad}");
        }
        assert_eq!(host_of("[::1]:601"), Some(("::1", 601)));
        assert_eq!(host_of("log"), Some(("log", 514)));
        let other = |name, value| said("syslog", &[(name, value)]);
        assert!(other("syslog-facility", "local7").is_ok() && other("syslog-facility", "24").is_err());
        assert!(other("syslog-format", "rfc5424").is_ok() && other("syslog-format", "local").is_err());
        assert!(
            other("tag", "my/job").is_ok()
                && other("tag", "{{.ID}}").is_err()
                && other("tag", "a b").is_err()
        );
    }

    #[test]
    fn a_date_goes_before_a_pattern() {
        let first = |date, pattern| {
            said("awslogs", &[("awslogs-datetime-format", date), ("awslogs-multiline-pattern", pattern)])
                .map(|o| o.first_line)
        };
        assert_eq!(first("", ""), Ok(None));
        assert_eq!(first("", "^x"), Ok(Some("^x".into())));
        assert_eq!(first("%Y-", "^x"), Ok(Some(r"\d{4}\-".into())));
        assert!(first("", "(").unwrap_err().contains("awslogs-multiline-pattern cannot be read"));
        assert!(first("none", "").unwrap_err().contains("awslogs-datetime-format"));
        assert!(
            said("awslogs", &[("mode", "fast")]).is_err()
                && said("awslogs", &[("max-buffer-size", "4m")]).is_ok()
        );
        assert!(!said("awslogs", &[("awslogs-create-group", "false")]).unwrap().create_group);
        assert!(said("awslogs", &[("awslogs-create-group", "perhaps")]).is_err());
    }
}
