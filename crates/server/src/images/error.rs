//! What can go wrong with images, and the helper that says where an operation of the system failed.
//!
//! Owns the texts that a person reads. It never decides what a caller does about them: the wording that a
//! job's reason needs is made by the caller, from the fields.

use std::io;

/// Why an image could not be imported, found or removed.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Nothing in the store answers to this reference.
    #[error(
        "image {reference} is not on this machine: `batchyard image ls` shows what is; `batchyard image pull {reference}` \
         fetches it, `batchyard image import FILE` takes in what `docker save` wrote"
    )]
    NotFound {
        /// The reference as it was asked for.
        reference: String,
    },
    /// The text is not an image reference.
    #[error("{reference:?} is not an image reference: {reason}")]
    BadReference {
        /// The text as given.
        reference: String,
        /// The rule that it breaks.
        reason: String,
    },
    /// The name belongs to a built-in image.
    #[error(
        "the name {reference} is kept for the built-in image of this machine's own root: import under another name"
    )]
    ReservedName {
        /// The name that was asked for.
        reference: String,
    },
    /// The archive holds an image that has no name of its own, or holds several while one name was given.
    #[error("a name must be given for this archive: {reason}")]
    NeedsName {
        /// Why the archive alone is not enough.
        reason: String,
    },
    /// The archive is not one that can be read, or contradicts itself.
    #[error("the archive cannot be imported: {reason}")]
    BadArchive {
        /// What is wrong with it.
        reason: String,
    },
    /// Content does not have the digest under which it is listed.
    #[error("{what} has digest {found} where {expected} is listed: the archive is damaged or was altered")]
    DigestMismatch {
        /// Which blob or layer.
        what: String,
        /// The digest that the archive lists.
        expected: String,
        /// The digest of what is there.
        found: String,
    },
    /// An entry of a layer tries to reach outside of the layer's root.
    #[error("layer entry {path:?} is refused: {reason}")]
    UnsafeEntry {
        /// The entry's path, as far as it is text.
        path: String,
        /// Why it is refused.
        reason: String,
    },
    /// A bound of [`Limits`](super::Limits) is passed.
    #[error("{what} is over the limit of {limit}: raise the image limits if this archive is to be trusted")]
    TooBig {
        /// What is counted.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// The archive has no image for this machine.
    #[error("the archive has no image for {wanted}: it holds {found}")]
    WrongPlatform {
        /// `os/architecture` of this machine.
        wanted: String,
        /// What is there.
        found: String,
    },
    /// The `host` image is asked for while it is off.
    #[error("the image `host` (this machine's own root) is turned off: set `host_image = true` to allow it")]
    HostImageOff,
    /// The built-in image needs a static busybox, and there is none.
    #[error(
        "the built-in image needs a statically linked busybox, none found at {searched}: install the package \
             `busybox-static`, or import an image"
    )]
    NoBusybox {
        /// Where it was looked for.
        searched: String,
    },
    /// The store's own files are not as it left them.
    #[error("the image store is damaged: {what}: remove the image and import it again")]
    Corrupt {
        /// What is missing or altered.
        what: String,
    },
    /// A layer that was here when an image's pull began was removed while the others came.
    #[error("layer {layer} was removed while its image was pulled: pull it again")]
    Vanished {
        /// Digest of what is transferred.
        layer: String,
    },
    /// The system refused an operation.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the path.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Whether the system had no room for what was written.
pub fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl ImageError {
    /// A [`ImageError::BadArchive`] with this reason.
    pub(super) fn archive(reason: impl Into<String>) -> Self {
        Self::BadArchive { reason: reason.into() }
    }

    /// The disk is full.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_disk_full(source))
    }

    /// A [`ImageError::UnsafeEntry`] for a path that need not be text.
    pub(super) fn entry(path: &[u8], reason: impl Into<String>) -> Self {
        Self::UnsafeEntry { path: String::from_utf8_lossy(path).into_owned(), reason: reason.into() }
    }
}

/// Says what was being done when an operation of the system failed.
pub(super) trait At<T> {
    /// Turns the error into an [`ImageError::Io`]; `what` is only made in that case. An [`ImageError`] that
    /// travelled inside of an [`io::Error`] (readers can say nothing else) is taken out again.
    fn at(self, what: impl FnOnce() -> String) -> Result<T, ImageError>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, what: impl FnOnce() -> String) -> Result<T, ImageError> {
        self.map_err(|error| match error.into().downcast::<ImageError>() {
            Ok(inner) => inner,
            Err(source) => ImageError::Io { what: what(), source },
        })
    }
}
