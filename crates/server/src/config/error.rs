//! Why the settings cannot be used.

use crate::iam::CredentialsError;
use std::path::PathBuf;

/// What is wrong, and where.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the settings file {} is not valid TOML: {problem}", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected there.
        problem: String,
    },
    /// A setting that does not exist.
    #[error("{place}: there is no setting '{name}'{hint}; docs/settings.md has them all")]
    Unknown {
        /// The file, or `environment`, or `flags`.
        place: String,
        /// As it was given.
        name: String,
        /// ` (did you mean …?)` or nothing.
        hint: String,
    },
    /// A value that a setting cannot have.
    #[error("{place}: {name} = '{value}': {problem}")]
    Invalid {
        /// The file, or `environment`, or `flags`.
        place: String,
        /// The setting as it is called there.
        name: String,
        /// As it was given.
        value: String,
        /// What it must be.
        problem: String,
    },
    /// Two settings that do not go together.
    #[error("{0}")]
    Conflict(String),
    /// The root credentials given in the environment.
    #[error("environment: {0}")]
    Credentials(#[from] CredentialsError),
}
