//! What entries of a layer become.

use super::support::{Tape, docker, import, names, root, store, unpack};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

fn opaque(folder: &Path) -> bool {
    let mut value = [0; 8];
    matches!(rustix::fs::lgetxattr(folder, "trusted.overlay.opaque", &mut value[..]), Ok(1))
        && value[0] == b'y'
}

fn whiteout(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_char_device() && m.rdev() == 0)
}

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = [0; 256];
    let count = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    Some(value[..count].to_vec())
}

#[test]
fn owners_modes_and_times_are_kept() {
    if !root("metadata") {
        return;
    }
    let (_temp, store) = store();
    let layer = Tape::new()
        .entry(b'5', "home/", "", b"", |h| {
            h.set_mode(0o2750);
            h.set_uid(1000);
            h.set_gid(1001);
            h.set_mtime(86_400);
        })
        .entry(b'0', "home/su", "", b"#!", |h| {
            h.set_mode(0o4755);
            h.set_uid(7);
            h.set_gid(8);
        })
        .entry(b'2', "home/link", "/etc/shadow", b"", |h| h.set_uid(9))
        .entry(b'6', "home/pipe", "", b"", |h| h.set_mode(0o622))
        .entry(b'5', "closed", "", b"", |h| h.set_mode(0o500))
        .file("closed/inside", "x")
        .pax("mtime", b"1234567890.25")
        .pax("uid", b"70000")
        .file("exact", "")
        .file("made/on/the/way", "")
        .end();
    let folder = unpack(&store, layer).unwrap();
    let stat = |name: &str| fs::symlink_metadata(folder.join(name)).unwrap();
    let home = stat("home");
    assert_eq!((home.mode() & 0o7777, home.uid(), home.gid(), home.mtime()), (0o2750, 1000, 1001, 86_400));
    let su = stat("home/su");
    assert_eq!((su.mode() & 0o7777, su.uid(), su.gid(), su.mtime()), (0o4755, 7, 8, 1_000_000_000));
    assert_eq!(fs::read_link(folder.join("home/link")).unwrap(), Path::new("/etc/shadow"));
    assert_eq!((stat("home/link").uid(), stat("home/link").mtime()), (9, 1_000_000_000));
    assert!(stat("home/pipe").file_type().is_fifo());
    assert_eq!(stat("home/pipe").mode() & 0o7777, 0o622);
    assert_eq!(stat("closed").mode() & 0o7777, 0o500);
    assert_eq!((stat("exact").mtime(), stat("exact").mtime_nsec()), (1_234_567_890, 250_000_000));
    assert_eq!(stat("made/on").mode() & 0o7777, 0o755);
}

#[test]
fn pax_numbers_and_long_names_win_over_the_header() {
    if !root("pax") {
        return;
    }
    let (_temp, store) = store();
    let long = format!("{}/{}", "d".repeat(150), "f".repeat(200));
    let layer = Tape::new()
        .pax("path", long.as_bytes())
        .file("short", "x")
        .entry(b'L', "././@LongLink", "", format!("gnu-{}\0", "n".repeat(120)).as_bytes(), |_| {})
        .file("cut", "y")
        .end();
    let folder = unpack(&store, layer).unwrap();
    assert_eq!(fs::read_to_string(folder.join(long)).unwrap(), "x");
    assert_eq!(fs::read_to_string(folder.join(format!("gnu-{}", "n".repeat(120)))).unwrap(), "y");
}

#[test]
fn hard_links_share_their_file() {
    if !root("hard links") {
        return;
    }
    let (_temp, store) = store();
    let layer = Tape::new()
        .file("a", "text")
        .symlink("s", "nowhere")
        .hard_link("d/b", "a")
        .hard_link("t", "./s")
        .hard_link("a", "a")
        .end();
    let folder = unpack(&store, layer).unwrap();
    let inode = |name: &str| fs::symlink_metadata(folder.join(name)).unwrap().ino();
    assert_eq!(inode("a"), inode("d/b"));
    assert_eq!(inode("s"), inode("t"));
    assert_eq!(fs::metadata(folder.join("a")).unwrap().nlink(), 2);
}

#[test]
fn capabilities_and_user_attributes_are_kept_and_no_others() {
    if !root("xattrs") {
        return;
    }
    let (_temp, store) = store();
    // cap_dac_override and cap_fowner: the byte is a newline, which a careless reader stops at.
    let capability = b"\x01\0\0\x02\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let layer = Tape::new()
        .pax("SCHILY.xattr.security.capability", capability)
        .entry(b'0', "ping", "", b"", |h| h.set_uid(3))
        .pax("SCHILY.xattr.user.note", b"two\nlines = \0 and more")
        .file("noted", "")
        .pax("SCHILY.xattr.trusted.overlay.opaque", b"y")
        .folder("steer")
        .pax("SCHILY.xattr.trusted.overlay.redirect", b"/etc")
        .folder("redirect")
        .pax("SCHILY.xattr.user.overlay.opaque", b"y")
        .folder("rootless")
        .end();
    let folder = unpack(&store, layer).unwrap();
    assert_eq!(xattr(&folder.join("ping"), "security.capability").unwrap(), capability);
    match xattr(&folder.join("noted"), "user.note") {
        Some(value) => assert_eq!(value, b"two\nlines = \0 and more"),
        None => eprintln!("SKIPPED the check of user attributes: this file system keeps none"),
    }
    assert!(!opaque(&folder.join("steer")));
    assert_eq!(xattr(&folder.join("redirect"), "trusted.overlay.redirect"), None);
    assert_eq!(xattr(&folder.join("rootless"), "user.overlay.opaque"), None);
}

#[test]
fn whiteouts_become_marks_wherever_they_stand() {
    if !root("whiteouts") {
        return;
    }
    let (_temp, store) = store();
    let layer = Tape::new()
        .folder("d")
        .file("d/.wh.gone", "")
        .file("d/.wh..wh..opq", "")
        .file(".wh..wh.plnk", "")
        .file("before/own", "")
        .file(".wh.before", "")
        .file(".wh.after", "")
        .file("after/own", "")
        .file(".wh.explicit", "")
        .folder("explicit")
        .file("file", "mine")
        .file(".wh.file", "")
        .file(".wh.other", "")
        .file("other", "mine")
        .end();
    let folder = unpack(&store, layer).unwrap();
    assert_eq!(names(&folder), ["after", "before", "d", "explicit", "file", "other"]);
    assert!(whiteout(&folder.join("d/gone")) && opaque(&folder.join("d")));
    for name in ["before", "after", "explicit"] {
        assert!(opaque(&folder.join(name)), "{name}");
    }
    assert!(folder.join("before/own").exists() && folder.join("after/own").exists());
    assert_eq!(fs::read_to_string(folder.join("file")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(folder.join("other")).unwrap(), "mine");
}

#[test]
fn an_opaque_root_hides_all_layers_below() {
    if !root("opaque root") {
        return;
    }
    let (_temp, store) = store();
    let layers =
        [Tape::new().file("below", "").end(), Tape::new().file(".wh..wh..opq", "").file("above", "").end()];
    import(&store, &docker(&layers, "a:1"), None).unwrap();
    let found = store.resolve("a:1").unwrap();
    assert_eq!(found.layers.len(), 1);
    assert_eq!(names(&found.layers[0]), ["above"]);
}

#[test]
fn device_nodes_are_left_out_and_counted() {
    if !root("devices") {
        return;
    }
    let (_temp, store) = store();
    let device = |h: &mut tar::Header| {
        h.set_device_major(1).unwrap();
        h.set_device_minor(3).unwrap();
    };
    let layer = Tape::new()
        .entry(b'3', "dev/null", "", b"", device)
        .entry(b'4', "dev/sda", "", b"", device)
        .entry(b'3', "etc/passwd", "", b"", |_| {})
        .file("x", "")
        .end();
    let done = import(&store, &docker(&[layer], "a:1"), None).unwrap();
    assert_eq!(done.images[0].skipped_devices, 3);
    assert_eq!(names(&store.resolve("a:1").unwrap().layers[0]), ["x"]);
}

#[test]
fn later_entries_replace_earlier_ones() {
    if !root("replace") {
        return;
    }
    let (_temp, store) = store();
    let layer = Tape::new()
        .file("tree/a/b/c", "")
        .file("tree", "now a file")
        .symlink("link", "tree")
        .folder("link")
        .file("link/inside", "")
        .file("f", "1")
        .file("f", "2")
        .file("slash/", "")
        .end();
    let folder = unpack(&store, layer).unwrap();
    assert_eq!(fs::read_to_string(folder.join("tree")).unwrap(), "now a file");
    assert!(
        fs::symlink_metadata(folder.join("link")).unwrap().is_dir() && folder.join("link/inside").exists()
    );
    assert_eq!(fs::read_to_string(folder.join("f")).unwrap(), "2");
    assert!(folder.join("slash").is_dir(), "old archives write folders so");
}

/// Unmounts also when the test fails.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

#[test]
fn overlayfs_shows_what_the_marks_mean() {
    if !root("overlayfs") {
        return;
    }
    let (temp, store) = store();
    let lower = Tape::new()
        .file("d/a", "low")
        .file("d/b", "low")
        .file("e/c", "low")
        .file("x", "low")
        .file("y", "low")
        .end();
    let upper =
        Tape::new().file("d/.wh.a", "").file("e/.wh..wh..opq", "").file("e/n", "new").file(".wh.x", "").end();
    import(&store, &docker(&[lower, upper], "a:1"), None).unwrap();
    let found = store.resolve("a:1").unwrap();
    let target = temp.join("merged");
    fs::create_dir(&target).unwrap();
    let lowers: Vec<_> = found.layers.iter().rev().map(|layer| layer.display().to_string()).collect();
    let options = std::ffi::CString::new(format!("lowerdir={}", lowers.join(":"))).unwrap();
    let mounted = rustix::mount::mount(
        "overlay",
        &target,
        "overlay",
        rustix::mount::MountFlags::RDONLY,
        options.as_c_str(),
    );
    if let Err(error) = mounted {
        eprintln!("SKIPPED overlayfs_shows_what_the_marks_mean: cannot mount an overlay here ({error})");
        return;
    }
    let merged = Mounted(target);
    let seen = ["", "d", "e"].map(|folder| names(&merged.0.join(folder)));
    assert_eq!(seen[0], ["d", "e", "y"]);
    assert_eq!((seen[1].as_slice(), seen[2].as_slice()), (&["b".to_owned()][..], &["n".to_owned()][..]));
}
