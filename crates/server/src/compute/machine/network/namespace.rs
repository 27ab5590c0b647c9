//! One network namespace: made by the supervisor program, given its end of a port, an address and a way out.
//!
//! Never here: the host's side.

use super::addresses::gateway;
use super::bridge::{Bridge, INSIDE};
use futures_util::TryStreamExt;
use ipnet::Ipv4Net;
use rtnetlink::{Error, Handle, LinkUnspec, RouteMessageBuilder};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};

/// Makes a namespace that has `address` on the bridge.
///
/// # Errors
/// The host does not let it.
pub async fn make(
    handle: &Handle,
    bridge: &Bridge,
    net: Ipv4Net,
    address: Ipv4Addr,
    supervisor: &Path,
) -> io::Result<OwnedFd> {
    let namespace = empty(supervisor)?;
    let added = bridge.add_port(handle, &namespace, address).await;
    added.map_err(|e| io::Error::other(format!("add a port to {}: {e}", bridge.name)))?;
    let inside = namespace.try_clone()?;
    // The namespace is a thread's own, so this one is for nothing else.
    let thread = std::thread::Builder::new().name("network".into());
    let set_up = thread.spawn(move || set_up(&inside, net, address))?;
    match set_up.join() {
        Ok(done) => done.map(|()| namespace),
        Err(_) => Err(io::Error::other("the set-up of a network namespace ended early")),
    }
}

/// A namespace with nothing in it.
fn empty(supervisor: &Path) -> io::Result<OwnedFd> {
    let mut command = Command::new(supervisor);
    command.arg("--netns").env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        BufReader::new(out).read_line(&mut line)?;
    }
    let namespace = File::open(format!("/proc/{}/ns/net", child.id()));
    drop(child.stdin.take());
    let output = child.wait_with_output()?;
    if line.trim() != "ready" {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_string()));
    }
    namespace.map(OwnedFd::from)
}

fn set_up(namespace: &OwnedFd, net: Ipv4Net, address: Ipv4Addr) -> io::Result<()> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
    // As Docker has it: a user namespace's root owns no network, and is to open low ports and send pings all the same.
    std::fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")?;
    std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647")?;
    with_netlink(async |handle| {
        for (name, own) in [("lo", false), (INSIDE, true)] {
            let link = handle.link().get().match_name(name).execute().try_next().await?;
            let Some(index) = link.map(|link| link.header.index) else { continue };
            if own {
                let add = handle.address().add(index, IpAddr::V4(address), net.prefix_len());
                add.execute().await?;
            }
            handle.link().change(LinkUnspec::new_with_index(index).up().build()).execute().await?;
        }
        let out = RouteMessageBuilder::<Ipv4Addr>::new().gateway(gateway(net)).build();
        handle.route().add(out).execute().await
    })
    .map_err(|e| io::Error::other(format!("set up {address}: {e}")))
}

/// Runs `what` with a connection to the kernel in this thread's namespace.
///
/// # Errors
/// Those of `what`, or there is no such connection.
pub fn with_netlink<T>(what: impl AsyncFnOnce(Handle) -> Result<T, Error>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let connection = tokio::spawn(connection);
        let done = what(handle).await.map_err(io::Error::other);
        connection.abort();
        done
    })
}
