//! Starts whose image is not there yet.

use super::Fixture;
use crate::compute::Compute;
use crate::compute::TaskSpec;
use std::time::Duration;

fn far(f: &Fixture, what: &str) -> TaskSpec {
    TaskSpec { image: "far".into(), ..f.task(what) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_goes_on_when_its_image_is_there() {
    let mut f = Fixture::new();
    let specs: Vec<TaskSpec> = (0..20).map(|_| far(&f, "exit")).collect();
    specs.iter().for_each(|spec| f.machine().start(spec.clone()));
    // More of them than there are threads, and all threads are free.
    f.machine().start(f.task("exit"));
    assert_eq!(f.told().await, "Exit (5) (3)");
    assert!(specs.iter().all(|spec| f.runs(spec.start.task) == 0));
    f.registry.notify_waiters();
    for _ in &specs {
        assert_eq!(f.told().await, "Exit (5) (3)");
    }
    assert!(specs.iter().all(|spec| f.runs(spec.start.task) == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_during_a_pull_ends_the_attempt_at_once() {
    let mut f = Fixture::new();
    let spec = far(&f, "exit");
    let task = spec.start.task;
    f.machine().start(spec);
    f.until("it waits", |f| f.folder(task).exists()).await;
    f.machine().stop(task, 30);
    assert_eq!(f.told().await, "Stopped None None");
    f.machine().forget(task);
    f.until("the folder is gone", |f| !f.folder(task).exists()).await;
    f.registry.notify_one();
    f.machine().start(f.task("exit"));
    assert_eq!(f.told().await, "Exit (5) (3)");
    assert_eq!((f.runs(task), f.folder(task).exists()), (0, false), "it stays forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_a_killed_server_left_is_begun_again() {
    let mut f = Fixture::new();
    let spec = far(&f, "exit");
    let task = spec.start.task;
    f.machine().start(spec.clone());
    f.until("it waits", |f| f.folder(task).exists()).await;
    f.restart(&[task]);
    // Nobody says that it is lost, and nobody starts it, while it waits.
    let quiet = tokio::time::timeout(Duration::from_millis(300), f.reports.recv()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    f.machine().start(spec);
    f.registry.notify_one();
    assert_eq!(f.told().await, "Exit (5) (3)");
    assert_eq!(f.runs(task), 1);
}
