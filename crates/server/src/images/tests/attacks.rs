//! Layers that try to reach out of their root, or to fill the machine.

use super::support::{Tape, Temp, docker, gzip, import, names, root, store, unpack};
use crate::images::{ImageError, ImageOptions, ImageStore, Limits};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// The layer is refused as unsafe, and what lies outside is as it was.
fn refused(make: impl Fn(&str) -> Vec<u8>) {
    let (temp, store) = store();
    let outside = temp.join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    let before = fs::metadata(&outside).unwrap();
    let error = unpack(&store, make(outside.to_str().unwrap())).unwrap_err();
    assert!(matches!(error, ImageError::UnsafeEntry { .. }), "{error}");
    assert_eq!(names(&outside), ["secret"]);
    assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "secret");
    let after = fs::metadata(&outside).unwrap();
    assert_eq!(after.permissions(), before.permissions());
    assert_eq!(after.modified().unwrap(), before.modified().unwrap());
    assert_eq!(names(&store.dir.join("layers")), [""; 0]);
    assert_eq!(names(&store.dir.join("tmp")), [""; 0]);
}

#[test]
fn paths_out_of_the_root_are_refused() {
    refused(|_| Tape::new().file("../../../outside/planted", "x").end());
    refused(|_| Tape::new().file("a/../../x", "x").end());
    refused(|_| Tape::new().folder("..").end());
    refused(|_| Tape::new().pax("path", b"../x").file("innocent", "x").end());
    refused(|_| Tape::new().pax("path", b"a\0b").file("innocent", "x").end());
    refused(|_| Tape::new().file("./", "").symlink(".", "/etc").end());
    refused(|_| Tape::new().file("..wh./.wh...", "").end());
    refused(|_| Tape::new().file("a/.wh..", "").end());
    refused(|_| Tape::new().file(".wh.", "").end());
}

#[test]
fn a_slash_in_front_means_the_root_of_the_image() {
    let (temp, store) = store();
    let outside = temp.write("here", b"").with_file_name("planted");
    let folder = unpack(&store, Tape::new().file(outside.to_str().unwrap(), "x").end()).unwrap();
    assert!(!outside.exists() && folder.join(outside.strip_prefix("/").unwrap()).is_file());
}

#[test]
fn symlinks_are_not_followed_on_the_way() {
    if !root("symlinks") {
        return;
    }
    refused(|outside| Tape::new().symlink("door", outside).file("door/planted", "x").end());
    refused(|outside| Tape::new().symlink("door", outside).folder("door/planted").end());
    refused(|outside| Tape::new().symlink("door", outside).symlink("door/planted", "x").end());
    refused(|outside| Tape::new().symlink("door", outside).file("door/.wh.secret", "").end());
    refused(|outside| Tape::new().symlink("door", outside).file("door/.wh..wh..opq", "").end());
    refused(|_| Tape::new().symlink("up", "../../../../outside").file("up/planted", "x").end());
    refused(|outside| Tape::new().symlink("a", outside).symlink("b", "a").file("b/c/planted", "x").end());
    // The folder was opened before, then a link took its place.
    refused(|outside| Tape::new().file("d/x", "").symlink("d", outside).file("d/planted", "x").end());
}

#[test]
fn hard_links_reach_nothing_outside() {
    if !root("hard links") {
        return;
    }
    refused(|outside| Tape::new().hard_link("x", &format!("{outside}/secret")).end());
    refused(|_| Tape::new().hard_link("x", "../../../outside/secret").end());
    refused(|outside| Tape::new().symlink("door", outside).hard_link("x", "door/secret").end());
    refused(|_| Tape::new().hard_link("x", "not-there").end());
    refused(|_| Tape::new().folder("d").hard_link("x", "d").end());
    refused(|_| Tape::new().hard_link("x", ".").end());
    refused(|_| Tape::new().file(".wh.w", "").hard_link("x", "w").end());
}

#[test]
fn a_file_written_over_a_link_replaces_the_link() {
    if !root("over a link") {
        return;
    }
    let (temp, store) = store();
    let secret = temp.write("secret", b"secret");
    let path = secret.to_str().unwrap();
    let layer = Tape::new()
        .symlink("a", path)
        .file("a", "new")
        .symlink("b", path)
        .hard_link("c", "b")
        .file("c", "x")
        .end();
    let folder = unpack(&store, layer).unwrap();
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    assert!(fs::symlink_metadata(folder.join("a")).unwrap().is_file());
    assert!(fs::symlink_metadata(folder.join("c")).unwrap().is_file());
}

#[test]
fn late_modes_do_not_go_through_a_link() {
    if !root("late modes") {
        return;
    }
    let (temp, store) = store();
    let outside = temp.join("outside");
    fs::create_dir(&outside).unwrap();
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o700)).unwrap();
    let layer = Tape::new()
        .entry(b'5', "d", "", b"", |h| h.set_mode(0o777))
        .symlink("d", outside.to_str().unwrap())
        .end();
    unpack(&store, layer).unwrap();
    assert_eq!(fs::metadata(&outside).unwrap().permissions().mode() & 0o7777, 0o700);
}

#[test]
fn owners_that_mean_leave_alone_are_refused() {
    if !root("owners") {
        return;
    }
    refused(|_| Tape::new().pax("uid", b"4294967295").file("x", "").end());
    refused(|_| Tape::new().pax("gid", b"99999999999").file("x", "").end());
    refused(|_| Tape::new().entry(b'X', "odd", "", b"", |_| {}).end());
}

#[test]
fn nesting_is_bounded() {
    refused(|_| Tape::new().pax("path", "d/".repeat(1000).as_bytes()).folder("x").end());
    refused(|_| Tape::new().pax("path", "d/".repeat(5000).as_bytes()).folder("x").end());
}

fn limited(max_entries: u64, max_bytes: u64) -> (Temp, ImageStore) {
    let temp = Temp::new();
    let options =
        ImageOptions { limits: Limits { max_entries, max_bytes, keep_free: 0 }, ..ImageOptions::default() };
    let store = ImageStore::open(&temp.join("store"), options).unwrap();
    (temp, store)
}

#[test]
fn bombs_stop_at_the_limits() {
    let zeros = "0".repeat(300_000);
    let layer = |name: &str| Tape::new().file(name, &zeros).end();
    // Each layer is below the bound, the image is above it.
    let mut oci = super::support::Oci::default();
    let image = oci.image(&[layer("a"), layer("b")], gzip);
    let bytes = oci.end(&[super::support::named(image, "a:1")]);
    let (_temp, store) = limited(100, 500_000);
    let error = import(&store, &bytes, None).unwrap_err();
    assert!(matches!(error, ImageError::TooBig { limit: 500_000, .. }), "{error}");
    // The archive as a whole.
    let (_temp, store) = limited(100, 100_000);
    let error = import(&store, &gzip(&docker(&[layer("a")], "a:1")), None).unwrap_err();
    assert!(matches!(error, ImageError::TooBig { limit: 100_000, .. }), "{error}");
    // Entries of the layer, and of the archive.
    let many = (0..50).fold(Tape::new(), |tape, n| tape.file(&n.to_string(), "")).end();
    let (_temp, store) = limited(40, 1 << 30);
    for bytes in [docker(std::slice::from_ref(&many), "a:1"), many] {
        let error = import(&store, &bytes, Some("a")).unwrap_err();
        assert!(matches!(error, ImageError::TooBig { limit: 40, .. }), "{error}");
    }
}

#[test]
fn endless_names_do_not_fill_the_memory() {
    let (_temp, store) = store();
    for kind in [b'L', b'K', b'x', b'g'] {
        let layer = Tape::new().entry(kind, "x", "", &vec![b'a'; 3 << 20], |_| {}).file("x", "").end();
        let error = import(&store, &layer, Some("a")).unwrap_err();
        assert!(matches!(error, ImageError::BadArchive { .. }), "{error}");
    }
}

#[test]
fn malformed_headers_are_refused() {
    let (_temp, store) = store();
    let pax = |data: &[u8]| Tape::new().entry(b'x', "x", "", data, |_| {}).file("f", "").end();
    let cases: Vec<Vec<u8>> = vec![
        pax(b"nonsense"),
        pax(b"99 path=x\n"),
        pax(b"0 path=x\n"),
        pax(b"10 path=xyz"),
        pax(b"12 size=abc\n"),
        pax(b"28 size=9223372036854775807\n"),
        pax(b"29 size=18446744073709551615\n"),
        pax(b"25 GNU.sparse.major=1.0\n"),
        Tape::new().entry(b'S', "sparse", "", b"", |_| {}).end(),
        Tape::new().entry(b'0', "f", "", b"", |h| h.as_old_mut().size = *b"xxxxxxxxxxxx").end(),
        Tape::new().entry(b'0', "f", "", b"", |h| h.as_old_mut().size = *b"77777777777\0").end(),
        Tape::new().entry(b'x', "x", "", b"", |_| {}).end(),
    ];
    for (number, layer) in cases.into_iter().enumerate() {
        let error = import(&store, &layer, Some("a")).unwrap_err();
        assert!(matches!(error, ImageError::BadArchive { .. }), "case {number}: {error}");
    }
}
