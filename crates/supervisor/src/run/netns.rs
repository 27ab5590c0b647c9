//! Network namespaces: one that is held for the server (`--netns`), and the one that a supervisor is given.
//!
//! A namespace lives as long as a descriptor of it is open or a process is in it: the server holds those that are ready,
//! a job's own ends with the job, and none outlives a crash. Never here: interfaces, addresses and routes, which the
//! server makes.

use super::fail::{During, Fail};
use super::sys;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::stdio::{dup2_stdout, stderr, stdin, stdout};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::process::ExitCode;

/// Makes an empty network namespace, says so with a line, and stays in it until standard input ends.
pub fn hold() -> ExitCode {
    match sys::unshare_network().and_then(|()| rustix::io::write(stdout(), b"ready\n")) {
        Ok(_) => {
            while !matches!(rustix::io::read(stdin(), &mut [0_u8; 64]), Ok(0) | Err(Errno::IO)) {}
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("make a network namespace: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Moves this process, and what it starts from here on, into the namespace that it got as standard output; answers with
/// the one where it was.
pub fn enter() -> Result<OwnedFd, Fail> {
    let during = format_args!("join the network namespace");
    let home = open("/proc/self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).during(during)?;
    move_into_link_name_space(stdout(), Some(LinkNameSpaceType::Network)).during(during)?;
    dup2_stdout(stderr()).during(during)?;
    Ok(home)
}

/// Moves this process back, so that what it sends itself (lines to a syslog) goes by the host's network.
pub fn leave(home: &OwnedFd) {
    if let Err(e) = move_into_link_name_space(home.as_fd(), Some(LinkNameSpaceType::Network)) {
        eprintln!("return to the host's network: {e}");
    }
}
