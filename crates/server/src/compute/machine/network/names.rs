//! The files by which a container with an address of its own knows names, as Docker writes them.
//!
//! Never here: putting them into the container.

use super::Names;
use batchyard_supervisor::OwnFile;
use std::net::{IpAddr, Ipv4Addr};

/// What is asked when the host's own servers are all on its loopback; Docker's choice.
const PUBLIC_DNS: [Ipv4Addr; 2] = [Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(8, 8, 4, 4)];
/// Where systemd's resolver, which listens on the loopback, says whom it asks itself.
const BEHIND_RESOLVED: &str = "/run/systemd/resolve/resolv.conf";

/// Names and files for a container at `address`, whose way out, and to the host, is `gateway`.
pub fn of(address: Ipv4Addr, gateway: Ipv4Addr, dns: &[Ipv4Addr]) -> Names {
    let [a, b, c, d] = address.octets();
    let hostname = format!("ip-{a}-{b}-{c}-{d}");
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let of_host = read("/etc/resolv.conf");
    let resolv = resolv(&of_host, dns).or_else(|| resolv(&read(BEHIND_RESOLVED), dns));
    let resolv = resolv.unwrap_or_else(|| rest(&of_host, &PUBLIC_DNS.map(IpAddr::from)));
    let file = |path: &str, text: String| OwnFile { path: path.to_string(), text };
    let files = vec![
        file("/etc/hosts", hosts(address, gateway, &hostname)),
        file("/etc/hostname", format!("{hostname}\n")),
        file("/etc/resolv.conf", resolv),
    ];
    Names { hostname, files }
}

fn hosts(address: Ipv4Addr, gateway: Ipv4Addr, hostname: &str) -> String {
    format!(
        "127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::\tip6-localnet\n\
         ff00::\tip6-mcastprefix\n\
         ff02::1\tip6-allnodes\n\
         ff02::2\tip6-allrouters\n\
         {gateway}\thost.docker.internal\n\
         {address}\t{hostname}\n"
    )
}

/// The host's own file with the servers that a container reaches, or with those that the administrator names. Nothing:
/// it has none.
fn resolv(of_host: &str, dns: &[Ipv4Addr]) -> Option<String> {
    if !dns.is_empty() {
        let dns: Vec<IpAddr> = dns.iter().copied().map(IpAddr::from).collect();
        return Some(rest(of_host, &dns));
    }
    let server = |line: &str| line.trim().strip_prefix("nameserver")?.trim().parse::<IpAddr>().ok();
    // The bridge has no IPv6.
    let reached = |address: &IpAddr| address.is_ipv4() && !address.is_loopback();
    let servers: Vec<IpAddr> = of_host.lines().filter_map(server).filter(reached).collect();
    (!servers.is_empty()).then(|| rest(of_host, &servers))
}

/// These servers, and the host's `search` and `options`.
fn rest(of_host: &str, servers: &[IpAddr]) -> String {
    let kept = |line: &&str| ["search", "domain", "options"].iter().any(|word| line.trim().starts_with(word));
    let servers = servers.iter().map(|address| format!("nameserver {address}\n"));
    let kept = of_host.lines().filter(kept).map(|line| format!("{}\n", line.trim()));
    servers.chain(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_on_the_hosts_loopback_are_left_out() {
        let host = "# made by hand\nnameserver 127.0.0.53\nnameserver 10.1.1.1\nnameserver fe80::1\nsearch lab\noptions ndots:2\n";
        assert_eq!(resolv(host, &[]).as_deref(), Some("nameserver 10.1.1.1\nsearch lab\noptions ndots:2\n"));
        assert_eq!(resolv("nameserver 127.0.0.53\nsearch lab\n", &[]), None);
        let named = resolv(host, &[Ipv4Addr::new(9, 9, 9, 9)]);
        assert_eq!(named.as_deref(), Some("nameserver 9.9.9.9\nsearch lab\noptions ndots:2\n"));
    }

    #[test]
    fn a_container_finds_itself_and_its_host_by_name() {
        let names = of(Ipv4Addr::new(10, 213, 0, 5), Ipv4Addr::new(10, 213, 0, 1), &[]);
        assert_eq!(names.hostname, "ip-10-213-0-5");
        let hosts = &names.files[0].text;
        assert!(
            hosts.contains("\n10.213.0.5\tip-10-213-0-5\n") && hosts.starts_with("127.0.0.1\tlocalhost\n")
        );
        assert!(hosts.contains("10.213.0.1\thost.docker.internal\n"));
    }
}
