//! What a command can end with when it does not end well, and the exit code of each.
//!
//! One place for the codes that docs/cli.md promises. Texts are one line, lower case, and say what to do. Never here:
//! printing (mod.rs does that once).

use crate::config::SettingsError;
use std::io;

/// Everything went as asked.
pub const OK: u8 = 0;
/// Something failed that has no code of its own.
pub const FAILED: u8 = 1;
/// The command line, a selector or the configuration cannot be used as given.
pub const USAGE: u8 = 2;
/// What was named does not exist.
pub const NOT_FOUND: u8 = 3;
/// The endpoint or the file system refused.
pub const DENIED: u8 = 4;
/// `--wait-timeout` ran out.
pub const TIMED_OUT: u8 = 124;
/// Ended by Ctrl-C or SIGTERM; the job goes on.
pub const INTERRUPTED: u8 = 130;
/// Nobody reads standard output any more (128 + SIGPIPE).
pub const PIPE: u8 = 141;

/// Why a command stopped.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// See [`USAGE`].
    #[error("{0}")]
    Usage(String),
    /// See [`NOT_FOUND`].
    #[error("{0}")]
    NotFound(String),
    /// See [`DENIED`].
    #[error("{0}")]
    Denied(String),
    /// See [`TIMED_OUT`].
    #[error("{0}")]
    TimedOut(String),
    /// See [`INTERRUPTED`]; what there was to say has been said.
    #[error("interrupted")]
    Interrupted,
    /// See [`PIPE`]; nobody is there to be told.
    #[error("standard output is closed")]
    Pipe,
    /// No answer came from the endpoint.
    #[error("{text}")]
    Unreachable {
        /// What to say.
        text: String,
    },
    /// The endpoint answered with an error of its own.
    #[error("{code}: {message}")]
    Api {
        /// The code on the wire, such as `ClientException`.
        code: String,
        /// The endpoint's own words.
        message: String,
        /// HTTP status.
        status: u16,
    },
    /// See [`FAILED`].
    #[error("{0}")]
    Failed(String),
}

impl CliError {
    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::NotFound(_) => NOT_FOUND,
            Self::Denied(_) => DENIED,
            Self::TimedOut(_) => TIMED_OUT,
            Self::Interrupted => INTERRUPTED,
            Self::Pipe => PIPE,
            Self::Api { code, status, message } => api_exit_code(code, *status, message),
            Self::Unreachable { .. } | Self::Failed(_) => FAILED,
        }
    }

    /// Whether the line for people has nothing to add.
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Interrupted | Self::Pipe)
    }
}

fn api_exit_code(code: &str, status: u16, message: &str) -> u8 {
    match code {
        "ResourceNotFoundException" => NOT_FOUND,
        // Batch has no code of its own for what does not exist (spec clients §0 row 10).
        "ClientException" if message.contains("does not exist") || message.contains("not found") => NOT_FOUND,
        _ if matches!(status, 401 | 403) => DENIED,
        "IncompleteSignatureException" => DENIED,
        _ => FAILED,
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Pipe,
            io::ErrorKind::PermissionDenied => Self::Denied(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<anyhow::Error> for CliError {
    fn from(error: anyhow::Error) -> Self {
        if let Some(settings) = error.downcast_ref::<SettingsError>() {
            return settings.into();
        }
        let refused = |cause: &(dyn std::error::Error + 'static)| {
            cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::PermissionDenied)
        };
        let text = chain(&error);
        if error.chain().any(refused) { Self::Denied(text) } else { Self::Failed(text) }
    }
}

impl From<&SettingsError> for CliError {
    fn from(error: &SettingsError) -> Self {
        match error {
            SettingsError::Unreadable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Self::Denied(format!("{error}; run this as the user who runs the server, or with sudo"))
            }
            _ => Self::Usage(error.to_string()),
        }
    }
}

/// An error and its causes on one line. A cause that a text above already tells is not told again.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|c| !c.is_empty()) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: &str, status: u16, message: &str) -> u8 {
        CliError::Api { code: code.into(), message: message.into(), status }.exit_code()
    }

    #[test]
    fn codes_of_the_endpoint() {
        assert_eq!(api("AccessDeniedException", 403, "no"), DENIED);
        assert_eq!(api("UnrecognizedClientException", 403, "no"), DENIED);
        assert_eq!(api("ClientException", 400, "jobQueue x does not exist."), NOT_FOUND);
        assert_eq!(api("ClientException", 400, "memory must be at least 4"), FAILED);
        assert_eq!(api("ServerException", 500, "later"), FAILED);
    }

    #[test]
    fn a_cause_is_told_once() {
        let io = || io::Error::from(io::ErrorKind::NotFound);
        let told = anyhow::Error::new(io()).context(format!("cannot open x: {}", io()));
        assert_eq!(CliError::from(told).to_string(), format!("cannot open x: {}", io()));
        let untold = CliError::from(anyhow::Error::new(io()).context("cannot open x"));
        assert_eq!((untold.to_string(), untold.exit_code()), (format!("cannot open x: {}", io()), FAILED));
    }

    #[test]
    fn a_server_that_cannot_start_says_whose_fault_it_is_by_code() {
        let unreadable = |kind: io::ErrorKind| SettingsError::Unreadable {
            path: "/x/batchyard.toml".into(),
            source: kind.into(),
        };
        let code = |error: anyhow::Error| CliError::from(error).exit_code();
        assert_eq!(code(SettingsError::Conflict("a and b".into()).into()), USAGE);
        assert_eq!(code(unreadable(io::ErrorKind::NotFound).into()), USAGE);
        assert_eq!(code(unreadable(io::ErrorKind::PermissionDenied).into()), DENIED);
        let lock = anyhow::Error::new(io::Error::from(io::ErrorKind::PermissionDenied)).context("lock");
        assert_eq!(code(lock), DENIED);
        assert_eq!(code(anyhow::anyhow!("another server")), FAILED);
    }

    #[test]
    fn a_closed_pipe_is_no_failure_to_talk_about() {
        let error = CliError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(error.exit_code(), PIPE);
        assert!(error.is_silent());
    }
}
