//! From an archive to a listing to removal, with a job in between.

use super::*;
use crate::cli::testing::{Captured, TempDir};
use batchyard_supervisor::{Container, Task};
use clap::Parser;
use serde_json::Value;
use std::fs;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: ImageArgs,
}

fn image(dir: &Path, words: &[&str], format: Option<Format>) -> (Result<u8, CliError>, String) {
    let args = Line::try_parse_from(["image"].iter().chain(words)).unwrap().args;
    let captured = Captured::new(format);
    let settings = Settings { data_dir: dir.into(), host_image: false, ..Settings::default() };
    let code = run(&args, &settings, &mut captured.console());
    (code, captured.out())
}

fn json(dir: &Path, words: &[&str]) -> Value {
    let (code, out) = image(dir, words, Some(Format::Json));
    assert_eq!(code.unwrap(), 0);
    serde_json::from_str(&out).unwrap()
}

/// A data folder that holds the image `base:1`, made from a root file system of one file.
fn with_image() -> TempDir {
    let dir = TempDir::new();
    let mut tar = tar::Builder::new(Vec::new());
    let mut head = tar::Header::new_gnu();
    head.set_size(2);
    head.set_mode(0o644);
    head.set_uid(rustix::process::getuid().as_raw().into());
    head.set_gid(rustix::process::getgid().as_raw().into());
    head.set_cksum();
    tar.append_data(&mut head, "etc/name", &b"x\n"[..]).unwrap();
    let archive = dir.path().join("root.tar");
    fs::write(&archive, tar.into_inner().unwrap()).unwrap();
    let (code, out) = image(dir.path(), &["import", archive.to_str().unwrap(), "--name", "base:1"], None);
    assert_eq!(code.unwrap(), 0);
    assert!(out.contains("base:1 sha256:") && out.contains("1 of 1 layers new"), "{out}");
    dir
}

#[test]
fn imported_listed_and_resolved() {
    let dir = with_image();
    let listed = json(dir.path(), &["ls"]);
    assert_eq!(listed["schemaVersion"], 1);
    assert!(listed["images"][0]["name"].as_str().unwrap().ends_with("base:1"));
    let resolved = json(dir.path(), &["resolve", "base:1"]);
    assert_eq!(resolved["digest"], listed["images"][0]["digest"]);
    assert_eq!(resolved["layers"].as_array().unwrap().len(), 1);
}

#[test]
fn what_a_job_uses_is_kept() {
    let dir = with_image();
    let layer = json(dir.path(), &["resolve", "base:1"])["layers"][0].as_str().unwrap().to_string();
    let attempt = dir.path().join("attempts/x");
    fs::create_dir_all(&attempt).unwrap();
    let container = Container { name: "default".into(), layers: vec![layer.clone()], ..Container::default() };
    let task = Task { task_id: "x".into(), containers: vec![container], ..Task::default() };
    fs::write(attempt.join(batchyard_supervisor::TASK), task.encode()).unwrap();

    let (code, out) = image(dir.path(), &["rm", "base:1"], None);
    assert_eq!(code.unwrap(), 0);
    assert!(out.contains("a job uses it") && Path::new(&layer).is_dir(), "{out}");

    fs::write(attempt.join(batchyard_supervisor::TASK), "damaged").unwrap();
    let digest = json(dir.path(), &["ls"])["images"][0]["digest"].as_str().unwrap().to_string();
    assert!(image(dir.path(), &["rm", &digest], None).0.is_err(), "what it uses is not known");

    fs::remove_dir_all(&attempt).unwrap();
    assert_eq!(image(dir.path(), &["rm", &digest], None).0.unwrap(), 0);
    assert!(!Path::new(&layer).exists());
}

#[test]
fn an_unknown_image_is_not_found() {
    let dir = TempDir::new();
    assert_eq!(image(dir.path(), &["rm", "nope:1"], None).0.unwrap_err().exit_code(), 3);
    assert_eq!(image(dir.path(), &["resolve", "No Name"], None).0.unwrap_err().exit_code(), 2);
    assert_eq!(image(dir.path(), &["import", "/nonexistent.tar"], None).0.unwrap_err().exit_code(), 3);
    assert!(image(dir.path(), &["resolve", "host"], None).0.unwrap_err().to_string().contains("host_image"));
}
