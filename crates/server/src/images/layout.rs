//! What an archive says: `docker save` in its old and new layouts, and OCI layouts.
//!
//! Owns the documents (manifest.json, index.json, manifests) and the choice of this machine's platform. Every
//! document that is reached by digest is checked against it. Never touches the store.

use super::ImageError;
use super::archive::Archive;
use super::config::{ConfigFile, Platform, plain_manifest};
use super::digest::Digest;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// One image of an archive.
#[derive(Debug)]
pub(super) struct Parcel {
    /// The manifest's bytes; its digest is the image's digest.
    pub(super) manifest: Vec<u8>,
    /// The configuration's bytes.
    pub(super) config: Vec<u8>,
    /// Names as the archive writes them.
    pub(super) names: Vec<String>,
    /// Lowest first.
    pub(super) layers: Vec<Layer>,
}

/// Where a layer is in the archive and what it must be.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) member: String,
    /// The digest of the member as it is there; none where it equals `diff_id` or is not listed.
    pub(super) blob: Option<Digest>,
    /// The digest of the uncompressed layer.
    pub(super) diff_id: Digest,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct OciIndex {
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct OciManifest {
    config: Descriptor,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

#[derive(Clone, Deserialize)]
struct Descriptor {
    digest: String,
    platform: Option<OciPlatform>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Deserialize)]
struct OciPlatform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

const DOCKER_MANIFEST: &str = "manifest.json";
const OCI_INDEX: &str = "index.json";
/// An index may list an index, not more.
const NESTING_MAX: usize = 3;

/// The images of an archive for this platform; none if the archive is not an image archive at all.
///
/// An archive that is both (`docker save` since version 25) is read as an OCI layout, whose manifests have the
/// digests that registries know; the names of its manifest.json are added.
pub(super) fn read(archive: &Archive, platform: &Platform) -> Result<Option<Vec<Parcel>>, ImageError> {
    let docker: Option<Vec<DockerImage>> = match archive.document(DOCKER_MANIFEST)? {
        Some(bytes) => Some(json(&bytes, DOCKER_MANIFEST)?),
        None => None,
    };
    if archive.has("oci-layout") && archive.has(OCI_INDEX) {
        return oci(archive, platform, docker.as_deref().unwrap_or_default()).map(Some);
    }
    match docker {
        Some(images) => images
            .iter()
            .map(|image| docker_image(archive, platform, image))
            .collect::<Result<_, _>>()
            .map(Some),
        None => Ok(None),
    }
}

fn docker_image(archive: &Archive, platform: &Platform, image: &DockerImage) -> Result<Parcel, ImageError> {
    let bytes = document(archive, &image.config)?;
    if let Some(digest) = digest_in_name(&image.config) {
        digest.check(&bytes, &image.config)?;
    }
    let config = ConfigFile::parse(&bytes)?;
    config.check_platform(platform)?;
    let diff_ids = config.diff_ids()?;
    same_count(image.layers.len(), diff_ids.len())?;
    let layer = |(member, diff_id): (&String, &Digest)| Layer {
        member: member.clone(),
        blob: digest_in_name(member).filter(|d| member.starts_with("blobs/") && d != diff_id),
        diff_id: diff_id.clone(),
    };
    Ok(Parcel {
        manifest: plain_manifest(&bytes, &diff_ids),
        layers: image.layers.iter().zip(&diff_ids).map(layer).collect(),
        names: image.repo_tags.clone().unwrap_or_default(),
        config: bytes,
    })
}

fn oci(archive: &Archive, platform: &Platform, docker: &[DockerImage]) -> Result<Vec<Parcel>, ImageError> {
    let index: OciIndex = json(&document(archive, OCI_INDEX)?, OCI_INDEX)?;
    let mut found: Vec<(Digest, Parcel)> = Vec::new();
    for descriptor in ours(&index.manifests, platform)? {
        let (digest, bytes) = manifest(archive, &descriptor, platform, 0)?;
        let names = annotated_names(&descriptor);
        match found.iter_mut().find(|(at, _)| *at == digest) {
            Some((_, parcel)) => parcel.names.extend(names),
            None => {
                let mut parcel = oci_image(archive, platform, bytes)?;
                parcel.names = names;
                found.push((digest, parcel));
            }
        }
    }
    for (_, parcel) in &mut found {
        let config = Digest::of(&parcel.config);
        let same = docker.iter().filter(|image| digest_in_name(&image.config).as_ref() == Some(&config));
        parcel.names.extend(same.flat_map(|image| image.repo_tags.clone().unwrap_or_default()));
    }
    Ok(found.into_iter().map(|(_, parcel)| parcel).collect())
}

/// Follows a descriptor, through an index of platforms if it is one, to a manifest.
fn manifest(
    archive: &Archive,
    descriptor: &Descriptor,
    platform: &Platform,
    nesting: usize,
) -> Result<(Digest, Vec<u8>), ImageError> {
    let (digest, bytes) = blob(archive, descriptor)?;
    let index: OciIndex = json(&bytes, digest.as_str())?;
    if index.manifests.is_empty() {
        return Ok((digest, bytes));
    }
    if nesting == NESTING_MAX {
        return Err(ImageError::archive("its indexes are nested too deeply"));
    }
    // Several of one platform differ in variants of the processor; the first is the one that runs everywhere.
    let chosen = ours(&index.manifests, platform)?;
    match chosen.first() {
        Some(descriptor) => manifest(archive, descriptor, platform, nesting + 1),
        None => Err(ImageError::archive("one of its indexes lists no image")),
    }
}

fn oci_image(archive: &Archive, platform: &Platform, bytes: Vec<u8>) -> Result<Parcel, ImageError> {
    let manifest: OciManifest = json(&bytes, "a manifest")?;
    let (_, config_bytes) = blob(archive, &manifest.config)?;
    let config = ConfigFile::parse(&config_bytes)?;
    config.check_platform(platform)?;
    let diff_ids = config.diff_ids()?;
    same_count(manifest.layers.len(), diff_ids.len())?;
    let mut layers = Vec::new();
    for (descriptor, diff_id) in manifest.layers.iter().zip(diff_ids) {
        let digest = Digest::parse(&descriptor.digest)?;
        let member = blob_name(&digest);
        layers.push(Layer { member, blob: Some(digest).filter(|d| *d != diff_id), diff_id });
    }
    Ok(Parcel { manifest: bytes, config: config_bytes, names: Vec::new(), layers })
}

/// The descriptors that are for this platform or do not say; attestations say `unknown`.
fn ours(descriptors: &[Descriptor], platform: &Platform) -> Result<Vec<Descriptor>, ImageError> {
    let fits = |p: &OciPlatform| p.os == platform.os && p.architecture == platform.architecture;
    let known = |d: &&Descriptor| d.platform.as_ref().is_none_or(|p| p.os != "unknown");
    let named: Vec<_> = descriptors.iter().filter(known).collect();
    let chosen: Vec<_> =
        named.iter().filter(|d| d.platform.as_ref().is_none_or(fits)).map(|d| (*d).clone()).collect();
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    let found: Vec<_> = named
        .iter()
        .filter_map(|d| d.platform.as_ref())
        .map(|p| format!("{}/{}", p.os, p.architecture))
        .collect();
    if found.is_empty() {
        return Err(ImageError::archive("it lists no image"));
    }
    Err(ImageError::WrongPlatform { wanted: platform.to_string(), found: found.join(", ") })
}

/// The whole name (containerd, Docker), or the reference name where it is more than a tag (Podman, skopeo).
fn annotated_names(descriptor: &Descriptor) -> Vec<String> {
    let annotation = |key: &str| descriptor.annotations.as_ref().and_then(|a| a.get(key)).cloned();
    let whole = annotation("io.containerd.image.name");
    let reference = annotation("org.opencontainers.image.ref.name").filter(|name| name.contains(['/', ':']));
    whole.or(reference).into_iter().collect()
}

fn blob(archive: &Archive, descriptor: &Descriptor) -> Result<(Digest, Vec<u8>), ImageError> {
    let digest = Digest::parse(&descriptor.digest)?;
    let name = blob_name(&digest);
    let bytes = document(archive, &name)?;
    digest.check(&bytes, &name)?;
    Ok((digest, bytes))
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Docker names its configuration `<hex>.json`, later `blobs/sha256/<hex>`; very old versions otherwise.
fn digest_in_name(name: &str) -> Option<Digest> {
    let last = name.rsplit('/').next().unwrap_or(name);
    Digest::from_hex(last.strip_suffix(".json").unwrap_or(last))
}

fn document(archive: &Archive, name: &str) -> Result<Vec<u8>, ImageError> {
    archive.document(name)?.ok_or_else(|| ImageError::archive(format!("it lacks {name}, which it lists")))
}

fn same_count(layers: usize, diff_ids: usize) -> Result<(), ImageError> {
    if layers == diff_ids {
        return Ok(());
    }
    Err(ImageError::archive(format!("it lists {layers} layers, its configuration {diff_ids}")))
}

fn json<T: DeserializeOwned>(bytes: &[u8], name: &str) -> Result<T, ImageError> {
    serde_json::from_slice(bytes)
        .map_err(|error| ImageError::archive(format!("{name} is not valid: {error}")))
}
