//! Sizes, durations and times as people write and read them.
//!
//! Never here: what they are used for.

use jiff::Timestamp;
use std::time::Duration;

/// Reads `90`, `90s`, `10m`, `2h`, `1d` or a sum such as `1h30m`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is no duration; write 90s, 10m, 2h, 1d or 1h30m");
    let mut seconds: u64 = 0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| bad())?;
        let mut chars = tail.chars();
        let factor = match chars.next() {
            None | Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86400,
            Some(_) => return Err(bad()),
        };
        seconds = number.checked_mul(factor).and_then(|n| seconds.checked_add(n)).ok_or_else(bad)?;
        rest = chars.as_str();
    }
    Ok(Duration::from_secs(seconds))
}

/// Reads a size in MiB: a bare number is MiB; `512m`, `2g`, `1.5g`, with or without `i`, `b`.
pub fn mebibytes(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is no size; write 512, 512m or 2g");
    let lower = text.trim().to_ascii_lowercase();
    let number = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &lower[number.len()..] {
        "" | "m" | "mb" | "mi" | "mib" => 1.0,
        "g" | "gb" | "gi" | "gib" => 1024.0,
        "t" | "tb" | "ti" | "tib" => 1024.0 * 1024.0,
        _ => return Err(bad()),
    };
    let size = number.parse::<f64>().map_err(|_| bad())? * factor;
    if !(1.0..=1e9).contains(&size) {
        return Err(bad());
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bounded just above
    Ok(size.round() as u64)
}

/// Reads a number of vCPUs, which for jobs of EC2 environments is whole.
pub fn vcpus(text: &str) -> Result<u32, String> {
    let whole = text.trim().parse::<u32>().ok().filter(|n| *n > 0);
    whole.ok_or_else(|| format!("`{text}` is no number of vCPUs; write a whole number, 1 or more"))
}

/// `2026-01-31 12:00:00Z` for milliseconds since the epoch.
pub fn stamp(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(t) => t.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        Err(_) => ms.to_string(),
    }
}

/// `2026-01-31T12:00:00.123Z` for milliseconds since the epoch.
pub fn exact_stamp(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(t) => t.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
        Err(_) => ms.to_string(),
    }
}

/// A length of time in at most two units: `0.4s`, `12s`, `3m05s`, `2h10m`, `4d03h`.
pub fn length(ms: i64) -> String {
    let ms = ms.max(0);
    let s = ms / 1000;
    match s {
        0..10 => format!("{}.{}s", s, ms % 1000 / 100),
        10..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86400 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d{:02}h", s / 86400, s % 86400 / 3600),
    }
}

/// `1.5 GiB` and the like.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    #[allow(clippy::cast_precision_loss)] // one decimal is shown
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Milliseconds since the epoch, now.
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("2d"), Ok(Duration::from_secs(172_800)));
        for bad in ["", "m", "5x", "-1s", "99999999999999999999s", "300000000000000000d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(mebibytes("512"), Ok(512));
        assert_eq!(mebibytes("2g"), Ok(2048));
        assert_eq!(mebibytes("1.5GiB"), Ok(1536));
        for bad in ["", "g", "-4", "0", "5x", "1e30g"] {
            assert!(mebibytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn vcpus_are_whole() {
        assert_eq!(vcpus("4"), Ok(4));
        for bad in ["0.5", "0", "-1", ""] {
            assert!(vcpus(bad).unwrap_err().contains("whole number"), "{bad}");
        }
    }

    #[test]
    fn texts_for_people() {
        assert_eq!(length(432), "0.4s");
        assert_eq!(length(185_000), "3m05s");
        assert_eq!(length(90_000_000), "1d01h");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(exact_stamp(1_700_000_000_007), "2023-11-14T22:13:20.007Z");
    }
}
