//! The driver `oci`: the container is made by a runtime on this host (runc, crun, youki), the rest is as ever.
//!
//! The supervisor's child here is a keeper: the first process of a pid namespace and a mount namespace of its own. It
//! mounts the root, writes the bundle, lets the runtime start the container as the keeper's grandchild, and then stands
//! for it: signals go in, the exit code comes out. When it dies, whatever the reason, the kernel ends everything in its
//! pid namespace, and its mounts are gone: a supervisor that is killed leaves no container, without anybody's help.
//! Never here: the first steps inside the container (`inside`), control groups (limits).

mod bundle;
mod groups;
pub mod inside;

use super::child::{self, Ends, root, user};
use super::fail::{During, Fail};
use super::sys::{self, Side};
use super::{json, keeper};
use batchyard_supervisor::{Container, Task};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::mount::MountFlags;
use rustix::process::{Pid, WaitOptions, waitpid};
use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

/// The namespaces of the keeper.
pub const NAMESPACES: i32 = libc::CLONE_NEWPID | libc::CLONE_NEWNS;
/// Where a runtime finds its helpers.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the keeper gets from its supervisor.
pub struct Order<'a> {
    /// Path of the runtime.
    pub runtime: &'a str,
    /// The task.
    pub task: &'a Task,
    /// Its container.
    pub container: &'a Container,
    /// Where hierarchies of version 1 are that the attempt has a group in.
    pub hierarchies: Vec<PathBuf>,
    /// The container's group, as the runtime takes it.
    pub cgroup: String,
    /// The groups that the container may look at, with their names.
    pub views: Vec<(&'static str, PathBuf)>,
    /// A device file can do no harm.
    pub devices_fenced: bool,
}

/// Has the container made and stands for it until its end.
pub fn main(order: &Order<'_>, ends: &Ends) -> ! {
    match make(order, ends) {
        Ok((job, signals)) => sys::exit(keeper::serve(job, &signals, None)),
        Err(fail) => child::give_up(&fail, &ends.status),
    }
}

/// The folders in the scratch folder.
struct Places {
    root: String,
    bundle: String,
    state: String,
    empty: String,
    log: String,
    said: String,
    pid: String,
}

impl Places {
    fn make(scratch: &str) -> Result<Self, Fail> {
        let at = |name: &str| format!("{scratch}/{name}");
        let places = Self {
            root: at("root"),
            bundle: at("bundle"),
            state: at("state"),
            empty: at("empty"),
            log: at("bundle/log"),
            said: at("bundle/said"),
            pid: at("bundle/pid"),
        };
        for folder in [&places.root, &places.bundle, &places.state] {
            rustix::fs::mkdir(folder.as_str(), Mode::RWXU).during(format_args!("make {folder}"))?;
        }
        // The container's root, for every user of it.
        rustix::fs::chmod(places.root.as_str(), Mode::from_raw_mode(0o755))
            .during("open the root's folder")?;
        File::create(&places.empty).during(format_args!("make {}", places.empty))?;
        rustix::fs::chmod(places.empty.as_str(), Mode::from_raw_mode(0o444)).during("make the empty file")?;
        Ok(places)
    }
}

fn make(order: &Order<'_>, ends: &Ends) -> Result<(Pid, OwnedFd), Fail> {
    let c = order.container;
    child::die_with_supervisor(ends)?;
    child::normal_oom_score();
    rustix::process::umask(Mode::empty());
    rustix::process::setsid().during("start a session")?;
    let signals = sys::signal_fd(&keeper::all_signals()).during("listen for signals")?;
    child::rlimits::check(&c.ulimits)?;
    let places = Places::make(&c.scratch)?;
    let overlay = Container {
        layers: c.layers.clone(),
        scratch: places.root.clone(),
        privileged: c.privileged,
        ..Container::default()
    };
    let plan = child::Plan {
        container: &overlay,
        hostname: None,
        views: Vec::new(),
        join_early: Vec::new(),
        join_late: None,
        devices_fenced: order.devices_fenced,
        users: None,
        rootless: order.task.rootless,
    };
    let root = root::mount(&overlay, &plan)?;
    rustix::process::chdir("/").during("leave the scratch folder")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("proc", "/proc", "proc", flags, None).during("mount the keeper's /proc")?;
    groups::narrow(&order.hierarchies)?;
    let cwd = if c.cwd.is_empty() { "/" } else { c.cwd.as_str() };
    root.make(cwd, child::place::Kind::Dir).during(format_args!("make working folder {cwd}"))?;
    let identity = user::resolve_in(&root, &c.user)?;
    child::hand_over(ends, identity.uid, identity.gid)?;
    write_config(order, &places, &root, &identity)?;
    let pid = run(order, &places, ends)?;
    Ok((pid, signals))
}

fn write_config(
    order: &Order<'_>,
    places: &Places,
    root: &child::place::Root,
    identity: &user::Identity,
) -> Result<(), Fail> {
    let c = order.container;
    if c.argv.first().is_none_or(String::is_empty) {
        return Err(Fail::daemon("No command specified"));
    }
    if c.argv.iter().chain(&c.env).any(|text| text.contains('\0')) {
        return Err(Fail::runtime("command or environment holds a NUL byte"));
    }
    let itself = format!("/proc/self/fd/{}", inside::DESCRIPTORS[4]);
    let init = if c.init { inside::WITH_INIT } else { inside::WITHOUT_INIT };
    let mut argv = vec![itself, inside::FLAG.to_string(), init.to_string()];
    argv.extend(c.argv.iter().cloned());
    let held = rustix::thread::capabilities(None).during("read capabilities")?.permitted.bits();
    let bundle = bundle::Bundle {
        task: order.task,
        container: c,
        root,
        root_path: &places.root,
        empty_file: &places.empty,
        identity,
        argv,
        cgroup: order.cgroup.clone(),
        views: &order.views,
        held,
        devices_fenced: order.devices_fenced,
    };
    let path = format!("{}/config.json", places.bundle);
    std::fs::write(&path, bundle.config()?).during(format_args!("write {path}"))
}

/// Runs the runtime until the container is there; gives the container's first process.
fn run(order: &Order<'_>, places: &Places, ends: &Ends) -> Result<Pid, Fail> {
    let c = order.container;
    let this = std::fs::read("/proc/self/exe").during("read this program")?;
    let this = in_memory("batchyard-inside", &this)?;
    let filter = if c.privileged { &[][..] } else { &c.seccomp };
    let filter = in_memory("batchyard-seccomp", filter)?;
    let said = File::create(&places.said).during(format_args!("make {}", places.said))?;
    let count = inside::DESCRIPTORS.len();
    let argv = [
        order.runtime,
        "--root",
        &places.state,
        "--log",
        &places.log,
        "--log-format",
        "json",
        "run",
        "--detach",
        "--bundle",
        &places.bundle,
        "--pid-file",
        &places.pid,
        &format!("--preserve-fds={count}"),
        &order.task.task_id,
    ];
    let argv: Vec<CString> = argv.iter().map(|a| CString::new(*a).unwrap_or_default()).collect();
    let program = argv[0].clone();
    let env = [CString::new(PATH).unwrap_or_default()];
    let handed = [&ends.go, &ends.status, &ends.out, &ends.err, &this, &filter];
    match sys::clone(0, None).during("start the runtime")? {
        Side::Child => {
            let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
            let done = null.and_then(|null| {
                rustix::stdio::dup2_stdin(&null)?;
                rustix::stdio::dup2_stdout(&said)?;
                rustix::stdio::dup2_stderr(&said)?;
                sys::hand_down(&handed.map(|fd| fd.as_raw_fd()), inside::DESCRIPTORS[0])
            });
            sys::reset_signals();
            let error = done.err().unwrap_or_else(|| sys::exec(&program, &argv, &env));
            eprintln!("exec {}: {error}", order.runtime);
            sys::exit(127)
        }
        Side::Parent(pid) => {
            let status = waitpid(Some(pid), WaitOptions::empty()).during("wait for the runtime")?;
            if status.and_then(|(_, s)| s.exit_status()) != Some(0) {
                return Err(failure(order, places));
            }
        }
    }
    let pid = std::fs::read_to_string(&places.pid).during("read the runtime's pid file")?;
    let pid = pid.trim().parse().ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| Fail::runtime("the runtime's pid file holds no number"))
}

/// What the runtime said last, without its own name before it.
fn failure(order: &Order<'_>, places: &Places) -> Fail {
    let read = |path: &str| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    let said = read(&places.said);
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_string);
    let text = json::last_text(&read(&places.log), "msg").or(last);
    let text = text.unwrap_or_else(|| format!("{} failed and said nothing", order.runtime));
    let text =
        ["runc run failed: ", "crun: "].iter().fold(text.as_str(), |t, p| t.strip_prefix(p).unwrap_or(t));
    Fail::runtime(text)
}

/// A file in memory that can only be read and executed.
fn in_memory(name: &str, bytes: &[u8]) -> Result<OwnedFd, Fail> {
    let during = format_args!("make {name}");
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Since Linux 6.3 it has to be said that it is a program; kernels before don't know the word.
    let made = rustix::fs::memfd_create(name, flags | MemfdFlags::EXEC);
    let fd = made.or_else(|_| rustix::fs::memfd_create(name, flags)).during(during)?;
    let mut file = File::from(fd);
    file.write_all(bytes).during(during)?;
    std::io::Seek::rewind(&mut file).during(during)?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(0o555)).during(during)?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals).during(during)?;
    Ok(file.into())
}
