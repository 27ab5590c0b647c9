//! The tiny built-in image: this machine's own static busybox as a root file system, so that a machine without
//! any registry runs jobs.
//!
//! Owns what is in that image. The same busybox gives the same digest. Never downloads anything.

use super::config::{plain_config, plain_manifest};
use super::digest::Digest;
use super::error::At;
use super::index::Index;
use super::publish::Candidate;
use super::reference::Reference;
use super::{ImageError, ImageStore};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tar::{Builder, EntryType, Header};

/// The tiny image's name. It also answers to `busybox`, as long as no image of that name is imported.
pub const TINY_IMAGE: &str = "batchyard/tiny:latest";
const ALIAS: &str = "busybox:latest";

/// The usual search path, for images that set none.
pub(super) const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const FOLDERS: [(&str, u32); 13] = [
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("var", 0o755),
    ("var/tmp", 0o1777),
];
/// The empty ones are there to have a host's files mounted over.
const FILES: [(&str, &str); 5] = [
    ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ("etc/hostname", ""),
    ("etc/hosts", ""),
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"),
    ("etc/resolv.conf", ""),
];
const LINKS: [(&str, &str); 4] =
    [("sbin", "bin"), ("usr/bin", "../bin"), ("usr/sbin", "../bin"), ("var/run", "../run")];

impl ImageStore {
    /// Makes the tiny image, or makes it anew when the machine's busybox has changed; gives its digest. Cheap
    /// when there is nothing to do. The name `busybox` is taken only while no imported image has it.
    ///
    /// # Errors
    /// [`ImageError::NoBusybox`] where the machine has none that is static.
    pub fn ensure_builtin(&self) -> Result<String, ImageError> {
        let busybox = find(&self.options.busybox)?;
        let layer = layer(&busybox, &applets(&busybox)?).at(|| "making the built-in image".to_owned())?;
        let diff_id = Digest::of(&layer);
        let config = plain_config(&self.options.platform, &diff_id, &["sh"], &[PATH]);
        let manifest = plain_manifest(&config, std::slice::from_ref(&diff_id));
        let (name, alias) = (Reference::parse(TINY_IMAGE)?, Reference::parse(ALIAS)?);
        let digest = Digest::of(&manifest);
        if self.has_builtin(&name, &alias, &digest, &diff_id)? {
            return Ok(digest.to_string());
        }
        let candidate = Candidate {
            manifest,
            config,
            names: vec![name],
            weak_names: vec![alias],
            builtin: true,
            pulled: false,
        };
        let work = self.workspace()?;
        let mut left = self.options.limits;
        let added = self.add(&work, &candidate, BTreeMap::new(), &mut |_| {
            self.stage(&work, layer.as_slice(), None, Some(&diff_id), &mut left)
        })?;
        Ok(added.digest)
    }

    fn has_builtin(
        &self,
        name: &Reference,
        alias: &Reference,
        digest: &Digest,
        layer: &Digest,
    ) -> Result<bool, ImageError> {
        let index = Index::load(&self.dir)?;
        let named = index.references.get(&name.to_string()) == Some(digest);
        let aliased = index
            .references
            .get(&alias.to_string())
            .is_some_and(|d| d == digest || index.images.get(d).is_some_and(|image| !image.builtin));
        Ok(named && aliased && self.layer_path(layer).is_dir() && self.blob_path(digest).is_file())
    }
}

/// Whether a reference means the tiny image when nothing of that name is imported.
pub(super) fn answers_to(reference: &str) -> bool {
    let same = |name: &str| Reference::parse(name).ok() == Reference::parse(reference).ok();
    same(TINY_IMAGE) || same(ALIAS)
}

fn find(places: &[PathBuf]) -> Result<PathBuf, ImageError> {
    match places.iter().find(|path| fs::read(path).is_ok_and(|bytes| is_static_elf(&bytes))) {
        Some(path) => Ok(path.clone()),
        None => {
            let searched: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
            Err(ImageError::NoBusybox { searched: searched.join(", ") })
        }
    }
}

/// The commands that this busybox was built with, as it lists them itself.
fn applets(busybox: &Path) -> Result<Vec<String>, ImageError> {
    let doing = || format!("running {} --list", busybox.display());
    let output = Command::new(busybox).arg("--list").env_clear().stdin(Stdio::null()).output().at(doing)?;
    if !output.status.success() {
        return Err(io::Error::other(output.status.to_string())).at(doing);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let plain =
        |name: &&str| !name.is_empty() && *name != "busybox" && !name.contains('/') && !name.starts_with('.');
    let mut names: Vec<String> = text.lines().map(str::trim).filter(plain).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// The layer's tar: sorted, without times and owners.
fn layer(busybox: &Path, applets: &[String]) -> io::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for (name, mode) in FOLDERS {
        tar.append_data(&mut header(EntryType::Directory, mode, 0), name, io::empty())?;
    }
    let program = fs::read(busybox)?;
    tar.append_data(
        &mut header(EntryType::Regular, 0o755, program.len()),
        "bin/busybox",
        program.as_slice(),
    )?;
    for applet in applets {
        tar.append_link(&mut header(EntryType::Symlink, 0o777, 0), format!("bin/{applet}"), "busybox")?;
    }
    for (name, text) in FILES {
        tar.append_data(&mut header(EntryType::Regular, 0o644, text.len()), name, text.as_bytes())?;
    }
    for (name, target) in LINKS {
        tar.append_link(&mut header(EntryType::Symlink, 0o777, 0), name, target)?;
    }
    tar.into_inner()
}

fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size as u64);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// Whether this is a program for a Linux of either width that needs no loader: no program header asks for one.
pub(super) fn is_static_elf(bytes: &[u8]) -> bool {
    const EXECUTABLE: u64 = 2;
    const SHARED: u64 = 3;
    const INTERPRETER: u64 = 3;
    let number = |at: usize, width: usize| -> Option<u64> {
        let raw = bytes.get(at..at.checked_add(width)?)?;
        let big = bytes[5] == 2;
        let ordered: Vec<u8> = if big { raw.to_vec() } else { raw.iter().rev().copied().collect() };
        Some(ordered.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let read = || -> Option<bool> {
        if bytes.get(..4)? != b"\x7fELF" {
            return Some(false);
        }
        let wide = bytes.get(4)? == &2;
        let kind = number(16, 2)?;
        let (start, size, count) = match wide {
            true => (number(32, 8)?, number(54, 2)?, number(56, 2)?),
            false => (number(28, 4)?, number(42, 2)?, number(44, 2)?),
        };
        let mut asks = count == 0;
        for entry in 0..count {
            let at = start.checked_add(entry.checked_mul(size)?)?;
            asks |= number(usize::try_from(at).ok()?, 4)? == INTERPRETER;
        }
        Some((kind == EXECUTABLE || kind == SHARED) && !asks)
    };
    read().unwrap_or(false)
}
