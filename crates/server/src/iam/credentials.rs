//! The account's root key pair: made at the first start or given in the environment, kept in the data folder in the
//! form that AWS clients read. Only this file touches that file; the secret is never logged or shown by `Debug`.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The file's name in the data folder.
pub const FILE_NAME: &str = "credentials";

/// An access key and its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The public half, such as `BYAK…`.
    pub access_key_id: String,
    /// The secret half. Not for logs.
    pub secret_access_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// Where the root credentials came from; start-up says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Read from the data folder.
    Kept,
    /// Made now, and kept.
    Made,
    /// Given in the environment, and kept.
    Given,
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file can be read by others.
    #[error("{} can be read by others (mode {mode:04o}); run `chmod 600` on it and change the keys in it", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file does not hold a key pair.
    #[error("{} holds no usable key pair: {problem}; remove it and the next start makes a new one", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        problem: String,
    },
    /// What the environment gives cannot be used.
    #[error("{0}")]
    Given(String),
}

impl Credentials {
    /// The root credentials: `given` ones if there are any, else the ones kept in `data_dir`, else new ones. Given and
    /// new ones are kept, so that later starts and the command line find them.
    ///
    /// # Errors
    /// The file cannot be read or written, is open to others, or holds something else.
    pub fn establish(data_dir: &Path, given: Option<Self>) -> Result<(Self, Origin), CredentialsError> {
        let kept = match Self::load(data_dir) {
            // Given ones replace whatever is there, a spoilt file included.
            Err(_) if given.is_some() => None,
            kept => kept?,
        };
        match (given, kept) {
            (Some(given), kept) => {
                if kept.as_ref() != Some(&given) {
                    given.keep(data_dir)?;
                }
                Ok((given, Origin::Given))
            }
            (None, Some(kept)) => Ok((kept, Origin::Kept)),
            (None, None) => {
                let made = Self::make().map_err(|e| io_error("read", Path::new(RANDOM), e))?;
                made.keep(data_dir)?;
                Ok((made, Origin::Made))
            }
        }
    }

    /// The credentials kept in `data_dir`, if there are any.
    ///
    /// # Errors
    /// The file cannot be read, is open to others, or holds something else.
    pub fn load(data_dir: &Path) -> Result<Option<Self>, CredentialsError> {
        let path = data_dir.join(FILE_NAME);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io_error("read", &path, e)),
        };
        let mode = file.metadata().map_err(|e| io_error("read", &path, e))?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(CredentialsError::Open { path, mode });
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|e| io_error("read", &path, e))?;
        parse(&text).map(Some).map_err(|problem| CredentialsError::Malformed { path, problem })
    }

    /// A pair from the two environment values. Both or none must be there.
    ///
    /// # Errors
    /// One is missing, or one holds characters that no client could send.
    pub fn from_parts(id: Option<String>, secret: Option<String>) -> Result<Option<Self>, CredentialsError> {
        let (id, secret) = match (id, secret) {
            (None, None) => return Ok(None),
            (Some(id), Some(secret)) => (id, secret),
            (Some(_), None) => return Err(lonely("BATCHYARD_ACCESS_KEY_ID", "BATCHYARD_SECRET_ACCESS_KEY")),
            (None, Some(_)) => return Err(lonely("BATCHYARD_SECRET_ACCESS_KEY", "BATCHYARD_ACCESS_KEY_ID")),
        };
        let pair = Self { access_key_id: id, secret_access_key: secret };
        pair.check()
            .map_err(|problem| CredentialsError::Given(format!("the given credentials: {problem}")))?;
        Ok(Some(pair))
    }

    /// New ones from the system's random source: 80 bits of name, 240 bits of secret.
    fn make() -> io::Result<Self> {
        const NAME: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        const SECRET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut random = [0u8; 56];
        File::open(RANDOM)?.read_exact(&mut random)?;
        let (name, secret) = random.split_at(16);
        // 32 and 64 divide 256, so every character is as likely as the others.
        let name: String = name.iter().map(|b| char::from(NAME[usize::from(b % 32)])).collect();
        let secret = secret.iter().map(|b| char::from(SECRET[usize::from(b % 64)])).collect();
        Ok(Self { access_key_id: format!("BYAK{name}"), secret_access_key: secret })
    }

    /// Writes the file whole or not at all: a new file with mode 0600, synced, renamed over the old one.
    fn keep(&self, data_dir: &Path) -> Result<(), CredentialsError> {
        let path = data_dir.join(FILE_NAME);
        let fresh = data_dir.join(".credentials.new");
        let write = || -> io::Result<()> {
            match fs::remove_file(&fresh) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
            file.write_all(self.render().as_bytes())?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            File::open(data_dir)?.sync_all()
        };
        write().map_err(|e| io_error("write", &path, e))
    }

    fn render(&self) -> String {
        format!(
            "# The root credentials of this Batchyard. Whoever reads this file may do everything.\n[default]\n\
             aws_access_key_id = {}\naws_secret_access_key = {}\n",
            self.access_key_id, self.secret_access_key
        )
    }

    fn check(&self) -> Result<(), String> {
        let id = &self.access_key_id;
        if id.is_empty() || id.len() > 128 || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err("the access key id must be 1 to 128 letters, digits or underscores".into());
        }
        let secret = &self.secret_access_key;
        if secret.len() < 8 || secret.len() > 256 || !secret.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("the secret access key must be 8 to 256 printable characters without blanks".into());
        }
        Ok(())
    }
}

const RANDOM: &str = "/dev/urandom";

fn io_error(doing: &'static str, path: &Path, source: io::Error) -> CredentialsError {
    CredentialsError::Io { doing, path: path.into(), source }
}

fn lonely(given: &str, missing: &str) -> CredentialsError {
    CredentialsError::Given(format!("{given} is set without {missing}; set both or neither"))
}

/// Reads the `[default]` section of a file in the AWS clients' form.
fn parse(text: &str) -> Result<Credentials, String> {
    let (mut id, mut secret, mut in_default) = (None, None, false);
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with('[') {
            in_default = line == "[default]";
        } else if let (true, Some((key, value))) = (in_default, line.split_once('=')) {
            match key.trim() {
                "aws_access_key_id" => id = Some(value.trim().to_owned()),
                "aws_secret_access_key" => secret = Some(value.trim().to_owned()),
                _ => {}
            }
        }
    }
    let pair = Credentials {
        access_key_id: id.ok_or("no aws_access_key_id under [default]")?,
        secret_access_key: secret.ok_or("no aws_secret_access_key under [default]")?,
    };
    pair.check()?;
    Ok(pair)
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
