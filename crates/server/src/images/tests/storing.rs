//! What stays, what goes, and what survives a kill.

use super::support::{Tape, collect, docker, import, names, root, store};
use crate::images::index::Index;
use crate::images::workspace::Workspace;
use crate::images::{ImageError, ImageOptions, ImageStore, ResolvedImage};
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Barrier;

pub(super) fn layer(name: &str) -> Vec<u8> {
    Tape::new().file(name, name).end()
}

pub(super) fn counts(store: &ImageStore) -> (usize, usize, usize) {
    let count = |part: &str| names(&store.dir.join(part)).len();
    (count("layers"), count("blobs/sha256"), count("tmp"))
}

fn reopen(store: &ImageStore) -> ImageStore {
    ImageStore::open(&store.dir, ImageOptions::default()).unwrap()
}

#[test]
fn layers_are_shared_and_go_with_their_last_image() {
    if !root("shared layers") {
        return;
    }
    let (_temp, store) = store();
    import(&store, &docker(&[layer("base"), layer("one")], "one:1"), None).unwrap();
    let second = import(&store, &docker(&[layer("base"), layer("two")], "two:1"), None).unwrap();
    assert_eq!((second.images[0].layers, second.images[0].new_layers), (2, 1));
    let again = import(&store, &docker(&[layer("base"), layer("two")], "two:1"), None).unwrap();
    assert_eq!(again.images[0].new_layers, 0);
    import(&store, &docker(&[layer("base"), layer("two")], "two:1"), Some("alias")).unwrap();
    assert_eq!(counts(&store), (3, 4, 0));
    assert_eq!(fs::metadata(store.dir.join("layers")).unwrap().permissions().mode() & 0o7777, 0o700);

    let gone = store.remove("one:1", &|| Ok(Default::default())).unwrap();
    assert_eq!(
        (gone.references, gone.layers, gone.bytes, gone.kept_in_use),
        (vec!["docker.io/library/one:1".to_owned()], 1, 3, false)
    );
    assert!(matches!(store.resolve("one:1"), Err(ImageError::NotFound { .. })));
    assert!(matches!(store.remove("one:1", &|| Ok(Default::default())), Err(ImageError::NotFound { .. })));
    assert_eq!(store.remove("two:1", &|| Ok(Default::default())).unwrap().layers, 0, "another name has it");
    let digest = store.resolve("alias").unwrap().digest;
    assert_eq!(
        store.remove(&digest, &|| Ok(Default::default())).unwrap().references,
        ["docker.io/library/alias:latest"]
    );
    assert_eq!(counts(&reopen(&store)), (0, 0, 0));
    assert_eq!(store.list().unwrap(), []);
}

#[test]
fn what_a_job_uses_stays_until_it_ends() {
    if !root("in use") {
        return;
    }
    let (_temp, store) = store();
    import(&store, &docker(&[layer("x")], "x:1"), None).unwrap();
    let mut claimed = None;
    let mut claim = |image: ResolvedImage| -> Result<(), ImageError> {
        claimed = Some(image.digest);
        Ok(())
    };
    store.resolve_claimed("x:1", &mut claim).unwrap();
    let found = store.resolve("x:1").unwrap();
    assert_eq!(claimed.as_ref(), Some(&found.digest));
    let used = |digest: &str| Some(digest) == claimed.as_deref();
    let layers = found.layers.iter().cloned().collect::<HashSet<_>>();
    let gone = store.remove("x:1", &|| Ok(layers.clone())).unwrap();
    assert_eq!((gone.kept_in_use, gone.layers), (true, 0));
    assert!(found.layers[0].join("x").exists());
    assert_eq!(store.resolve(&found.digest).unwrap().layers, found.layers, "still there by digest");
    assert_eq!(store.list().unwrap()[0].reference, None);
    assert_eq!(collect(&store, &used).layers, 0);
    assert_eq!(collect(&store, &|_| false).layers, 1);
    assert_eq!(counts(&store), (0, 0, 0));
}

#[test]
fn a_name_moves_to_the_image_imported_last() {
    if !root("moving") {
        return;
    }
    let (_temp, store) = store();
    let old = import(&store, &docker(&[layer("old")], "x:1"), None).unwrap().images.remove(0);
    let new = import(&store, &docker(&[layer("new")], "x:1"), None).unwrap().images.remove(0);
    assert_eq!(store.resolve("x:1").unwrap().digest, new.digest);
    assert_eq!(store.resolve(&old.digest).unwrap().digest, old.digest);
    assert_eq!(collect(&store, &|_| false).layers, 1);
    assert!(store.resolve(&old.digest).is_err() && store.resolve("x:1").is_ok());
}

#[test]
fn leftovers_go_at_open_but_not_those_of_a_living_import() {
    let (_temp, store) = store();
    let tmp = store.dir.join("tmp");
    fs::create_dir_all(tmp.join("dead/0/deep")).unwrap();
    fs::write(tmp.join("dead/0/deep/file"), "half").unwrap();
    let living = Workspace::new(&store.dir).unwrap();
    fs::write(living.path().join("file"), "half").unwrap();
    let again = reopen(&store);
    assert_eq!(names(&tmp), [living.path().file_name().unwrap().to_str().unwrap()]);
    assert!(living.path().join("file").exists());
    drop(living);
    assert_eq!(counts(&again).2, 0);
}

#[test]
fn many_imports_at_once_give_one_image() {
    if !root("at once") {
        return;
    }
    let (_temp, first) = store();
    let second = reopen(&first);
    let bytes = docker(&[layer("a"), layer("b")], "x:1");
    let start = Barrier::new(4);
    std::thread::scope(|scope| {
        for store in [&first, &second, &first, &second] {
            scope.spawn(|| {
                start.wait();
                for _ in 0..5 {
                    import(store, &bytes, None).unwrap();
                    store.resolve("x:1").unwrap();
                }
            });
        }
    });
    assert_eq!(counts(&first), (2, 2, 0));
    assert_eq!(first.list().unwrap().len(), 1);
}

#[test]
fn imports_and_removals_at_once_leave_a_whole_store() {
    if !root("imports and removals") {
        return;
    }
    let (_temp, store) = store();
    let start = Barrier::new(3);
    std::thread::scope(|scope| {
        for name in ["one:1", "two:1"] {
            let (store, start) = (&store, &start);
            scope.spawn(move || {
                let bytes = docker(&[layer("base"), layer(name)], name);
                start.wait();
                for _ in 0..15 {
                    import(store, &bytes, None).unwrap();
                }
            });
        }
        scope.spawn(|| {
            start.wait();
            for _ in 0..60 {
                let _ = store.remove("one:1", &|| Ok(Default::default()));
                let _ = store.remove("two:1", &|| Ok(Default::default()));
            }
        });
    });
    for row in store.list().unwrap() {
        let found = store.resolve(&row.reference.unwrap()).unwrap();
        assert!(found.layers[0].join("base").exists());
    }
    collect(&store, &|_| false);
    let index = Index::load(&store.dir).unwrap();
    assert_eq!(counts(&store), (index.layers.len(), index.images.len() * 2, 0));
}

#[test]
fn a_layer_moved_by_a_killed_import_is_taken_over() {
    if !root("taken over") {
        return;
    }
    let (_temp, store) = store();
    let bytes = docker(&[layer("x")], "x:1");
    import(&store, &bytes, None).unwrap();
    // As if the import had been killed after moving the layer, before writing the record.
    fs::remove_file(store.dir.join("refs.json")).unwrap();
    let store = reopen(&store);
    assert_eq!(store.list().unwrap(), []);
    import(&store, &bytes, None).unwrap();
    assert_eq!(store.list().unwrap()[0].bytes, 1);
    assert!(store.resolve("x:1").unwrap().layers[0].join("x").exists());
}

#[test]
fn damage_is_told_and_mended_by_a_new_import() {
    if !root("damage") {
        return;
    }
    let (_temp, store) = store();
    let bytes = docker(&[layer("x")], "x:1");
    import(&store, &bytes, None).unwrap();
    let broken = |store: &ImageStore| matches!(store.resolve("x:1"), Err(ImageError::Corrupt { .. }));
    let id = store.list().unwrap()[0].id.clone();
    fs::write(store.dir.join("blobs/sha256").join(&id["sha256:".len()..]), "{}").unwrap();
    assert!(broken(&store));
    import(&store, &bytes, None).unwrap();
    assert!(!broken(&store));
    fs::remove_dir_all(&store.resolve("x:1").unwrap().layers[0]).unwrap();
    assert!(broken(&store));
    import(&store, &bytes, None).unwrap();
    assert!(!broken(&store));
    fs::write(store.dir.join("refs.json"), r#"{"version":2}"#).unwrap();
    assert!(matches!(store.resolve("x:1"), Err(ImageError::Corrupt { .. })));
    assert!(ImageStore::open(&store.dir, ImageOptions::default()).is_err());
}
