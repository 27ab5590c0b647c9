//! What an image says about how to run it, read from its configuration blob.
//!
//! Owns the OCI configuration's form (which Docker's is a superset of). It never applies anything to a job.

use super::ImageError;
use super::digest::Digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// How the image wants to be run. A job's own settings win over each of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// Comes before the command.
    pub entrypoint: Vec<String>,
    /// The command where the job gives none.
    pub cmd: Vec<String>,
    /// `NAME=value` texts.
    pub env: Vec<String>,
    /// Absolute path; `/` where the image names none.
    pub working_dir: String,
    /// `user`, `uid`, `user:group` or `uid:gid` (names from the image's own passwd and group); empty for root.
    pub user: String,
    /// A signal's name or number, such as `SIGTERM`; none means `SIGTERM`.
    pub stop_signal: Option<String>,
    /// Paths that the image wants as volumes, sorted.
    pub volumes: Vec<String>,
}

/// Operating system and processor, in the words of Go (`linux`, `amd64`), as images name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, ...
    pub architecture: String,
}

impl Platform {
    /// The one that this program runs on.
    pub fn here() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "x86" => "386",
            "aarch64" => "arm64",
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            other => other,
        };
        Self { os: "linux".to_owned(), architecture: architecture.to_owned() }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)
    }
}

/// The configuration blob, as far as it matters here. Members may be absent or null.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ConfigFile {
    pub(super) os: Option<String>,
    pub(super) architecture: Option<String>,
    pub(super) created: Option<String>,
    config: Option<Run>,
    rootfs: Option<RootFs>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Run {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    env: Option<Vec<String>>,
    working_dir: Option<String>,
    user: Option<String>,
    stop_signal: Option<String>,
    volumes: Option<BTreeMap<String, Value>>,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    diff_ids: Option<Vec<Digest>>,
}

/// More layers than overlayfs can stack in one mount.
const LAYERS_MAX: usize = 500;

impl ConfigFile {
    /// Reads a configuration blob.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ImageError> {
        serde_json::from_slice(bytes)
            .map_err(|error| ImageError::archive(format!("the image configuration is not valid: {error}")))
    }

    /// The digests of the uncompressed layers, lowest first; at least one.
    pub(super) fn diff_ids(&self) -> Result<Vec<Digest>, ImageError> {
        let ids = self.rootfs.as_ref().and_then(|r| r.diff_ids.clone()).unwrap_or_default();
        match ids.len() {
            0 => Err(ImageError::archive("the image configuration lists no layers")),
            n if n > LAYERS_MAX => Err(ImageError::archive(format!(
                "the image has {n} layers, at most {LAYERS_MAX} can be mounted"
            ))),
            _ => Ok(ids),
        }
    }

    /// Refuses an image of another platform. One that says nothing is taken for ours.
    pub(super) fn check_platform(&self, wanted: &Platform) -> Result<(), ImageError> {
        let os = self.os.as_deref().filter(|t| !t.is_empty()).unwrap_or(&wanted.os);
        let architecture =
            self.architecture.as_deref().filter(|t| !t.is_empty()).unwrap_or(&wanted.architecture);
        if os == wanted.os && architecture == wanted.architecture {
            return Ok(());
        }
        Err(ImageError::WrongPlatform { wanted: wanted.to_string(), found: format!("{os}/{architecture}") })
    }

    /// What a launcher needs.
    pub(super) fn into_image_config(self) -> ImageConfig {
        let run = self.config.unwrap_or_default();
        let filled = |text: Option<String>| text.filter(|t| !t.is_empty());
        ImageConfig {
            entrypoint: run.entrypoint.unwrap_or_default(),
            cmd: run.cmd.unwrap_or_default(),
            env: run.env.unwrap_or_default(),
            working_dir: filled(run.working_dir).unwrap_or_else(|| "/".to_owned()),
            user: run.user.unwrap_or_default(),
            stop_signal: filled(run.stop_signal),
            volumes: run.volumes.unwrap_or_default().into_keys().collect(),
        }
    }
}

/// A configuration blob for one layer that came without any, the same bytes for the same arguments.
pub(super) fn plain_config(platform: &Platform, diff_id: &Digest, cmd: &[&str], env: &[&str]) -> Vec<u8> {
    json!({
        "architecture": platform.architecture,
        "config": { "Cmd": cmd, "Env": env },
        "os": platform.os,
        "rootfs": { "diff_ids": [diff_id], "type": "layers" },
    })
    .to_string()
    .into_bytes()
}

/// A manifest for layers that came without any: the uncompressed layers listed under their diff ids.
pub(super) fn plain_manifest(config: &[u8], diff_ids: &[Digest]) -> Vec<u8> {
    let layer = |id: &Digest| json!({ "digest": id, "mediaType": "application/vnd.oci.image.layer.v1.tar" });
    json!({
        "config": {
            "digest": Digest::of(config),
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "size": config.len(),
        },
        "layers": diff_ids.iter().map(layer).collect::<Vec<_>>(),
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "schemaVersion": 2,
    })
    .to_string()
    .into_bytes()
}
