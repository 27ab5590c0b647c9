//! The run of one attempt, from the locked folder to the exit record.
//!
//! An exit record comes out in every case in which this process lives. Never here: the container's inside (child),
//! waiting (watch), control groups (limits).

mod bpf;
mod child;
mod clock;
mod devices;
mod disk;
mod fail;
pub mod fence;
mod folder;
mod json;
mod json_file;
mod keeper;
mod launch;
mod limits;
mod lines;
pub mod netns;
pub mod oci;
mod output;
pub mod probe;
mod process;
mod pump;
pub mod rootless;
mod scratch;
mod sink;
mod sys;
mod syslog;
mod userns;
mod watch;

use batchyard_supervisor::hooks::point;
use batchyard_supervisor::{Container, ContainerExit, Disk, DiskKind, Driver, Exit, Task, Why};
use fail::{During, Fail};
use folder::Folder;
use limits::Limits;
use pump::Pump;
use rustix::fd::OwnedFd;
use rustix::process::WaitStatus;
use sink::Output;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use watch::{Ended, Watch};

/// How long what a plain process left behind may take to die.
const LEFT_BEHIND: Duration = Duration::from_secs(10);

/// Runs the attempt of `path`. A failure code only when not even an exit record could be written.
pub fn attempt(path: &Path) -> ExitCode {
    // A group leader cannot start a session; then it is one's own already, or the server's to care for.
    let _ = rustix::process::setsid();
    sys::ignore_signal(libc::SIGPIPE);
    let signals = match sys::signal_fd(&[libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP]) {
        Ok(fd) => fd,
        Err(e) => return give_up("listen for signals", e),
    };
    if let Err(e) = rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
        eprintln!("become a subreaper: {e}");
    }
    point("supervisor.begun");
    let folder = match Folder::open(path) {
        Ok(folder) => folder,
        Err(e) => return give_up(&format!("open the attempt folder {}", path.display()), e),
    };
    point("supervisor.room_made");
    let task = folder.task();
    let exit = match &task {
        Ok(task) => run(&folder, task, signals),
        Err(e) => start_failed(&Fail::daemon(format_args!("the task cannot be read: {e}")), &[]),
    };
    point("supervisor.before_exit");
    let written = folder.write_exit(&exit);
    point("supervisor.after_exit");
    if let Ok(Task { wake: Some(socket), task_id, .. }) = &task {
        folder.wake(socket, task_id);
    }
    point("supervisor.after_exit_wake");
    folder.sync();
    // What a job left may be a lot: nobody waits for its removal, but the lock tells when it is done.
    for container in task.iter().flat_map(|t| &t.containers) {
        // An image goes as a whole with its last mount.
        if !matches!(container.disk, Some(Disk { kind: DiskKind::Image(_), .. })) {
            scratch::clear(&container.scratch);
        }
        disk::release(container);
    }
    point("supervisor.before_release");
    folder.release();
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => give_up("write the exit record", e),
    }
}

fn give_up(what: &str, e: rustix::io::Errno) -> ExitCode {
    eprintln!("{what}: {e}");
    ExitCode::FAILURE
}

fn run(folder: &Folder, task: &Task, signals: OwnedFd) -> Exit {
    let [container] = task.containers.as_slice() else {
        let count = task.containers.len();
        let text = format!("this version runs exactly one container, the task has {count}");
        return start_failed(&Fail::daemon(text), &task.containers);
    };
    let control = folder.control().map_err(|e| eprintln!("open the control FIFO: {e}")).ok();
    if folder.stop_request(task.stop_grace_s).is_some() {
        return finished(container, Ended::stopped_before_start(), None, 0);
    }
    match run_container(folder, task, container, signals, control) {
        Ok(exit) => exit,
        Err(fail) => start_failed(&fail, &task.containers),
    }
}

fn run_container(
    folder: &Folder,
    task: &Task,
    container: &Container,
    signals: OwnedFd,
    control: Option<OwnedFd>,
) -> Result<Exit, Fail> {
    let first = sink::first_line(container)?;
    disk::limit(container)?;
    scratch::prepare(&container.scratch)
        .during(format_args!("prepare scratch folder {}", container.scratch))?;
    let mut limits = limits_of(task, container)?;
    let log = Output::open(container);
    // This process first: whoever makes the container, and whatever its users are, it is born there.
    let home = task.address.map(|_| netns::enter()).transpose().inspect_err(|_| limits.remove())?;
    point("supervisor.before_clone");
    let fenced = devices::check(container, limits.devices_fenced);
    let launched = fenced.and_then(|()| launch::launch(task, container, &mut limits));
    if let Some(home) = home {
        netns::leave(&home);
    }
    let ended = launched.and_then(|(started, output)| {
        point("supervisor.after_clone");
        let watch = Watch::new(folder, task, container, &limits, signals, control)?;
        let pump = Pump::start(output.out, output.err, log, first)?;
        Ok((watch.follow(started), pump))
    });
    let (ended, dropped) = match ended {
        Ok((ended, pump)) => {
            let dropped = pump.finish().map_or(0, |mut log| {
                log.finish();
                log.dropped()
            });
            (Ok(ended), dropped)
        }
        Err(fail) => (Err(fail), 0),
    };
    if task.driver == Driver::Process && !keeper::end_children(LEFT_BEHIND) {
        eprintln!("processes that the job left do not die");
    }
    let usage = limits.usage();
    limits.remove();
    Ok(finished(container, ended?, Some(usage), dropped))
}

/// The attempt's groups. An ordinary user's containers and a plain process do without where none can be made: then
/// nothing is limited, as `batchyard doctor` says.
fn limits_of(task: &Task, container: &Container) -> Result<Limits, Fail> {
    if task.rootless.is_some_and(|r| !r.limits) {
        return Limits::without(container);
    }
    if task.driver != Driver::Process {
        return Limits::make(task, container);
    }
    // Everything of the host is in its reach, so its devices are too.
    let open = Container { privileged: true, ..container.clone() };
    Limits::make(task, &open).or_else(|fail| {
        eprintln!("memory, CPU and processes are not limited: {}", fail.0);
        Ok(Limits::none())
    })
}

fn finished(c: &Container, ended: Ended, usage: Option<limits::Usage>, dropped_lines: u64) -> Exit {
    let ran = ended.code.is_some();
    let container = ContainerExit {
        code: ended.code,
        oom: ran && usage.as_ref().is_some_and(|u| u.oom),
        disk_full: ended.code.filter(|code| *code != 0).and_then(|_| disk::full(c)),
        dropped_lines,
        peak_memory: usage.filter(|_| ran).and_then(|u| u.peak),
        ..never_ran(c)
    };
    Exit {
        why: ended.why,
        text: ended.failure.map(|f| f.0),
        started_ms: ended.started_ms,
        stopped_ms: ended.stopped_ms,
        containers: vec![container],
    }
}

fn start_failed(fail: &Fail, containers: &[Container]) -> Exit {
    Exit {
        why: Why::StartFailed,
        text: Some(fail.0.clone()),
        started_ms: None,
        stopped_ms: clock::wall_ms(),
        containers: containers.iter().map(never_ran).collect(),
    }
}

fn never_ran(c: &Container) -> ContainerExit {
    ContainerExit {
        name: c.name.clone(),
        code: None,
        oom: false,
        disk_full: None,
        dropped_lines: 0,
        peak_memory: None,
    }
}

/// A process's end as an exit code: its own, or 128 and the signal that ended it.
fn code_of(status: WaitStatus) -> i32 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 255,
    }
}
