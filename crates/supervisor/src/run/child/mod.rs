//! The container's first process, from its copying to the exec of the job: everything that happens inside the new
//! namespaces, in order.
//!
//! It runs in a copy of the supervisor and never returns into it. Its supervisor hears `R` when the root is ready,
//! answers with a byte once the control groups are joined, and then hears either `E` and a text, or the pipe's end:
//! the program runs. Never here: control groups, output, time.

pub mod creds;
pub mod dev;
pub mod exec;
pub mod hide;
pub mod host;
pub mod init;
pub mod mounts;
pub mod place;
pub mod pseudo;
pub mod rlimits;
pub mod root;
pub mod tmpfs;
pub mod user;

use super::fail::{During, Fail};
use super::sys;
use super::userns::UserNamespace;
use batchyard_supervisor::{Container, Rootless};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Signal;
use std::convert::Infallible;
use std::path::Path;

/// The child says that its root is ready.
pub const READY: u8 = b'R';
/// The child says why it failed; the text follows.
pub const FAILED: u8 = b'E';

/// What the child gets from its supervisor.
pub struct Plan<'a> {
    /// The container.
    pub container: &'a Container,
    /// Its host name, when it is not the host's.
    pub hostname: Option<&'a str>,
    /// The control groups that it may look at, with their names.
    pub views: Vec<(&'static str, &'a Path)>,
    /// The control groups to join at once.
    pub join_early: Vec<&'a Path>,
    /// The one to join when the program is about to run.
    pub join_late: Option<&'a Path>,
    /// A device file can do no harm, so it may make some.
    pub devices_fenced: bool,
    /// The user namespace to end up in.
    pub users: Option<&'a UserNamespace>,
    /// All happens in an ordinary user's user namespace.
    pub rootless: Option<Rootless>,
}

/// The child's ends of the pipes.
pub struct Ends {
    /// Says to go on; its end means that the supervisor died.
    pub go: OwnedFd,
    /// Takes [`READY`] and [`FAILED`].
    pub status: OwnedFd,
    /// The job's standard output.
    pub out: OwnedFd,
    /// The job's standard error.
    pub err: OwnedFd,
}

/// Makes the container around itself and becomes the job.
pub fn main(plan: &Plan<'_>, ends: &Ends) -> ! {
    let Err(fail) = build(plan, ends);
    give_up(&fail, &ends.status)
}

/// Tells the supervisor why, and ends.
pub fn give_up(Fail(text): &Fail, status: &OwnedFd) -> ! {
    let mut message = vec![FAILED];
    message.extend_from_slice(text.as_bytes());
    // A pipe takes this much at once.
    message.truncate(4096);
    let _ = rustix::io::write(status, &message);
    sys::exit(127)
}

fn build(plan: &Plan<'_>, ends: &Ends) -> Result<Infallible, Fail> {
    let c = plan.container;
    close_supervisors(plan, ends);
    die_with_supervisor(ends)?;
    normal_oom_score();
    rustix::process::umask(Mode::empty());
    rustix::process::setsid().during("start a session")?;
    for folder in &plan.join_early {
        join(&group(folder)?)?;
    }
    if let Some(name) = plan.hostname {
        rustix::system::sethostname(name.as_bytes()).during("set the host name")?;
    }
    let late = plan.join_late.map(group).transpose()?;
    if let Some(users) = plan.users {
        users.own_files()?;
    }
    let root = root::mount(c, plan)?;
    pseudo::mount(&root, plan)?;
    mounts::name_files(&root, plan)?;
    mounts::mount_all(&root, plan)?;
    let cwd = if c.cwd.is_empty() { "/" } else { c.cwd.as_str() };
    root.make(cwd, place::Kind::Dir).during(format_args!("make working folder {cwd}"))?;
    if !c.privileged {
        hide::hide(&root)?;
    }
    root::enter(&root, c.readonly_root)?;

    let identity = user::resolve_in(&root, &c.user)?;
    creds::check(&identity, plan.rootless)?;
    let program = exec::Program::prepare(c, &identity)?;
    let during = format_args!("enter working folder {cwd}");
    // Found again, since something may cover it by now.
    rustix::process::fchdir(root.find(cwd).during(during)?).during(during)?;
    wait_for_go(ends)?;
    late.as_ref().map_or(Ok(()), join)?;
    sys::unshare_cgroup().during("unshare cgroup namespace")?;
    let null = root.null().during("open /dev/null")?;
    take_stdio(ends, &null, plan.users, &identity)?;
    sys::fresh_keyring();
    rustix::process::umask(Mode::from_raw_mode(0o022));
    sys::close_all_on_exec().during("mark descriptors")?;
    // Only the host's root may raise them.
    rlimits::set(&c.ulimits)?;
    if let Some(users) = plan.users {
        users.enter()?;
    }
    creds::drop_bounding(c, plan.devices_fenced)?;
    creds::become_user(c, plan, &identity)?;
    // Cleared by the change of user.
    die_with_supervisor(ends)?;
    if !c.privileged {
        rustix::thread::set_no_new_privs(true).during("set no_new_privs")?;
    }
    if c.init {
        init::split()?;
    }
    sys::reset_signals();
    if !c.privileged && !c.seccomp.is_empty() {
        sys::set_seccomp(&c.seccomp).during("install the seccomp filter")?;
    }
    Err(program.exec())
}

/// Closes what is the supervisor's. A folder of the host that is open would be a way out of the root: programs, working
/// folders and links may name it as `/proc/self/fd/N`.
fn close_supervisors(plan: &Plan<'_>, ends: &Ends) {
    let Ends { go, status, out, err } = ends;
    let own = [go, status, out, err].into_iter().chain(plan.users.map(UserNamespace::descriptor));
    // This copy never returns to the owners of the others.
    sys::close_all_but(&own.map(AsRawFd::as_raw_fd).collect::<Vec<_>>());
}

/// Whether a root can be made in `scratch` over the host's own and entered, in a user namespace over `scratch` itself.
/// For the probe.
pub fn try_root(
    scratch: &str,
    users: Option<&UserNamespace>,
    rootless: Option<Rootless>,
) -> Result<(), Fail> {
    let layer = match (users, rootless) {
        (Some(_), _) => scratch.to_string(),
        (None, None) => "/".to_string(),
        (None, Some(_)) => {
            let layer = format!("{scratch}/layer");
            std::fs::create_dir(&layer).during("make a layer")?;
            layer
        }
    };
    let c = Container { layers: vec![layer], scratch: scratch.into(), ..Container::default() };
    let plan = Plan {
        container: &c,
        hostname: None,
        views: Vec::new(),
        join_early: Vec::new(),
        join_late: None,
        devices_fenced: false,
        users,
        rootless,
    };
    users.map_or(Ok(()), UserNamespace::own_files)?;
    let root = root::mount(&c, &plan)?;
    pseudo::mount(&root, &plan)?;
    hide::hide(&root)?;
    root::enter(&root, true)?;
    users.map_or(Ok(()), UserNamespace::enter)
}

/// Asks the kernel to kill us when the supervisor dies, and looks whether it was alive after that was in force.
pub fn die_with_supervisor(ends: &Ends) -> Result<(), Fail> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).during("tie to the supervisor")?;
    let mut fds = [PollFd::new(&ends.go, PollFlags::empty())];
    let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
    match poll(&mut fds, Some(&now)) {
        Ok(0) | Err(Errno::INTR) => Ok(()),
        Ok(_) => sys::exit(1),
        Err(e) => Err(e).during("look for the supervisor"),
    }
}

/// The server may be protected from the memory killer; its jobs are not. Only lowering needs a privilege.
pub fn normal_oom_score() {
    let path = "/proc/self/oom_score_adj";
    let now = std::fs::read_to_string(path).ok().and_then(|s| s.trim().parse::<i32>().ok());
    if now.is_some_and(|score| score < 0) {
        let _ = std::fs::write(path, "0");
    }
}

/// Opens a group's list of threads.
pub fn group(folder: &Path) -> Result<OwnedFd, Fail> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = folder.join("tasks");
    rustix::fs::open(&file, flags, Mode::empty()).during(format_args!("open {}", file.display()))
}

/// Joins it. A thread that moves itself and nothing else is the one case in which the kernel need not wait for all its
/// processors, which takes longer than the whole set-up.
pub fn join(group: &OwnedFd) -> Result<(), Fail> {
    rustix::io::write(group, b"0").during("join a cgroup").map(drop)
}

pub fn wait_for_go(ends: &Ends) -> Result<(), Fail> {
    rustix::io::write(&ends.status, &[READY]).during("report")?;
    let mut byte = [0];
    loop {
        match rustix::io::read(&ends.go, &mut byte) {
            Ok(1..) => return Ok(()),
            // The supervisor is gone.
            Ok(0) => sys::exit(1),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e).during("wait for the supervisor"),
        }
    }
}

/// Standard input is empty; the two outputs are pipes that belong to the user.
pub fn take_stdio(
    ends: &Ends,
    null: &OwnedFd,
    users: Option<&UserNamespace>,
    identity: &user::Identity,
) -> Result<(), Fail> {
    take_input(null)?;
    let (uid, gid) = match users {
        Some(users) => users.on_host(identity.uid, identity.gid)?,
        None => (identity.uid, identity.gid),
    };
    hand_over(ends, uid, gid)?;
    take_output(ends)
}

/// Makes the null device standard input.
pub fn take_input(null: &OwnedFd) -> Result<(), Fail> {
    rustix::stdio::dup2_stdin(null).during("set standard input")
}

/// Gives the output's pipes to the user, so that `/dev/stdout` can be opened.
pub fn hand_over(ends: &Ends, uid: rustix::process::Uid, gid: rustix::process::Gid) -> Result<(), Fail> {
    for pipe in [&ends.out, &ends.err] {
        rustix::fs::fchown(pipe, Some(uid), Some(gid)).during("hand over the output")?;
    }
    Ok(())
}

/// Makes the pipes the standard outputs.
pub fn take_output(ends: &Ends) -> Result<(), Fail> {
    rustix::stdio::dup2_stdout(&ends.out).during("set standard output")?;
    rustix::stdio::dup2_stderr(&ends.err).during("set standard error")
}
