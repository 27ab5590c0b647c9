//! How attempts end: codes, memory, time, stops, failed starts, a killed supervisor.

mod common;

use batchyard_supervisor::{Exit, Ulimit, Why};
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
