//! Why an image could not be pulled, in Docker's words where it has some.
//!
//! Never here: what a job's reason puts before them.

use crate::images::{ImageError, Reference, is_disk_full};
use oci_client::errors::{OciDistributionError as E, OciErrorCode as Code};
use std::error::Error as StdError;
use std::fmt;
use std::io;

/// What a token service says that is away or busy: `oci-client` keeps its words and drops its status.
const AWAY: [&str; 6] =
    ["unavailable", "bad gateway", "timeout", "timed out", "too many requests", "internal server error"];

/// A pull that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullError {
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Permanent,
    /// There is no such image.
    Missing,
    /// Not allowed.
    Refused,
    /// Not allowed, or the registry was away when it was asked how to log in: that looks the same.
    Unsure,
    /// No room on this machine's disk.
    DiskFull,
    Temporary,
}

impl PullError {
    /// It will not go better later.
    pub fn permanent(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: Kind::Permanent }
    }

    /// It may go better later.
    pub fn temporary(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: Kind::Temporary }
    }

    /// Whether it may go better a little later: the registry is away, busy or cuts off.
    pub fn is_temporary(&self) -> bool {
        self.kind == Kind::Temporary
    }

    /// The registry has no such image.
    pub fn is_missing(&self) -> bool {
        self.kind == Kind::Missing
    }

    /// This machine has no room for it.
    pub fn is_disk_full(&self) -> bool {
        self.kind == Kind::DiskFull
    }

    /// What was fetched of this image could not be written.
    pub(super) fn unwritten(error: &io::Error, image: &Reference) -> Self {
        Self::local(format!("write a layer of {}: {error}", image.familiar()), is_disk_full(error))
    }

    /// This machine is what failed.
    fn local(text: String, is_full: bool) -> Self {
        Self { text, kind: if is_full { Kind::DiskFull } else { Kind::Permanent } }
    }

    /// The registry does not allow it.
    pub fn is_refusal(&self) -> bool {
        matches!(self.kind, Kind::Refused | Kind::Unsure)
    }

    pub(super) fn refusal(text: String) -> Self {
        Self { text, kind: Kind::Refused }
    }

    /// How often it is worth trying, of so many times at most.
    pub(super) fn tries(&self, most: u32) -> u32 {
        match self.kind {
            Kind::Permanent | Kind::Missing | Kind::DiskFull | Kind::Refused => 1,
            Kind::Unsure => most.min(3),
            Kind::Temporary => most,
        }
    }

    fn either(text: String, temporary: bool) -> Self {
        if temporary { Self::temporary(text) } else { Self::permanent(text) }
    }

    /// What a registry's answer, or none, means for this image; `asked` is the host that was asked, `user` who did.
    pub(super) fn of(error: &E, image: &Reference, asked: &str, user: Option<&str>) -> Self {
        let (name, repository) = (image.familiar(), short_repository(image));
        let unknown = || Self {
            text: format!("manifest for {name} not found: manifest unknown: manifest unknown"),
            kind: Kind::Missing,
        };
        let denied = || {
            let text = match user {
                None => format!(
                    "pull access denied for {repository}, repository does not exist or may require a login at {asked} \
                     (batchyard image login {asked}): denied: requested access to the resource is denied"
                ),
                Some(user) => format!(
                    "pull access denied for {repository}: registry {asked} refused the login of {user}: mend it with \
                     batchyard image login {asked}, or where it is from"
                ),
            };
            Self::refusal(text)
        };
        match error {
            E::ImageManifestNotFoundError(_) => unknown(),
            E::UnauthorizedError { .. } => Self { kind: Kind::Unsure, ..denied() },
            E::AuthenticationFailure(_) if Self::is_away(error) => Self::asking(error, asked),
            E::AuthenticationFailure(_) => denied(),
            E::RegistryError { envelope, .. } => {
                let codes: Vec<&Code> = envelope.errors.iter().map(|e| &e.code).collect();
                let has = |wanted: &[Code]| codes.iter().any(|code| wanted.contains(code));
                if has(&[Code::ManifestUnknown, Code::NotFound]) {
                    unknown()
                } else if has(&[Code::Unauthorized, Code::Denied, Code::NameUnknown]) {
                    denied()
                } else {
                    let text = format!("registry {asked} answered: {envelope}");
                    Self::either(text, has(&[Code::Toomanyrequests]))
                }
            }
            E::ServerError { code: 404, .. } => unknown(),
            E::ServerError { code: 401 | 403, .. } => denied(),
            other => Self::asking(other, asked),
        }
    }

    /// Whether a token service failed that is away, rather than refused.
    pub(super) fn is_away(error: &E) -> bool {
        let E::AuthenticationFailure(words) = error else { return false };
        let words = words.to_lowercase();
        AWAY.iter().any(|away| words.contains(away))
    }

    /// What an answer, or none, means whatever it was that was asked for.
    pub(super) fn asking(error: &E, asked: &str) -> Self {
        match error {
            E::AuthenticationFailure(words) => {
                Self::temporary(format!("the login service of {asked} answered: {}", short(words)))
            }
            E::ServerError { code, message, .. } => Self::either(
                format!("registry {asked} answered {code}: {}", short(message)),
                *code >= 500 || matches!(code, 408 | 425 | 429),
            ),
            E::RequestError(cause) => Self::unreachable(cause, asked),
            E::IoError(cause) => Self::temporary(format!("the transfer from {asked} broke off: {cause}")),
            other => Self::permanent(format!("registry {asked}: {}", short(&other.to_string()))),
        }
    }

    /// No answer. What a setting mends names it before the cause: reasons of jobs are cut off at their end.
    fn unreachable(cause: &reqwest::Error, asked: &str) -> Self {
        let why = innermost(cause);
        match tls_error(cause) {
            Some(rustls::Error::InvalidCertificate(_)) if why.contains("CaUsedAsEndEntity") => {
                Self::permanent(format!(
                    "registry {asked} shows an authority's certificate as its own: make it one with CA:FALSE, and put that into \
                     registry_ca_file: {why}"
                ))
            }
            Some(rustls::Error::InvalidCertificate(_)) => Self::permanent(format!(
                "registry {asked} has a certificate that is not trusted here: put its authority's into the file of the \
                 setting registry_ca_file: {why}"
            )),
            Some(rustls::Error::InvalidMessage(_)) => Self::permanent(format!(
                "registry {asked} speaks no TLS; if it is to be asked by plain HTTP, add it to the setting \
                 insecure_registries: {why}"
            )),
            _ => Self::temporary(format!("registry {asked} cannot be reached: {why}")),
        }
    }
}

/// Whether the registry was reached, and its certificate is what is wrong.
pub(super) fn is_untrusted(error: &E) -> bool {
    matches!(error, E::RequestError(cause)
        if matches!(tls_error(cause), Some(rustls::Error::InvalidCertificate(_))))
}

/// What was wrong with TLS, if that was it.
fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // An `io::Error` leaves what it wraps out of the chain.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = wrapped.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| error.source());
    }
    None
}

impl fmt::Display for PullError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for PullError {}

impl From<ImageError> for PullError {
    fn from(error: ImageError) -> Self {
        Self::local(error.to_string(), error.is_disk_full())
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

/// The innermost cause is what helps: "connection refused", "certificate …".
fn innermost(error: &reqwest::Error) -> String {
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
