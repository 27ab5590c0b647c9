//! What is kept for how long: when images were last used, and the removal of those that nobody needs by age and size.
//!
//! Owns `used/<hex>` in the store: a file per image, its time that of the last use. Removal of what a job has is
//! impossible: what jobs have is asked with the store's lock held, and a job writes it down with the lock held too
//! (`resolve_claimed`). Never decides when (callers do).

use super::digest::Digest;
use super::error::At;
use super::index::{ImageRecord, Index};
use super::query::Removed;
use super::workspace::Lock;
use super::{ImageError, ImageStore};
use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Which unused images go. Those of this program's own making stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneRule {
    /// Those last used longer ago than this.
    pub unused_for: Option<Duration>,
    /// The least recently used, until all images together have at most so many bytes.
    pub max_bytes: Option<u64>,
    /// Only those that came from a registry: they can come again.
    pub only_pulled: bool,
}

/// The layers that jobs have now.
pub type LayersInUse<'a> = &'a dyn Fn() -> io::Result<HashSet<PathBuf>>;

impl ImageStore {
    /// Notes that this image (by digest) is used now.
    ///
    /// # Errors
    /// [`ImageError::Io`].
    pub fn note_use(&self, digest: &str) -> Result<(), ImageError> {
        let Some(hex) = digest.strip_prefix("sha256:") else { return Ok(()) };
        let path = self.dir.join("used").join(hex);
        let doing = || format!("noting a use in {}", path.display());
        fs::create_dir_all(self.dir.join("used")).at(doing)?;
        let file = File::options().create(true).truncate(false).write(true).open(&path).at(doing)?;
        file.set_modified(SystemTime::now()).at(doing)
    }

    /// Bytes of all images, what they share counted once.
    ///
    /// # Errors
    /// [`ImageError::Corrupt`] or [`ImageError::Io`].
    pub fn bytes(&self) -> Result<u64, ImageError> {
        Ok(size(&Index::load(&self.dir)?))
    }

    /// Removes what the rule names and no job has.
    ///
    /// # Errors
    /// [`ImageError::Io`], also when it can't be known what jobs have, or [`ImageError::Corrupt`].
    pub fn prune(&self, rule: &PruneRule, in_use: LayersInUse<'_>) -> Result<Removed, ImageError> {
        let lock = Lock::take(&self.dir)?;
        let mut index = Index::load(&self.dir)?;
        let used = self.used(&index, in_use)?;
        let mut candidates: Vec<(SystemTime, Digest)> = index
            .images
            .iter()
            .filter(|(digest, image)| {
                !used.contains(*digest) && !image.builtin && (image.pulled || !rule.only_pulled)
            })
            .map(|(digest, image)| (self.last_use(digest, image), digest.clone()))
            .collect();
        candidates.sort();
        let now = SystemTime::now();
        let mut gone = Vec::new();
        for (at, digest) in candidates {
            let old =
                rule.unused_for.is_some_and(|limit| now.duration_since(at).unwrap_or_default() >= limit);
            if !old && rule.max_bytes.is_none_or(|most| size(&index) <= most) {
                continue;
            }
            index.images.remove(&digest);
            index.references.retain(|name, known| {
                let stays = *known != digest;
                if !stays {
                    gone.push(name.clone());
                }
                stays
            });
        }
        let removed = self.sweep(lock, index, &|digest| used.iter().any(|known| known.as_str() == digest))?;
        self.forget_uses();
        Ok(Removed { references: gone, ..removed })
    }

    /// The images that jobs have. Asked with the lock held.
    pub(super) fn used(
        &self,
        index: &Index,
        in_use: LayersInUse<'_>,
    ) -> Result<BTreeSet<Digest>, ImageError> {
        let taken = in_use().at(|| "finding out which images jobs have".to_owned())?;
        // One that is damaged is not judged: its removal by hand is the way to mend it.
        let has = |image: &ImageRecord| {
            self.stack(&image.layers).map_or(true, |stack| stack.iter().all(|layer| taken.contains(layer)))
        };
        Ok(index.images.iter().filter(|(_, image)| has(image)).map(|(digest, _)| digest.clone()).collect())
    }

    fn last_use(&self, digest: &Digest, image: &ImageRecord) -> SystemTime {
        let noted = fs::metadata(self.dir.join("used").join(digest.hex())).and_then(|m| m.modified());
        let imported = UNIX_EPOCH + Duration::from_secs(image.imported);
        noted.map_or(imported, |noted| noted.max(imported))
    }

    /// Removes the notes of images that are gone. What is left over is noticed by nobody.
    fn forget_uses(&self) {
        let Ok(index) = Index::load(&self.dir) else { return };
        let known: BTreeSet<&str> = index.images.keys().map(Digest::hex).collect();
        for entry in fs::read_dir(self.dir.join("used")).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(|hex| !known.contains(hex)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Bytes of the layers that images have.
fn size(index: &Index) -> u64 {
    let layers: BTreeSet<&Digest> = index.images.values().flat_map(|image| &image.layers).collect();
    layers.into_iter().filter_map(|id| index.layers.get(id)).map(|layer| layer.bytes).sum()
}
