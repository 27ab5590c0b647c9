//! `--probe`: what this host offers for containers, each tried for real. For `batchyard doctor`.
//!
//! Never here: advice.

use super::child::try_root;
use super::sys::{self, Side};
use super::userns::UserNamespace;
use batchyard_supervisor::cgroup::{self, Hierarchies};
use batchyard_supervisor::rootless::Marker;
use batchyard_supervisor::{IdMap, Rootless, rootless};
use rustix::process::{WaitOptions, waitpid};
use std::path::Path;
use std::process::ExitCode;

const NEEDED: i32 = super::launch::NAMESPACES;
/// An id like those that the server maps.
const TRIED_ID: u32 = 1_879_048_192;

/// Prints a line `key value` each; `yes`, or `no` and the reason. The last one, `containers`, sums up. Writable layers
/// are tried below `folder`.
pub fn print(folder: &Path) -> ExitCode {
    let ids = rootless::ids();
    let inside = matches!(Marker::own(), Some(Marker::Inside(_))).then_some(Rootless { ids, limits: false });
    println!("record {}", batchyard_supervisor::format::VERSION);
    println!("kernel {}", rustix::system::uname().release().to_string_lossy());
    if let Some(Marker::Refused(why)) = Marker::own() {
        println!("rootless no: {}", why.replace('\n', " "));
    }
    if inside.is_some() {
        println!("ids {ids}");
    }
    cgroups(inside.is_some());
    let namespaces = tried(NEEDED, || Ok(()));
    let cgroup_namespace = tried(0, || sys::unshare_cgroup().map_err(|e| e.to_string()));
    let scratch = folder.join(format!("batchyard-probe-{}", std::process::id()));
    let overlay = in_scratch(&scratch, || tried(NEEDED, || root(&scratch, None, inside)));
    let users = in_scratch(&scratch, || users(&scratch));
    let seccomp = tried(0, || {
        // One instruction: allow.
        let filter = [6_u16.to_ne_bytes().as_slice(), &[0, 0], &0x7fff_0000_u32.to_ne_bytes()].concat();
        rustix::thread::set_no_new_privs(true)
            .and_then(|()| sys::set_seccomp(&filter))
            .map_err(|e| e.to_string())
    });
    show("namespaces", &namespaces);
    show("cgroup_namespace", &cgroup_namespace);
    show("overlayfs", &overlay);
    show("seccomp", &seccomp);
    show("user_namespaces", &users);
    let all = namespaces.and(cgroup_namespace).and(overlay).and(seccomp);
    show("containers", &all);
    ExitCode::SUCCESS
}

fn root(scratch: &Path, users: Option<&UserNamespace>, inside: Option<Rootless>) -> Result<(), String> {
    try_root(&scratch.to_string_lossy(), users, inside).map_err(|f| f.0)
}

/// Whether a container can have ids of nobody over layers that lie where `scratch` does.
fn users(scratch: &Path) -> Result<(), String> {
    let users = UserNamespace::make(IdMap { first: TRIED_ID, count: 65_536 }).map_err(|f| f.0)?;
    tried(NEEDED, || root(scratch, Some(&users), None))
}

fn in_scratch(scratch: &Path, what: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let result = match std::fs::create_dir(scratch) {
        Ok(()) => what(),
        Err(e) => Err(format!("make {}: {e}", scratch.display())),
    };
    super::scratch::clear(&scratch.to_string_lossy());
    let _ = std::fs::remove_dir(scratch);
    result
}

fn show(key: &str, result: &Result<(), String>) {
    match result {
        Ok(()) => println!("{key} yes"),
        Err(e) => println!("{key} no: {}", e.replace('\n', " ")),
    }
}

/// Runs `what` in a copy of this process in new namespaces.
fn tried(namespaces: i32, what: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let (read, write) = rustix::pipe::pipe().map_err(|e| e.to_string())?;
    match sys::clone(namespaces, None).map_err(|e| e.to_string())? {
        Side::Child => {
            let text = what().err().unwrap_or_default();
            let _ = rustix::io::write(&write, text.as_bytes());
            sys::exit(i32::from(!text.is_empty()))
        }
        Side::Parent(pid) => {
            drop(write);
            let mut text = String::new();
            let _ = std::io::Read::read_to_string(&mut std::fs::File::from(read), &mut text);
            let status = waitpid(Some(pid), WaitOptions::empty()).map_err(|e| e.to_string())?;
            match status.and_then(|(_, s)| s.exit_status()) {
                Some(0) => Ok(()),
                _ if text.is_empty() => Err("the attempt was killed".into()),
                _ => Err(text),
            }
        }
    }
}

/// The hierarchies, and where each controller that limits a job is and can be written.
fn cgroups(delegated: bool) {
    let found = match Hierarchies::read() {
        Ok(found) => found,
        Err(e) => return println!("cgroup no: {e}"),
    };
    let version = match (found.v1.is_empty(), &found.v2) {
        (true, None) => "none",
        (true, Some(_)) => "2",
        (false, None) => "1",
        (false, Some(_)) => "hybrid",
    };
    println!("cgroup {version}");
    let offered =
        found.v2.as_ref().map(|m| std::fs::read_to_string(m.join("cgroup.controllers")).unwrap_or_default());
    for name in ["memory", "cpu", "pids"] {
        let v1 = found.v1.iter().find(|(n, _)| *n == name).map(|(_, mount)| mount.clone());
        let in_v2 = offered.as_ref().is_some_and(|o| o.split_whitespace().any(|c| c == name));
        let result = match (v1, &found.v2) {
            (Some(mount), _) => try_group(&mount),
            (None, Some(mount)) if in_v2 => {
                let tries: Vec<_> = found
                    .v2_bases(mount)
                    .iter()
                    .map(|base| match delegated {
                        true => try_delegated(base, name),
                        false => try_group(base),
                    })
                    .collect();
                tries.iter().find(|t| t.is_ok()).or(tries.first()).cloned().unwrap_or(Ok(()))
            }
            _ => Err("no hierarchy offers it".to_string()),
        };
        show(&format!("controller_{name}"), &result);
    }
}

fn try_group(base: &Path) -> Result<(), String> {
    let folder = base.join(format!("batchyard-probe-{}", std::process::id()));
    std::fs::create_dir(&folder)
        .and_then(|()| std::fs::remove_dir(&folder))
        .map_err(|e| format!("make a group in {}: {e}", base.display()))
}

/// The same with the controller in force there, which root never lacks and others may.
fn try_delegated(base: &Path, controller: &str) -> Result<(), String> {
    let name = format!("batchyard-probe-{}", std::process::id());
    let made = cgroup::make_below(base, &name, &[controller]);
    let works = made.as_ref().is_ok_and(|folder| folder.join(format!("{controller}.max")).exists());
    let _ = std::fs::remove_dir(base.join(name));
    match made {
        Ok(_) if works => Ok(()),
        Ok(_) => Err(format!("the controller is not delegated to {}", base.display())),
        Err(e) => Err(format!("make a group in {}: {e}", base.display())),
    }
}
