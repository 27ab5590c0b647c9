//! Images on this machine: a content-addressed store of unpacked layers.
//!
//! Owns the folder it is given: `blobs/sha256/<hex>` (manifests and configurations), `layers/<diff id>/` (one
//! unpacked folder per distinct layer, shared by images, ready to be an overlayfs lower folder), `refs.json`
//! (names and what they mean), `used/` (when images were last used), `tmp/` (what is half made) and
//! `lock`. Server and command line may use one store
//! at the same time. Never mounts, never runs a container, never talks to a registry; everything here blocks,
//! async callers go through a blocking thread.
//!
//! Archives are untrusted: digests are checked before anything is believed, layer paths cannot leave their
//! root, and both the number of files and their size are bounded.
//!
//! Unpacking needs root: owners, whiteouts and opaque folders. Without root, files belong to the caller and a
//! layer with whiteouts may be refused by the system.

mod archive;
mod builtin;
mod config;
mod digest;
mod error;
mod fetched;
mod host;
mod index;
mod layout;
mod prune;
mod publish;
mod query;
mod reference;
mod root;
mod store;
mod stream;
mod tarstream;
mod unpack;
mod workspace;

#[cfg(test)]
mod tests;

pub use builtin::TINY_IMAGE;
pub use config::{ImageConfig, Platform};
pub use error::{ImageError, is_disk_full};
pub use fetched::{Fetching, LayerBlob};
pub use host::{HOST_IMAGE, HostMasks, host_masks};
pub use prune::{LayersInUse, PruneRule};
pub use query::{ImageKind, ImageSummary, Removed, ResolvedImage};
pub use reference::Reference;
pub use store::{ImageStore, Imported, ImportedImage};

use crate::config::Settings;
use std::path::PathBuf;

/// Marks an instant at which tests kill the program; nothing otherwise.
#[cfg(not(test))]
fn instant() {}
#[cfg(test)]
use tests::kills::instant;

/// Bounds for one image, against archives that are small and unpack to a full disk.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Files, folders and links of all its layers.
    pub max_entries: u64,
    /// Bytes of all its uncompressed layers; also of an archive that has to be unpacked first.
    pub max_bytes: u64,
    /// Bytes that stay free on the store's disk while it is unpacked.
    pub keep_free: u64,
}

impl Default for Limits {
    /// Two million entries, 256 GiB: several times what the largest images in use have.
    fn default() -> Self {
        Self { max_entries: 2_000_000, max_bytes: 256 << 30, keep_free: 0 }
    }
}

/// How a store behaves.
#[derive(Clone, Debug)]
pub struct ImageOptions {
    /// Whether the image `host` may be used (setting `host_image`).
    pub allow_host: bool,
    /// Which images of archives for several platforms are taken; others are refused.
    pub platform: Platform,
    /// Where a static busybox is looked for, in this order.
    pub busybox: Vec<PathBuf>,
    /// Bounds of an import.
    pub limits: Limits,
    /// Bytes that an image from a registry leaves free on the store's disk.
    pub reserve: u64,
}

impl ImageOptions {
    /// As the settings say, the rest as usual.
    pub fn of(settings: &Settings) -> Self {
        Self { allow_host: settings.host_image, reserve: settings.disk_reserve_bytes, ..Self::default() }
    }
}

impl Default for ImageOptions {
    fn default() -> Self {
        let places = ["/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static", "/usr/local/bin/busybox"];
        Self {
            allow_host: false,
            platform: Platform::here(),
            busybox: places.into_iter().map(PathBuf::from).collect(),
            limits: Limits::default(),
            reserve: 0,
        }
    }
}
