//! Ends of attempts in AWS's words (spec jobs §1.5).

use super::*;

fn exit(why: Why, code: Option<i32>, oom: bool) -> TaskExit {
    let containers = vec![ContainerExit { name: "default".into(), code, oom, disk_full: None }];
    TaskExit { why, started_ms: Some(10), stopped_ms: 20, containers }
}

fn told(exit: &TaskExit, terminated: Option<&str>) -> (bool, bool, String, Option<i32>, Option<String>) {
    let ending = Ending::of_exit(exit, terminated.map(Arc::from).as_ref(), None);
    let container = &ending.containers[0];
    let reason = container.reason.as_ref().map(ToString::to_string);
    (ending.success, ending.may_retry, ending.reason.to_string(), container.exit_code, reason)
}

/// Spec jobs §1.5: the text is the same for any exit code.
#[test]
fn a_container_that_ends_by_itself() {
    let text = EXITED.to_owned();
    assert_eq!(told(&exit(Why::Exit, Some(0), false), None), (true, false, text.clone(), Some(0), None));
    assert_eq!(told(&exit(Why::Exit, Some(3), false), None), (false, true, text, Some(3), None));
}

/// A full disk is told of what failed, and memory goes before it.
#[test]
fn failed_with_a_full_disk() {
    let told = |code, oom, disk_full| {
        let mut exit = exit(Why::Exit, Some(code), oom);
        exit.containers[0].disk_full = disk_full;
        told(&exit, None).4.unwrap_or_default()
    };
    assert_eq!(told(1, false, Some(21 << 30)), "DiskFullError: the job's disk of 21 GiB is full");
    assert_eq!(told(1, false, Some(32 << 20)), "DiskFullError: the job's disk of 32 MiB is full");
    assert_eq!(told(1, false, Some(0)), "DiskFullError: the disk of this machine is full");
    assert_eq!(told(137, true, Some(0)), OUT_OF_MEMORY);
    assert_eq!(told(0, false, Some(0)) + &told(1, false, None), "");
}

/// Spec jobs §1.5: memory; a killed child does not make a good end bad.
#[test]
fn killed_for_memory() {
    let (text, oom) = (EXITED.to_owned(), Some(OUT_OF_MEMORY.to_owned()));
    assert_eq!(told(&exit(Why::Exit, Some(137), true), None), (false, true, text.clone(), Some(137), oom));
    assert_eq!(told(&exit(Why::Exit, Some(0), true), None), (true, false, text, Some(0), None));
}

/// Spec jobs §7: never retried, whatever the program made of SIGTERM.
#[test]
fn a_timeout_is_a_failure_even_with_exit_code_0() {
    let text = TIMED_OUT.to_owned();
    assert_eq!(
        told(&exit(Why::Timeout, Some(137), false), None),
        (false, false, text.clone(), Some(137), None)
    );
    assert_eq!(told(&exit(Why::Timeout, Some(0), false), None), (false, false, text, Some(0), None));
}

/// Spec jobs §8: the caller's words win over every end, the exit code stays the container's own.
#[test]
fn the_words_of_a_terminate_win() {
    for why in [Why::Exit, Why::Timeout, Why::Stopped, Why::StartFailed("x".into())] {
        for code in [0, 143] {
            let (success, may_retry, text, exit_code, _) =
                told(&exit(why.clone(), Some(code), false), Some("enough"));
            assert_eq!((success, may_retry, text.as_str(), exit_code), (false, false, "enough", Some(code)));
        }
    }
    let lost = Ending::of_loss(Some("i-1"), 5, Some(&"enough".into()));
    assert_eq!((lost.may_retry, &*lost.reason), (false, "enough"));
}

/// Spec jobs §1.5: no exit code, the agent's words cut to 255 characters (not bytes).
#[test]
fn a_failed_start() {
    let words: Arc<str> = format!("CannotPullContainerError: {}", "é".repeat(300)).into();
    let start = TaskExit { containers: vec![], ..exit(Why::StartFailed(words), None, false) };
    let ending = Ending::of_exit(&start, None, None);
    assert_eq!((ending.success, ending.may_retry, &*ending.reason), (false, true, NOT_STARTED));
    let [container] = ending.containers.as_slice() else { panic!("one container") };
    let reason = container.reason.as_deref().expect("a reason");
    assert_eq!((&*container.name, container.exit_code), ("default", None));
    assert_eq!(reason.chars().count(), 255);
    assert!(reason.starts_with("CannotPullContainerError: éé"));
}

/// Spec jobs §1.5: ends with a period, no exit code.
#[test]
fn host_loss() {
    let ending = Ending::of_loss(Some("i-0123456789abcdef0"), 5, None);
    assert_eq!(&*ending.reason, "Host EC2 (instance i-0123456789abcdef0) terminated.");
    assert_eq!((ending.success, ending.may_retry, ending.containers[0].exit_code), (false, true, None));
}

/// The retry rules look at the container that failed, not at its sidecar.
#[test]
fn the_failed_container_decides() {
    let container =
        |name: &str, code| ContainerExit { name: name.into(), code: Some(code), oom: false, disk_full: None };
    let two =
        TaskExit { containers: vec![container("a", 0), container("b", 7)], ..exit(Why::Exit, None, false) };
    let ending = Ending::of_exit(&two, None, None);
    assert!(!ending.success);
    assert_eq!(ending.deciding().and_then(|c| c.exit_code), Some(7));
}

/// Spec infrastructure §1.7: a host that was taken away is told as one, and the retry rules are asked; what ended well
/// in spite of it has succeeded (spec jobs §1.5).
#[test]
fn a_host_that_was_taken_away() {
    let gone = host_gone(Some("i-1"));
    let killed = Ending::of_exit(&exit(Why::Stopped, Some(137), false), None, Some(&gone));
    assert_eq!(
        (killed.success, killed.may_retry, &*killed.reason),
        (false, true, "Host EC2 (instance i-1) terminated.")
    );
    let good = Ending::of_exit(&exit(Why::Stopped, Some(0), false), None, Some(&gone));
    assert_eq!((good.success, &*good.reason), (true, EXITED));
    let words: Arc<str> = "enough".into();
    let asked = Ending::of_exit(&exit(Why::Stopped, Some(137), false), Some(&words), Some(&gone));
    assert_eq!((asked.may_retry, &*asked.reason), (false, "enough"));
}
