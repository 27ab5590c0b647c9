//! A limit of what a job writes: by project quota where the data folder's file system keeps them, else by a file with
//! an ext4 of that size.
//!
//! The file system in the file is made once per size and copied, holes and all: a copy is some hundred KiB whatever the
//! size. It promises room rather than taking it: all limits together may be more than the disk has. Never here: setting
//! the limit (the supervisor), which job has one (`prepare`).

use super::folder::Folder;
use super::program;
use batchyard_engine::TaskId;
use batchyard_supervisor::{Disk, DiskKind, MountKind, Task};
use rustix::fs::SeekFrom;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program that makes file systems.
const MKFS: &str = "mkfs.ext4";
/// No journal, since nobody reads it after a crash; nothing kept for root; tables that are written when they are needed.
const OPTIONS: [&str; 8] = [
    "-q",
    "-F",
    "-m0",
    "-b4096",
    "-O^has_journal,^resize_inode",
    "-Elazy_itable_init=1,nodiscard",
    "-L",
    "job",
];

/// How limits are kept here.
#[derive(Debug, Clone)]
pub enum DiskLimits {
    /// By the file system of the data folder.
    Quota,
    /// By files, made by this program from what lies in this folder.
    Images(PathBuf, PathBuf),
    /// Not at all, and this is what would help.
    None(&'static str),
}

/// Where the program is that makes the file systems of sized files, if it is here.
pub fn mkfs() -> Option<PathBuf> {
    program::on_path(MKFS)
}

impl DiskLimits {
    /// What can be had where this folder of the data folder lies; templates are kept in it.
    pub fn find(run: &Path, rootless: bool) -> Self {
        if rootless {
            return Self::None("needs a server that runs as root");
        }
        if has_project_quota(run) {
            return Self::Quota;
        }
        let without = "needs mkfs.ext4 (package e2fsprogs), or a data folder on a file system with project quotas (mount \
                       option prjquota)";
        mkfs().map_or(Self::None(without), |mkfs| Self::Images(mkfs, run.join("disks")))
    }

    /// Makes what the supervisor needs to limit this attempt.
    ///
    /// # Errors
    /// The reason, as the ECS agent words it.
    pub fn make(&self, folder: &Folder, task: TaskId, bytes: u64) -> Result<Disk, String> {
        let kind = match self {
            Self::Quota => DiskKind::Quota(project(task)),
            Self::Images(mkfs, templates) => {
                let image = folder.path().join("disk.img");
                let made = template(mkfs, templates, task, bytes).and_then(|from| copy(&from, &image, bytes));
                made.map_err(|e| format!("CannotCreateContainerError: make a disk of {bytes} bytes: {e}"))?;
                DiskKind::Image(image.to_string_lossy().into_owned())
            }
            Self::None(needs) => {
                return Err(format!("CannotCreateContainerError: a limit of the job's disk {needs}"));
            }
        };
        Ok(Disk { bytes, folder: folder.path().join("disk").to_string_lossy().into_owned(), kind })
    }
}

/// Moves all that the attempt writes in its own folder below the limit.
pub fn place(task: &mut Task, folder: &Folder, disk: &Disk) {
    let below = Path::new(&disk.folder);
    let moved = |path: &str| {
        let inner = Path::new(path).strip_prefix(folder.path()).ok()?;
        Some(below.join(inner).to_string_lossy().into_owned())
    };
    for container in &mut task.containers {
        container.scratch = moved(&container.scratch).unwrap_or_else(|| container.scratch.clone());
        for mount in &mut container.mounts {
            if let MountKind::Bind(source) = &mut mount.kind
                && let Some(inside) = moved(source)
            {
                *source = inside;
            }
        }
        container.disk = Some(disk.clone());
    }
}

/// A project id: high, so that it meets none that a person gave.
fn project(task: TaskId) -> u32 {
    u32::from_le_bytes([task.0[0], task.0[1], task.0[2], task.0[3]]) | 0x8000_0000
}

/// Whether the file system keeps project quotas and enforces them.
fn has_project_quota(path: &Path) -> bool {
    let (Ok(meta), Ok(table)) = (fs::metadata(path), fs::read_to_string("/proc/self/mountinfo")) else {
        return false;
    };
    let (major, minor) = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
    enforces(&table, &format!("{major}:{minor}"))
}

fn enforces(table: &str, device: &str) -> bool {
    table.lines().filter(|line| line.split(' ').nth(2) == Some(device)).any(|line| {
        let (_, end) = line.split_once(" - ").unwrap_or_default();
        let options = end.split(' ').nth(2).unwrap_or_default();
        options.split(',').any(|option| matches!(option, "prjquota" | "pquota"))
    })
}

/// The empty file system of this size, made if it is not there.
fn template(mkfs: &Path, templates: &Path, task: TaskId, bytes: u64) -> io::Result<PathBuf> {
    let path = templates.join(format!("{bytes}.ext4"));
    if path.is_file() {
        return Ok(path);
    }
    fs::create_dir_all(templates)?;
    let fresh = templates.join(format!("{task}.new"));
    File::create(&fresh)?.set_len(bytes)?;
    let made = Command::new(mkfs).args(OPTIONS).arg(&fresh).env_clear().stdin(Stdio::null()).output()?;
    if !made.status.success() {
        let _ = fs::remove_file(&fresh);
        let text = String::from_utf8_lossy(&made.stderr);
        return Err(io::Error::other(format!("{}: {}", mkfs.display(), text.trim())));
    }
    // Half of a template after a power cut would be every later job's disk.
    File::open(&fresh)?.sync_all()?;
    fs::rename(&fresh, &path)?;
    Ok(path)
}

/// Copies what is written of a file, and leaves the rest a hole.
fn copy(from: &Path, to: &Path, bytes: u64) -> io::Result<()> {
    let from = File::open(from)?;
    let to = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to)?;
    to.set_len(bytes)?;
    let (mut at, mut buffer) = (0, vec![0; 64 << 10]);
    loop {
        let begin = match rustix::fs::seek(&from, SeekFrom::Data(at)) {
            Ok(begin) => begin,
            Err(rustix::io::Errno::NXIO) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(&from, SeekFrom::Hole(begin))?;
        at = begin;
        while at < end {
            let length = usize::try_from(end - at).map_or(buffer.len(), |left| left.min(buffer.len()));
            from.read_exact_at(&mut buffer[..length], at)?;
            to.write_all_at(&buffer[..length], at)?;
            at += length as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::machine::testing::TempFolder;
    use batchyard_supervisor::{Container, Mount};

    #[test]
    fn a_quota_counts_only_where_it_is_enforced() {
        let line =
            |options: &str| format!("31 1 8:2 / /data rw,relatime shared:1 - ext4 /dev/sda2 {options}\n");
        assert!(enforces(&line("rw,prjquota"), "8:2"));
        assert!(!enforces(&line("rw,prjquota"), "8:1"));
        assert!(!enforces(&line("rw,pqnoenforce"), "8:2"));
        assert!(!enforces(&line("rw"), "8:2"));
    }

    #[test]
    fn what_the_attempt_writes_lies_below_the_limit() {
        let folder = Folder::of(Path::new("/a"), TaskId([1; 16]));
        let own = folder.volume(0).to_string_lossy().into_owned();
        let bind = |source: &str| Mount {
            kind: MountKind::Bind(source.into()),
            target: "/v".into(),
            readonly: false,
        };
        let mut task = Task { containers: vec![Container::default()], ..Task::default() };
        task.containers[0].scratch = folder.scratch().to_string_lossy().into_owned();
        task.containers[0].mounts = vec![bind(&own), bind("/srv")];
        let disk = DiskLimits::Quota.make(&folder, TaskId([1; 16]), 5).expect("a limit");
        place(&mut task, &folder, &disk);
        let base = folder.path().display().to_string();
        assert_eq!(task.containers[0].scratch, format!("{base}/disk/scratch"));
        assert_eq!(task.containers[0].mounts, [bind(&format!("{base}/disk/volumes/0")), bind("/srv")]);
    }

    #[test]
    fn a_copy_has_the_holes() {
        let data = TempFolder::new();
        let (from, to) = (data.path().join("from"), data.path().join("to"));
        let file = File::create(&from).expect("a file");
        file.set_len(1 << 30).expect("a size");
        file.write_all_at(b"abc", 0).expect("a write");
        file.write_all_at(&[7; 200_000], 500 << 20).expect("a write");
        copy(&from, &to, 1 << 30).expect("a copy");
        let meta = fs::metadata(&to).expect("a copy");
        assert!(meta.len() == 1 << 30 && meta.blocks() * 512 < 1 << 20, "{meta:?}");
        let (mut found, copied) = (vec![0; 200_000], File::open(&to).expect("a copy"));
        copied.read_exact_at(&mut found, 500 << 20).expect("a read");
        assert!(found.iter().all(|b| *b == 7));
    }
}
