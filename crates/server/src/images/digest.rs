//! SHA-256 digests as images write them: `sha256:` and 64 lower-case hex digits.
//!
//! Owns parsing and computing; never reads a file by itself.

use super::ImageError;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// A checked `sha256:<64 hex>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Digest(String);

const PREFIX: &str = "sha256:";

impl Digest {
    /// Reads `sha256:<hex>`. Other algorithms are refused: nothing that writes archives uses them.
    pub(super) fn parse(text: &str) -> Result<Self, ImageError> {
        let hex = text.strip_prefix(PREFIX).unwrap_or_default();
        if is_hex(hex) {
            return Ok(Self(text.to_owned()));
        }
        Err(ImageError::archive(format!("{text:?} is not a digest of the form sha256:<64 hex digits>")))
    }

    /// The digest whose hex part is this, if it is one.
    pub(super) fn from_hex(hex: &str) -> Option<Self> {
        is_hex(hex).then(|| Self(format!("{PREFIX}{hex}")))
    }

    /// The digest of these bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self::finish(Sha256::new_with_prefix(bytes))
    }

    /// The digest of what a hasher was fed.
    pub(super) fn finish(hasher: Sha256) -> Self {
        let mut text = String::from(PREFIX);
        for byte in hasher.finalize() {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
            }
        }
        Self(text)
    }

    /// The 64 hex digits alone: the name of the blob or layer folder.
    pub(super) fn hex(&self) -> &str {
        &self.0[PREFIX.len()..]
    }

    /// The whole text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Refuses bytes that have another digest; `what` names them.
    pub(super) fn check(&self, bytes: &[u8], what: &str) -> Result<(), ImageError> {
        self.expect(&Self::of(bytes), what)
    }

    /// Refuses a digest other than this one.
    pub(super) fn expect(&self, found: &Self, what: &str) -> Result<(), ImageError> {
        if self == found {
            return Ok(());
        }
        Err(ImageError::DigestMismatch {
            what: what.to_owned(),
            expected: self.0.clone(),
            found: found.0.clone(),
        })
    }
}

fn is_hex(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = ImageError;
    fn try_from(text: String) -> Result<Self, ImageError> {
        Self::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}
