//! Logins of registries: those that this server keeps, those of Docker's own file, and those that jobs name by secret.
//!
//! Owns `registries.json` in the data folder. Never here: Docker's file (`docker_config`), using a login.

use super::{Login, docker_config};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Its name in the data folder.
const FILE: &str = "registries.json";
/// Whoever changes that file holds this one.
const LOCK: &str = "registries.lock";
/// The folder of secrets in the data folder.
const SECRETS: &str = "secrets";
/// Characters that Secrets Manager puts after a name: a dash and six letters or digits.
const SUFFIX: usize = 7;

/// Where logins are found.
#[derive(Debug, Clone)]
pub struct Logins {
    data_dir: PathBuf,
    docker_config: Option<PathBuf>,
}

/// The kept logins.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    version: u32,
    logins: BTreeMap<String, KeptLogin>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct KeptLogin {
    username: String,
    password: String,
}

impl From<KeptLogin> for Login {
    fn from(login: KeptLogin) -> Self {
        Self { username: login.username, password: login.password }
    }
}

impl Logins {
    /// Of this data folder, and of Docker's settings file (`config.json`).
    pub fn new(data_dir: &Path, docker_config: Option<PathBuf>) -> Self {
        Self { data_dir: data_dir.to_path_buf(), docker_config }
    }

    /// The login for a registry's host, if there is one: kept ones go before Docker's.
    ///
    /// # Errors
    /// A file that holds logins cannot be read; the text names it.
    pub async fn find(&self, host: &str) -> Result<Option<Login>, String> {
        if let Some(kept) = self.read()?.logins.get(host) {
            return Ok(Some(kept.clone().into()));
        }
        match &self.docker_config {
            Some(path) => docker_config::find(path, host).await,
            None => Ok(None),
        }
    }

    /// Keeps a login.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn keep(&self, host: &str, login: &Login) -> Result<(), String> {
        let _lock = self.lock()?;
        let mut kept = self.read()?;
        let Login { username, password } = login.clone();
        kept.logins.insert(host.to_owned(), KeptLogin { username, password });
        self.write(&kept)
    }

    /// Drops a login. False: there was none.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn forget(&self, host: &str) -> Result<bool, String> {
        if !self.data_dir.is_dir() {
            return Ok(false);
        }
        let _lock = self.lock()?;
        let mut kept = self.read()?;
        let there = kept.logins.remove(host).is_some();
        if there {
            self.write(&kept)?;
        }
        Ok(there)
    }

    /// Two who change the file at once go one after the other.
    fn lock(&self) -> Result<File, String> {
        let path = self.data_dir.join(LOCK);
        let take = || -> io::Result<File> {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.data_dir)?;
            let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        take().map_err(|e| format!("{}: {e}", path.display()))
    }

    fn read(&self) -> Result<Kept, String> {
        let path = self.data_dir.join(FILE);
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| named(&e)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Kept { version: 1, ..Kept::default() }),
            Err(e) => Err(named(&e)),
        }
    }

    fn write(&self, kept: &Kept) -> Result<(), String> {
        let path = self.data_dir.join(FILE);
        let fresh = self.data_dir.join(format!(".{FILE}.{}", std::process::id()));
        let write = || -> io::Result<()> {
            let _ = fs::remove_file(&fresh);
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
            file.write_all(&serde_json::to_vec_pretty(kept)?)?;
            file.sync_all()?;
            fs::rename(&fresh, &path)
        };
        write().map_err(|e| format!("{}: {e}", path.display()))
    }
}

/// The login that a secret holds (`repositoryCredentials.credentialsParameter`): the file `secrets/NAME` of the data
/// folder, `{"username": …, "password": …}`. The text is a name, or an ARN of Secrets Manager with or without the six
/// characters that it adds.
///
/// # Errors
/// There is no such secret, or it holds no login; the text says which file was looked for.
pub fn secret_login(data_dir: &Path, text: &str) -> Result<Login, String> {
    let name = text.rsplit(":secret:").next().unwrap_or(text);
    let name = name.split(':').next().unwrap_or(name);
    let fits = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
    let bad = |step: &str| matches!(step, "" | "." | "..");
    if name.is_empty() || !name.chars().all(fits) || name.split('/').any(bad) {
        return Err(format!("{text:?} names no secret"));
    }
    let folder = data_dir.join(SECRETS);
    let cut =
        name.len().checked_sub(SUFFIX).and_then(|at| name.get(..at)).filter(|_| text.starts_with("arn:"));
    for candidate in std::iter::once(name).chain(cut) {
        let path = folder.join(candidate);
        match fs::read(&path) {
            Ok(bytes) => {
                let login: KeptLogin = serde_json::from_slice(&bytes)
                    .map_err(|_| format!("the secret {candidate} holds no username and password"))?;
                return Ok(login.into());
            }
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(e) => return Err(format!("the secret {candidate} cannot be read: {e}")),
        }
    }
    Err(format!(
        "there is no secret {name}: put {{\"username\": …, \"password\": …}} into {SECRETS}/{name} of the data folder"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::machine::testing::TempFolder;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn a_kept_login_is_for_its_host_and_the_owner_alone() {
        let data = TempFolder::new();
        let logins = Logins::new(data.path(), None);
        assert_eq!(logins.find("a.example").await, Ok(None));
        let login = Login { username: "u".into(), password: "p:ä".into() };
        logins.keep("a.example", &login).expect("kept");
        assert_eq!(logins.find("a.example").await, Ok(Some(login)));
        assert_eq!(logins.find("b.example").await, Ok(None));
        let mode = fs::metadata(data.path().join(FILE)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!((logins.forget("a.example"), logins.forget("a.example")), (Ok(true), Ok(false)));
        fs::write(data.path().join(FILE), "damaged").expect("written");
        assert!(logins.find("a.example").await.expect_err("refused").contains(FILE));
    }

    #[test]
    fn secrets_are_found_by_name_and_arn_and_nowhere_else() {
        let data = TempFolder::new();
        fs::create_dir_all(data.path().join("secrets/team")).expect("made");
        let text = r#"{"username": "u", "password": "p"}"#;
        fs::write(data.path().join("secrets/team/hub"), text).expect("written");
        fs::write(data.path().join("outside"), text).expect("written");
        let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:team/hub";
        for good in ["team/hub", arn, &format!("{arn}-AbCdEf"), &format!("{arn}-AbCdEf:::")] {
            assert!(secret_login(data.path(), good).is_ok(), "{good}");
        }
        for bad in
            ["", "../outside", "team/../../outside", "/etc/passwd", "team/hub-AbCdEf", "nothing", "a b"]
        {
            assert!(secret_login(data.path(), bad).is_err(), "{bad}");
        }
    }
}
