//! The OCI runtime of this machine, for the driver `oci`: which it is, and what it says of itself.
//!
//! Never here: running containers with it (the supervisor).

use super::program;
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runtimes, the one that is taken first at the front.
pub const RUNTIMES: [&str; 3] = ["runc", "crun", "youki"];

/// The runtime that was named, or the first that there is.
///
/// # Errors
/// There is none.
pub fn find(named: Option<&str>) -> anyhow::Result<PathBuf> {
    match named {
        Some(name) => program::on_path(name).with_context(|| {
            format!("oci_runtime = {name}: there is no such program; install it, or name another")
        }),
        None => RUNTIMES.iter().find_map(|name| program::on_path(name)).context(
            "driver = oci: neither runc, crun nor youki is on PATH; install one (Debian: `apt-get install runc`)",
        ),
    }
}

/// The first line of what it says of itself.
///
/// # Errors
/// It cannot be run.
pub fn version(runtime: &Path) -> anyhow::Result<String> {
    let output = Command::new(runtime).arg("--version").output();
    let output = output.with_context(|| format!("{} cannot be run", runtime.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !text.lines().any(|line| line.starts_with("spec:")) {
        bail!("{} is no OCI runtime: its --version names no spec", runtime.display());
    }
    match text.lines().next().filter(|_| output.status.success()) {
        Some(line) => Ok(line.to_string()),
        None => bail!("{} --version ended with {}", runtime.display(), output.status),
    }
}
