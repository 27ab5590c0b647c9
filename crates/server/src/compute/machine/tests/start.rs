//! Starts, ends and stops while the server lives.

use super::Fixture;
use crate::compute::{Compute, TaskSpec};
use batchyard_engine::{Report, TaskId};
use std::fs;
use std::path::PathBuf;

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_runs_once_however_often_it_is_asked_for_and_then_goes() {
    let mut f = Fixture::new();
    let spec = f.task("exit");
    let task = spec.start.task;
    f.machine().start(spec.clone());
    assert_eq!(f.told().await, "Exit (5) (3)");
    f.machine().start(spec);
    assert_eq!(f.told().await, "Exit (5) (3)");
    assert_eq!(f.runs(task), 1);
    f.machine().forget(task);
    f.until("the folder is gone", |f| !f.folder(task).exists()).await;
    f.until("nothing is left to delete", |f| {
        fs::read_dir(f.data.path().join("trash")).expect("a folder").next().is_none()
    })
    .await;
    assert!(f.machine().running().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_tell_the_streams_from_the_start_to_the_end() {
    let mut f = Fixture::new();
    let spec = TaskSpec { stop_timeout_s: Some(9), ..f.task("wait") };
    let task = spec.start.task;
    f.machine().start(spec);
    f.until("it runs", |f| f.folder(task).join("started").exists()).await;
    f.wake(task);
    let started = f.next().await;
    assert_eq!(started.report, Report::Started { task, at_ms: 5 });
    let stream = &started.streams[0];
    let id = task.to_string();
    assert_eq!((stream.group.as_str(), stream.name.as_str()), ("/aws/batch/job", "d/default/1"));
    assert_eq!(stream.path, PathBuf::from(format!("logs/{}/{id}.0", &id[..2])));
    assert!(!stream.done && stream.created_ms > 0 && stream.first_event_ms.is_none());
    assert_eq!(f.machine().running(), [task]);

    let mut log = batchyard_supervisor::log_file::MAGIC.to_vec();
    batchyard_supervisor::log_file::push_record(&mut log, 11, b"one");
    batchyard_supervisor::log_file::push_record(&mut log, 22, b"two");
    fs::write(f.data.path().join(&stream.path), &log).expect("a log");
    f.machine().stop(task, 30);
    let ended = f.next().await;
    assert!(matches!(ended.report, Report::Exited { .. }), "{ended:?}");
    let stream = &ended.streams[0];
    assert_eq!((stream.first_event_ms, stream.last_event_ms), (Some(11), Some(22)));
    assert!(stream.done && stream.bytes == log.len() as u64);
    assert_eq!(fs::read_to_string(f.folder(task).join("stop")).expect("a request"), "9", "its own time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_before_the_start_wins_whatever_the_order() {
    let mut f = Fixture::new();
    let spec = f.task("exit");
    f.machine().stop(spec.start.task, 30);
    assert_eq!(f.told().await, "Stopped None None");
    f.machine().start(spec.clone());
    assert_eq!(f.told().await, "Stopped None None");
    assert_eq!(f.runs(spec.start.task), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_image_is_a_failed_start_in_the_agents_words() {
    let mut f = Fixture::new();
    let mut spec = f.task("exit");
    spec.image = "nope:1".into();
    f.machine().start(spec.clone());
    let expected = "StartFailed(\"CannotPullContainerError: Error response from daemon: manifest for nope:1 not found\")";
    assert_eq!(f.told().await, format!("{expected} None None"));
    assert_eq!(f.runs(spec.start.task), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_ends_at_once_is_a_failed_start_with_its_last_words() {
    let mut f = Fixture::new();
    let spec = f.task("nothing");
    f.machine().start(spec.clone());
    let told = f.told().await;
    assert!(told.starts_with("StartFailed(\"CannotStartContainerError:") && told.contains("no way to go on"));
    assert_eq!(f.runs(spec.start.task), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_dies_at_work_is_a_lost_attempt_for_ever() {
    let mut f = Fixture::new();
    let spec = f.task("die");
    f.machine().start(spec.clone());
    assert_eq!(f.told().await, "lost");
    f.machine().start(spec.clone());
    assert_eq!(f.told().await, "lost");
    assert_eq!(f.runs(spec.start.task), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_record_counts_though_its_writer_died_before_renaming_it() {
    let mut f = Fixture::new();
    let spec = f.task("unrenamed");
    f.machine().start(spec);
    assert_eq!(f.told().await, "Timeout (5) (137)");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_starts_at_once_all_run() {
    let mut f = Fixture::new();
    let specs: Vec<_> = (0..60).map(|_| f.task("exit")).collect();
    let mut open: Vec<TaskId> = specs.iter().map(|spec| spec.start.task).collect();
    specs.into_iter().for_each(|spec| f.machine().start(spec));
    while !open.is_empty() {
        let Report::Exited { task, .. } = f.next().await.report else { continue };
        open.retain(|other| *other != task);
        assert_eq!(f.runs(task), 1);
    }
}
