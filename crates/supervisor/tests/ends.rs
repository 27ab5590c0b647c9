//! How attempts end: codes, memory, time, stops, failed starts, a killed supervisor.

#![allow(clippy::unwrap_used, reason = "a panic is the report")]

mod common;

use batchyard_supervisor::{Ulimit, Why};
use common::{Lab, until};
use std::fs::File;
use std::time::{Duration, Instant};

#[test]
fn a_code_and_the_output_come_out() {
    let Some(lab) = Lab::new() else { return };
    let out = lab.script("echo hello; echo problem >&2; printf unfinished; exit 7");
    assert_eq!((out.exit.why, out.code()), (Why::Exit, Some(7)), "{} {:?}", out.said, out.exit);
    let mut lines = out.lines.clone();
    lines.sort();
    assert_eq!(lines, ["hello", "problem", "unfinished"]);
    assert!(out.exit.started_ms.unwrap() <= out.exit.stopped_ms);
    assert!(!out.exit.containers[0].oom);
    assert!(out.exit.containers[0].peak_memory.unwrap() > 0);
}

#[test]
fn death_by_a_signal_is_128_and_its_number() {
    let Some(lab) = Lab::new() else { return };
    // The first process of a namespace ignores its own signals, one that has an init does not.
    let mut task = lab.task("kill -SEGV $$");
    task.containers[0].init = true;
    assert_eq!(lab.run(&task).code(), Some(139));
}

#[test]
fn memory_over_the_limit_is_killed_and_said() {
    let Some(lab) = Lab::new() else { return };
    let out = lab.script("exec tail -c 200m /dev/zero");
    assert_eq!((out.exit.why, out.code()), (Why::Exit, Some(137)), "{}", out.said);
    assert!(out.exit.containers[0].oom);
    assert!(out.exit.containers[0].peak_memory.unwrap() <= 64 << 20);
}

#[test]
fn a_child_killed_for_memory_is_said_with_the_code_of_the_first() {
    let Some(lab) = Lab::new() else { return };
    let mut task = lab.task("tail -c 200m /dev/zero; echo $?; exit 5");
    task.containers[0].cpu_quota_milli = Some(500);
    let out = lab.run(&task);
    // Version 2 kills the whole group.
    assert!(matches!(out.code(), Some(5 | 137)), "{:?}", out.exit);
    assert!(out.exit.containers[0].oom);
}

#[test]
fn four_mebibytes_are_enough_to_start() {
    let Some(lab) = Lab::new() else { return };
    let mut task = lab.task("echo small");
    task.containers[0].memory_bytes = Some(4 << 20);
    let out = lab.run(&task);
    assert_eq!((out.code(), out.text().as_str()), (Some(0), "small"), "{:?} {}", out.exit, out.said);
}

#[test]
fn a_timeout_asks_and_then_kills() {
    let Some(lab) = Lab::new() else { return };
    let mut task = lab.task("trap 'echo asked' TERM; while :; do sleep 0.1; done");
    (task.timeout_s, task.stop_grace_s) = (Some(1), 1);
    let before = Instant::now();
    let out = lab.run(&task);
    assert_eq!((out.exit.why, out.code()), (Why::Timeout, Some(137)));
    assert_eq!(out.lines, ["asked"]);
    assert!(before.elapsed() >= Duration::from_secs(2));
    assert!(out.exit.stopped_ms - out.exit.started_ms.unwrap() >= 1900);
}

#[test]
fn a_stop_lets_the_job_end_in_its_own_way() {
    let Some(lab) = Lab::new() else { return };
    let task = lab.task("trap 'echo bye; exit 9' TERM; echo up; while :; do sleep 0.05; done");
    let supervisor = lab.start(&task);
    lab.line("up");
    lab.stop("20\n");
    let out = lab.finish(supervisor);
    assert_eq!((out.exit.why, out.code()), (Why::Stopped, Some(9)));
    assert_eq!(out.lines, ["up", "bye"]);
}

#[test]
fn a_stop_without_grace_kills_at_once_and_hurries_an_earlier_one() {
    let Some(lab) = Lab::new() else { return };
    let supervisor = lab.start(&lab.task("trap 'echo asked' TERM; echo up; while :; do sleep 0.05; done"));
    lab.line("up");
    lab.stop("600");
    lab.line("asked");
    lab.stop("0");
    let out = lab.finish(supervisor);
    assert_eq!((out.exit.why, out.code()), (Why::Stopped, Some(137)));
}

#[test]
fn a_stop_that_is_there_before_the_start_starts_nothing() {
    let Some(lab) = Lab::new() else { return };
    let task = lab.task("echo never");
    let first = lab.start(&task);
    lab.finish(first);
    for file in ["exit", "started"] {
        std::fs::remove_file(lab.attempt.join(file)).unwrap();
    }
    std::fs::remove_file(lab.dir.join("log")).unwrap();
    std::fs::write(lab.attempt.join("stop"), "").unwrap();
    let out = lab.finish(lab.spawn());
    assert_eq!((out.exit.why, out.code(), out.exit.started_ms), (Why::Stopped, None, None));
    assert!(out.lines.is_empty());
    assert!(!lab.attempt.join("started").exists());
}

#[test]
fn sigterm_to_the_supervisor_is_a_stop_with_the_default_grace() {
    let Some(lab) = Lab::new() else { return };
    let mut task = lab.task("echo up; sleep 600");
    task.stop_grace_s = 0;
    let supervisor = lab.start(&task);
    lab.line("up");
    kill(supervisor.id(), rustix::process::Signal::TERM);
    let out = lab.finish(supervisor);
    assert_eq!((out.exit.why, out.code()), (Why::Stopped, Some(137)));
}

#[test]
fn an_init_forwards_the_stop_and_reaps() {
    let Some(lab) = Lab::new() else { return };
    let mut task = lab.task("(sleep 0.01 &) ; echo $$ up; exec sleep 600");
    task.containers[0].init = true;
    let supervisor = lab.start(&task);
    lab.started();
    until("up", || lab.log().iter().any(|(_, l)| l.ends_with(b" up")));
    lab.stop("60");
    let out = lab.finish(supervisor);
    // A first process would have ignored it.
    assert_eq!((out.exit.why, out.code()), (Why::Stopped, Some(143)));
    assert_ne!(out.lines, ["1 up"]);
}

#[test]
fn background_children_end_with_the_first_process() {
    let Some(lab) = Lab::new() else { return };
    let before = Instant::now();
    let out = lab.script("sleep 600 & (setsid sleep 600 &) ; echo done");
    assert_eq!((out.code(), out.text().as_str()), (Some(0), "done"));
    assert!(before.elapsed() < Duration::from_secs(60));
}

#[test]
fn failed_starts_say_why_in_the_agent_s_words() {
    let Some(lab) = Lab::new() else { return };
    let start = "CannotStartContainerError: Error response from daemon: ";
    let text = |change: &dyn Fn(&mut batchyard_supervisor::Task)| {
        let mut task = lab.task("true");
        change(&mut task);
        let out = lab.run(&task);
        assert_eq!((out.exit.why, out.code(), out.exit.started_ms), (Why::StartFailed, None, None));
        assert!(!lab.attempt.join("started").exists());
        out.exit.text.unwrap().strip_prefix(start).unwrap().to_string()
    };
    let argv = |a: &str| {
        let a = a.to_string();
        text(&move |t| t.containers[0].argv = vec![a.clone()])
    };
    std::fs::write(lab.rootfs.join("etc/plain"), "").unwrap();
    let runtime = "OCI runtime create failed: exec:";
    assert_eq!(argv("nope"), format!("{runtime} \"nope\": executable file not found in $PATH: unknown"));
    assert_eq!(argv("/etc/plain"), format!("{runtime} \"/etc/plain\": permission denied: unknown"));
    assert_eq!(argv("/etc"), format!("{runtime} \"/etc\": permission denied: unknown"));
    assert_eq!(argv("/no/x"), format!("{runtime} \"/no/x\": stat /no/x: no such file or directory: unknown"));
    let user = text(&|t| t.containers[0].user = "ghost".into());
    assert_eq!(user, "unable to find user ghost: no matching entries in passwd file");
    assert!(text(&|t| t.containers[0].layers = vec!["/nowhere".into()]).contains("mount the overlay"));
    assert!(text(&|t| t.containers.push(t.containers[0].clone())).contains("exactly one container"));
    assert!(text(&|t| t.cgroup = "a/../../b".into()).contains("cgroup path"));
    let limit = |name: &str, n| Ulimit { name: name.into(), soft: n, hard: n };
    assert!(
        text(&|t| t.containers[0].ulimits = vec![limit("speed", 1)]).contains("invalid ulimit type: speed")
    );
    let files = text(&|t| t.containers[0].ulimits = vec![limit("nofile", 1 << 40)]);
    assert!(files.contains("nofile") && files.contains("the host's own hard limit is"), "{files}");
}

#[test]
fn a_task_that_cannot_be_read_still_gives_a_record() {
    let Some(lab) = Lab::new() else { return };
    let supervisor = lab.start(&lab.task("true"));
    lab.finish(supervisor);
    for text in [b"".as_slice(), b"batchyard-task 99\nend\n", b"batchyard-task 1\ntask_id x\n", b"\xff\xfe\0"]
    {
        std::fs::remove_file(lab.attempt.join("exit")).unwrap();
        std::fs::write(lab.attempt.join("task"), text).unwrap();
        let out = lab.finish(lab.spawn());
        assert_eq!(out.exit.why, Why::StartFailed);
        assert!(out.exit.text.unwrap().contains("the task cannot be read"));
    }
}

#[test]
fn killing_the_supervisor_kills_the_container_and_frees_the_lock() {
    let Some(lab) = Lab::new() else { return };
    for init in [false, true] {
        let mut task = lab.task("echo up; exec sleep 600");
        task.containers[0].init = init;
        let mut supervisor = lab.start(&task);
        lab.line("up");
        let lock = File::open(lab.attempt.join("lock")).unwrap();
        assert!(lock.try_lock().is_err(), "held while it runs");
        assert!(!batchyard_supervisor::cgroup::is_empty(&lab.groups()));
        kill(supervisor.id(), rustix::process::Signal::KILL);
        supervisor.wait().unwrap();
        until("the lock", || lock.try_lock().is_ok());
        until("an empty cgroup", || batchyard_supervisor::cgroup::is_empty(&lab.groups()));
        assert!(!lab.attempt.join("exit").exists());
        // What the server does with a lost attempt.
        batchyard_supervisor::cgroup::remove(&lab.groups(), Duration::from_secs(5)).unwrap();
        std::fs::remove_dir_all(lab.dir.join("scratch")).unwrap();
    }
}

#[test]
fn a_stop_at_any_moment_ends_well() {
    let Some(lab) = Lab::new() else { return };
    let task = lab.task("exec sleep 600");
    let mut before = 0;
    for step in 0..40 {
        let supervisor = lab.start(&task);
        std::thread::sleep(Duration::from_micros(step * 200));
        lab.stop("0");
        let out = lab.finish(supervisor);
        assert_eq!(out.exit.why, Why::Stopped, "{:?}", out.exit);
        // It ran, was killed and was said to run; or it never did.
        assert!(matches!(out.code(), None | Some(137)), "{:?}", out.exit);
        assert_eq!(out.code().is_some(), out.exit.started_ms.is_some());
        before += u32::from(out.code().is_none());
    }
    assert!(before > 0, "some come before the start");
}

#[test]
fn a_supervisor_killed_at_any_moment_leaves_no_process() {
    let Some(lab) = Lab::new() else { return };
    let task = lab.task("sleep 600 & exec sleep 600");
    for step in 0..30 {
        let mut supervisor = lab.start(&task);
        std::thread::sleep(Duration::from_micros(step * 300));
        kill(supervisor.id(), rustix::process::Signal::KILL);
        supervisor.wait().unwrap();
        let lock = File::open(lab.attempt.join("lock")).unwrap();
        until("the lock", || lock.try_lock().is_ok());
        let groups = lab.groups();
        until("an empty cgroup", || batchyard_supervisor::cgroup::is_empty(&groups));
        batchyard_supervisor::cgroup::remove(&groups, Duration::from_secs(5)).unwrap();
        let _ = std::fs::remove_dir_all(lab.dir.join("scratch"));
    }
}

#[test]
fn the_server_is_woken_at_start_and_end() {
    let Some(lab) = Lab::new() else { return };
    let path = lab.dir.join("wake");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut task = lab.task("true");
    task.wake = Some(path.to_str().unwrap().into());
    let supervisor = lab.start(&task);
    for file in ["started", "exit"] {
        let mut got = [0; 64];
        let n = socket.recv(&mut got).unwrap();
        assert_eq!(&got[..n], task.task_id.as_bytes());
        assert!(lab.attempt.join(file).exists(), "{file} is there before the datagram");
    }
    lab.finish(supervisor);
}

#[test]
fn a_hundred_quick_ones_leave_nothing() {
    let Some(lab) = Lab::new() else { return };
    let task = lab.task("exit 3");
    for _ in 0..100 {
        assert_eq!(lab.run(&task).code(), Some(3));
    }
}

fn kill(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// `cat` moves bytes within the kernel here and holds the pipe's lock while its source gives nothing: everybody else at
/// that pipe, the first process and the supervisor alike, then waits deaf to signals.
#[test]
fn who_holds_the_pipe_cannot_hold_off_the_end() {
    let scripts = [
        "cat </dev/ptmx & sleep .1; echo end; sleep 600",
        "head -c 60000 /dev/zero >/z; cat /z /dev/ptmx & sleep .1; cat /z /dev/ptmx",
    ];
    for script in scripts.iter().cycle().take(6) {
        let Some(lab) = Lab::new() else { return };
        let mut task = lab.task(script);
        (task.timeout_s, task.stop_grace_s) = (Some(1), 1);
        let before = Instant::now();
        let out = lab.run(&task);
        assert_eq!((out.exit.why, out.code()), (Why::Timeout, Some(137)), "{script} {}", out.said);
        assert!(before.elapsed() < Duration::from_secs(10), "{script}");
    }
}
