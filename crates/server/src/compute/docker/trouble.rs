//! What goes wrong between this server and a daemon: what may go better later, and what the job's reason tells.
//!
//! Never here: what is done about it.

use bollard::errors::Error;
use std::fmt;

/// Why a step came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The daemon is not there, does not answer or fails inside: a later try may do.
    Away(String),
    /// There is no such thing.
    Missing(String),
    /// It will not; in its words.
    Refused(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error {
            Error::DockerResponseServerError { status_code: 404, message } => Self::Missing(message),
            // What a bad request, an image or the kernel has to do with comes as 400, 409 or 500 alike.
            Error::DockerResponseServerError { status_code, message } if status_code < 502 => {
                Self::Refused(message)
            }
            Error::DockerStreamError { error } => Self::Refused(error),
            error => Self::Away(chain(&error)),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Away(text) | Self::Missing(text) | Self::Refused(text)) = self;
        f.write_str(text)
    }
}

/// An error and what is behind it: the client's own text says little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        behind = error.source();
    }
    text
}

/// Nothing instead of the daemon's "no such thing".
///
/// # Errors
/// Every other trouble.
pub fn there<T>(result: Result<T, Error>) -> Result<Option<T>, Trouble> {
    match result.map_err(Trouble::from) {
        Ok(found) => Ok(Some(found)),
        Err(Trouble::Missing(_)) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}
