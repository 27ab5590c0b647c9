//! The one table of the packet filter that is this server's: it lets jobs' packets out under the host's address.
//!
//! Replaced as a whole, removed as a whole, and nothing outside of it is looked at. Never here: when.

use super::super::program;
use ipnet::Ipv4Net;
use std::io::{self, Write};
use std::process::{Command, Stdio};

/// Puts it in place, in one step, whether there was one or not.
///
/// # Errors
/// There is no program `nft`, or it refuses.
pub fn put(name: &str, net: Ipv4Net) -> io::Result<()> {
    run(&format!(
        "table ip {name}\n\
         delete table ip {name}\n\
         table ip {name} {{\n\
           chain out {{\n\
             type nat hook postrouting priority srcnat; policy accept;\n\
             ip saddr {net} oifname != \"{name}\" masquerade\n\
           }}\n\
         }}\n",
    ))
}

/// Takes it away.
pub fn remove(name: &str) {
    if let Err(error) = run(&format!("table ip {name}\ndelete table ip {name}\n")) {
        tracing::warn!(table = name, %error, "a table of the packet filter cannot be removed");
    }
}

fn run(rules: &str) -> io::Result<()> {
    let program = program::on_path("nft").ok_or_else(|| {
        io::Error::other(
            "network_namespaces needs the program nft; install it (Debian: `apt-get install nftables`)",
        )
    })?;
    let (input, output) = (Stdio::piped(), Stdio::piped());
    let mut child = Command::new(program).args(["-f", "-"]).stdin(input).stderr(output).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(rules.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("nft: {}", String::from_utf8_lossy(&output.stderr).trim()))),
    }
}
