//! Instants at which a test wants the server to die, so that "never twice, never lost" is tried and not believed.
//!
//! `BATCHYARD_TEST_CRASH_AT=<name>` names one; it is read once. At that point the server kills itself with SIGKILL, as
//! a power switch would as seen from its files. Without the variable a point costs one comparison. The names, in the
//! order in which a start passes them: `before_commit`, `after_commit` (the core's), `before_folder`, `after_folder`,
//! `after_lock`, `before_spawn`, `after_spawn`, `before_report`, `before_forget`.

use std::sync::OnceLock;

/// The variable.
pub const VARIABLE: &str = "BATCHYARD_TEST_CRASH_AT";

/// Dies here when this is the instant that was asked for.
pub fn point(name: &str) {
    static WANTED: OnceLock<Option<String>> = OnceLock::new();
    let wanted = WANTED.get_or_init(|| std::env::var(VARIABLE).ok().filter(|v| !v.is_empty()));
    if wanted.as_deref() == Some(name) {
        tracing::warn!(point = name, "{VARIABLE} asks the server to die here");
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort();
    }
}
