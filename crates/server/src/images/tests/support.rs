//! Folders that go away, and archives of every kind.

use crate::images::digest::Digest;
use crate::images::index::Index;
use crate::images::workspace::Lock;
use crate::images::{ImageOptions, ImageStore, Removed};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// Removes what no name needs and `in_use` does not keep.
pub(super) fn collect(store: &ImageStore, in_use: &dyn Fn(&str) -> bool) -> Removed {
    let lock = Lock::take(&store.dir).unwrap();
    let index = Index::load(&store.dir).unwrap();
    store.sweep(lock, index, in_use).unwrap()
}

/// A folder that is removed at the end.
pub(super) struct Temp(PathBuf);

impl Temp {
    pub(super) fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// In memory if that can be had: for tests that would wait for the disk hundreds of times.
    pub(super) fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::below(memory) } else { Self::new() }
    }

    fn below(folder: &Path) -> Self {
        let path = folder.join(format!("batchyard-images-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Writes a file into it.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Deref for Temp {
    type Target = Path;
    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A store in a folder of its own.
pub(super) fn store() -> (Temp, ImageStore) {
    let temp = Temp::new();
    let store = ImageStore::open(&temp.join("store"), ImageOptions::default()).unwrap();
    (temp, store)
}

/// Whether the test can run; says loudly if not.
pub(super) fn root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED {test}: unpacking layers with owners and whiteouts needs root");
    }
    root
}

/// A layer, or any tar, under construction. Names and links go in unchecked, however hostile.
pub(super) struct Tape(Builder<Vec<u8>>);

impl Tape {
    pub(super) fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    pub(super) fn entry(
        mut self,
        kind: u8,
        name: &str,
        link: &str,
        data: &[u8],
        change: impl Fn(&mut Header),
    ) -> Self {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::new(kind));
        header.set_mode(if kind == b'5' { 0o755 } else { 0o644 });
        header.set_size(data.len() as u64);
        header.set_mtime(1_000_000_000);
        header.set_uid(0);
        header.set_gid(0);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        change(&mut header);
        header.set_cksum();
        self.0.append(&header, data).unwrap();
        self
    }

    pub(super) fn file(self, name: &str, text: &str) -> Self {
        self.entry(b'0', name, "", text.as_bytes(), |_| {})
    }

    pub(super) fn folder(self, name: &str) -> Self {
        self.entry(b'5', name, "", b"", |_| {})
    }

    pub(super) fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(b'2', name, target, b"", |_| {})
    }

    pub(super) fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(b'1', name, target, b"", |_| {})
    }

    /// Says more about the entry that follows.
    pub(super) fn pax(mut self, key: &str, value: &[u8]) -> Self {
        self.0.append_pax_extensions([(key, value)]).unwrap();
        self
    }

    pub(super) fn end(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// A tar of named members.
pub(super) fn archive(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}

/// A configuration for these layers; `extra` are members of its `config`.
pub(super) fn config(layers: &[Vec<u8>], extra: Value) -> Vec<u8> {
    let platform = crate::images::Platform::here();
    let ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let document = json!({
        "os": platform.os, "architecture": platform.architecture, "created": "2024-01-02T03:04:05Z",
        "config": extra, "rootfs": { "type": "layers", "diff_ids": ids },
    });
    document.to_string().into_bytes()
}

/// The members of what `docker save` wrote up to version 24.
pub(super) fn docker_members(layers: &[Vec<u8>], tags: Value, extra: Value) -> Vec<(String, Vec<u8>)> {
    let config = config(layers, extra);
    let config_name = format!("{}.json", Digest::of(&config).hex());
    let names: Vec<_> = (0..layers.len()).map(|n| format!("{n:064x}/layer.tar")).collect();
    let manifest = json!([{ "Config": config_name, "RepoTags": tags, "Layers": names }]);
    let mut members: Vec<_> = names.into_iter().zip(layers.iter().cloned()).collect();
    members.push((config_name, config));
    members.push(("manifest.json".to_owned(), manifest.to_string().into_bytes()));
    members
}

pub(super) fn docker(layers: &[Vec<u8>], tag: &str) -> Vec<u8> {
    archive(&docker_members(layers, json!([tag]), json!({ "Cmd": ["true"] })))
}

/// Blobs of an OCI layout, and descriptors of what was put in.
#[derive(Default)]
pub(super) struct Oci(pub(super) Vec<(String, Vec<u8>)>);

impl Oci {
    pub(super) fn blob(&mut self, bytes: &[u8], media_type: &str) -> Value {
        let digest = Digest::of(bytes);
        self.0.push((format!("blobs/sha256/{}", digest.hex()), bytes.to_vec()));
        json!({ "digest": digest, "size": bytes.len(), "mediaType": media_type })
    }

    /// An image of these plain layers, packed by `pack`; its descriptor.
    pub(super) fn image(&mut self, layers: &[Vec<u8>], pack: impl Fn(&[u8]) -> Vec<u8>) -> Value {
        self.image_of(layers, &config(layers, json!({ "Cmd": ["true"] })), pack)
    }

    pub(super) fn image_of(
        &mut self,
        layers: &[Vec<u8>],
        config: &[u8],
        pack: impl Fn(&[u8]) -> Vec<u8>,
    ) -> Value {
        let layers: Vec<_> = layers
            .iter()
            .map(|layer| self.blob(&pack(layer), "application/vnd.oci.image.layer.v1.tar"))
            .collect();
        let config = self.blob(config, "application/vnd.oci.image.config.v1+json");
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
        self.blob(manifest.to_string().as_bytes(), "application/vnd.oci.image.manifest.v1+json")
    }

    pub(super) fn index(&mut self, descriptors: &[Value]) -> Value {
        let index = json!({ "schemaVersion": 2, "manifests": descriptors });
        self.blob(index.to_string().as_bytes(), "application/vnd.oci.image.index.v1+json")
    }

    pub(super) fn end(mut self, descriptors: &[Value]) -> Vec<u8> {
        self.0.push(("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
        let index = json!({ "schemaVersion": 2, "manifests": descriptors });
        self.0.push(("index.json".to_owned(), index.to_string().into_bytes()));
        archive(&self.0)
    }
}

/// A descriptor with this name annotated.
pub(super) fn named(mut descriptor: Value, name: &str) -> Value {
    descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
    descriptor
}

/// The error of importing bytes.
pub(super) fn import(
    store: &ImageStore,
    bytes: &[u8],
    name: Option<&str>,
) -> Result<crate::images::Imported, crate::images::ImageError> {
    store.import_reader(io::Cursor::new(bytes), name)
}

/// Unpacks one layer through an import and gives its folder.
pub(super) fn unpack(store: &ImageStore, layer: Vec<u8>) -> Result<PathBuf, crate::images::ImageError> {
    import(store, &docker(&[layer], "layer:test"), None)?;
    Ok(store.resolve("layer:test")?.layers[0].clone())
}

/// The names in a folder, sorted.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
