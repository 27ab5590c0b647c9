//! Whether a registry takes a login, and which host is meant by what people write for one.
//!
//! Never here: keeping logins (`login`).

use super::client::Clients;
use super::error::is_untrusted;
use super::{Login, PullError, RegistrySettings};
use crate::images::Reference;
use oci_client::errors::{OciDistributionError as E, OciErrorCode as Code};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference as Asked, RegistryOperation};

/// Docker Hub, as logins and image names call it.
pub const HUB: &str = "docker.io";
/// What is asked for with the login. Nobody has it: only whether it may be asked for tells something.
const NOTHING: &str = "batchyard/login-check";

/// The host of a registry as image names have it, from what people write; none: it is no host.
pub fn host_of(text: &str) -> Option<String> {
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let bare = bare.trim_end_matches('/');
    let bare = bare.strip_suffix("/v1").or_else(|| bare.strip_suffix("/v2")).unwrap_or(bare);
    if matches!(bare, HUB | "index.docker.io" | "registry-1.docker.io") {
        return Some(HUB.to_owned());
    }
    // A word that an image name would take for a part of Docker Hub is no host.
    let image = Reference::parse(&format!("{bare}/x")).ok()?;
    (image.host() == bare && image.repository() == "x").then(|| bare.to_owned())
}

/// Asks the registry whether it takes this login.
///
/// # Errors
/// It does not, or cannot be asked.
pub async fn check(settings: &RegistrySettings, host: &str, login: &Login) -> Result<(), PullError> {
    let clients = Clients::new(settings)?;
    let asked = Asked::with_tag(host.to_owned(), NOTHING.to_owned(), "latest".to_owned());
    let auth = RegistryAuth::Basic(login.username.clone(), login.password.clone());
    let mut last = PullError::permanent(format!("registry {host} cannot be asked"));
    for client in clients.ways(host)? {
        let error = match ask(&client, &asked, &auth).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        last = match &error {
            E::UnauthorizedError { .. } | E::AuthenticationFailure(_) if !PullError::is_away(&error) => {
                PullError::refusal(format!("registry {host} refuses the login of {}", login.username))
            }
            error => PullError::asking(error, host),
        };
        // No TLS there: the next way.
        if !matches!(error, E::RequestError(_)) || is_untrusted(&error) {
            break;
        }
    }
    Err(last)
}

async fn ask(client: &Client, asked: &Asked, auth: &RegistryAuth) -> Result<(), E> {
    if client.auth(asked, auth, RegistryOperation::Pull).await?.is_some() {
        return Ok(()); // A token for this user.
    }
    match client.pull_manifest_raw(asked, auth, &[]).await {
        Err(E::ImageManifestNotFoundError(_) | E::ServerError { code: 403 | 404, .. }) => Ok(()),
        Err(E::RegistryError { envelope, .. })
            if envelope.errors.iter().all(|e| e.code != Code::Toomanyrequests) =>
        {
            Ok(())
        }
        result => result.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_taken_as_people_write_them() {
        for hub in ["docker.io", "https://index.docker.io/v1/", "registry-1.docker.io"] {
            assert_eq!(host_of(hub).as_deref(), Some(HUB));
        }
        for (text, host) in
            [("http://r.lab:5000/", "r.lab:5000"), ("localhost", "localhost"), ("ghcr.io/v2", "ghcr.io")]
        {
            assert_eq!(host_of(text).as_deref(), Some(host));
        }
        for bad in ["", "team", "r.lab/team", "a b", "-", "https://"] {
            assert_eq!(host_of(bad), None, "{bad:?}");
        }
    }
}
