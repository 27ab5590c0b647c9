//! Signals by the names that images give them.
//!
//! Numbers are Linux's on x86-64 and ARM64, which agree. Never here: sending them.

/// Names in the order of their numbers, from 1.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
const REALTIME_FIRST: i32 = 34;
const REALTIME_LAST: i32 = 64;

/// The number of `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3` or `SIGRTMAX-1`.
pub fn number(text: &str) -> Option<i32> {
    let upper = text.trim().to_ascii_uppercase();
    if let Ok(number) = upper.parse() {
        return (1..=REALTIME_LAST).contains(&number).then_some(number);
    }
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let realtime = |base: i32, rest: &str| {
        let offset = if rest.is_empty() { Some(0) } else { rest.parse::<i32>().ok() };
        offset.map(|o| base + o).filter(|n| (REALTIME_FIRST..=REALTIME_LAST).contains(n))
    };
    match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => realtime(REALTIME_FIRST, rest),
        (_, Some(rest)) => realtime(REALTIME_LAST, rest),
        _ => NAMES.iter().position(|known| *known == name).and_then(|at| i32::try_from(at + 1).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn names_numbers_and_realtime_signals() {
        let cases = [
            ("SIGTERM", Some(15)),
            ("quit", Some(3)),
            ("9", Some(9)),
            ("SIGRTMIN+3", Some(37)),
            ("RTMAX-1", Some(63)),
            ("SIGSYS", Some(31)),
            ("SIGRTMIN+99", None),
            ("0", None),
            ("65", None),
            ("SIGNOPE", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
