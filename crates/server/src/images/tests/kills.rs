//! A program that is killed while it imports or removes leaves a store that another goes on with.
//!
//! The store calls `instant` between its steps. A child dies by SIGKILL at the first such instant, the next one
//! at the second, and so on until one lives to its end.

use super::storing::{counts, layer};
use super::support::{Tape, Temp, collect, docker, import, names, root};
use crate::images::index::Index;
use crate::images::{ImageOptions, ImageStore};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};

const DIR: &str = "BATCHYARD_TEST_STORE";
const AT: &str = "BATCHYARD_TEST_DIES_AT";
const FILES: usize = 5;

static LEFT: LazyLock<AtomicI64> = LazyLock::new(|| {
    let at = std::env::var(AT).ok().and_then(|text| text.parse().ok());
    AtomicI64::new(at.unwrap_or(i64::MAX))
});

/// Dies here if this is the instant that the environment names.
pub(in crate::images) fn instant() {
    if LEFT.fetch_sub(1, Ordering::Relaxed) == 1 {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Not a test of its own: what the children of the test below run.
#[test]
fn child_that_imports_and_removes() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let store = ImageStore::open(Path::new(&dir), ImageOptions::default()).unwrap();
    for name in ["one:1", "two:1"] {
        let own = (0..FILES).fold(Tape::new(), |tape, n| tape.file(&format!("{name}/{n}"), "text")).end();
        import(&store, &docker(&[layer("base"), own], name), None).unwrap();
    }
    store.remove("one:1", &|| Ok(Default::default())).unwrap();
    store.remove("two:1", &|| Ok(Default::default())).unwrap();
}

#[test]
fn a_kill_at_any_instant_is_harmless() {
    if !root("kills") {
        return;
    }
    for at in 1.. {
        let temp = Temp::in_memory();
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "images::tests::kills::child_that_imports_and_removes"])
            .envs([(DIR, temp.as_os_str()), (AT, at.to_string().as_ref())])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        whole(&ImageStore::open(&temp, ImageOptions::default()).unwrap(), at);
        if status.success() {
            assert!(at > 40, "only {at} instants: are they still called?");
            return;
        }
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        assert_eq!(signal, Some(9), "at instant {at} the child failed by itself");
    }
}

/// Each image has all its files, and nothing is left over once the store has been swept.
fn whole(store: &ImageStore, at: usize) {
    for row in store.list().unwrap() {
        let name = row.reference.unwrap();
        let found =
            store.resolve(&name).unwrap_or_else(|error| panic!("after a kill at instant {at}: {error}"));
        assert!(found.layers[0].join("base").exists(), "instant {at}");
        let short = name.rsplit('/').next().unwrap();
        assert_eq!(names(&found.layers[1].join(short)).len(), FILES, "instant {at}");
    }
    collect(store, &|_| false);
    let index = Index::load(&store.dir).unwrap();
    assert_eq!(counts(store), (index.layers.len(), index.images.len() * 2, 0), "instant {at}");
}
