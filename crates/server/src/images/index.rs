//! The store's own record, `refs.json`: which names there are, which images they mean, which layers those have.
//!
//! Owns the file's form and that it is replaced whole or not at all. Never decides what is in it.

use super::digest::Digest;
use super::error::At;
use super::{ImageError, instant};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

/// The record.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Index {
    version: u32,
    /// Normalised name to image digest.
    pub(super) references: BTreeMap<String, Digest>,
    /// Image digest to image.
    pub(super) images: BTreeMap<Digest, ImageRecord>,
    /// Diff id to layer.
    pub(super) layers: BTreeMap<Digest, LayerRecord>,
}

/// One image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ImageRecord {
    pub(super) config: Digest,
    /// Diff ids, lowest first.
    pub(super) layers: Vec<Digest>,
    /// When the image was built, as it says itself.
    pub(super) created: Option<String>,
    /// Seconds since 1970.
    pub(super) imported: u64,
    /// Made by this program from the machine's own busybox.
    #[serde(default)]
    pub(super) builtin: bool,
    /// It came from a registry, and can be had there again.
    #[serde(default)]
    pub(super) pulled: bool,
}

/// One unpacked layer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct LayerRecord {
    /// Bytes of file data.
    pub(super) bytes: u64,
    /// Files, folders and links.
    pub(super) entries: u64,
}

const VERSION: u32 = 1;
const NAME: &str = "refs.json";

impl Index {
    /// Reads the record of the store in this folder; an empty one if there is none yet.
    pub(super) fn load(dir: &Path) -> Result<Self, ImageError> {
        let path = dir.join(NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::empty()),
            Err(error) => return Err(error).at(|| format!("reading {}", path.display())),
        };
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let broken =
            |error: serde_json::Error| ImageError::Corrupt { what: format!("{}: {error}", path.display()) };
        let Version { version } = serde_json::from_slice(&bytes).map_err(broken)?;
        if version != VERSION {
            let what = format!("{} has version {version}, this program knows {VERSION}", path.display());
            return Err(ImageError::Corrupt { what });
        }
        serde_json::from_slice(&bytes).map_err(broken)
    }

    /// Replaces the record. The caller holds the store's lock.
    pub(super) fn save(&self, dir: &Path) -> Result<(), ImageError> {
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(std::io::Error::from)
            .at(|| "writing refs.json".to_owned())?;
        write_whole(&dir.join(".refs.json.new"), &dir.join(NAME), &bytes)
    }

    /// The image that has this digest, or whose configuration has it.
    pub(super) fn by_digest(&self, digest: &Digest) -> Option<(&Digest, &ImageRecord)> {
        let by_config = || self.images.iter().find(|(_, image)| image.config == *digest);
        self.images.get_key_value(digest).or_else(by_config)
    }

    fn empty() -> Self {
        Self {
            version: VERSION,
            references: BTreeMap::new(),
            images: BTreeMap::new(),
            layers: BTreeMap::new(),
        }
    }
}

/// Writes a file so that after any crash there is the old one or the new one. `fresh` is in the same file system.
pub(super) fn write_whole(fresh: &Path, path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    let doing = || format!("writing {}", path.display());
    let mut file = File::create(fresh).at(doing)?;
    instant();
    file.write_all(bytes).at(doing)?;
    file.sync_all().at(doing)?;
    instant();
    fs::rename(fresh, path).at(doing)?;
    instant();
    sync_folder(path.parent().unwrap_or(path))
}

/// Makes renames in a folder lasting.
pub(super) fn sync_folder(folder: &Path) -> Result<(), ImageError> {
    File::open(folder).and_then(|f| f.sync_all()).at(|| format!("syncing {}", folder.display()))
}
