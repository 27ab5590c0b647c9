//! The single checks of `batchyard doctor`, and the reading of the supervisor's probe.
//!
//! Never here: how findings are shown.

use super::doctor::{Finding, Health};
use super::units;
use crate::compute::machine::program;
use crate::config::DriverName;
use crate::images::ImageOptions;
use crate::rootless;
use rustix::fs::{Access, access, statvfs};
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// The oldest kernel with all that the supervisor calls (clone into a cgroup, pidfds, close_range).
const OLDEST_KERNEL: (u32, u32) = (5, 9);
/// Less free disk than this is a failure, less than four times this a warning.
const LEAST_DISK: u64 = 1 << 30;

/// Version of the kernel.
pub fn kernel() -> Finding {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy().into_owned();
    judge_kernel(&release, &uname.machine().to_string_lossy())
}

fn judge_kernel(release: &str, machine: &str) -> Finding {
    let found = format!("Linux {release} on {machine}");
    let mut numbers = release.split(['.', '-', '+']).map(|n| n.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= OLDEST_KERNEL {
        Finding::ok("kernel", found)
    } else {
        Finding::fail(
            "kernel",
            found,
            "install a kernel of version 5.9 or newer, such as that of Debian 11 or later",
        )
    }
}

/// Whether this is root; if not, whether its containers work all the same, by what the supervisor found.
pub fn user(probed: &[Finding], driver: DriverName) -> Finding {
    let uid = rustix::process::geteuid().as_raw();
    if uid != 0 && driver == DriverName::Process {
        return Finding::ok("user", format!("user {uid}: jobs are plain processes of this user"));
    }
    let works = !probed.iter().any(|f| f.state == Health::Fail);
    judge_user(uid, works)
}

fn judge_user(uid: u32, works: bool) -> Finding {
    if uid == 0 {
        return Finding::ok("user", "root");
    }
    if works {
        let found = format!("user {uid} and not root: containers are made in a user namespace of this user");
        return Finding::warn("user", found, "run the server as root, where that is too little");
    }
    Finding::fail(
        "user",
        format!("user {uid} and not root, who cannot make containers here"),
        "let ordinary users make user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, \
         kernel.apparmor_restrict_unprivileged_userns), run the server as root, or choose driver = process",
    )
}

/// What the supervisor of this program finds when it tries what a container needs.
pub fn supervisor() -> Vec<Finding> {
    let mend = "install batchyard anew; built from source, run `make build`";
    // Where the built-in program is written to for the moment.
    let scratch = std::env::temp_dir().join(format!("batchyard-doctor-{}", std::process::id()));
    if let Err(e) = fs::DirBuilder::new().mode(0o700).create(&scratch) {
        let found = format!("cannot make {}: {e}", scratch.display());
        return vec![Finding::fail(
            "supervisor",
            found,
            "make room in TMPDIR, or set it to a folder of this user",
        )];
    }
    let findings = match program::find(&scratch) {
        Err(e) => vec![Finding::fail("supervisor", e.to_string(), mend)],
        Ok(program) => match program::probe(&program, &std::env::temp_dir()) {
            Ok(output) if output.status.success() => {
                let place = if program.starts_with(&scratch) {
                    "built in".into()
                } else {
                    program.display().to_string()
                };
                judge_probe(&String::from_utf8_lossy(&output.stdout), &place)
            }
            Ok(output) => {
                let found = format!("{} --probe ended with {}", program.display(), output.status);
                vec![Finding::fail("supervisor", found, mend)]
            }
            Err(e) => {
                vec![Finding::fail("supervisor", format!("{} cannot be run: {e}", program.display()), mend)]
            }
        },
    };
    let _ = fs::remove_dir_all(&scratch);
    findings
}

/// Turns the probe's lines `key value` into findings; keys of a newer supervisor are shown as they are.
fn judge_probe(text: &str, program: &str) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("supervisor", program)];
    // Said of an ordinary user's namespace alone.
    let rootless = program::answer(text, "ids").is_some();
    let weaker = if rootless { rootless::weaknesses(text) } else { Vec::new() };
    findings.extend(weaker.into_iter().map(|w| Finding::warn(w.name, w.found, w.mend)));
    for (key, value) in text.lines().filter_map(|l| l.split_once(' ')) {
        match (key, value.strip_prefix("no")) {
            // The kernel has its own finding; the sum only repeats the others.
            ("kernel" | "record" | "containers" | "ids", _) => {}
            // Among the weaknesses.
            ("controller_memory" | "controller_cpu" | "controller_pids" | "user_namespaces", Some(_))
                if rootless => {}
            ("cgroup", None) if value != "none" => {
                let found = if value == "hybrid" { "hybrid of versions 1 and 2" } else { value };
                findings.push(Finding::ok("cgroup", format!("version {found}")));
            }
            (_, None) => findings.push(Finding::ok(&key.replace('_', " "), value)),
            ("user_namespaces", Some(_)) => {
                findings.push(Finding::warn("user namespaces", value, mend(key)));
            }
            (_, Some(_)) => findings.push(Finding::fail(&key.replace('_', " "), value, mend(key))),
        }
    }
    findings
}

fn mend(key: &str) -> &'static str {
    match key {
        "cgroup" => "mount cgroup2 on /sys/fs/cgroup (systemd does), or boot with cgroup support",
        "controller_memory" => {
            "boot with `cgroup_enable=memory` where the memory controller is off; inside a container give it its own \
             writable cgroup; else run as root"
        }
        "controller_cpu" | "controller_pids" => {
            "run as root, or delegate the controller to this user (systemd: Delegate=yes); inside a container give it \
             a writable cgroup"
        }
        "namespaces" | "cgroup_namespace" => {
            "run as root; inside a container start that with CAP_SYS_ADMIN (docker: --privileged)"
        }
        "overlayfs" => {
            "load it with `modprobe overlay`; TMPDIR and the data folder have to be on a file system that overlayfs \
             takes as upper layer (ext4, xfs, btrfs), not on overlayfs itself"
        }
        "user_namespaces" => {
            "jobs of Fargate environments run without; they need Linux 5.19, CONFIG_USER_NS, user.max_user_namespaces \
             above 0, and layers on a file system that maps owners (ext4, xfs, btrfs); user_namespaces = off says that \
             it is meant"
        }
        "seccomp" => "use a kernel with CONFIG_SECCOMP_FILTER, as all distributions ship",
        _ => "run as root; where this is a container, start it privileged",
    }
}

/// The static busybox that the built-in image is made from.
pub fn busybox() -> Finding {
    match ImageOptions::default().busybox.into_iter().find(|p| is_static(p)) {
        Some(path) => Finding::ok("busybox", format!("{} is static", path.display())),
        None => Finding::warn(
            "busybox",
            "no static busybox, so the built-in image `busybox` cannot be made",
            "`apt-get install busybox-static`, or use images of your own (`batchyard image import`)",
        ),
    }
}

/// Whether an ELF program asks for no interpreter, that is for no shared libraries.
fn is_static(path: &Path) -> bool {
    let Ok(bytes) = fs::read(path) else { return false };
    let at = |offset: usize, length: usize| bytes.get(offset..offset + length);
    let number = |offset: usize, length: usize| {
        at(offset, length).map(|b| b.iter().rev().fold(0_usize, |n, byte| (n << 8) | usize::from(*byte)))
    };
    // Little-endian 64-bit ELF is all that is built for.
    if at(0, 6) != Some(b"\x7fELF\x02\x01") {
        return false;
    }
    let (Some(table), Some(size), Some(count)) = (number(32, 8), number(54, 2), number(56, 2)) else {
        return false;
    };
    const INTERPRETER: usize = 3;
    (0..count).all(|i| number(table.saturating_add(i * size), 4).is_some_and(|kind| kind != INTERPRETER))
}

/// The data folder: there or to be made, closed to others, with room.
pub fn data_dir(dir: &Path) -> Vec<Finding> {
    let name = "data folder";
    let shown = dir.display().to_string();
    let existing = dir.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
    let use_another = "choose another with --data-dir, or make it as the user who runs the server";
    let folder = if access(existing, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        Finding::fail(name, format!("{} cannot be written by this user", existing.display()), use_another)
    } else if existing == dir && !dir.is_dir() {
        Finding::fail(name, format!("{shown} is no folder"), use_another)
    } else if existing == dir {
        Finding::ok(name, shown)
    } else {
        Finding::ok(name, format!("{shown} will be made at the first start"))
    };
    vec![folder, disk(existing)]
}

fn disk(at: &Path) -> Finding {
    match statvfs(at) {
        Err(e) => Finding::warn("disk", format!("cannot look at {}: {e}", at.display()), "check the mount"),
        Ok(s) if s.f_files > 0 && s.f_favail < 10_000 => Finding::fail(
            "disk",
            format!("{} files can still be made at {}", s.f_favail, at.display()),
            "delete files, or use another disk",
        ),
        Ok(s) => judge_disk(s.f_bavail.saturating_mul(s.f_frsize), at),
    }
}

fn judge_disk(free: u64, at: &Path) -> Finding {
    let found = format!("{} free at {}", units::bytes(free), at.display());
    let mend = "make room, or put the data folder on a larger disk with --data-dir";
    if free < LEAST_DISK {
        Finding::fail("disk", found, mend)
    } else if free < 4 * LEAST_DISK {
        Finding::warn("disk", found, mend)
    } else {
        Finding::ok("disk", found)
    }
}

/// The clock. Requests are signed with the time, so a client and a server that disagree refuse each other.
pub fn clock() -> Finding {
    let now = units::now_ms();
    // The day this check was written; no right clock shows an earlier one.
    const WRITTEN: i64 = 1_735_689_600_000;
    let found = units::stamp(now);
    if now < WRITTEN {
        let mend =
            "set the clock (`timedatectl set-ntp true`); requests signed with a wrong time are refused";
        return Finding::fail("clock", found, mend);
    }
    Finding::ok("clock", found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels() {
        assert_eq!(judge_kernel("6.1.0-18-amd64", "x86_64").state, Health::Ok);
        assert_eq!(judge_kernel("5.10.0", "x86_64").state, Health::Ok);
        assert_eq!(judge_kernel("5.4.0-150-generic", "x86_64").state, Health::Fail);
        assert_eq!(judge_kernel("odd", "x86_64").state, Health::Fail);
    }

    #[test]
    fn every_no_of_the_probe_is_a_failure_with_a_way_out() {
        let text = "record 1\nkernel 6.1\ncgroup hybrid\ncontroller_memory yes\noverlayfs no: mount: busy\n\
                    namespaces yes\nfuture_thing no: x\ncontainers no: mount: busy\n";
        let findings = judge_probe(text, "/x");
        let of = |name: &str| findings.iter().find(|f| f.name == name).unwrap();
        assert_eq!(of("cgroup").found, "version hybrid of versions 1 and 2");
        assert_eq!(of("controller memory").state, Health::Ok);
        assert_eq!(
            (of("overlayfs").state, of("overlayfs").found.as_str()),
            (Health::Fail, "no: mount: busy")
        );
        assert!(of("overlayfs").mend.as_ref().unwrap().contains("modprobe"));
        assert_eq!(of("future thing").state, Health::Fail);
        assert!(!findings.iter().any(|f| f.name == "containers"));
        assert_eq!(judge_probe("cgroup none\n", "/x")[1].state, Health::Fail);
    }

    #[test]
    fn who_is_not_root_is_told_so() {
        assert_eq!(judge_user(0, false).state, Health::Ok);
        let other = judge_user(1000, false);
        assert_eq!(other.state, Health::Fail);
        assert!(other.mend.unwrap().contains("as root"));
        assert_eq!(judge_user(1000, true).state, Health::Warn);
    }

    #[test]
    fn of_an_ordinary_user_it_says_what_is_weaker() {
        let text = "ids 1\ncgroup 2\ncontroller_memory no: x\noverlayfs yes\nuser_namespaces no: y\n";
        let findings = judge_probe(text, "/x");
        let names: Vec<&str> = findings.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["supervisor", "limits", "ids", "rootless", "cgroup", "overlayfs"]);
        assert!(findings.iter().all(|f| f.state != Health::Fail));
    }

    #[test]
    fn disks() {
        assert_eq!(judge_disk(0, Path::new("/")).state, Health::Fail);
        assert_eq!(judge_disk(2 << 30, Path::new("/")).state, Health::Warn);
        assert_eq!(judge_disk(99 << 30, Path::new("/")).state, Health::Ok);
    }

    #[test]
    fn a_program_with_an_interpreter_is_not_static() {
        assert!(!is_static(Path::new("/bin/sh")) && !is_static(Path::new("/etc/passwd")));
    }
}
