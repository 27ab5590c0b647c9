//! Follows a container's output into the attempt's log file until the container has ended.
//!
//! Never here: what a line becomes (`output`).

use super::output::Output;
use super::{AGAIN, Shared, Trouble};
use batchyard_engine::TaskId;
use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use futures_util::StreamExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long a stream that ended may be ahead of the news that its container did.
const AHEAD: Duration = Duration::from_secs(5);

/// Goes on until everything that the container wrote is in the file. A broken connection is made anew.
pub async fn output(shared: Arc<Shared>, task: TaskId, path: String, mut ended: watch::Receiver<bool>) {
    let path = shared.settings.data.join(path);
    loop {
        // A stream that was followed may end before the last piece is in the daemon's file, so that is read once more.
        let follow = !*ended.borrow();
        match once(&shared, task, &path, follow, &mut ended).await {
            Ok(true) if !follow => return,
            Ok(true) => continue,
            Ok(false) => {}
            Err(why) => {
                tracing::warn!(%task, error = why, "a container's output cannot be kept; trying again")
            }
        }
        sleep(AGAIN).await;
    }
}

async fn once(
    shared: &Shared,
    task: TaskId,
    path: &Path,
    follow: bool,
    ended: &mut watch::Receiver<bool>,
) -> Result<bool, String> {
    let told = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut file = Output::open(path, shared.settings.log_cap).map_err(told)?;
    let options = LogsOptions { follow, stdout: true, stderr: true, timestamps: true, ..Default::default() };
    let mut frames = std::pin::pin!(shared.client.logs(&shared.name(task), Some(options)));
    while let Some(frame) = frames.next().await {
        let (stream, message) = match frame.map_err(Trouble::from) {
            Ok(LogOutput::StdErr { message }) => (1, message),
            Ok(LogOutput::StdOut { message } | LogOutput::Console { message }) => (0, message),
            Ok(LogOutput::StdIn { .. }) => continue,
            // Its container was removed by somebody, with its output.
            Err(Trouble::Missing(_)) => return Ok(true),
            Err(trouble) => return Err(trouble.to_string()),
        };
        let (at_ms, text) = stamped(&message);
        file.push(stream, at_ms, text).map_err(told)?;
    }
    let over = timeout(AHEAD, ended.wait_for(|ended| *ended)).await.is_ok();
    if over && !follow {
        file.finish().map_err(told)?;
    }
    Ok(over)
}

/// The daemon puts the time and a blank before each piece.
fn stamped(message: &[u8]) -> (i64, &[u8]) {
    let blank = message.iter().position(|b| *b == b' ');
    let at = blank.and_then(|end| milliseconds(std::str::from_utf8(&message[..end]).ok()?));
    match (at, blank) {
        (Some(at), Some(end)) => (at, &message[end + 1..]),
        _ => (crate::clock::wall_ms(), message),
    }
}

/// `2026-01-02T03:04:05.678901234Z` in milliseconds since the epoch.
pub fn milliseconds(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond()).filter(|at| *at > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_taken_off_and_docker_s_null_time_is_none() {
        let (at, text) = stamped(b"2026-01-02T03:04:05.678901234Z a b\n");
        assert_eq!((at, text), (1_767_323_045_678, &b"a b\n"[..]));
        assert_eq!(stamped(b"no time\n").1, b"no time\n");
        assert_eq!(milliseconds("0001-01-01T00:00:00Z"), None);
    }
}
