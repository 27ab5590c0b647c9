//! Image registries: what of an image is missing is fetched into the image store.
//!
//! Owns names of registries (short names, mirrors), logins, retries, how many pulls go on at once, and that an image is
//! pulled once however many ask for it. Never here: how images are kept (`images`), when a job's image is pulled
//! (`compute`).

use std::fmt;

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
