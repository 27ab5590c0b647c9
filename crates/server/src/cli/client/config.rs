//! Where to send requests and with which keys: flags, AWS_* variables, the aws files, then a server on this machine.
//!
//! The order is that of the aws programs, so that what works with `aws batch` works here (spec clients §1), with one
//! difference: who named a data folder means the server there, and where no endpoint is configured, a server that runs
//! on this machine goes before AWS. Never here: sending, signing.

use super::ini::Ini;
use super::sign::Credentials;
use crate::cli::error::CliError;
use crate::cli::local;
use std::fs;
use std::path::{Path, PathBuf};

/// What the flags said; every one of them may be absent.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// One endpoint for all services.
    pub endpoint_url: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// Profile of the aws files.
    pub profile: Option<String>,
    /// Data folder of a server on this machine.
    pub folder: Folder,
}

/// A data folder, with how much it was asked for.
#[derive(Debug, Clone, Default)]
pub enum Folder {
    /// None is to be looked at.
    #[default]
    Unasked,
    /// Nobody named it: it counts where no endpoint is configured, and while its server runs.
    Default(PathBuf),
    /// Named by `BATCHYARD_DATA_DIR`: never AWS instead, but a configured endpoint when it holds no server.
    Variable(PathBuf),
    /// Named by `--data-dir`: this and nothing else.
    Flag(PathBuf),
}

/// The services that the commands speak to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// AWS Batch.
    Batch,
    /// CloudWatch Logs.
    Logs,
    /// STS.
    Sts,
}

impl Service {
    /// Name in signatures and in AWS's own host names.
    pub fn signing_name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Logs => "logs",
            Self::Sts => "sts",
        }
    }

    /// Name in `AWS_ENDPOINT_URL_…` and, in lower case, in the `services` section of the config file.
    fn id(self) -> &'static str {
        match self {
            Self::Batch => "BATCH",
            Self::Logs => "CLOUDWATCH_LOGS",
            Self::Sts => "STS",
        }
    }
}

/// All that a client needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Region, for signatures.
    pub region: String,
    /// Keys.
    pub credentials: Credentials,
    /// Endpoints of Batch, CloudWatch Logs and STS, without a slash at their end.
    pub endpoints: [String; 3],
}

/// Variables, as a function so that tests need not change the process's own.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Finds endpoint, region and keys. Errors: nothing found, or a profile that does not exist.
pub fn resolve(options: &Options, env: Env<'_>) -> Result<Settings, CliError> {
    let sources = Sources::new(options, env);
    if let Some(server) = local_server(options, &sources)? {
        return Ok(of_local(options, server));
    }
    sources.check_profile()?;
    let credentials = sources.credentials()?;
    if credentials.is_none()
        && !sources.names_endpoint()
        && sources.explicit_profile.is_none()
        && let Folder::Default(dir) = &options.folder
    {
        let server = local::find(dir)?.ok_or_else(|| {
            CliError::NotFound(format!(
                "no server to talk to: the aws configuration names no endpoint and no credentials, and {} holds no \
                 server; start one with `batchyard server`",
                dir.display()
            ))
        })?;
        return Ok(of_local(options, server));
    }
    let credentials = credentials.ok_or_else(|| {
        CliError::Denied(
            "an endpoint is configured but no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \
             `eval \"$(batchyard env)\"` for a server on this machine, or for single sign-on \
             `eval \"$(aws configure export-credentials --format env)\"`"
                .into(),
        )
    })?;
    let region = sources
        .region()
        .ok_or_else(|| CliError::Usage("no region is configured; give --region or set AWS_REGION".into()))?;
    let endpoints = [Service::Batch, Service::Logs, Service::Sts].map(|s| sources.endpoint(s, &region));
    Ok(Settings { region, credentials, endpoints })
}

/// The server on this machine, where it goes before the aws configuration.
fn local_server(options: &Options, sources: &Sources<'_>) -> Result<Option<local::Server>, CliError> {
    let elsewhere = options.endpoint_url.is_some() || options.profile.is_some();
    match &options.folder {
        Folder::Flag(dir) => local::find(dir)?.ok_or_else(|| no_server(dir)).map(Some),
        Folder::Variable(dir) if !elsewhere => match local::find(dir)? {
            None if !sources.names_endpoint() => Err(no_server(dir)),
            found => Ok(found),
        },
        Folder::Default(dir) if !elsewhere && !sources.names_endpoint() => match local::process(dir)? {
            Some(_) => local::find(dir),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

fn no_server(dir: &Path) -> CliError {
    let dir = dir.display();
    CliError::NotFound(format!(
        "{dir} holds no server's endpoint; start one with `batchyard server --data-dir {dir}`"
    ))
}

fn of_local(options: &Options, server: local::Server) -> Settings {
    let url = options.endpoint_url.clone().map_or(server.url, |u| u.trim_end_matches('/').to_string());
    Settings {
        region: options.region.clone().unwrap_or(server.region),
        credentials: server.credentials,
        endpoints: [url.clone(), url.clone(), url],
    }
}

/// Flags, variables and files together.
struct Sources<'a> {
    options: &'a Options,
    env: Env<'a>,
    explicit_profile: Option<String>,
    profile: String,
    config: Ini,
    shared: Ini,
}

impl<'a> Sources<'a> {
    fn new(options: &'a Options, env: Env<'a>) -> Self {
        let env_profile = || set(env, "AWS_PROFILE").or_else(|| set(env, "AWS_DEFAULT_PROFILE"));
        let explicit_profile = options.profile.clone().or_else(env_profile);
        let file = |variable: &str, name: &str| -> Ini {
            let path = set(env, variable)
                .map(|p| expand_home(&p, env))
                .or_else(|| set(env, "HOME").map(|h| Path::new(&h).join(".aws").join(name)));
            path.and_then(|p| fs::read_to_string(p).ok()).map(|text| Ini::parse(&text)).unwrap_or_default()
        };
        Self {
            options,
            env,
            profile: explicit_profile.clone().unwrap_or_else(|| "default".into()),
            explicit_profile,
            config: file("AWS_CONFIG_FILE", "config"),
            shared: file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        }
    }

    fn check_profile(&self) -> Result<(), CliError> {
        match &self.explicit_profile {
            Some(p) if p != "default" && !self.shared.has(p) && !self.config.has(&self.section()) => {
                Err(CliError::Usage(format!(
                    "the aws configuration has no profile {p}; `aws configure list-profiles` shows those there are"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Name of the profile's section in the config file, where only `default` may go without the word.
    fn section(&self) -> String {
        let named = format!("profile {}", self.profile);
        if self.profile == "default" && !self.config.has(&named) { "default".into() } else { named }
    }

    fn config(&self, key: &str) -> Option<String> {
        self.config.get(&self.section(), key).map(String::from)
    }

    fn region(&self) -> Option<String> {
        let shared = || self.shared.get(&self.profile, "region").map(String::from);
        self.options
            .region
            .clone()
            .or_else(|| set(self.env, "AWS_REGION"))
            .or_else(|| set(self.env, "AWS_DEFAULT_REGION"))
            .or_else(|| self.config("region"))
            .or_else(shared)
    }

    fn credentials(&self) -> Result<Option<Credentials>, CliError> {
        let keys = |get: &dyn Fn(&str) -> Option<String>| {
            Some(Credentials {
                access_key_id: get("aws_access_key_id")?,
                secret_access_key: get("aws_secret_access_key")?,
                session_token: get("aws_session_token"),
            })
        };
        // A profile asked for by flag goes before the variables, one named by a variable after them.
        if self.options.profile.is_none()
            && let Some(found) = keys(&|name| set(self.env, &name.to_uppercase()))
        {
            return Ok(Some(found));
        }
        let found = keys(&|name| self.shared.get(&self.profile, name).map(String::from))
            .or_else(|| keys(&|name| self.config(name)));
        let indirect = ["sso_session", "sso_start_url", "role_arn", "credential_process"];
        match indirect.into_iter().find(|key| self.config(key).is_some()) {
            Some(key) if found.is_none() => Err(CliError::Denied(format!(
                "profile {} gets its keys through {key}, which batchyard cannot follow; run \
                 `eval \"$(aws configure export-credentials --profile {} --format env)\"` first",
                self.profile, self.profile
            ))),
            _ => Ok(found),
        }
    }

    fn configured_endpoint(&self, service: Service) -> Option<String> {
        if let Some(url) = &self.options.endpoint_url {
            return Some(url.clone());
        }
        if set(self.env, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            .is_some_and(|v| v.eq_ignore_ascii_case("true"))
        {
            return None;
        }
        let in_services = || {
            let section = format!("services {}", self.config("services")?);
            let key = format!("{}.endpoint_url", service.id().to_lowercase());
            self.config.get(&section, &key).map(String::from)
        };
        set(self.env, &format!("AWS_ENDPOINT_URL_{}", service.id()))
            .or_else(|| set(self.env, "AWS_ENDPOINT_URL"))
            .or_else(in_services)
            .or_else(|| self.config("endpoint_url"))
    }

    fn names_endpoint(&self) -> bool {
        self.configured_endpoint(Service::Batch).is_some()
    }

    fn endpoint(&self, service: Service, region: &str) -> String {
        let url = self.configured_endpoint(service).unwrap_or_else(|| {
            let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            format!("https://{}.{region}.{suffix}", service.signing_name())
        });
        url.trim_end_matches('/').to_string()
    }
}

fn set(env: Env<'_>, name: &str) -> Option<String> {
    env(name).filter(|v| !v.is_empty())
}

fn expand_home(path: &str, env: Env<'_>) -> PathBuf {
    match (path.strip_prefix("~/"), set(env, "HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
