//! Why a container could not be started, in the words of the ECS agent (spec jobs §1.5).
//!
//! Never here: what the server makes of it.

use rustix::io::Errno;
use std::fmt::Display;

/// A failed start: the text for the exit record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fail(pub String);

impl Fail {
    /// Something that the container's making stumbled over.
    pub fn runtime(what: impl Display) -> Self {
        Self::daemon(format!("OCI runtime create failed: {what}: unknown"))
    }

    /// Something that is wrong with what was asked.
    pub fn daemon(what: impl Display) -> Self {
        Self(format!("CannotStartContainerError: Error response from daemon: {what}"))
    }
}

/// Gives errors of system calls their place.
pub trait During<T> {
    /// Says what was being done.
    fn during(self, what: impl Display) -> Result<T, Fail>;
}

impl<T> During<T> for Result<T, Errno> {
    fn during(self, what: impl Display) -> Result<T, Fail> {
        self.map_err(|e| Fail::runtime(format_args!("{what}: {}", name(e))))
    }
}

impl<T> During<T> for std::io::Result<T> {
    fn during(self, what: impl Display) -> Result<T, Fail> {
        self.map_err(|e| match Errno::from_io_error(&e) {
            Some(errno) => Fail::runtime(format_args!("{what}: {}", name(errno))),
            None => Fail::runtime(format_args!("{what}: {e}")),
        })
    }
}

/// The error in words, the common ones as runc writes them.
pub fn name(e: Errno) -> String {
    match e {
        Errno::PERM => "operation not permitted".into(),
        Errno::ACCESS => "permission denied".into(),
        Errno::NOENT => "no such file or directory".into(),
        Errno::NOTDIR => "not a directory".into(),
        Errno::INVAL => "invalid argument".into(),
        Errno::NOEXEC => "exec format error".into(),
        Errno::NOSPC => "no space left on device".into(),
        Errno::NOMEM => "cannot allocate memory".into(),
        Errno::TOOBIG => "argument list too long".into(),
        Errno::ROFS => "read-only file system".into(),
        Errno::LOOP => "too many levels of symbolic links".into(),
        Errno::BUSY => "device or resource busy".into(),
        other => {
            let text = std::io::Error::from_raw_os_error(other.raw_os_error()).to_string();
            text.split(" (os error").next().unwrap_or(&text).to_lowercase()
        }
    }
}
