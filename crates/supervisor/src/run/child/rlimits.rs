//! The job's resource limits, by AWS's names.
//!
//! Never here: control groups.

use crate::run::fail::{Fail, name};
use batchyard_supervisor::Ulimit;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Sets them.
pub fn set(ulimits: &[Ulimit]) -> Result<(), Fail> {
    for limit in ulimits {
        let resource = resource(&limit.name)
            .ok_or_else(|| Fail::runtime(format_args!("invalid ulimit type: {}", limit.name)))?;
        let value = |n: u64| (n != u64::MAX).then_some(n);
        let wanted = Rlimit { current: value(limit.soft), maximum: value(limit.hard) };
        setrlimit(resource, wanted).map_err(|e| refused(limit, resource, e))?;
    }
    Ok(())
}

/// Whether they could be set, asked of a process that can be done without: a runtime says only a number.
pub fn check(ulimits: &[Ulimit]) -> Result<(), Fail> {
    for limit in ulimits {
        let resource = resource(&limit.name);
        let ceiling = resource.and_then(|resource| ceiling(&limit.name, resource));
        if let (Some(resource), true) = (resource, ceiling.is_some_and(|most| limit.hard > most)) {
            return Err(refused(limit, resource, Errno::PERM));
        }
    }
    Ok(())
}

fn refused(limit: &Ulimit, resource: Resource, e: Errno) -> Fail {
    let (soft, hard) = (show(limit.soft), show(limit.hard));
    let what = format!("error setting ulimit {} to {soft}:{hard}", limit.name);
    let most = ceiling(&limit.name, resource).unwrap_or_else(|| most(resource));
    if e == Errno::PERM && limit.hard > most {
        return Fail::runtime(format_args!(
            "{what}: the host's own hard limit is {} and cannot be raised",
            show(most)
        ));
    }
    Fail::runtime(format_args!("{what}: {}", name(e)))
}

/// The most that even this process may set. Nothing when it may set anything.
fn ceiling(limit: &str, resource: Resource) -> Option<u64> {
    let kernel = (limit == "nofile").then(|| std::fs::read_to_string("/proc/sys/fs/nr_open").ok()).flatten();
    let kernel = kernel.and_then(|text| text.trim().parse::<u64>().ok());
    // In an ordinary user's namespace the capability is there and means nothing.
    let free = rustix::thread::capabilities(None)
        .is_ok_and(|c| c.effective.contains(rustix::thread::CapabilitySet::SYS_RESOURCE))
        && batchyard_supervisor::rootless::ids() == u32::MAX;
    if free { kernel } else { Some(kernel.unwrap_or(u64::MAX).min(most(resource))) }
}

fn most(resource: Resource) -> u64 {
    getrlimit(resource).maximum.unwrap_or(u64::MAX)
}

fn show(value: u64) -> String {
    if value == u64::MAX { "unlimited".into() } else { value.to_string() }
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "core" => Resource::Core,
        "cpu" => Resource::Cpu,
        "data" => Resource::Data,
        "fsize" => Resource::Fsize,
        "locks" => Resource::Locks,
        "memlock" => Resource::Memlock,
        "msgqueue" => Resource::Msgqueue,
        "nice" => Resource::Nice,
        "nofile" => Resource::Nofile,
        "nproc" => Resource::Nproc,
        "rss" => Resource::Rss,
        "rtprio" => Resource::Rtprio,
        "rttime" => Resource::Rttime,
        "sigpending" => Resource::Sigpending,
        "stack" => Resource::Stack,
        _ => return None,
    })
}
