//! Docker's own settings file, as far as it holds logins: plain ones and the programs that keep others.
//!
//! Never here: writing it.

use super::Login;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long a program that keeps logins may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// What Docker calls Docker Hub in this file.
const HUB: &str = "https://index.docker.io/v1/";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Settings {
    auths: BTreeMap<String, Auth>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// The login for a registry's host. A file that is not there holds none.
///
/// # Errors
/// The file cannot be understood, or the program that it names does not answer; the text names it.
pub async fn find(path: &Path, host: &str) -> Result<Option<Login>, String> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => return Ok(None),
        Err(e) => return Err(format!("{}: {e}", path.display())),
    };
    let settings: Settings =
        serde_json::from_slice(&bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    let key = if host == "docker.io" { HUB } else { host };
    let helper = settings.cred_helpers.iter().find(|(known, _)| bare(known) == bare(key));
    let helper = helper.map(|(_, name)| name).or(settings.creds_store.as_ref()).filter(|n| !n.is_empty());
    if let Some(name) = helper
        && let Some(login) = ask(name, key).await?
    {
        return Ok(Some(login));
    }
    let auth = settings.auths.into_iter().find(|(known, _)| bare(known) == bare(key)).map(|(_, auth)| auth);
    Ok(auth.and_then(plain))
}

/// A host without scheme and path, which some versions of Docker write.
fn bare(key: &str) -> &str {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = key.split('/').next().unwrap_or(key);
    if matches!(host, "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { host }
}

fn plain(auth: Auth) -> Option<Login> {
    let decoded = auth.auth.filter(|text| !text.is_empty()).and_then(|text| {
        let bytes = STANDARD.decode(text.trim()).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (username, password) = text.split_once(':')?;
        Some(Login { username: username.into(), password: password.trim_end_matches('\0').into() })
    });
    decoded.or_else(|| Some(Login { username: auth.username?, password: auth.password? }))
}

/// Asks `docker-credential-NAME`. None: it has no login for this host.
async fn ask(name: &str, key: &str) -> Result<Option<Login>, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !name.chars().all(fits) {
        return Err(format!("{name:?} is no name of a credential helper"));
    }
    let program = format!("docker-credential-{name}");
    let failed = |what: &dyn std::fmt::Display| format!("{program}: {what}");
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| failed(&e))?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read says so by how it ends.
        let _ = input.write_all(key.as_bytes()).await;
    }
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let output = output.map_err(|_| failed(&"it does not answer"))?.map_err(|e| failed(&e))?;
    if !output.status.success() {
        return Ok(None);
    }
    let answer: Answer = serde_json::from_slice(&output.stdout).map_err(|e| failed(&e))?;
    if answer.username == "<token>" {
        return Err(failed(&"it holds an identity token, which is not understood: log in with a password"));
    }
    Ok(Some(Login { username: answer.username, password: answer.secret }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::machine::testing::TempFolder;

    async fn found(text: &str, host: &str) -> Result<Option<Login>, String> {
        let folder = TempFolder::new();
        let path = folder.path().join("config.json");
        std::fs::write(&path, text).expect("written");
        find(&path, host).await
    }

    #[tokio::test]
    async fn logins_are_found_under_all_spellings_of_a_host() {
        let login = Some(Login { username: "me".into(), password: "a:b".into() });
        let auth = STANDARD.encode("me:a:b");
        for key in ["https://index.docker.io/v1/", "docker.io", "index.docker.io"] {
            let text = format!(r#"{{"auths": {{"{key}": {{"auth": "{auth}"}}}}}}"#);
            assert_eq!(found(&text, "docker.io").await, Ok(login.clone()), "{key}");
            assert_eq!(found(&text, "example.com").await, Ok(None));
        }
        let text = r#"{"auths": {"https://r.lab:5000": {"username": "me", "password": "a:b"}, "x": {}}}"#;
        assert_eq!(found(text, "r.lab:5000").await, Ok(login));
        assert_eq!(found(text, "x").await, Ok(None));
        assert_eq!(found("{}", "x").await, Ok(None));
        assert!(found("[", "x").await.is_err());
        assert_eq!(find(Path::new("/nowhere/config.json"), "x").await, Ok(None));
    }

    #[tokio::test]
    async fn a_helper_that_is_not_there_is_named() {
        let text = r#"{"credHelpers": {"x": "batchyard-none"}}"#;
        assert!(found(text, "x").await.unwrap_err().contains("docker-credential-batchyard-none"));
        assert!(found(r#"{"credsStore": "../x"}"#, "x").await.is_err());
    }
}
