//! The driver `process`: the job's program as a plain process of this host, isolated from nothing.
//!
//! For hosts that permit no namespaces. The supervisor's child here is a keeper: it starts the program in a session of
//! its own and stands for it. It is a subreaper, so whatever the program leaves behind becomes its child, and it ends
//! all of that when the program ends and when the supervisor dies. Never here: which images there are (the server),
//! mounts (there are none).

use super::child::{self, Ends, exec, rlimits, user};
use super::fail::{During, Fail};
use super::keeper;
use super::limits::Limits;
use super::sys::{self, Side};
use batchyard_supervisor::Container;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal};
use std::convert::Infallible;

/// Starts the program and stands for it until its end.
pub fn main(c: &Container, limits: &Limits, ends: &Ends) -> ! {
    match start(c, limits, ends) {
        Ok((job, signals)) => sys::exit(keeper::serve(job, &signals, Some(&ends.go))),
        Err(fail) => child::give_up(&fail, &ends.status),
    }
}

fn start(c: &Container, limits: &Limits, ends: &Ends) -> Result<(Pid, OwnedFd), Fail> {
    rustix::process::setsid().during("start a session")?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).during("become a subreaper")?;
    child::normal_oom_score();
    let signals = sys::signal_fd(&keeper::all_signals()).during("listen for signals")?;
    match sys::clone(0, None).during("start the job beside its keeper")? {
        Side::Child => {
            let Err(fail) = become_job(c, limits, ends);
            child::give_up(&fail, &ends.status)
        }
        Side::Parent(job) => Ok((job, signals)),
    }
}

fn become_job(c: &Container, limits: &Limits, ends: &Ends) -> Result<Infallible, Fail> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).during("tie to the keeper")?;
    rustix::process::setsid().during("start a session")?;
    let identity = identity(c)?;
    let program = exec::Program::prepare(c, &identity)?;
    let cwd = if c.cwd.is_empty() { "/" } else { c.cwd.as_str() };
    let (early, late) = limits.joins();
    let groups = early.into_iter().chain(late).map(child::group).collect::<Result<Vec<_>, _>>()?;
    child::wait_for_go(ends)?;
    for group in &groups {
        child::join(group)?;
    }
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .during("open /dev/null")?;
    let own = rustix::process::geteuid() == identity.uid;
    if own {
        // The pipes are this user's already.
        child::take_input(&null)?;
        child::take_output(ends)?;
    } else {
        child::take_stdio(ends, &null, None, &identity)?;
    }
    sys::fresh_keyring();
    rustix::process::umask(Mode::from_raw_mode(0o022));
    sys::close_all_on_exec().during("mark descriptors")?;
    rlimits::set(&c.ulimits)?;
    if !own {
        child::creds::become_plain_user(&identity)?;
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).during("tie to the keeper")?;
    }
    // As the user, who may be kept from it.
    rustix::process::chdir(cwd).during(format_args!("enter working folder {cwd}"))?;
    rustix::thread::set_no_new_privs(true).during("set no_new_privs")?;
    sys::reset_signals();
    Err(program.exec())
}

/// Who the program runs as. Without root that can only be whoever the server is, whom "root" and no name stand for.
fn identity(c: &Container) -> Result<user::Identity, Fail> {
    let own = rustix::process::geteuid();
    if own.is_root() {
        return user::resolve(&c.user);
    }
    let as_self = user::resolve(&own.as_raw().to_string())?;
    let wanted = if c.user.is_empty() { "root" } else { c.user.as_str() };
    match user::resolve(wanted) {
        Ok(who) if who.uid == own || who.uid.is_root() => Ok(as_self),
        Ok(_) => Err(Fail::daemon(format_args!(
            "user {wanted}: the driver process runs jobs as the server's own user unless that is root"
        ))),
        Err(fail) => Err(fail),
    }
}
