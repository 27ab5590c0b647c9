//! What a start needs of an image, as a trait so that tests have images without a store.
//!
//! Never here: finding or importing them (`images`).

use batchyard_supervisor::Mount;
use std::path::PathBuf;

/// An image, ready to be mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Folders of the root, lowest first; a single `/` is this machine's own root.
    pub layers: Vec<PathBuf>,
    /// Comes before the command.
    pub entrypoint: Vec<String>,
    /// The command when the job gives none.
    pub cmd: Vec<String>,
    /// `NAME=value` texts.
    pub env: Vec<String>,
    /// Working folder; empty means `/`.
    pub working_dir: String,
    /// `user[:group]`; empty means root.
    pub user: String,
    /// Name or number; none means SIGTERM.
    pub stop_signal: Option<String>,
    /// Paths that stay writable when the root is not.
    pub volumes: Vec<String>,
    /// What lies over the root before anything of the job's does (masks of the host image).
    pub masks: Vec<Mount>,
}

/// A source of images.
pub trait Images: Send + Sync {
    /// Finds an image by the text of a job definition. Blocks.
    ///
    /// # Errors
    /// The job's `container.reason`, as the ECS agent words it (spec jobs §1.5).
    fn resolve(&self, reference: &str) -> Result<Image, String>;
}

/// The reason of a job whose image cannot be had.
pub fn cannot_pull(why: &str) -> String {
    format!("CannotPullContainerError: Error response from daemon: {why}")
}
