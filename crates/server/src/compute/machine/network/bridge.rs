//! The host's side of jobs' networks: the bridge, and for each namespace a port of it.
//!
//! Every interface of this server begins with the bridge's name. Never here: the namespaces' own side.

use super::addresses::gateway;
use futures_util::TryStreamExt;
use ipnet::Ipv4Net;
use rtnetlink::packet_route::link::{InfoData, InfoVeth, LinkAttribute};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use rtnetlink::{Error, Handle, LinkBridge, LinkUnspec, LinkVeth, RouteMessageBuilder};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd};

/// The name of the interface inside.
pub const INSIDE: &str = "eth0";

/// The bridge, made or found.
#[derive(Debug, Clone)]
pub struct Bridge {
    /// Its name.
    pub name: String,
    /// Its number.
    index: u32,
    /// Largest packet, as on the host's way out: a larger one would get lost on it.
    mtu: u32,
}

impl Bridge {
    /// Makes it with the network's first address, or finds it.
    ///
    /// # Errors
    /// The host does not let it, or has the addresses elsewhere.
    pub async fn make(handle: &Handle, name: &str, net: Ipv4Net) -> io::Result<Self> {
        let routes = routes(handle).await.map_err(io::Error::other)?;
        let known = index(handle, name).await.map_err(io::Error::other)?;
        if let Some(other) = routes.iter().find(|route| overlaps(route, net, known)) {
            return Err(io::Error::other(format!(
                "job_network = {net}: this machine reaches {} another way; choose addresses that nothing else has",
                shown(other)
            )));
        }
        let mtu = out_mtu(handle, &routes).await;
        if known.is_none() {
            // Of itself a bridge has the lowest address of its ports, and neighbours would lose it with each job.
            let made =
                handle.link().add(LinkBridge::new(name).mtu(mtu).address(hardware(gateway(net))).build());
            let made = made.execute().await;
            made.map_err(|e| io::Error::other(format!("make the bridge {name}: {e}")))?;
        }
        let found = index(handle, name).await.map_err(io::Error::other)?;
        let index = found.ok_or_else(|| io::Error::other(format!("the bridge {name} is gone again")))?;
        let add = handle.address().add(index, IpAddr::V4(gateway(net)), net.prefix_len()).replace();
        add.execute().await.map_err(|e| io::Error::other(format!("give {name} its address: {e}")))?;
        let up = LinkUnspec::new_with_index(index).up().build();
        handle.link().change(up).execute().await.map_err(io::Error::other)?;
        // This interface's own, and no one else's: packets that come from jobs may go on.
        std::fs::write(format!("/proc/sys/net/ipv4/conf/{name}/forwarding"), "1")?;
        Ok(Self { name: name.to_string(), index, mtu })
    }

    /// The name of an address's port.
    pub fn port(&self, address: Ipv4Addr) -> String {
        let [_, _, c, d] = address.octets();
        format!("{}{c:02x}{d:02x}", self.name)
    }

    /// Adds a port whose other end is in `namespace`.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn add_port(
        &self,
        handle: &Handle,
        namespace: &OwnedFd,
        address: Ipv4Addr,
    ) -> Result<(), Error> {
        let inside = LinkUnspec::new_with_name(INSIDE)
            .mtu(self.mtu)
            .address(hardware(address))
            .setns_by_fd(namespace.as_raw_fd())
            .build();
        let port = LinkVeth::new(&self.port(address), INSIDE)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(inside)))
            .mtu(self.mtu)
            .controller(self.index)
            .up()
            .build();
        handle.link().add(port).execute().await
    }
}

/// The hardware address that goes with an address, as Docker has it: neighbours remember the two together for up to a
/// minute, in which another job may get the address.
fn hardware(address: Ipv4Addr) -> Vec<u8> {
    [&[0x02, 0x42][..], &address.octets()].concat()
}

/// Whether there is an interface of this name. (`/sys` shows those of who mounted it.)
pub fn exists(name: &str) -> bool {
    let all = std::fs::read_to_string("/proc/net/dev").unwrap_or_default();
    all.lines().any(|line| line.trim_start().split(':').next() == Some(name))
}

/// Takes it away. On a thread of its own, since the callers are threads of any kind.
pub fn remove(name: &str) {
    let owned = name.to_string();
    let done = std::thread::spawn(move || {
        super::namespace::with_netlink(async |handle| match index(&handle, &owned).await? {
            Some(index) => handle.link().del(index).execute().await,
            None => Ok(()),
        })
    });
    if let Ok(Err(error)) = done.join() {
        tracing::warn!(bridge = name, %error, "the bridge of jobs cannot be removed");
    }
}

async fn index(handle: &Handle, name: &str) -> Result<Option<u32>, Error> {
    let mut found = handle.link().get().match_name(name).execute();
    match found.try_next().await {
        Ok(link) => Ok(link.map(|link| link.header.index)),
        // There is no such interface.
        Err(Error::NetlinkError(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn routes(handle: &Handle) -> Result<Vec<RouteMessage>, Error> {
    handle.route().get(RouteMessageBuilder::<Ipv4Addr>::new().build()).execute().try_collect().await
}

/// The host's default way out, if it has one, says how large packets may be.
async fn out_mtu(handle: &Handle, routes: &[RouteMessage]) -> u32 {
    const USUAL: u32 = 1500;
    let Some(out) = routes.iter().find(|r| r.header.destination_prefix_length == 0).and_then(interface)
    else {
        return USUAL;
    };
    let link = handle.link().get().match_index(out).execute().try_next().await;
    let attributes = link.ok().flatten().map(|link| link.attributes).unwrap_or_default();
    let mtu = attributes.iter().find_map(|a| if let LinkAttribute::Mtu(mtu) = a { Some(*mtu) } else { None });
    mtu.unwrap_or(USUAL)
}

fn interface(route: &RouteMessage) -> Option<u32> {
    route.attributes.iter().find_map(|a| if let RouteAttribute::Oif(index) = a { Some(*index) } else { None })
}

fn destination(route: &RouteMessage) -> Option<Ipv4Net> {
    let address = route.attributes.iter().find_map(|a| match a {
        RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(*address),
        _ => None,
    })?;
    Ipv4Net::new(address, route.header.destination_prefix_length).ok()
}

fn shown(route: &RouteMessage) -> String {
    destination(route).map_or_else(|| "them".to_string(), |net| net.to_string())
}

/// Whether the route leads to some of the addresses, and not to the bridge itself.
fn overlaps(route: &RouteMessage, net: Ipv4Net, bridge: Option<u32>) -> bool {
    let meets = |other: Ipv4Net| other.contains(&net) || net.contains(&other);
    destination(route).is_some_and(meets) && (bridge.is_none() || interface(route) != bridge)
}
