//! Keeping all jobs off some addresses: asked of the supervisor program, once at start.
//!
//! Never here: how (the supervisor knows).

use ipnet::IpNet;
use std::io;
use std::path::Path;
use std::process::Command;

/// Raises the fence around all jobs in `cgroup`; gives the folder that they are to be in.
///
/// # Errors
/// This machine or this user cannot, in words for the administrator.
pub fn raise(supervisor: &Path, cgroup: &str, blocked: &[IpNet]) -> io::Result<String> {
    let nets = blocked.iter().map(IpNet::to_string);
    let output = Command::new(supervisor).args(["--fence", cgroup]).args(nets).env_clear().output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(io::Error::other(text(&output.stderr))),
    }
}
