//! Image registries: what of an image is missing is fetched into the image store.
//!
//! Owns names of registries (short names, mirrors), logins, retries, and how many pulls go on at once. Never here: how
//! images are kept (`images`), when a job's image is pulled and who waits for the same pull (`compute`).

mod check;
mod client;
mod docker_config;
mod error;
mod fetch;
mod login;
mod turns;

pub use check::{HUB, check, host_of};
pub use error::PullError;
pub use login::{Logins, secret_login};

use crate::config::Settings;
use crate::images::{ImageError, ImageStore, Reference};
use client::Clients;
use futures_util::FutureExt;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use turns::Turns;

/// Images at once, of all registries. Fewer than the runtime has threads for what blocks, so that whoever has the locks always gets one to finish.
const LOCKERS: usize = 64;

/// A user of a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Name.
    pub username: String,
    /// Password or token.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({:?}, …)", self.username)
    }
}

/// An image that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// As the job definition has it.
    pub reference: String,
    /// Login that goes before all others. Absent: those of the settings and of Docker's own file.
    pub login: Option<Login>,
}

/// How far a pull is, in bytes as they are transferred; `total` is 0 until it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Fetched, what was there before included.
    pub done: u64,
    /// Of so many.
    pub total: u64,
}

/// Told while a pull goes on, from any thread, as often as the transfer advances.
pub type OnProgress<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// What a pull brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The normalised reference.
    pub reference: String,
    /// Digest of the manifest of this machine's platform.
    pub digest: String,
    /// Number of layers.
    pub layers: usize,
    /// Of them fetched now.
    pub new_layers: usize,
    /// Bytes that were fetched.
    pub fetched_bytes: u64,
}

/// How registries are reached.
#[derive(Clone)]
pub struct RegistrySettings {
    /// Registry hosts and what is asked in their place, perhaps with a path before the repository.
    pub mirrors: Vec<(String, String)>,
    /// Hosts that are asked by plain HTTP.
    pub insecure: Vec<String>,
    /// Certificates to trust beside the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// How long a registry may send nothing.
    pub silence: Duration,
    /// Most images that are pulled from one registry at once.
    pub max_pulls: usize,
    /// Where logins are found.
    pub logins: Logins,
}

impl RegistrySettings {
    /// As the settings say, with the logins of this data folder.
    pub fn of(settings: &Settings, data_dir: &Path) -> Self {
        Self {
            mirrors: settings.registry_mirrors.clone(),
            insecure: settings.insecure_registries.clone(),
            ca_file: settings.registry_ca_file.clone(),
            silence: settings.registry_seconds,
            max_pulls: settings.max_pulls as usize,
            logins: Logins::new(data_dir, settings.docker_config.clone()),
        }
    }
}

/// The registries, as this machine reaches them. Cheap to clone.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    store: ImageStore,
    settings: RegistrySettings,
    clients: Clients,
    /// Images of a registry at once whose layers are fetched.
    turns: Turns,
    /// … about which it is asked.
    questions: Turns,
    /// Images that have or wait for locks of layers: each may take up a thread.
    lockers: Semaphore,
}

impl Registry {
    /// Pulls into this store.
    ///
    /// # Errors
    /// The file of certificates cannot be read.
    pub fn new(store: ImageStore, settings: RegistrySettings) -> Result<Self, PullError> {
        let clients = Clients::new(&settings)?;
        let (turns, questions) = (Turns::new(settings.max_pulls), Turns::new(settings.max_pulls));
        Ok(Self(Arc::new(Inner {
            store,
            settings,
            clients,
            turns,
            questions,
            lockers: Semaphore::new(LOCKERS),
        })))
    }

    /// Pulls what is missing of an image and files it under its name. Pulls that need the same layer, also those of other
    /// processes, fetch it once. Dropping the future ends the pull.
    ///
    /// # Errors
    /// See [`PullError`]; what is temporary was tried again a few times.
    pub async fn pull(
        &self,
        request: &PullRequest,
        on_progress: OnProgress<'_>,
    ) -> Result<Pulled, PullError> {
        let reference = Reference::parse(&request.reference).map_err(bad_reference)?;
        let pull = fetch::pull(&self.0, reference.clone(), request.login.clone(), on_progress);
        // The client library has panicked over what a registry said.
        let pulled = AssertUnwindSafe(pull).catch_unwind().await;
        pulled.unwrap_or_else(|_| {
            let host = reference.host();
            Err(PullError::permanent(format!("registry {host} gave an answer that cannot be understood")))
        })
    }
}

fn bad_reference(error: ImageError) -> PullError {
    PullError::permanent(error.to_string())
}
