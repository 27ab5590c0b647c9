//! Why an image could not be pulled, in Docker's words where it has some.
//!
//! Never here: what a job's reason puts before them.

use crate::images::{ImageError, Reference};
use oci_client::errors::{OciDistributionError as E, OciErrorCode as Code};
use std::error::Error as _;
use std::fmt;

/// A pull that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullError {
    text: String,
    temporary: bool,
}

impl PullError {
    /// It will not go better later.
    pub fn permanent(text: impl Into<String>) -> Self {
        Self { text: text.into(), temporary: false }
    }

    /// It may go better later.
    pub fn temporary(text: impl Into<String>) -> Self {
        Self { text: text.into(), temporary: true }
    }

    /// Whether it may go better a little later: the registry is away, busy or cuts off.
    pub fn is_temporary(&self) -> bool {
        self.temporary
    }

    /// What a registry's answer, or none, means for this image; `asked` is the host that was asked.
    pub(super) fn of(error: &E, image: &Reference, asked: &str) -> Self {
        let (name, repository) = (image.familiar(), short_repository(image));
        let unknown =
            || Self::permanent(format!("manifest for {name} not found: manifest unknown: manifest unknown"));
        let denied = || {
            Self::permanent(format!(
                "pull access denied for {repository}, repository does not exist or may require a login at {asked}: \
                 denied: requested access to the resource is denied"
            ))
        };
        match error {
            E::ImageManifestNotFoundError(_) => unknown(),
            E::UnauthorizedError { .. } | E::AuthenticationFailure(_) => denied(),
            E::RegistryError { envelope, .. } => {
                let codes: Vec<&Code> = envelope.errors.iter().map(|e| &e.code).collect();
                let has = |wanted: &[Code]| codes.iter().any(|code| wanted.contains(code));
                if has(&[Code::ManifestUnknown, Code::NotFound]) {
                    unknown()
                } else if has(&[Code::Unauthorized, Code::Denied, Code::NameUnknown]) {
                    denied()
                } else {
                    let text = format!("registry {asked} answered: {envelope}");
                    Self { text, temporary: has(&[Code::Toomanyrequests]) }
                }
            }
            E::ServerError { code: 404, .. } => unknown(),
            E::ServerError { code: 401 | 403, .. } => denied(),
            E::ServerError { code, message, .. } => Self {
                text: format!("registry {asked} answered {code}: {}", short(message)),
                temporary: *code >= 500 || matches!(code, 408 | 425 | 429),
            },
            E::RequestError(cause) => {
                Self::temporary(format!("registry {asked} cannot be reached: {}", chain(cause)))
            }
            E::IoError(cause) => Self::temporary(format!("the transfer from {asked} broke off: {cause}")),
            other => Self::permanent(format!("registry {asked}: {}", short(&other.to_string()))),
        }
    }
}

impl fmt::Display for PullError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for PullError {}

impl From<ImageError> for PullError {
    fn from(error: ImageError) -> Self {
        Self::permanent(error.to_string())
    }
}

/// As Docker names a repository: without its own host and `library/`.
fn short_repository(image: &Reference) -> String {
    let name = image.familiar();
    let name = name.split('@').next().unwrap_or_default();
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name.to_owned(),
        _ => name.to_owned(),
    }
}

/// The innermost causes are what helps: "connection refused", "certificate …".
fn chain(error: &reqwest::Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(inner) = cause {
        texts.push(inner.to_string());
        cause = inner.source();
    }
    let last = texts.pop().unwrap_or_default();
    short(&last)
}

/// One line, not endless: it goes into a job's reason.
fn short(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(160).collect()
}
