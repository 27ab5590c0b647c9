//! Percentiles of what was timed.

/// Percentiles of nanoseconds as a JSON object in microseconds.
pub fn percentiles(mut nanoseconds: Vec<u64>) -> serde_json::Value {
    nanoseconds.sort_unstable();
    let at = |q: f64| match nanoseconds.len() {
        0 => 0.0,
        n => nanoseconds[((n - 1) as f64 * q) as usize] as f64 / 1000.0,
    };
    serde_json::json!({ "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1.0) })
}
