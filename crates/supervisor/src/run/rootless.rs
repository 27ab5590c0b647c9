//! `rootless PROGRAM…`: makes an ordinary user root of a user namespace and becomes the program there.
//!
//! The process leaves for the new namespace itself, so pid, signals and standard streams stay as they were; a copy
//! that stays behind writes the maps of ids. Mounts stay the host's: only jobs have mount namespaces, so what the host
//! mounts later reaches them. Whatever happens the program is executed, told by its environment how it went. Never
//! here: what the program then does without.

use super::sys::{self, Side};
use batchyard_supervisor::rootless::{MARKER, Marker};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, getgid, getpid, getuid, waitpid};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// Ids that a namespace gets of those that the user was given, as many as images count on.
const MOST: u32 = 65_536;

/// Enters a new user namespace, if it can be had, and becomes the program.
pub fn enter(program: &OsString, args: &[OsString]) -> ExitCode {
    let user = getuid().as_raw();
    let marker = match namespace() {
        Ok(()) => Marker::Inside(user),
        Err(why) => Marker::Refused(why),
    };
    let error = Command::new(program).args(args).env(MARKER, marker.encode()).exec();
    eprintln!("execute {}: {error}", program.display());
    ExitCode::FAILURE
}

/// Makes the namespace, with the maps in force when this returns.
fn namespace() -> Result<(), String> {
    let (go_read, go) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| format!("make a pipe: {e}"))?;
    let process = getpid();
    match sys::clone(0, None).map_err(|e| format!("start a helper: {e}"))? {
        Side::Child => {
            drop(go);
            // Without the byte there is no namespace, and nothing to do.
            let told = matches!(rustix::io::read(&go_read, &mut [0_u8]), Ok(1));
            let done = if told { map(process) } else { Err(String::new()) };
            if let Err(text) = &done
                && told
            {
                eprintln!("map the user's ids: {text}");
            }
            sys::exit(i32::from(done.is_err()))
        }
        Side::Parent(helper) => {
            drop(go_read);
            let made = sys::unshare_user().map_err(|e| format!("make a user namespace: {e}"));
            if made.is_ok() {
                let _ = rustix::io::write(&go, b"g");
            }
            drop(go);
            let ended = waitpid(Some(helper), WaitOptions::empty());
            made?;
            match ended.ok().flatten().and_then(|(_, status)| status.exit_status()) {
                Some(0) => Ok(()),
                _ => Err("the ids of this user cannot be mapped into a user namespace".to_string()),
            }
        }
    }
}

/// Writes the maps of `process`: with the ids that the user was given where that works, else with its own alone.
fn map(process: Pid) -> Result<(), String> {
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    let names = names(uid);
    let (users, groups) = (given("/etc/subuid", &names), given("/etc/subgid", &names));
    if !users.is_empty() && !groups.is_empty() {
        let mapped = with_program("newuidmap", process, uid, &users)
            .and_then(|()| with_program("newgidmap", process, gid, &groups));
        match mapped {
            Ok(()) => return Ok(()),
            Err(text) => eprintln!("{text}; one id has to do"),
        }
    }
    let folder = format!("/proc/{}", process.as_raw_nonzero());
    let write = |name: &str, text: &str| {
        std::fs::write(format!("{folder}/{name}"), text).map_err(|e| format!("write {name}: {e}"))
    };
    // Half of the maps may be there.
    if std::fs::read_to_string(format!("{folder}/uid_map")).is_ok_and(|map| map.trim().is_empty()) {
        write("uid_map", &format!("0 {uid} 1"))?;
    }
    write("setgroups", "deny")?;
    write("gid_map", &format!("0 {gid} 1"))
}

/// Runs the privileged program that checks and writes a map. Missing, it says so.
fn with_program(name: &str, process: Pid, own: u32, ranges: &[(u32, u32)]) -> Result<(), String> {
    let mut command = Command::new(name);
    command.args([process.as_raw_nonzero().to_string(), "0".into(), own.to_string(), "1".into()]);
    let mut inside = 1;
    for (first, count) in ranges {
        command.args([inside.to_string(), first.to_string(), count.to_string()]);
        inside += count;
    }
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} ended with {status}")),
        Err(e) => Err(format!("{name} cannot be run: {e}")),
    }
}

/// What the files of given ids may call the user.
fn names(uid: u32) -> Vec<String> {
    let number = uid.to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut entries = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let name = entries.find(|entry| entry.get(2) == Some(&number.as_str())).map(|entry| entry[0].to_string());
    // Users of a directory service are not in the file; the program checks whose the ranges are.
    let name = name.or_else(|| std::env::var("USER").ok()).filter(|name| !name.is_empty());
    name.into_iter().chain([number]).collect()
}

/// The ranges that a file gives to one of these names, at most [`MOST`] ids together.
fn given(file: &str, names: &[String]) -> Vec<(u32, u32)> {
    ranges(&std::fs::read_to_string(file).unwrap_or_default(), names)
}

fn ranges(text: &str, names: &[String]) -> Vec<(u32, u32)> {
    let mut left = MOST;
    let mut found = Vec::new();
    for line in text.lines() {
        let mut parts = line.split(':');
        let (Some(name), Some(first), Some(count)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let (Ok(first), Ok(count)) = (first.trim().parse::<u32>(), count.trim().parse::<u32>()) else {
            continue;
        };
        let count = count.min(left);
        if names.iter().any(|n| n == name) && count > 0 {
            left -= count;
            found.push((first, count));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranges_of_a_user_are_found_by_name_and_number() {
        let names = ["ann".to_string(), "1000".to_string()];
        let text = "bob:100000:65536\nann:165536:1000\nbad\nann:x:1\n1000:300000:65536\nann:900000:5\n";
        assert_eq!(ranges(text, &names), [(165_536, 1000), (300_000, 64_536)]);
        assert_eq!(ranges("", &names), []);
    }
}
