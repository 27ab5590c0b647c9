//! `--probe` and `--version` as `doctor` reads them, and a refused command line.

#![allow(clippy::unwrap_used, reason = "a panic is the report")]

use std::process::Command;

fn run(args: &[&str]) -> (Option<i32>, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_batchyard-supervisor")).args(args).output().unwrap();
    (out.status.code(), String::from_utf8(out.stdout).unwrap())
}

#[test]
fn the_probe_answers_every_question_and_leaves_nothing() {
    let folder = std::env::temp_dir().join(format!("by-probe-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let (code, text) = run(&["--probe", folder.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    for key in [
        "cgroup",
        "controller_memory",
        "controller_cpu",
        "controller_pids",
        "namespaces",
        "overlayfs",
        "seccomp",
    ] {
        assert!(text.lines().any(|l| l.split_once(' ').is_some_and(|(k, _)| k == key)), "{key} in {text}");
    }
    let last = text.lines().last().unwrap();
    assert!(last == "containers yes" || last.starts_with("containers no: "), "{text}");
    std::fs::remove_dir(&folder).expect("nothing is left in it");
    let (_, text) = run(&["--probe", "/nowhere"]);
    assert!(text.contains("overlayfs no: make /nowhere"), "{text}");
}

#[test]
fn the_version_names_that_of_the_records() {
    let (code, text) = run(&["--version"]);
    assert_eq!(code, Some(0));
    assert!(text.ends_with(&format!("record {}\n", batchyard_supervisor::format::VERSION)));
    assert_eq!(run(&["--nonsense"]).0, Some(2));
    assert_eq!(run(&[]).0, Some(2));
}
