//! Log drivers other than `awslogs` in a task: their files and addresses on this machine, and the end of old files.
//!
//! Never here: what their options mean (`api`), writing lines (the supervisor).

use crate::compute::{LogSink, TaskSpec, host_of};
use batchyard_supervisor::Task;
use batchyard_supervisor::sink::{Sink, Syslog};
use ipnet::IpNet;
use std::fs;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The folder of the files of `json-file`, below the data folder.
const FOLDER: &str = "json-logs";
/// How often old ones are looked for.
const PERIOD: Duration = Duration::from_secs(3600);
/// Digits of the task's id that mark its messages, as many as of Docker's.
const TAG: usize = 12;

/// Puts the driver into the task.
///
/// # Errors
/// Why it cannot be started, as the ECS agent words it.
pub fn place(task: &mut Task, spec: &TaskSpec, data: &Path, blocked: &[IpNet]) -> Result<(), String> {
    let failed = |why: String| {
        format!(
            "CannotStartContainerError: Error response from daemon: failed to initialize logging driver: {why}"
        )
    };
    let Some(container) = task.containers.first_mut() else { return Ok(()) };
    container.first_line = spec.log.as_ref().and_then(|log| log.first_line.clone());
    match &spec.sink {
        None => {}
        Some(LogSink::JsonFile { max_bytes, files }) => {
            let folder = data.join(FOLDER).join(&task.job_id);
            fs::create_dir_all(&folder).map_err(|e| failed(format!("make {}: {e}", folder.display())))?;
            container.log = folder.join(format!("{}.log", task.attempt)).to_string_lossy().into_owned();
            container.sink = Sink::JsonFile { max_bytes: *max_bytes, files: *files };
        }
        Some(LogSink::Syslog { address, facility, format, tag }) => {
            container.sink = Sink::Syslog(Syslog {
                address: numeric(address, blocked).map_err(failed)?,
                facility: *facility,
                format: *format,
                tag: tag.clone().unwrap_or_else(|| task.task_id.chars().take(TAG).collect()),
            });
        }
    }
    Ok(())
}

/// The address as the supervisor takes it: it looks up no names.
fn numeric(address: &str, blocked: &[IpNet]) -> Result<String, String> {
    let (scheme, place) = address.split_once("://").unwrap_or(("unix", address));
    if scheme.starts_with("unix") {
        return Ok(format!("unix:{place}"));
    }
    let (host, port) = host_of(place).ok_or_else(|| format!("{address} is no address"))?;
    let mut found = (host, port).to_socket_addrs().map_err(|e| format!("look up {host}: {e}"))?;
    let found = found.next().ok_or_else(|| format!("{host} has no address"))?;
    // It would be this machine that speaks, with what the metadata address gives to it alone.
    if matches!(found.ip(), IpAddr::V4(ip) if ip.is_link_local()) {
        return Err(format!("{host} is a link-local address, which no job may have this machine speak to"));
    }
    if blocked.iter().any(|net| net.contains(&found.ip().to_canonical())) {
        return Err(format!("{host} is of the addresses that no job may reach (blocked_addresses)"));
    }
    Ok(format!("{scheme}:{found}"))
}

/// Removes files that nobody wrote to for so many days; 0: never.
pub async fn sweep(data: PathBuf, days: u32) {
    let mut clock = tokio::time::interval(PERIOD);
    if days == 0 {
        return;
    }
    loop {
        clock.tick().await;
        let (folder, age) = (data.join(FOLDER), Duration::from_secs(u64::from(days) * 86_400));
        let before = SystemTime::now().checked_sub(age);
        let removed =
            tokio::task::spawn_blocking(move || before.map_or(Ok(()), |before| expire(&folder, before)))
                .await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(%error, "old files of the log driver json-file can't be removed");
        }
    }
}

fn expire(folder: &Path, before: SystemTime) -> io::Result<()> {
    let jobs = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        jobs => jobs?,
    };
    for job in jobs {
        let job = job?.path();
        for file in fs::read_dir(&job)? {
            let file = file?;
            if file.metadata()?.modified()? < before {
                fs::remove_file(file.path())?;
            }
        }
        // Fails while something is in it.
        let _ = fs::remove_dir(&job);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::machine::testing::TempFolder;

    #[test]
    fn addresses_become_numbers() {
        assert_eq!(numeric("unix:///dev/log", &[]), Ok("unix:/dev/log".into()));
        assert_eq!(numeric("udp://127.0.0.1", &[]), Ok("udp:127.0.0.1:514".into()));
        assert_eq!(numeric("tcp://[::1]:601", &[]), Ok("tcp:[::1]:601".into()));
        assert!(numeric("udp://169.254.169.254:80", &[]).unwrap_err().contains("link-local"));
    }

    #[test]
    fn blocked_addresses_are_no_place_for_lines() {
        let blocked = ["10.0.0.0/8".parse().unwrap(), "fd00:ec2::254/128".parse().unwrap()];
        for address in ["udp://10.1.2.3", "tcp://[::ffff:10.1.2.3]:601", "tcp://[fd00:ec2::254]:80"] {
            assert!(numeric(address, &blocked).unwrap_err().contains("blocked_addresses"), "{address}");
        }
        assert_eq!(numeric("udp://11.1.2.3", &blocked), Ok("udp:11.1.2.3:514".into()));
    }

    #[test]
    fn old_files_go_and_new_ones_stay() {
        let data = TempFolder::new();
        let (old, new) = (data.path().join("old"), data.path().join("new"));
        for folder in [&old, &new] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("1.log"), "x").unwrap();
        }
        let then = SystemTime::now() - Duration::from_secs(9);
        fs::File::options().write(true).open(old.join("1.log")).unwrap().set_modified(then).unwrap();
        expire(data.path(), SystemTime::now() - Duration::from_secs(5)).unwrap();
        assert!(!old.exists() && new.join("1.log").exists());
        expire(&data.path().join("nowhere"), SystemTime::now()).unwrap();
    }
}
