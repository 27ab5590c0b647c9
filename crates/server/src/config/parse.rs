//! Reading single values. Every source gives text; the messages say what the text must be.

use super::{DriverName, PullPolicy};
use crate::compute::machine::network::NetworkNamespaces;
use crate::compute::machine::users::UserNamespaces;
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be an address and a port, such as 127.0.0.1:9740 or [::1]:9740".into())
}

pub(super) fn folder(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("must name a folder".into()) } else { Ok(text.into()) }
}

/// A file, or none.
pub(super) fn file(text: &str) -> Result<Option<PathBuf>, String> {
    Ok(Some(text).filter(|text| !text.is_empty()).map(PathBuf::from))
}

pub(super) fn region(text: &str) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=32).contains(&text.len()) && text.bytes().all(fits) {
        Ok(text.into())
    } else {
        Err("must be a region's name, such as us-east-1: lower-case letters, digits and dashes".into())
    }
}

pub(super) fn account(text: &str) -> Result<String, String> {
    if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
        Ok(text.into())
    } else {
        Err("must be an account id: exactly twelve digits, in quotes in the file".into())
    }
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("must be true or false".into()),
    }
}

pub(super) fn user_namespaces(text: &str) -> Result<UserNamespaces, String> {
    use UserNamespaces::{All, Fargate, Off};
    word(text, [("off", Off), ("fargate", Fargate), ("all", All)])
}

pub(super) fn network_namespaces(text: &str) -> Result<NetworkNamespaces, String> {
    use NetworkNamespaces::{All, Fargate, Off};
    word(text, [("off", Off), ("fargate", Fargate), ("all", All)])
}

/// A network with room for some jobs, and of no more addresses than a bridge could ever serve.
pub(super) fn job_network(text: &str) -> Result<Ipv4Net, String> {
    let usable =
        |a: Ipv4Addr| !(a.is_loopback() || a.is_multicast() || a.is_link_local() || a.octets()[0] == 0);
    let fits = |net: &Ipv4Net| (16..=29).contains(&net.prefix_len()) && usable(net.addr());
    text.parse().ok().filter(fits).map(|net| net.trunc()).ok_or_else(|| {
        "must be a network from /16 to /29, such as 10.213.0.0/22, that machines can have".into()
    })
}

/// Addresses of IPv4, separated by commas.
pub(super) fn addresses(text: &str) -> Result<Vec<Ipv4Addr>, String> {
    let one = |part: String| {
        part.parse().map_err(|_| format!("must be addresses such as 10.0.0.2, and {part:?} is none"))
    };
    list(text)?.into_iter().map(one).collect()
}

/// Addresses and networks, separated by commas.
pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let one = |part: String| {
        let net = part.parse::<IpNet>().ok().or_else(|| Some(part.parse::<IpAddr>().ok()?.into()));
        net.filter(|net| net.prefix_len() > 0).map(|net| net.trunc()).ok_or_else(|| {
            format!(
                "must be addresses and networks, such as 169.254.169.254 or 10.0.0.0/8, and {part:?} is none"
            )
        })
    };
    list(text)?.into_iter().map(one).collect()
}

/// The first of 65,536 ids; those of this machine's own users are none, nor are the last ones of all.
pub(super) fn first_id(text: &str) -> Result<u32, String> {
    whole(text, 65_536, u64::from(u32::MAX) - 2 * 65_536)
}

pub(super) fn driver(text: &str) -> Result<DriverName, String> {
    use DriverName::{Docker, Native, Oci, Process};
    word(text, [("native", Native), ("oci", Oci), ("docker", Docker), ("process", Process)])
}

/// Where a Docker daemon listens.
pub(super) fn docker_host(text: &str) -> Result<String, String> {
    let address = ["http://", "tcp://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    match (text.strip_prefix("unix://"), address) {
        (Some(path), _) if path.starts_with('/') => Ok(text.to_string()),
        (_, Some(address)) if !address.is_empty() => Ok(text.to_string()),
        _ => Err("must be unix:///PATH or http://HOST:PORT".to_string()),
    }
}

/// A program's name or absolute path.
pub(super) fn runtime(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() || (text.contains('/') && !text.starts_with('/')) || text.contains('\0') {
        return Err("must be the name of a program on PATH, such as runc, or an absolute path".into());
    }
    Ok(Some(text.into()))
}

pub(super) fn vcpus(text: &str) -> Result<Option<u32>, String> {
    whole(text, 1, 1 << 20).map(Some)
}

/// A number of things, perhaps none.
pub(super) fn count(text: &str) -> Result<u32, String> {
    whole(text, 0, 1 << 20)
}

/// Mebibytes.
pub(super) fn memory(text: &str) -> Result<Option<u64>, String> {
    whole(text, 4, 1 << 40).map(Some)
}

/// A number of bytes; `KiB`, `MiB`, `GiB` and `TiB` may follow.
pub(super) fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
    let unit = UNITS.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
    let (number, shift) = unit.unwrap_or((text, 0));
    let value = number.trim().parse::<u64>().ok().and_then(|n| n.checked_mul(1 << shift));
    value.ok_or_else(|| "must be a number of bytes, such as 1048576 or 1MiB".into())
}

/// A body's size, at most what fits in memory many times.
pub(super) fn body(text: &str) -> Result<usize, String> {
    let bytes = size(text)?;
    match usize::try_from(bytes) {
        Ok(bytes) if (32 << 10..=1 << 30).contains(&bytes) => Ok(bytes),
        _ => Err("must be between 32KiB and 1GiB".into()),
    }
}

pub(super) fn connections(text: &str) -> Result<u32, String> {
    whole(text, 1, 1 << 20)
}

/// Children of an array: as many as AWS lets it have, or more.
pub(super) fn array_size(text: &str) -> Result<u32, String> {
    whole(text, 10_000, 1_000_000)
}

/// Texts separated by commas; an array of texts in the file.
pub(super) fn list(text: &str) -> Result<Vec<String>, String> {
    Ok(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
}

/// Names of volumes, separated by commas: what the API lets them be.
pub(super) fn names(text: &str) -> Result<Vec<String>, String> {
    let fits = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    all(text, "names of letters, digits, hyphens and underscores", |name| fits(name) && name.len() <= 255)
}

/// Absolute paths without `..`, separated by commas: any other could never be met.
pub(super) fn folders(text: &str) -> Result<Vec<String>, String> {
    all(text, "absolute paths without ..", |path| {
        path.starts_with('/') && path.split('/').all(|part| part != "..")
    })
}

/// Absolute paths, or `*` for all, separated by commas.
pub(super) fn devices(text: &str) -> Result<Vec<String>, String> {
    all(text, "absolute paths, or *", |path| path == "*" || path.starts_with('/'))
}

/// Hosts of registries, perhaps with a port, separated by commas.
pub(super) fn registries(text: &str) -> Result<Vec<String>, String> {
    all(text, "hosts of registries, such as registry.example:5000, without a scheme", is_host)
}

/// A registry's host, and what is asked in its place: a host, perhaps with a path.
pub(super) fn mirrors(text: &str) -> Result<Vec<(String, String)>, String> {
    let mirrors = pairs(text)?;
    let fits = |(host, instead): &(String, String)| {
        let (at, path) = instead.split_once('/').unwrap_or((instead, ""));
        is_host(host) && is_host(at) && path.split('/').all(|part| part != "..")
    };
    match mirrors.iter().find(|mirror| !fits(mirror)) {
        Some((host, instead)) => Err(format!(
            "must be HOST=HOST or HOST=HOST/PATH, without a scheme, and {host}={instead} is none"
        )),
        None => Ok(mirrors),
    }
}

fn is_host(text: &str) -> bool {
    let port = |port: &str| port.parse::<u16>().is_ok();
    let (name, fits) = match text.rsplit_once(':') {
        Some((name, number)) if !text.ends_with(']') => (name, port(number)),
        _ => (text, true),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_[]:".contains(&b);
    fits && !name.is_empty() && name.bytes().all(plain)
}

fn all(text: &str, what: &str, fits: impl Fn(&str) -> bool) -> Result<Vec<String>, String> {
    let parts = list(text)?;
    match parts.iter().find(|part| !fits(part)) {
        Some(part) => Err(format!("must be {what}, and {part:?} is none")),
        None => Ok(parts),
    }
}

/// `name=value` texts separated by commas, in their order.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |part: String| match part.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().into(), value.trim().into())),
        _ => Err(format!("must be name=value texts, and {part:?} is none")),
    };
    list(text)?.into_iter().map(pair).collect()
}

/// Whole seconds, an hour at most.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    whole(text, 1, 3600).map(Duration::from_secs)
}

/// Whole days, a century at most; 0 is allowed.
pub(super) fn days(text: &str) -> Result<u32, String> {
    whole(text, 0, 36_500)
}

/// Nothing, or what a file system needs to be of any use.
pub(super) fn job_disk(text: &str) -> Result<u64, String> {
    match size(text)? {
        0 => Ok(0),
        bytes if (16 << 20..=1 << 44).contains(&bytes) => Ok(bytes & !4095),
        _ => Err("must be 0 or between 16MiB and 16TiB".into()),
    }
}

pub(super) fn pull_policy(text: &str) -> Result<PullPolicy, String> {
    use PullPolicy::{Always, Missing, Never};
    word(text, [("missing", Missing), ("always", Always), ("never", Never)])
}

/// One of some words.
fn word<T: Copy, const N: usize>(text: &str, words: [(&str, T); N]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meant)| *meant);
    let names = words.map(|(word, _)| word).join(", ");
    let (before, last) = names.rsplit_once(", ").unwrap_or(("", &names));
    found.ok_or_else(|| format!("must be {before} or {last}"))
}

fn whole<T: TryFrom<u64>>(text: &str, least: u64, most: u64) -> Result<T, String> {
    let number = text.trim().parse::<u64>().ok().filter(|n| (least..=most).contains(n));
    number
        .and_then(|n| T::try_from(n).ok())
        .ok_or_else(|| format!("must be a whole number from {least} to {most}"))
}
