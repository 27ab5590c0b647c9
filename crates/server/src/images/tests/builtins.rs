//! The tiny image and the host image.

use super::support::{Tape, Temp, docker, import, names, root, store};
use crate::images::builtin::is_static_elf;
use crate::images::host::masks;
use crate::images::{HostMasks, ImageError, ImageKind, ImageOptions, ImageStore, TINY_IMAGE, host_masks};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Whether the tiny image can be made here.
fn busybox(test: &str) -> bool {
    let there = ImageOptions::default().busybox.iter().any(|path| path.exists());
    if !there {
        eprintln!("SKIPPED {test}: NO BUSYBOX HERE, install busybox-static");
    }
    there && root(test)
}

#[test]
fn the_tiny_image_runs_a_shell() {
    if !busybox("tiny") {
        return;
    }
    let (_temp, store) = store();
    let found = store.resolve("batchyard/tiny").unwrap();
    assert_eq!(store.ensure_builtin().unwrap(), found.digest, "the same busybox gives the same image");
    assert_eq!(store.resolve("busybox").unwrap().digest, found.digest);
    assert_eq!((found.config.cmd.as_slice(), found.layers.len()), (&["sh".to_owned()][..], 1));
    let script = "id -u; cat /etc/passwd | head -n 1; ls -ld /tmp | cut -c1-10; test -d /proc; echo $?";
    let output = std::process::Command::new("chroot")
        .arg(&found.layers[0])
        .args(["/bin/sh", "-c", script])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "0\nroot:x:0:0:root:/root:/bin/sh\ndrwxrwxrwt\n0\n"
    );
    let (_temp, other) = self::store();
    assert_eq!(other.ensure_builtin().unwrap(), found.digest);
}

#[test]
fn an_imported_busybox_keeps_its_name() {
    if !busybox("alias") {
        return;
    }
    let (_temp, store) = store();
    store.ensure_builtin().unwrap();
    let real = import(&store, &docker(&[Tape::new().file("x", "").end()], "busybox:latest"), None).unwrap();
    let tiny = store.ensure_builtin().unwrap();
    assert_eq!(store.resolve("busybox").unwrap().digest, real.images[0].digest);
    assert_eq!(store.resolve(TINY_IMAGE).unwrap().digest, tiny);
    store.remove("busybox", &|| Ok(Default::default())).unwrap();
    assert_eq!(store.resolve("busybox").unwrap().digest, tiny, "free again");
}

#[test]
fn without_a_static_busybox_the_package_is_named() {
    let temp = Temp::new();
    let dynamic = std::env::current_exe().unwrap();
    let options = ImageOptions { busybox: vec![dynamic, temp.join("none")], ..ImageOptions::default() };
    let store = ImageStore::open(&temp, options).unwrap();
    let error = store.resolve("busybox").unwrap_err();
    assert!(matches!(error, ImageError::NoBusybox { .. }), "{error}");
    assert!(error.to_string().contains("busybox-static"), "{error}");
    assert!(matches!(store.resolve("busybox:1.0"), Err(ImageError::NotFound { .. })));
}

#[test]
fn static_programs_are_told_from_others() {
    let program = fs::read(std::env::current_exe().unwrap()).unwrap();
    assert!(!is_static_elf(&program), "test programs are dynamic");
    for cut in [0, 3, 4, 5, 20, 60, 64, 100] {
        assert!(!is_static_elf(&program[..cut]), "{cut}");
    }
    assert!(!is_static_elf(b"#!/bin/sh\n"));
    // The smallest headers: 64 bits, little endian, executable, one program header.
    let mut tiny = vec![0; 64 + 56];
    tiny[..6].copy_from_slice(b"\x7fELF\x02\x01");
    (tiny[16], tiny[32], tiny[54], tiny[56], tiny[64]) = (2, 64, 56, 1, 1);
    assert!(is_static_elf(&tiny));
    tiny[64] = 3;
    assert!(!is_static_elf(&tiny), "asks for a loader");
    tiny[32..40].fill(0xff);
    assert!(!is_static_elf(&tiny), "headers outside of the file");
}

#[test]
fn the_host_image_is_off_unless_allowed() {
    let temp = Temp::new();
    let error = ImageStore::open(&temp, ImageOptions::default()).unwrap().resolve("host").unwrap_err();
    assert!(error.to_string().contains("host_image = true"), "{error}");
    let options = ImageOptions { allow_host: true, ..ImageOptions::default() };
    let store = ImageStore::open(&temp, options).unwrap();
    let found = store.resolve("host").unwrap();
    assert_eq!((found.kind, found.layers), (ImageKind::Host, vec![PathBuf::from("/")]));
    assert!(store.remove("host", &|| Ok(Default::default())).is_err());
}

const MOUNTS: &str = "\
1 0 0:1 / / rw - ext4 /dev/a rw
2 1 0:2 / /proc rw - proc proc rw
3 1 0:3 / /usr rw,relatime shared:1 - ext4 /dev/b rw
4 3 0:4 / /usr/lib/with\\040space rw - squashfs /dev/c ro
5 1 0:5 / /data rw - xfs /dev/d rw
6 1 0:6 / /usr/misc rw - autofs x rw
7 1 0:7 / /home rw - ext4 /dev/e rw
8 1 0:8 / /usrlocal rw - ext4 /dev/f rw
";

#[test]
fn masks_cover_what_is_secret_and_there() {
    let temp = Temp::new();
    let root = fs::canonicalize(&*temp).unwrap();
    let folder = |path: &str, mode: u32| {
        fs::create_dir_all(root.join(path)).unwrap();
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    let file = |path: &str, mode: u32| {
        fs::write(root.join(path), "secret").unwrap();
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    for path in [
        "root",
        "home",
        "run",
        "var/lib/state",
        "real-tmp",
        "data/state",
        "usr",
        "usr/state",
        "etc/ssh",
        "etc/ssl/private",
    ] {
        folder(path, 0o755);
    }
    std::os::unix::fs::symlink("real-tmp", root.join("tmp")).unwrap();
    std::os::unix::fs::symlink("/nowhere", root.join("srv")).unwrap();
    for (path, mode) in [("vault", 0o700), ("proc", 0o500), ("etc/app", 0o755), ("etc/app/closed", 0o750)] {
        folder(path, mode);
    }
    for path in ["etc/shadow", "etc/hosts", "etc/ssh/ssh_host_rsa_key", "etc/ssh/ssh_host_rsa_key.pub"] {
        file(path, 0o644);
    }
    for path in ["etc/ssl/private/key", "etc/app/password", "swapfile", "etc/app/closed/inner"] {
        file(path, 0o640);
    }
    let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect::<Vec<_>>();

    let found = masks(&root, Path::new("/usr/state"), MOUNTS);
    let tmpfs = [
        "/etc/app/closed",
        "/etc/ssl/private",
        "/home",
        "/real-tmp",
        "/root",
        "/run",
        "/usr/state",
        "/var",
        "/vault",
    ];
    let wanted = HostMasks {
        tmpfs: paths(&tmpfs),
        empty_files: paths(&["/etc/app/password", "/etc/shadow", "/etc/ssh/ssh_host_rsa_key", "/swapfile"]),
        read_only_binds: paths(&["/usr", "/usr/lib/with space"]),
    };
    assert_eq!(found, wanted);
    // Inside of a masked folder, or of a mount that an overlay of the root does not show: nothing to mask.
    for state in ["/var/lib/state", "/data/state", "/not/there"] {
        let found = masks(&root, Path::new(state), MOUNTS);
        assert!(!found.tmpfs.contains(&PathBuf::from(state)), "{state}");
    }
}

#[test]
fn the_masks_of_this_machine_are_real() {
    let found = host_masks(Path::new("/var/lib/batchyard"));
    assert!(found.tmpfs.contains(&PathBuf::from("/var")));
    assert!(found.tmpfs.iter().all(|path| fs::symlink_metadata(path).unwrap().is_dir()));
    assert!(found.empty_files.iter().all(|path| fs::symlink_metadata(path).unwrap().is_file()));
    assert_eq!(found.empty_files.contains(&PathBuf::from("/etc/shadow")), Path::new("/etc/shadow").is_file());
    assert!(!names(Path::new("/etc")).is_empty());
}
