//! Clients of registries: where an image is asked for, how, and with which certificates.
//!
//! Owns the mirrors and which hosts are spoken to in plain HTTP. Never here: logins, what is fetched.

use super::{PullError, RegistrySettings};
use crate::images::Reference;
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::{Client, Reference as Asked};
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// How long a registry may take to be reached.
const CONNECT: Duration = Duration::from_secs(10);

/// What clients of registries have in common. A client serves one pull: it remembers logins, which are not for others.
pub struct Clients {
    certificates: Vec<Vec<u8>>,
    insecure: Vec<String>,
    silence: Duration,
}

impl Clients {
    /// Reads the certificates.
    ///
    /// # Errors
    /// Their file cannot be read, or holds none.
    pub fn new(settings: &RegistrySettings) -> Result<Self, PullError> {
        let certificates = settings.ca_file.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
        // An error means that a provider is installed already, which is what is wanted.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clients = Self { certificates, insecure: settings.insecure.clone(), silence: settings.silence };
        if let Some(path) = &settings.ca_file {
            clients.client(ClientProtocol::Https).map_err(|e| odd(path, &e))?;
        }
        Ok(clients)
    }

    /// Clients that speak to this host, the best first: by TLS, unless the settings say plain HTTP. Hosts of this
    /// machine's own may be either, as with Docker.
    ///
    /// # Errors
    /// This machine has no certificates to trust.
    pub fn ways(&self, host: &str) -> Result<Vec<Client>, PullError> {
        let protocols = if self.insecure.iter().any(|known| known == host) {
            vec![ClientProtocol::Http]
        } else if is_loopback(host) {
            vec![ClientProtocol::Https, ClientProtocol::Http]
        } else {
            vec![ClientProtocol::Https]
        };
        let client = |protocol| {
            let made = self.client(protocol);
            made.map_err(|e| PullError::permanent(format!("no TLS (is ca-certificates installed?): {e}")))
        };
        protocols.into_iter().map(client).collect()
    }

    fn client(&self, protocol: ClientProtocol) -> Result<Client, OciDistributionError> {
        let certificate =
            |data: &Vec<u8>| Certificate { encoding: CertificateEncoding::Pem, data: data.clone() };
        // Not `new`, which drops all of this when something is wrong with it.
        Client::try_from(ClientConfig {
            protocol,
            extra_root_certificates: self.certificates.iter().map(certificate).collect(),
            connect_timeout: Some(CONNECT.min(self.silence)),
            read_timeout: Some(self.silence),
            user_agent: concat!("batchyard/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, PullError> {
    let pem = std::fs::read(path).map_err(|e| odd(path, &e))?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(found) if found.is_empty() => Err(odd(path, &"it holds no certificate in the form of PEM")),
        Ok(_) => Ok(pem),
        Err(error) => Err(odd(path, &error)),
    }
}

fn odd(path: &Path, error: &dyn fmt::Display) -> PullError {
    PullError::permanent(format!("registry_ca_file {}: {error}", path.display()))
}

/// Where an image is asked for: its own host, or the one that stands in for it.
pub fn asked(image: &Reference, mirrors: &[(String, String)]) -> Asked {
    let mirror = mirrors.iter().find(|(host, _)| host == image.host()).map(|(_, target)| target.as_str());
    let (host, repository) = match mirror {
        None => (image.host().to_owned(), image.repository().to_owned()),
        Some(target) => {
            let target = target.trim_end_matches('/');
            let (host, prefix) = target.split_once('/').unwrap_or((target, ""));
            let repository = format!("{prefix}/{}", image.repository());
            (host.to_owned(), repository.trim_start_matches('/').to_owned())
        }
    };
    match (image.digest(), image.tag()) {
        (Some(digest), _) => Asked::with_digest(host, repository, digest.to_owned()),
        (None, tag) => Asked::with_tag(host, repository, tag.unwrap_or("latest").to_owned()),
    }
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or(host),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::machine::testing::TempFolder;
    use crate::config::Settings;

    fn place(image: &str, mirrors: &[(&str, &str)]) -> String {
        let mirrors: Vec<_> = mirrors.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
        asked(&Reference::parse(image).unwrap(), &mirrors).to_string()
    }

    #[test]
    fn a_mirror_stands_in_for_its_host() {
        let ecr = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
        let mirrors = [("docker.io", "mirror.lab:5000/hub"), (ecr, "127.0.0.1:5000")];
        assert_eq!(place("python:3.12-slim", &mirrors), "mirror.lab:5000/hub/library/python:3.12-slim");
        assert_eq!(place(&format!("{ecr}/team/tool:1"), &mirrors), "127.0.0.1:5000/team/tool:1");
        assert_eq!(place("ghcr.io/a/b", &mirrors), "ghcr.io/a/b:latest");
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(place(&format!("x/y:1@{digest}"), &[]), format!("docker.io/x/y@{digest}"));
    }

    #[test]
    fn a_file_without_certificates_is_no_file_of_certificates() {
        let folder = TempFolder::new();
        let path = folder.path().join("ca.pem");
        let new = || {
            let settings = Settings { registry_ca_file: Some(path.clone()), ..Settings::default() };
            Clients::new(&RegistrySettings::of(&settings, folder.path())).map(drop)
        };
        assert!(new().unwrap_err().to_string().contains("ca.pem"), "not there");
        for text in ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            std::fs::write(&path, text).unwrap();
            assert!(new().unwrap_err().to_string().starts_with("registry_ca_file "), "{text:?}");
        }
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example.com", "example.com:127", "128.0.0.1", "docker.io"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
