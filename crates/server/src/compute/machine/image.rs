//! What a start needs of an image, as a trait so that tests have images without a store.
//!
//! Never here: finding or importing them (`images`), when one is pulled (`waiting`).

use batchyard_supervisor::Mount;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

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
    /// Nothing but this machine's busybox.
    pub builtin: bool,
}

/// An image that is to be pulled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// As the job definition has it.
    pub reference: String,
    /// The secret with the login (`repositoryCredentials`).
    pub secret: Option<String>,
}

/// Why a pull came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullFailure {
    /// For the job's reason, without the ECS agent's preface.
    pub text: String,
    /// It may go better a little later.
    pub temporary: bool,
    /// There was no room for it on this machine's disk.
    pub disk_full: bool,
}

/// A pull under way. Dropping it ends it.
pub type Pulling = Pin<Box<dyn Future<Output = Result<(), PullFailure>> + Send>>;

/// Told while a pull goes on: bytes done, and of how many (0: not known yet).
pub type OnProgress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// A source of images.
pub trait Images: Send + Sync {
    /// Finds an image by the text of a job definition and hands it to `claim`, which writes down that a job uses it
    /// before any removal can get in between. False: it is not on this machine. Blocks.
    ///
    /// # Errors
    /// The job's `container.reason`, as the ECS agent words it (spec jobs §1.5), or `claim`'s own.
    fn claim(&self, reference: &str, claim: Claiming<'_>) -> Result<bool, String>;

    /// Whether a start asks the registry first, image here or not.
    fn pull_first(&self, _reference: &str) -> bool {
        false
    }

    /// Fetches what is missing of an image.
    fn pull(&self, wanted: Wanted, progress: OnProgress) -> Pulling;

    /// Removes images that nothing uses until about so many bytes are given back. Blocks.
    fn make_room(&self, _bytes: u64) {}
}

/// What is done with an image that was found.
pub type Claiming<'a> = &'a mut dyn FnMut(Image) -> Result<(), String>;

/// The reason of a job whose image cannot be had.
pub fn cannot_pull(why: &str) -> String {
    format!("CannotPullContainerError: Error response from daemon: {why}")
}
