//! Images whose parts are fetched one by one: which layers are missing, where they are put, and the filing of the whole.
//!
//! Owns that a layer is fetched by one process at a time. Never talks to a registry.

use super::config::ConfigFile;
use super::digest::Digest;
use super::error::At;
use super::index::Index;
use super::publish::Candidate;
use super::reference::Reference;
use super::workspace::Workspace;
use super::{ImageError, ImageStore, ImportedImage, Limits};
use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Folder of the locks of layers.
const LOCKS: &str = "fetching";

/// A layer as a manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerBlob {
    /// Digest of what is transferred.
    pub digest: String,
    /// Bytes of it, as the manifest says.
    pub size: u64,
}

/// An image that is being fetched. Dropping it removes what was fetched and not filed.
pub struct Fetching {
    store: ImageStore,
    work: Workspace,
    manifest: Vec<u8>,
    config: Vec<u8>,
    names: Vec<Reference>,
    layers: Vec<(LayerBlob, Digest, PathBuf)>,
    locks: Vec<LayerLock>,
}

impl ImageStore {
    /// Begins to fetch an image: checks configuration, platform and number of layers. Waits for others who fetch one of
    /// the layers that are missing here. Blocks.
    ///
    /// # Errors
    /// The documents contradict each other, are for another machine, or the system refuses.
    pub fn begin_fetch(
        &self,
        reference: &Reference,
        manifest: Vec<u8>,
        config: Vec<u8>,
        blobs: Vec<LayerBlob>,
    ) -> Result<Fetching, ImageError> {
        let parsed = ConfigFile::parse(&config)?;
        parsed.check_platform(&self.options.platform)?;
        let diff_ids = parsed.diff_ids()?;
        if diff_ids.len() != blobs.len() {
            let text =
                format!("its manifest lists {} layers, its configuration {}", blobs.len(), diff_ids.len());
            return Err(ImageError::archive(text));
        }
        super::host::refuse_reserved(reference)?;
        let work = self.workspace()?;
        let layers = blobs.into_iter().zip(diff_ids).map(|(blob, id)| (blob, id, work.fresh())).collect();
        let names = vec![filed(reference)];
        let store = self.clone();
        let mut fetching = Fetching { store, work, manifest, config, names, layers, locks: Vec::new() };
        fetching.lock()?;
        Ok(fetching)
    }
}

/// What an image is filed under: its tag, or the digest by which it was asked for, which may be that of an index.
fn filed(reference: &Reference) -> Reference {
    if reference.digest().is_some() { reference.without_tag() } else { reference.clone() }
}

impl Fetching {
    /// Takes the locks of all that is missing, always in the same order so that no two wait for each other.
    fn lock(&mut self) -> Result<(), ImageError> {
        let index = Index::load(&self.store.dir)?;
        let mut missing: Vec<&Digest> =
            self.layers.iter().map(|(_, id, _)| id).filter(|id| !self.store.has_layer(&index, id)).collect();
        missing.sort();
        missing.dedup();
        let folder = self.store.dir.join(LOCKS);
        self.locks = missing.into_iter().map(|id| LayerLock::take(&folder, id)).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// What is to be fetched: each layer that the store still lacks, once, and where it is put.
    ///
    /// # Errors
    /// The store's record cannot be read.
    pub fn missing(&self) -> Result<Vec<(LayerBlob, PathBuf)>, ImageError> {
        let index = Index::load(&self.store.dir)?;
        let mut found: BTreeMap<&Digest, (LayerBlob, PathBuf)> = BTreeMap::new();
        for (blob, id, path) in self.layers.iter().filter(|(_, id, _)| !self.store.has_layer(&index, id)) {
            found.entry(id).or_insert_with(|| (blob.clone(), path.clone()));
        }
        Ok(found.into_values().collect())
    }

    /// Bytes of all layers, as they are transferred, each counted once.
    pub fn total_bytes(&self) -> u64 {
        let distinct: BTreeMap<&Digest, u64> =
            self.layers.iter().map(|(blob, id, _)| (id, blob.size)).collect();
        distinct.values().sum()
    }

    /// Unpacks what was fetched, checks every digest and files the image. Blocks.
    ///
    /// # Errors
    /// A digest is not what the manifest or the configuration says, or a layer cannot be unpacked. The store is then as
    /// before. [`ImageError::Vanished`]: begin again.
    pub fn finish(self) -> Result<ImportedImage, ImageError> {
        let Self { store, work, manifest, config, names, layers, locks } = self;
        let candidate =
            Candidate { manifest, config, names, weak_names: Vec::new(), builtin: false, pulled: true };
        let mut left = Limits { keep_free: store.options.reserve, ..store.options.limits };
        let done = store.add(&work, &candidate, BTreeMap::new(), &mut |number| {
            let (blob, diff_id, path) =
                layers.get(number).ok_or_else(|| ImageError::archive("a layer is missing"))?;
            let file = match File::open(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Err(ImageError::Vanished { layer: blob.digest.clone() });
                }
                file => file.at(|| format!("opening the fetched layer {}", blob.digest))?,
            };
            let digest = Digest::parse(&blob.digest)?;
            let staged = store.stage(&work, file, Some(&digest), Some(diff_id), &mut left)?;
            // Unpacked it is there twice otherwise, for as long as the rest takes.
            let _ = fs::remove_file(path);
            Ok(staged)
        })?;
        drop(locks);
        Ok(done)
    }
}

/// Held by whoever fetches a layer. The kernel lets go of it when the process dies.
struct LayerLock {
    path: PathBuf,
    _file: File,
}

impl LayerLock {
    fn take(folder: &Path, layer: &Digest) -> Result<Self, ImageError> {
        let path = folder.join(layer.hex());
        let doing = || format!("locking {}", path.display());
        fs::create_dir_all(folder).at(doing)?;
        loop {
            let file = File::options().create(true).truncate(false).write(true).open(&path).at(doing)?;
            match flock(&file, FlockOperation::LockExclusive) {
                Err(rustix::io::Errno::INTR) => continue,
                result => result.at(doing)?,
            }
            // Whoever had it before took the file away: then this lock is nobody's.
            let held = file.metadata().at(doing)?;
            if fs::metadata(&path).is_ok_and(|there| there.ino() == held.ino() && there.dev() == held.dev()) {
                return Ok(Self { path, _file: file });
            }
        }
    }
}

impl Drop for LayerLock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
