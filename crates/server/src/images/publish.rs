//! How layers and images get into the store: staged aside, checked, then published all at once.
//!
//! Owns the order of steps that makes a kill at any instant harmless: nothing below `layers/` or `blobs/` is
//! ever incomplete, and `refs.json` is written last. Never reads archives.

use super::config::ConfigFile;
use super::digest::Digest;
use super::error::At;
use super::index::{ImageRecord, Index, LayerRecord, sync_folder, write_whole};
use super::reference::Reference;
use super::stream::{self, Bounded, Hashing};
use super::tarstream::TarReader;
use super::unpack::{Tally, unpack};
use super::workspace::{Lock, Workspace};
use super::{ImageError, ImageStore, ImportedImage, Limits, instant};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// An image ready to be published, but for its layers.
pub(super) struct Candidate {
    pub(super) manifest: Vec<u8>,
    pub(super) config: Vec<u8>,
    pub(super) names: Vec<Reference>,
    /// Names that it takes only from nobody or from another built-in image.
    pub(super) weak_names: Vec<Reference>,
    pub(super) builtin: bool,
    /// It can be had from a registry again.
    pub(super) pulled: bool,
}

/// A layer that is unpacked and checked, but not in the store.
pub(super) struct Staged {
    pub(super) diff_id: Digest,
    path: PathBuf,
    tally: Tally,
}

/// A program may remove images while another imports: an import that finds a layer gone stages it again.
const ATTEMPTS: usize = 5;

impl ImageStore {
    /// Unpacks one layer aside and checks its digests: `blob` of the bytes as given, `diff_id` of the plain tar.
    pub(super) fn stage(
        &self,
        work: &Workspace,
        reader: impl Read,
        blob: Option<&Digest>,
        diff_id: Option<&Digest>,
        left: &mut Limits,
    ) -> Result<Staged, ImageError> {
        let path = work.fresh();
        fs::create_dir(&path).at(|| format!("making {}", path.display()))?;
        instant();
        let mut packed = Hashing::new(reader);
        let unpacked = self.unpack_checked(&mut packed, &path, left);
        if let Some(expected) = blob {
            // Said first: damage shows as all kinds of errors further in.
            if matches!(unpacked, Ok(_) | Err(ImageError::Io { .. } | ImageError::BadArchive { .. })) {
                expected.expect(&packed.finish("a layer")?.0, "a layer's blob")?;
            }
        }
        let (found, size, tally) = unpacked?;
        diff_id.unwrap_or(&found).expect(&found, "a layer, uncompressed,")?;
        left.max_bytes = left.max_bytes.saturating_sub(size);
        left.max_entries = left.max_entries.saturating_sub(tally.entries);
        Ok(Staged { diff_id: found, path, tally })
    }

    fn unpack_checked(
        &self,
        packed: impl Read,
        path: &Path,
        left: &Limits,
    ) -> Result<(Digest, u64, Tally), ImageError> {
        let bounded = Bounded::new(stream::unpacked(packed)?, left.max_bytes, self.options.limits.max_bytes);
        let bounded = bounded.onto(path, left.keep_free);
        let mut plain = Hashing::new(bounded);
        let tally = unpack(&mut TarReader::new(&mut plain), path, left.max_entries)?;
        let (digest, size) = plain.finish("a layer")?;
        Ok((digest, size, tally))
    }

    /// Stages the layers that the store lacks and publishes the image. `stage` makes the layer of this number.
    pub(super) fn add(
        &self,
        work: &Workspace,
        candidate: &Candidate,
        mut staged: BTreeMap<Digest, Staged>,
        stage: &mut dyn FnMut(usize) -> Result<Staged, ImageError>,
    ) -> Result<ImportedImage, ImageError> {
        let diff_ids = ConfigFile::parse(&candidate.config)?.diff_ids()?;
        for _ in 0..ATTEMPTS {
            let index = Index::load(&self.dir)?;
            for (number, id) in diff_ids.iter().enumerate() {
                if !staged.contains_key(id) && !self.has_layer(&index, id) {
                    let layer = stage(number)?;
                    staged.insert(id.clone(), layer);
                }
            }
            instant();
            work.sync()?;
            let lock = Lock::take(&self.dir)?;
            if let Some(done) = self.publish(work, candidate, &diff_ids, &staged, &lock)? {
                return Ok(done);
            }
        }
        Err(ImageError::Corrupt { what: "layers vanish while they are imported".to_owned() })
    }

    /// Moves layers, then blobs, then the record into place. None if a layer that was there is gone meanwhile.
    fn publish(
        &self,
        work: &Workspace,
        candidate: &Candidate,
        diff_ids: &[Digest],
        staged: &BTreeMap<Digest, Staged>,
        _lock: &Lock,
    ) -> Result<Option<ImportedImage>, ImageError> {
        let mut index = Index::load(&self.dir)?;
        if diff_ids.iter().any(|id| !staged.contains_key(id) && !self.has_layer(&index, id)) {
            return Ok(None);
        }
        let digest = Digest::of(&candidate.manifest);
        let mut done = ImportedImage {
            references: Vec::new(),
            digest: digest.to_string(),
            layers: diff_ids.len(),
            new_layers: 0,
            new_bytes: 0,
            skipped_devices: 0,
        };
        for (id, layer) in staged.iter().filter(|(id, _)| diff_ids.contains(id)) {
            if self.has_layer(&index, id) {
                continue;
            }
            // One that is there without a record is whole too: it was moved by an import killed at this point.
            let path = self.layer_path(id);
            if !path.is_dir() {
                fs::rename(&layer.path, &path).at(|| format!("moving a layer to {}", path.display()))?;
                instant();
            }
            let Tally { entries, bytes, devices } = layer.tally;
            index.layers.insert(id.clone(), LayerRecord { bytes, entries });
            done.new_layers += 1;
            done.new_bytes += bytes;
            done.skipped_devices += devices;
        }
        sync_folder(&self.dir.join("layers"))?;
        let config = Digest::of(&candidate.config);
        write_whole(&work.fresh(), &self.blob_path(&config), &candidate.config)?;
        write_whole(&work.fresh(), &self.blob_path(&digest), &candidate.manifest)?;
        done.references = self.record(&mut index, candidate, digest, config, diff_ids)?;
        index.save(&self.dir)?;
        Ok(Some(done))
    }

    fn record(
        &self,
        index: &mut Index,
        candidate: &Candidate,
        digest: Digest,
        config: Digest,
        diff_ids: &[Digest],
    ) -> Result<Vec<String>, ImageError> {
        let created = ConfigFile::parse(&candidate.config)?.created;
        let imported = u64::try_from(crate::clock::wall_ms() / 1000).unwrap_or_default();
        let mut names: Vec<String> = candidate.names.iter().map(Reference::to_string).collect();
        for name in candidate.weak_names.iter().map(Reference::to_string) {
            let holder = index.references.get(&name).and_then(|d| index.images.get(d));
            if holder.is_none_or(|image| image.builtin) {
                names.push(name);
            }
        }
        for name in &names {
            index.references.insert(name.clone(), digest.clone());
        }
        let layers = diff_ids.to_vec();
        let builtin = candidate.builtin;
        let record = ImageRecord { config, layers, created, imported, builtin, pulled: false };
        index.images.entry(digest).or_insert(record).pulled |= candidate.pulled;
        Ok(names)
    }
}
