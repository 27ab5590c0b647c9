//! The store, and how an archive becomes images in it.
//!
//! Owns opening, and which names an imported image gets. Never writes below `layers/` or `blobs/`: that is
//! `publish`'s part.

use super::archive::{self, Archive};
use super::config::{plain_config, plain_manifest};
use super::digest::Digest;
use super::error::At;
use super::host;
use super::index::Index;
use super::layout::{self, Parcel};
use super::publish::Candidate;
use super::reference::Reference;
use super::stream;
use super::workspace::{self, Lock, Workspace};
use super::{ImageError, ImageOptions};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The images of this machine, in one folder.
#[derive(Clone, Debug)]
pub struct ImageStore {
    pub(super) dir: PathBuf,
    pub(super) options: ImageOptions,
}

/// What an import brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The images, in the archive's order; at least one.
    pub images: Vec<ImportedImage>,
}

/// One imported image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedImage {
    /// The normalised names under which it is found now.
    pub references: Vec<String>,
    /// Digest of its manifest, `sha256:<hex>`.
    pub digest: String,
    /// Number of layers.
    pub layers: usize,
    /// Layers that were not in the store before.
    pub new_layers: usize,
    /// Bytes of files in the new layers.
    pub new_bytes: u64,
    /// Device nodes in the new layers, which are left out: a container's /dev comes from its launcher.
    pub skipped_devices: u64,
}

impl ImageStore {
    /// Opens the store in this folder, making it where there is none, and removes what killed imports left.
    ///
    /// # Errors
    /// [`ImageError::Io`] when the folder cannot be used, [`ImageError::Corrupt`] when its record cannot be read.
    pub fn open(dir: &Path, options: ImageOptions) -> Result<Self, ImageError> {
        for part in ["", "blobs/sha256", "layers", "tmp"] {
            let path = dir.join(part);
            fs::create_dir_all(&path).at(|| format!("making {}", path.display()))?;
        }
        // Layers hold programs with setuid bits: no user of this machine may reach them.
        for part in ["layers", "tmp"] {
            let path = dir.join(part);
            let mode = fs::Permissions::from_mode(0o700);
            fs::set_permissions(&path, mode).at(|| format!("closing {} to others", path.display()))?;
        }
        let lock = Lock::take(dir)?;
        workspace::clean(dir, &lock)?;
        Index::load(dir)?;
        let dir = fs::canonicalize(dir).at(|| format!("opening {}", dir.display()))?;
        Ok(Self { dir, options })
    }

    /// Imports the images of an archive file: `docker save`, an OCI layout in a tar, or a plain root file system
    /// in a tar (which needs a name); the file may be packed with gzip or zstd.
    ///
    /// A `name` replaces the names that the archive gives. Importing what is there already changes nothing.
    ///
    /// # Errors
    /// Any [`ImageError`] but `NotFound`; the store is then as before.
    pub fn import(&self, archive: &Path, name: Option<&str>) -> Result<Imported, ImageError> {
        let file = File::open(archive).at(|| format!("opening {}", archive.display()))?;
        if file.metadata().at(|| format!("opening {}", archive.display()))?.is_file() {
            return self.import_file(&self.workspace()?, file, name);
        }
        self.import_reader(file, name)
    }

    /// Imports from a stream, which is written to the store's disk first.
    ///
    /// # Errors
    /// As [`ImageStore::import`].
    pub fn import_reader(&self, archive: impl Read, name: Option<&str>) -> Result<Imported, ImageError> {
        let work = self.workspace()?;
        let folder = work.fresh();
        fs::create_dir(&folder).at(|| format!("making {}", folder.display()))?;
        let file = archive::spool_to(stream::unpacked(archive)?, &folder, &self.options.limits)?;
        self.import_file(&work, file, name)
    }

    fn import_file(&self, work: &Workspace, file: File, name: Option<&str>) -> Result<Imported, ImageError> {
        let given = name.map(given_name).transpose()?;
        let archive = Archive::open(file, work.path(), &self.options.limits)?;
        if archive.is_empty() {
            return Err(ImageError::archive("it is empty"));
        }
        let Some(parcels) = layout::read(&archive, &self.options.platform)? else {
            let image = self.import_root(work, &archive, given)?;
            return Ok(Imported { images: vec![image] });
        };
        if parcels.is_empty() {
            return Err(ImageError::archive("it lists no image"));
        }
        if given.is_some() && parcels.len() > 1 {
            let reason = format!(
                "it holds {} images, and one name was given: import it without a name",
                parcels.len()
            );
            return Err(ImageError::NeedsName { reason });
        }
        let mut candidates = Vec::new();
        for parcel in parcels {
            let names = names(&parcel, given.as_ref())?;
            candidates.push((parcel, names));
        }
        let mut images = Vec::new();
        for (parcel, names) in candidates {
            images.push(self.import_parcel(work, &archive, parcel, names)?);
        }
        Ok(Imported { images })
    }

    fn import_parcel(
        &self,
        work: &Workspace,
        archive: &Archive,
        parcel: Parcel,
        names: Vec<Reference>,
    ) -> Result<ImportedImage, ImageError> {
        let Parcel { manifest, config, layers, .. } = parcel;
        let candidate =
            Candidate { manifest, config, names, weak_names: Vec::new(), builtin: false, pulled: false };
        let mut left = self.options.limits;
        self.add(work, &candidate, BTreeMap::new(), &mut |number| {
            let layer = layers.get(number).ok_or_else(|| ImageError::archive("a layer is missing"))?;
            let reader = archive.member(&layer.member)?;
            self.stage(work, reader, layer.blob.as_ref(), Some(&layer.diff_id), &mut left)
        })
    }

    /// One layer that is all there is.
    fn import_root(
        &self,
        work: &Workspace,
        archive: &Archive,
        name: Option<Reference>,
    ) -> Result<ImportedImage, ImageError> {
        let Some(name) = name else {
            let reason =
                "it is no image archive; taken as a root file system it has no name of its own".to_owned();
            return Err(ImageError::NeedsName { reason });
        };
        let mut left = self.options.limits;
        let mut stage = || self.stage(work, archive.whole(), None, None, &mut left);
        let first = stage()?;
        let config = plain_config(&self.options.platform, &first.diff_id, &[], &[super::builtin::PATH]);
        let manifest = plain_manifest(&config, std::slice::from_ref(&first.diff_id));
        let candidate = Candidate {
            manifest,
            config,
            names: vec![name],
            weak_names: Vec::new(),
            builtin: false,
            pulled: false,
        };
        self.add(work, &candidate, BTreeMap::from([(first.diff_id.clone(), first)]), &mut |_| stage())
    }

    pub(super) fn workspace(&self) -> Result<Workspace, ImageError> {
        Workspace::new(&self.dir)
    }

    pub(super) fn layer_path(&self, diff_id: &Digest) -> PathBuf {
        self.dir.join("layers").join(diff_id.hex())
    }

    pub(super) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.dir.join("blobs/sha256").join(digest.hex())
    }

    pub(super) fn has_layer(&self, index: &Index, diff_id: &Digest) -> bool {
        index.layers.contains_key(diff_id) && self.layer_path(diff_id).is_dir()
    }
}

/// A name from the caller: a tag, no digest.
fn given_name(name: &str) -> Result<Reference, ImageError> {
    let reference = Reference::parse(name)?;
    if reference.digest().is_some() {
        let reason = "a digest follows from the content and cannot be given".to_owned();
        return Err(ImageError::BadReference { reference: name.to_owned(), reason });
    }
    host::refuse_reserved(&reference)?;
    Ok(reference)
}

/// The names under which a parcel is filed.
fn names(parcel: &Parcel, given: Option<&Reference>) -> Result<Vec<Reference>, ImageError> {
    if let Some(name) = given {
        return Ok(vec![name.clone()]);
    }
    let mut names: Vec<Reference> = Vec::new();
    for text in parcel.names.iter().filter(|text| !text.contains("<none>")) {
        let name = Reference::parse(text)?;
        host::refuse_reserved(&name)?;
        // One with a digest alone cannot be filed under it: the digest says what is in it already.
        if name.tag().is_some() && !names.contains(&name.tagged()) {
            names.push(name.tagged());
        }
    }
    if names.is_empty() {
        return Err(ImageError::NeedsName { reason: "its image has no name".to_owned() });
    }
    Ok(names)
}
