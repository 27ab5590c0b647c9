//! What goes by age and size.

use super::storing::{counts, layer};
use super::support::{docker, import, root, store};
use crate::images::{ImageStore, PruneRule};
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(86_400);

/// An image of a layer of its own, last used so many days ago.
fn image(store: &ImageStore, name: &str, days: u32) {
    import(store, &docker(&[layer("base"), layer(name)], name), None).unwrap();
    let digest = store.resolve(name).unwrap().digest;
    store.note_use(&digest).unwrap();
    let note = store.dir.join("used").join(digest.strip_prefix("sha256:").unwrap());
    File::options().write(true).open(note).unwrap().set_modified(SystemTime::now() - DAY * days).unwrap();
    // It counts as pulled, and its import, a use of it, was long ago.
    let record = store.dir.join("refs.json");
    let text = std::fs::read_to_string(&record).unwrap();
    let now: Vec<&str> =
        text.lines().map(|l| if l.contains("\"imported\"") { "\"imported\": 0," } else { l }).collect();
    let now = now.join("\n").replace("\"pulled\": false", "\"pulled\": true");
    std::fs::write(record, now).unwrap();
}

fn nothing() -> io::Result<HashSet<PathBuf>> {
    Ok(HashSet::new())
}

fn gone(
    store: &ImageStore,
    rule: PruneRule,
    in_use: &dyn Fn() -> io::Result<HashSet<PathBuf>>,
) -> Vec<String> {
    let mut names = store.prune(&rule, in_use).unwrap().references;
    names.sort();
    names.iter().map(|name| name.trim_start_matches("docker.io/library/").to_owned()).collect()
}

#[test]
fn unused_images_go_by_age_and_those_that_a_job_has_stay() {
    if !root("pruning by age") {
        return;
    }
    let (_temp, store) = store();
    ["a:1", "b:1", "c:1"].iter().zip([40, 31, 2]).for_each(|(name, days)| image(&store, name, days));
    import(&store, &docker(&[layer("mine")], "mine:1"), None).unwrap();
    let layers: HashSet<PathBuf> = store.resolve("a:1").unwrap().layers.into_iter().collect();
    let rule = PruneRule { unused_for: Some(DAY * 30), only_pulled: true, ..PruneRule::default() };
    assert!(store.prune(&rule, &|| Err(io::Error::other("damaged"))).is_err());
    assert_eq!(gone(&store, rule, &|| Ok(layers.clone())), ["b:1"]);
    assert!(layers.iter().all(|layer| layer.is_dir()));
    assert_eq!(gone(&store, rule, &nothing), ["a:1"]);
    let all = PruneRule { unused_for: Some(Duration::ZERO), ..PruneRule::default() };
    assert_eq!(gone(&store, all, &nothing), ["c:1", "mine:1"], "imported ones only when all are meant");
    assert_eq!(counts(&store), (0, 0, 0));
    assert_eq!(std::fs::read_dir(store.dir.join("used")).unwrap().count(), 0);
}

#[test]
fn the_least_recently_used_go_until_the_rest_fits() {
    if !root("pruning by size") {
        return;
    }
    let (_temp, store) = store();
    ["a:1", "b:1", "c:1"].iter().zip([3, 9, 6]).for_each(|(name, days)| image(&store, name, days));
    let size = store.bytes().unwrap();
    let rule = |most| PruneRule { max_bytes: Some(most), only_pulled: true, ..PruneRule::default() };
    assert_eq!(gone(&store, rule(size), &nothing), Vec::<String>::new());
    assert_eq!(gone(&store, rule(size - 1), &nothing), ["b:1"]);
    assert_eq!(gone(&store, rule(0), &nothing), ["a:1", "c:1"]);
    assert_eq!(counts(&store), (0, 0, 0));
}
