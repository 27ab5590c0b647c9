//! The job's resource limits, by AWS's names.
//!
//! Never here: control groups.

use crate::run::fail::{During, Fail};
use batchyard_supervisor::Ulimit;
use rustix::process::{Resource, Rlimit, setrlimit};

/// Sets them.
pub fn set(ulimits: &[Ulimit]) -> Result<(), Fail> {
    for limit in ulimits {
        let resource = resource(&limit.name)
            .ok_or_else(|| Fail::runtime(format_args!("invalid ulimit type: {}", limit.name)))?;
        let value = |n: u64| (n != u64::MAX).then_some(n);
        setrlimit(resource, Rlimit { current: value(limit.soft), maximum: value(limit.hard) }).during(
            format_args!(
                "error setting ulimit {} to {}:{} (the host's hard limit may be lower)",
                limit.name,
                show(limit.soft),
                show(limit.hard)
            ),
        )?;
    }
    Ok(())
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
