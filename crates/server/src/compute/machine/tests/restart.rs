//! What a server finds that comes after another: every state that a kill or a power cut can leave.

use super::Fixture;
use crate::compute::Compute;
use crate::compute::machine::folder::{Claim, Folder};
use batchyard_engine::TaskId;
use std::fs;

/// Leaves what a server leaves that dies at this instant of a start.
fn die_at(f: &Fixture, task: TaskId, instant: &str) {
    let folder = Folder::of(&f.data.path().join("attempts"), task);
    if instant == "before_folder" {
        return;
    }
    folder.make().expect("a folder");
    if instant == "after_folder" {
        return;
    }
    drop(folder.claim().expect("the lock"));
    if instant == "before_spawn" {
        fs::write(f.folder(task).join("task"), "batchyard-task 1\n").expect("half a task");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_was_cut_off_before_the_spawn_is_done_once() {
    for instant in ["before_folder", "after_folder", "after_lock", "before_spawn"] {
        let mut f = Fixture::new();
        let spec = f.task("exit");
        die_at(&f, spec.start.task, instant);
        f.restart(&[spec.start.task]);
        f.machine().start(spec.clone());
        assert_eq!(f.told().await, "Exit (5) (3)", "{instant}");
        assert_eq!(f.runs(spec.start.task), 1, "{instant}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_attempt_is_found_again_and_its_end_is_told() {
    let mut f = Fixture::new();
    let spec = f.task("wait");
    let task = spec.start.task;
    f.machine().start(spec.clone());
    f.until("it runs", |f| f.folder(task).join("started").exists()).await;
    f.restart(&[task]);
    f.machine().start(spec);
    assert_eq!(f.told().await, "started 5");
    assert_eq!(f.machine().running(), [task]);
    f.machine().stop(task, 30);
    assert_eq!(f.told().await, "Stopped (5) (143)");
    assert_eq!(f.runs(task), 1);
    f.machine().forget(task);
    f.until("the folder is gone", |f| !f.folder(task).exists()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_while_no_server_was_there_is_told_by_the_next_one() {
    let mut f = Fixture::new();
    let spec = f.task("wait");
    let task = spec.start.task;
    f.machine().start(spec.clone());
    f.until("it runs", |f| f.folder(task).join("started").exists()).await;
    f.machine = None;
    fs::write(f.folder(task).join("control"), "\n").expect("it listens");
    f.until("it ended", |f| f.folder(task).join("exit").exists()).await;
    f.restart(&[task]);
    f.machine().start(spec);
    assert_eq!(f.told().await, "Stopped (5) (143)");
    assert_eq!(f.runs(task), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_somebody_holds_means_running_until_it_is_let_go() {
    let mut f = Fixture::new();
    let spec = f.task("exit");
    let task = spec.start.task;
    let folder = Folder::of(&f.data.path().join("attempts"), task);
    folder.make().expect("a folder");
    let Claim::Held(lock) = folder.claim().expect("the lock") else { panic!("held by nobody") };
    f.restart(&[task]);
    f.machine().start(spec);
    fs::write(f.folder(task).join("started"), "batchyard-started 1\nat_ms 8\npid 1\nend\n").expect("written");
    f.wake(task);
    assert_eq!(f.told().await, "started 8");
    drop(lock);
    assert_eq!(f.told().await, "lost");
    assert_eq!(f.runs(task), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_did_nothing_before_it_let_go_is_followed_by_a_start() {
    let mut f = Fixture::new();
    let spec = f.task("exit");
    let task = spec.start.task;
    let folder = Folder::of(&f.data.path().join("attempts"), task);
    folder.make().expect("a folder");
    let Claim::Held(lock) = folder.claim().expect("the lock") else { panic!("held by nobody") };
    f.machine().start(spec);
    f.until("it is known", |f| f.machine().attempts.tracked.get(task).is_some()).await;
    drop(lock);
    assert_eq!(f.told().await, "Exit (5) (3)");
    assert_eq!(f.runs(task), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_of_an_older_boot_are_lost_unless_they_ended() {
    let mut f = Fixture::new();
    let (never, begun, ended) = (f.task("exit"), f.task("exit"), f.task("exit"));
    f.machine().start(ended.clone());
    assert_eq!(f.told().await, "Exit (5) (3)");
    fs::create_dir(f.folder(begun.start.task)).expect("a folder");
    fs::write(f.folder(begun.start.task).join("exit.tmp"), [0; 64]).expect("written");
    fs::write(f.data.path().join("run/boot"), "an older boot").expect("written");
    let specs = [never, begun, ended];
    let open: Vec<TaskId> = specs.iter().map(|spec| spec.start.task).collect();
    f.restart(&open);
    for (spec, expected) in specs.into_iter().zip(["lost", "lost", "Exit (5) (3)"]) {
        f.machine().start(spec);
        assert_eq!(f.told().await, expected);
    }
    assert_eq!([f.runs(open[0]), f.runs(open[1]), f.runs(open[2])], [0, 0, 1]);
    // What is placed after that belongs to the new boot.
    let next = f.task("exit");
    f.restart(&open);
    f.machine().start(next);
    assert_eq!(f.told().await, "Exit (5) (3)");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_job_has_is_stopped_and_removed_without_a_word() {
    let mut f = Fixture::new();
    let (running, ended) = (f.task("wait"), f.task("exit"));
    let (running_id, ended_id) = (running.start.task, ended.start.task);
    f.machine().start(ended);
    assert_eq!(f.told().await, "Exit (5) (3)");
    f.machine().start(running);
    f.until("it runs", |f| f.folder(running_id).join("started").exists()).await;
    f.restart(&[]);
    f.until("both are gone", |f| !f.folder(running_id).exists() && !f.folder(ended_id).exists()).await;
    assert!(f.machine().running().is_empty());
    assert!(f.reports.try_recv().is_err());
}
