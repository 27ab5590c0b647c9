//! Finding, listing and removing images.
//!
//! Owns what a reference means here and what may be thrown away. Never knows which jobs run: callers tell.

use super::builtin;
use super::config::{ConfigFile, ImageConfig};
use super::digest::Digest;
use super::error::At;
use super::host;
use super::index::Index;
use super::reference::{Reference, bare_digest};
use super::workspace::{Lock, Workspace};
use super::{ImageError, ImageStore, LayersInUse, instant};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// How an image's root is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageKind {
    /// By stacking `layers`.
    Layers,
    /// By its one layer, which this program made of the machine's busybox.
    Builtin,
    /// From this machine's own root, with [`host_masks`](super::host_masks) applied.
    Host,
}

/// An image that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedImage {
    /// The normalised reference.
    pub reference: String,
    /// Digest of the manifest, `sha256:<hex>`; `host` for the host image.
    pub digest: String,
    /// Folders for overlayfs, lowest first (mount options list them the other way round). No folder is in it
    /// twice, and what an opaque layer hides as a whole is left out.
    pub layers: Vec<PathBuf>,
    /// How it wants to be run.
    pub config: ImageConfig,
    /// How its root is made.
    pub kind: ImageKind,
}

/// One row of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSummary {
    /// The normalised name; none for an image that is only kept because a job uses it.
    pub reference: Option<String>,
    /// Digest of the manifest.
    pub digest: String,
    /// Digest of the configuration: what Docker calls the image id.
    pub id: String,
    /// Number of layers.
    pub layers: usize,
    /// Bytes of files in its layers, shared ones included.
    pub bytes: u64,
    /// When it was built, as it says itself.
    pub created: Option<String>,
    /// When it was imported, seconds since 1970.
    pub imported: u64,
    /// Made by this program from the machine's own busybox.
    pub builtin: bool,
}

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// The names that are gone.
    pub references: Vec<String>,
    /// The number of layers that are gone.
    pub layers: usize,
    /// Bytes of files in those layers.
    pub bytes: u64,
    /// The image's content stays as long as a job uses it; a later removal or [`ImageStore::prune`] takes it.
    pub kept_in_use: bool,
}

impl ImageStore {
    /// Finds an image by name, by name and digest, or by digest alone (`sha256:<hex>` of the manifest or of the
    /// configuration). A digest wins over name and tag: content is the same whatever it is called.
    ///
    /// `host` is this machine's own root, if allowed. The tiny built-in image is made when it is asked for and
    /// not there.
    ///
    /// # Errors
    /// [`ImageError::NotFound`], [`ImageError::BadReference`], [`ImageError::HostImageOff`],
    /// [`ImageError::NoBusybox`], or [`ImageError::Corrupt`].
    pub fn resolve(&self, reference: &str) -> Result<ResolvedImage, ImageError> {
        if reference == host::HOST_IMAGE {
            return host::resolve(&self.options);
        }
        match self.find(reference) {
            Err(ImageError::NotFound { .. }) if builtin::answers_to(reference) => {
                self.ensure_builtin()?;
                self.find(reference)
            }
            found => found,
        }
    }

    /// As [`ImageStore::resolve`], and calls `claim` with the image before any removal can get in between: the
    /// place to note that a job uses it. `claim` must not call the store.
    ///
    /// # Errors
    /// As [`ImageStore::resolve`], or `claim`'s own.
    pub fn resolve_claimed<E: From<ImageError>>(
        &self,
        reference: &str,
        claim: &mut dyn FnMut(ResolvedImage) -> Result<(), E>,
    ) -> Result<(), E> {
        if reference == host::HOST_IMAGE {
            return claim(self.resolve(reference)?);
        }
        let lock = Lock::share(&self.dir)?;
        match self.find(reference) {
            Err(ImageError::NotFound { .. }) if builtin::answers_to(reference) => {
                drop(lock);
                self.ensure_builtin()?;
                let _lock = Lock::share(&self.dir)?;
                claim(self.find(reference)?)
            }
            found => claim(found?),
        }
    }

    /// All names, sorted, then images without a name.
    ///
    /// # Errors
    /// [`ImageError::Corrupt`] or [`ImageError::Io`].
    pub fn list(&self) -> Result<Vec<ImageSummary>, ImageError> {
        let index = Index::load(&self.dir)?;
        let named = index.references.iter().map(|(name, digest)| (Some(name.clone()), digest));
        let taken: BTreeSet<&Digest> = index.references.values().collect();
        let nameless =
            index.images.keys().filter(|digest| !taken.contains(digest)).map(|digest| (None, digest));
        let row = |(reference, digest): (Option<String>, &Digest)| {
            let image = index.images.get(digest)?;
            let distinct: BTreeSet<&Digest> = image.layers.iter().collect();
            Some(ImageSummary {
                reference,
                digest: digest.to_string(),
                id: image.config.to_string(),
                layers: image.layers.len(),
                bytes: distinct
                    .into_iter()
                    .filter_map(|id| index.layers.get(id))
                    .map(|layer| layer.bytes)
                    .sum(),
                created: image.created.clone(),
                imported: image.imported,
                builtin: image.builtin,
            })
        };
        Ok(named.chain(nameless).filter_map(row).collect())
    }

    /// Removes a name, or with a digest all names of that image, and every layer and blob that no image needs
    /// any more. Images whose layers are all among those `in_use` keep their content. `in_use` must not call the store.
    ///
    /// # Errors
    /// [`ImageError::NotFound`] when there is no such name, [`ImageError::BadReference`].
    pub fn remove(&self, reference: &str, in_use: LayersInUse<'_>) -> Result<Removed, ImageError> {
        if reference == host::HOST_IMAGE {
            let reason =
                "the built-in image of this machine's own root cannot be removed, only turned off".to_owned();
            return Err(ImageError::BadReference { reference: reference.to_owned(), reason });
        }
        let lock = Lock::take(&self.dir)?;
        let mut index = Index::load(&self.dir)?;
        // With the lock held, as a job writes down what it has: what is asked before it may be out of date.
        let used = self.used(&index, in_use)?;
        let is_used = |digest: &str| used.iter().any(|known| known.as_str() == digest);
        let (canonical, digest) = locate(&index, reference)?;
        let references: Vec<String> = match index.references.contains_key(&canonical) {
            true => vec![canonical],
            false => {
                index.references.iter().filter(|(_, d)| **d == digest).map(|(name, _)| name.clone()).collect()
            }
        };
        for name in &references {
            index.references.remove(name);
        }
        let named = index.references.values().any(|d| *d == digest);
        let removed = self.sweep(lock, index, &is_used)?;
        Ok(Removed { references, kept_in_use: !named && is_used(digest.as_str()), ..removed })
    }

    fn find(&self, reference: &str) -> Result<ResolvedImage, ImageError> {
        let index = Index::load(&self.dir)?;
        let (reference, digest) = locate(&index, reference)?;
        let image = index
            .images
            .get(&digest)
            .ok_or_else(|| ImageError::Corrupt { what: format!("{reference} has no record") })?;
        let path = self.blob_path(&image.config);
        let bytes = fs::read(&path)
            .map_err(|error| ImageError::Corrupt { what: format!("{}: {error}", path.display()) })?;
        if Digest::of(&bytes) != image.config {
            return Err(ImageError::Corrupt { what: format!("{} was altered", path.display()) });
        }
        let config = ConfigFile::parse(&bytes)?.into_image_config();
        let layers = self.stack(&image.layers)?;
        let kind = if image.builtin { ImageKind::Builtin } else { ImageKind::Layers };
        Ok(ResolvedImage { reference, digest: digest.to_string(), layers, config, kind })
    }

    pub(super) fn stack(&self, diff_ids: &[Digest]) -> Result<Vec<PathBuf>, ImageError> {
        let mut layers = Vec::new();
        let mut seen = BTreeSet::new();
        for id in diff_ids.iter().rev() {
            // overlayfs refuses a folder that is listed twice; the upper one decides.
            if !seen.insert(id) {
                continue;
            }
            let path = self.layer_path(id);
            if !path.is_dir() {
                return Err(ImageError::Corrupt { what: format!("the layer {} is missing", path.display()) });
            }
            let opaque = is_opaque(&path);
            layers.push(path);
            // overlayfs looks for this mark in folders, not on a layer's root.
            if opaque {
                break;
            }
        }
        layers.reverse();
        Ok(layers)
    }

    /// Writes the record without what nobody needs, then takes it away. Layers are first moved aside, so that
    /// none is ever half there under its name.
    pub(super) fn sweep(
        &self,
        lock: Lock,
        mut index: Index,
        in_use: &dyn Fn(&str) -> bool,
    ) -> Result<Removed, ImageError> {
        let named: BTreeSet<Digest> = index.references.values().cloned().collect();
        index.images.retain(|digest, _| named.contains(digest) || in_use(digest.as_str()));
        let layers: BTreeSet<Digest> = index.images.values().flat_map(|image| image.layers.clone()).collect();
        let mut blobs: BTreeSet<Digest> = index.images.keys().cloned().collect();
        blobs.extend(index.images.values().map(|image| image.config.clone()));
        let mut removed = Removed::default();
        index.layers.retain(|id, layer| {
            let stays = layers.contains(id);
            removed.bytes += if stays { 0 } else { layer.bytes };
            stays
        });
        index.save(&self.dir)?;
        let work = Workspace::under(&self.dir, &lock)?;
        for path in strangers(&self.dir.join("layers"), &layers)? {
            fs::rename(&path, work.fresh()).at(|| format!("removing {}", path.display()))?;
            instant();
            removed.layers += 1;
        }
        for path in strangers(&self.dir.join("blobs/sha256"), &blobs)? {
            fs::remove_file(&path).at(|| format!("removing {}", path.display()))?;
            instant();
        }
        // What is slow, deleting the files, comes after others may go on.
        drop(lock);
        drop(work);
        Ok(removed)
    }
}

/// The normalised reference and the image it means.
fn locate(index: &Index, text: &str) -> Result<(String, Digest), ImageError> {
    let not_found = || ImageError::NotFound { reference: text.to_owned() };
    if let Some(digest) = bare_digest(text) {
        let (digest, _) = index.by_digest(&digest).ok_or_else(not_found)?;
        return Ok((digest.to_string(), digest.clone()));
    }
    let reference = Reference::parse(text)?;
    let digest = match reference.pinned() {
        // A pull by the digest of an index is filed under that.
        Some(pinned) => (index.by_digest(pinned).map(|(digest, _)| digest))
            .or_else(|| index.references.get(&reference.without_tag().to_string())),
        None => index.references.get(&reference.to_string()),
    };
    Ok((reference.to_string(), digest.ok_or_else(not_found)?.clone()))
}

fn is_opaque(layer: &Path) -> bool {
    let mut value = [0; 2];
    rustix::fs::lgetxattr(layer, super::root::opaque_mark(), &mut value[..])
        .is_ok_and(|count| value[..count] == *b"y")
}

/// What lies in the folder under another name than one of these digests.
fn strangers(folder: &Path, known: &BTreeSet<Digest>) -> Result<Vec<PathBuf>, ImageError> {
    let doing = || format!("listing {}", folder.display());
    let names: BTreeSet<&OsStr> = known.iter().map(|digest| OsStr::new(digest.hex())).collect();
    let mut strangers = Vec::new();
    for entry in fs::read_dir(folder).at(doing)? {
        let entry = entry.at(doing)?;
        if !names.contains(entry.file_name().as_os_str()) {
            strangers.push(entry.path());
        }
    }
    Ok(strangers)
}
