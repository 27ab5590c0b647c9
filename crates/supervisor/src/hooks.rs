//! What a test may put in the place of the outside world: instants to die at, another wall clock, another boot.
//!
//! `BATCHYARD_TEST_HOOKS` names a folder; it is read once, and the server hands it to its supervisors. Files in it:
//!
//! | File | Holds | Meaning |
//! |---|---|---|
//! | `at` | `<point> kill` or `<point> stop` | whoever comes to that point first renames the file to `hit` and gets SIGKILL or SIGSTOP |
//! | `clock` | milliseconds | added to the wall clock at every look |
//! | `boot` | a text | this machine's boot id |
//!
//! Without the variable each of them costs one comparison. Shared with the server, so that both hear the same test.
//! Never here: what a test expects.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The variable.
pub const VARIABLE: &str = "BATCHYARD_TEST_HOOKS";

/// The test's folder, if a test is at work.
pub fn folder() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let read = || std::env::var_os(VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from);
    FOLDER.get_or_init(read).as_deref()
}

/// Dies or stops here when this is the instant that was asked for; only the first to come does.
pub fn point(name: &str) {
    let Some(wanted) = text("at") else { return };
    let Some((at, action)) = wanted.split_once(' ').filter(|(at, _)| *at == name) else { return };
    let Some(folder) = folder() else { return };
    if std::fs::rename(folder.join("at"), folder.join("hit")).is_err() {
        return;
    }
    eprintln!("{VARIABLE} asks for {action} at {at}");
    let signal = match action {
        "stop" => rustix::process::Signal::STOP,
        _ => rustix::process::Signal::KILL,
    };
    let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
}

/// Milliseconds that the wall clock is ahead (negative: behind).
pub fn wall_offset_ms() -> i64 {
    text("clock").and_then(|t| t.parse().ok()).unwrap_or(0)
}

/// The boot that this machine is to be in.
pub fn boot() -> Option<String> {
    text("boot")
}

fn text(name: &str) -> Option<String> {
    Some(std::fs::read_to_string(folder()?.join(name)).ok()?.trim().to_string())
}
