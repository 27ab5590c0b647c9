//! The built-in image `host`: this machine's own root as a read-only lower layer, and what of it a job must not
//! see.
//!
//! Owns the list of masks. Never mounts: the launcher does, without following links. Changes below a mounted
//! root (package upgrades) may or may not be seen by a running job; that is how overlayfs is.

use super::config::ImageConfig;
use super::query::{ImageKind, ResolvedImage};
use super::reference::Reference;
use super::{ImageError, ImageOptions};
use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The name of the image that is this machine's own root.
pub const HOST_IMAGE: &str = "host";

/// What a launcher puts over the host image's root, in this order: `read_only_binds`, `tmpfs`, `empty_files`.
/// All paths are absolute, exist, and lead through no symbolic link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostMasks {
    /// Folders that get an empty tmpfs. None lies inside another.
    pub tmpfs: Vec<PathBuf>,
    /// Files over which an empty file is bound. None lies inside a folder of `tmpfs`.
    pub empty_files: Vec<PathBuf>,
    /// Mount points of programs and libraries, which an overlay of the root alone would show empty: to be bound
    /// read-only from the same path. Parents come first; a mount point may be a file.
    pub read_only_binds: Vec<PathBuf>,
}

/// Data of users and services. The state folder comes on top.
const TMPFS: [&str; 9] = ["/root", "/home", "/run", "/var", "/mnt", "/media", "/srv", "/boot", "/tmp"];
/// Kept by the launcher itself.
const KERNEL: [&str; 3] = ["/dev", "/proc", "/sys"];
/// Secrets, also where an administrator has opened them to more readers than usual.
const SECRETS: [&str; 13] = [
    "/etc/batchyard",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/krb5.keytab",
    "/etc/letsencrypt",
    "/etc/kubernetes",
    "/etc/pki/tls/private",
    "/etc/security/opasswd",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/ssl/private",
    "/etc/sudoers",
    "/etc/wireguard",
];
/// Where a mount point holds what programs need.
const PROGRAMS: [&str; 8] = ["/bin", "/lib", "/lib32", "/lib64", "/nix", "/opt", "/sbin", "/usr"];
/// How deep below /etc files are looked at.
const DEPTH_MAX: usize = 6;

/// The host image, if it is allowed.
pub(super) fn resolve(options: &ImageOptions) -> Result<ResolvedImage, ImageError> {
    if !options.allow_host {
        return Err(ImageError::HostImageOff);
    }
    let config = ImageConfig {
        env: vec![super::builtin::PATH.to_owned()],
        working_dir: "/".to_owned(),
        ..ImageConfig::default()
    };
    let name = HOST_IMAGE.to_owned();
    Ok(ResolvedImage {
        reference: name.clone(),
        digest: name,
        layers: vec!["/".into()],
        config,
        kind: ImageKind::Host,
    })
}

/// Nothing may be imported under a name that reads as `host`.
pub(super) fn refuse_reserved(reference: &Reference) -> Result<(), ImageError> {
    if reference.host() == "docker.io" && reference.repository() == "library/host" {
        return Err(ImageError::ReservedName { reference: reference.familiar() });
    }
    Ok(())
}

/// What a job in the host image must not see, and what must be added for it to work: looked up anew at each
/// call, as files come and go. `state_dir` is this program's own folder.
///
/// Besides fixed lists this takes whatever the host hides from its ordinary users below /etc and at the top of
/// the root: a file that they cannot read, a folder that they cannot enter.
pub fn host_masks(state_dir: &Path) -> HostMasks {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    masks(Path::new("/"), state_dir, &mounts)
}

/// As [`host_masks`], with the root elsewhere: all paths, in and out, are as seen from that root.
pub(super) fn masks(root: &Path, state_dir: &Path, mountinfo: &str) -> HostMasks {
    let mounts = mount_points(mountinfo);
    let read_only_binds = binds(&mounts);
    let mut found = Found {
        root,
        mounts: &mounts,
        binds: &read_only_binds,
        folders: BTreeSet::new(),
        files: BTreeSet::new(),
    };
    for path in TMPFS.iter().chain(&SECRETS).map(Path::new).chain([state_dir]) {
        found.add(path);
    }
    found.host_keys();
    found.hidden(Path::new("/"), 0);
    found.hidden(Path::new("/etc"), DEPTH_MAX);
    let mut tmpfs: Vec<PathBuf> = Vec::new();
    // Sorted, so a parent comes before what lies in it.
    for path in found.folders {
        if !tmpfs.iter().any(|above| path.starts_with(above)) {
            tmpfs.push(path);
        }
    }
    let covered = |file: &PathBuf| tmpfs.iter().any(|above| file.starts_with(above));
    let empty_files = found.files.into_iter().filter(|file| !covered(file)).collect();
    HostMasks { tmpfs, empty_files, read_only_binds }
}

struct Found<'a> {
    root: &'a Path,
    mounts: &'a [PathBuf],
    binds: &'a [PathBuf],
    folders: BTreeSet<PathBuf>,
    files: BTreeSet<PathBuf>,
}

impl Found<'_> {
    /// Where a path of the host is, seen from here.
    fn here(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Takes a path, through links to where it really is, if it is there and an overlay of the root shows it.
    fn add(&mut self, path: &Path) {
        let Ok(real) = fs::canonicalize(self.here(path)) else { return };
        let Ok(inner) = real.strip_prefix(self.root) else { return };
        let Ok(metadata) = fs::symlink_metadata(&real) else { return };
        self.take(Path::new("/").join(inner), &metadata);
    }

    fn take(&mut self, path: PathBuf, metadata: &Metadata) {
        let kernel = KERNEL.iter().any(|part| path.starts_with(part));
        if path == Path::new("/") || kernel || !self.visible(&path) {
            return;
        }
        if metadata.is_dir() {
            self.folders.insert(path);
        } else if metadata.is_file() {
            self.files.insert(path);
        }
    }

    /// What lies inside of another mount is not part of an overlay of the root, unless that mount is bound.
    fn visible(&self, path: &Path) -> bool {
        let inside = |mount: &&PathBuf| path.starts_with(mount) && path != mount.as_path();
        let mount = self.mounts.iter().filter(inside).max_by_key(|mount| mount.as_os_str().len());
        mount.is_none_or(|mount| self.binds.contains(mount))
    }

    fn host_keys(&mut self) {
        for entry in fs::read_dir(self.here(Path::new("/etc/ssh"))).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let text = name.to_string_lossy();
            if text.starts_with("ssh_host_") && text.ends_with("_key") {
                self.add(&Path::new("/etc/ssh").join(&name));
            }
        }
    }

    /// Takes files without the right to read, and folders without the right to enter, for everyone.
    fn hidden(&mut self, folder: &Path, depth: usize) {
        for entry in fs::read_dir(self.here(folder)).into_iter().flatten().flatten() {
            let path = folder.join(entry.file_name());
            // Not following links: what they lead to is judged where it is.
            let Ok(metadata) = fs::symlink_metadata(self.here(&path)) else { continue };
            let mode = metadata.mode();
            if metadata.is_dir() && mode & 0o001 != 0 {
                if depth > 0 {
                    self.hidden(&path, depth - 1);
                }
            } else if metadata.is_dir() || (metadata.is_file() && mode & 0o004 == 0) {
                self.take(path, &metadata);
            }
        }
    }
}

/// Real mounts of programs and libraries.
fn binds(mounts: &[PathBuf]) -> Vec<PathBuf> {
    let program = |mount: &&PathBuf| PROGRAMS.iter().any(|part| mount.starts_with(part));
    mounts.iter().filter(program).cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

/// The mount points of a mountinfo text, but for the root and for what is no store of files.
fn mount_points(mountinfo: &str) -> Vec<PathBuf> {
    const NO_FILES: [&str; 10] =
        ["autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "debugfs", "nsfs", "proc", "sysfs", "tracefs"];
    let point = |line: &str| {
        let (fields, rest) = line.split_once(" - ")?;
        let kind = rest.split(' ').next()?;
        let path = unescape(fields.split(' ').nth(4)?);
        (path != Path::new("/") && !NO_FILES.contains(&kind)).then_some(path)
    };
    mountinfo.lines().filter_map(point).collect()
}

/// Space, tab, newline and backslash are written as octal numbers.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..3).and_then(|d| std::str::from_utf8(d).ok());
        match digits.and_then(|d| u8::from_str_radix(d, 8).ok()).filter(|_| *first == b'\\') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}
