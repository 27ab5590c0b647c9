//! SigV4 as a JSON client signs it: POST, the three headers that botocore always sends.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};

/// Keys for loopback, used when the environment has none.
pub const ACCESS_KEY: &str = "AKIDEXAMPLEBENCH0000";
/// The secret half.
pub const SECRET_KEY: &str = "bench/secret/key/for/loopback/only/00000";

/// Lower-case hexadecimal text.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|n| char::from(b"0123456789abcdef"[n as usize])).collect()
}

fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

/// The signing key of a day (yyyymmdd); callers cache it.
pub fn signing_key(secret: &str, day: &str, region: &str) -> [u8; 32] {
    let key = hmac(format!("AWS4{secret}").as_bytes(), day.as_bytes());
    let key = hmac(&key, region.as_bytes());
    let key = hmac(&key, b"batch");
    hmac(&key, b"aws4_request")
}

/// What is signed beside the body.
pub struct Head<'a> {
    /// Path without a query.
    pub path: &'a str,
    /// `content-type`.
    pub content_type: &'a str,
    /// `host`.
    pub host: &'a str,
    /// `x-amz-date`.
    pub date: &'a str,
    /// Day, region, service and `aws4_request`, joined by slashes.
    pub scope: &'a str,
}

/// The signature of a POST.
pub fn signature(key: &[u8; 32], head: &Head<'_>, body: &[u8]) -> String {
    let Head { path, content_type, host, date, scope } = head;
    let body_hash = hex(&Sha256::digest(body));
    let canonical = format!(
        "POST\n{path}\n\ncontent-type:{content_type}\nhost:{host}\nx-amz-date:{date}\n\n\
         content-type;host;x-amz-date\n{body_hash}"
    );
    let hashed = hex(&Sha256::digest(canonical.as_bytes()));
    hex(&hmac(key, format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashed}").as_bytes()))
}

/// Now in UTC as (yyyymmdd, yyyymmddThhmmssZ).
pub fn now() -> (String, String) {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_secs();
    let (days, rest) = ((seconds / 86_400) as i64 + 719_468, seconds % 86_400);
    // Days to a civil date, with years that begin in March so that the leap day is the last.
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let date = format!("{year:04}{month:02}{day:02}");
    let full = format!("{date}T{:02}{:02}{:02}Z", rest / 3600, rest / 60 % 60, rest % 60);
    (date, full)
}
