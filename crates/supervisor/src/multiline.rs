//! Events of several lines (`awslogs-multiline-pattern`, `awslogs-datetime-format`): which line begins one.
//!
//! Never here: gathering them.

use regex_lite::{Regex, RegexBuilder};

/// Bytes that a compiled pattern may have. Looking for it is paid by this machine, not by the job's share of it.
const SIZE_LIMIT: usize = 64 << 10;
/// How much of a line is looked at. Docker has no longer lines.
const LOOKED_AT: usize = 16 << 10;

/// Knows the first line of an event.
#[derive(Debug, Clone)]
pub struct FirstLine(Regex);

impl FirstLine {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(pattern: &str) -> Result<Self, String> {
        RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).build().map(Self).map_err(|e| e.to_string())
    }

    /// Whether an event begins with this line: the pattern is found anywhere in its first 16 KiB.
    pub fn is(&self, line: &[u8]) -> bool {
        self.0.is_match(&String::from_utf8_lossy(&line[..line.len().min(LOOKED_AT)]))
    }
}

/// The pattern of a date and time in the words of C's `strftime`, as Docker's log driver reads them.
///
/// # Errors
/// The format has nothing that stands for a time.
pub fn of_datetime(format: &str) -> Result<String, String> {
    let mut pattern = String::new();
    let mut chars = format.chars();
    let mut found = false;
    while let Some(c) = chars.next() {
        let part = match (c, if c == '%' { chars.next() } else { None }) {
            ('%', Some('%')) => "%",
            ('%', Some(code)) => {
                found = true;
                directive(code).ok_or_else(|| format!("%{code} is unknown"))?
            }
            ('%', None) => return Err("it ends with a %".to_string()),
            (c, _) => {
                pattern.push_str(&regex_lite::escape(c.encode_utf8(&mut [0; 4])));
                continue;
            }
        };
        pattern.push_str(part);
    }
    if found { Ok(pattern) } else { Err("it names no part of a date or time".to_string()) }
}

fn directive(code: char) -> Option<&'static str> {
    Some(match code {
        'A' => "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day",
        'a' => "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)",
        'B' => "(?:January|February|March|April|May|June|July|August|September|October|November|December)",
        'b' => "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
        'c' => r"\w{3} \w{3}\s+\d{1,2} \d{2}:\d{2}:\d{2} \d{4}",
        'd' | 'H' | 'I' | 'M' | 'm' | 'S' | 'U' | 'W' | 'y' => r"\d{2}",
        'f' => r"\d{1,9}",
        'j' => r"\d{3}",
        'L' => r"\.\d{3}",
        'p' => "[AaPp][Mm]",
        'w' => r"\d",
        'X' => r"\d{2}:\d{2}:\d{2}",
        'x' => r"\d{2}/\d{2}/\d{2}",
        'Y' => r"\d{4}",
        'Z' => r"[A-Z]{1,4}T",
        'z' => r"[+-]\d{4}",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_found_where_it_is_written() {
        let first = |format: &str| FirstLine::new(&of_datetime(format).unwrap()).unwrap();
        let usual = first("[%b %d, %Y %H:%M:%S]");
        assert!(usual.is(b"[May 01, 2026 19:00:01] begun") && usual.is(b"x [May 01, 2026 19:00:01]"));
        assert!(!usual.is(b"  at main.c:7") && !usual.is(b"\xff") && !usual.is(b"[May 1, 2026 19:00:01]"));
        assert!(first("%Y-%m-%dT%H:%M:%S%L%z").is(b"2026-11-25T01:02:03.004+0100 x"));
        assert!(first("100%% %j").is(b"100% 366"));
        for bad in ["", "no time", "%", "%Q", "%%"] {
            assert!(of_datetime(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn patterns_are_bounded() {
        assert!(FirstLine::new("(").is_err());
        assert!(FirstLine::new("((a{1000}){1000}){1000}").is_err());
        let worst = FirstLine::new(r"(?:.*x){200}y").unwrap();
        let began = std::time::Instant::now();
        assert!(!worst.is(&[b'x'; 1 << 18]));
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
        assert!(FirstLine::new("^INFO|^WARN").unwrap().is(b"WARN: x"));
    }
}
