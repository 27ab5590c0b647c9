//! `batchyard doctor`: what this machine can do for jobs, and how to mend what it cannot.
//!
//! The supervisor's own probe tries the hard things (namespaces, overlay, seccomp, cgroups) for real; what it cannot
//! tell is read from `/proc` and the data folder here. Never here: changing anything.

use super::client::Client;
use super::error::{CliError, FAILED, OK};
use super::output::{Cell, Column, Console, Listed, Look};
use super::{doctor_checks, doctor_drivers, local};
use crate::config::Settings;
use clap::Args;
use serde::Serialize;
use std::path::Path;

/// Look whether this machine can run jobs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  batchyard doctor
  sudo batchyard doctor --data-dir /srv/batchyard
  batchyard doctor -o json | jq '.findings[] | select(.state != \"ok\")'

Exits with 1 when something that jobs need is missing.")]
pub struct DoctorArgs {}

/// How a finding is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Ok,
    /// Works with less than it could.
    Warn,
    /// Jobs cannot run like this.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was looked at; stable.
    pub name: String,
    /// How it stands.
    pub state: Health,
    /// What was found.
    pub found: String,
    /// What to do about it; `null` when all is well.
    pub mend: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn ok(name: &str, found: impl Into<String>) -> Self {
        Self { name: name.into(), state: Health::Ok, found: found.into(), mend: None }
    }

    /// Works with less.
    pub fn warn(name: &str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name: name.into(), state: Health::Warn, found: found.into(), mend: Some(mend.into()) }
    }

    /// Cannot work.
    pub fn fail(name: &str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name: name.into(), state: Health::Fail, found: found.into(), mend: Some(mend.into()) }
    }
}

impl Listed for Finding {
    const KEY: &'static str = "findings";
    const FIELDS: &'static [&'static str] = &["name", "state", "found", "mend"];

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("STATE", |f: &Self, _| match f.state {
                Health::Ok => Cell::new("ok", Look::Good),
                Health::Warn => Cell::new("warn", Look::Busy),
                Health::Fail => Cell::new("FAIL", Look::Bad),
            }),
            Column::new("WHAT", |f: &Self, _| f.name.as_str().into()).of("name"),
            Column::new("FOUND", |f: &Self, _| f.found.as_str().into()).cut(),
        ]
    }

    fn key(&self) -> &str {
        &self.name
    }
}

/// Looks at this machine as a host for a server with these settings.
pub fn examine(settings: &Settings) -> Vec<Finding> {
    let probed = doctor_checks::supervisor();
    let user = doctor_checks::user(&probed, settings.driver);
    let is_root = user.state == Health::Ok;
    let mut findings = vec![user, doctor_checks::kernel()];
    findings.extend(probed.into_iter().map(|f| if is_root { f } else { as_other(f) }));
    findings.extend(doctor_drivers::all(settings, rustix::process::geteuid().is_root()));
    findings.push(doctor_checks::busybox());
    findings.extend(doctor_checks::data_dir(&settings.data_dir));
    findings.push(doctor_checks::clock());
    findings
}

/// What a probe without root cannot do says little about the machine, so the way out is root.
fn as_other(finding: Finding) -> Finding {
    match finding.state {
        Health::Fail if finding.name != "supervisor" => {
            Finding { mend: Some("look again as root: `sudo batchyard doctor`".into()), ..finding }
        }
        _ => finding,
    }
}

/// Runs the command.
pub fn run(
    settings: &Settings,
    client: Result<Client, CliError>,
    console: &mut Console,
) -> Result<u8, CliError> {
    let mut findings = examine(settings);
    findings.push(server(&settings.data_dir, client));
    console.list(&findings)?;
    if matches!(console.format, None | Some(super::output::Format::Table | super::output::Format::Wide)) {
        for finding in &findings {
            if let Some(mend) = &finding.mend {
                console.line(format!("\n{} ({}):\n  {mend}", finding.name, finding.found))?;
            }
        }
    }
    Ok(if findings.iter().any(|f| f.state == Health::Fail) { FAILED } else { OK })
}

/// Whether the server of this data folder runs and answers. That none runs is no fault of the machine.
fn server(data_dir: &Path, client: Result<Client, CliError>) -> Finding {
    let start = format!("start one with `batchyard server --data-dir {}`", data_dir.display());
    match local::process(data_dir) {
        Err(e) => return Finding::warn("server", e.to_string(), "run this as the user who runs the server"),
        Ok(None) => return Finding::ok("server", format!("none runs on {}; {start}", data_dir.display())),
        Ok(Some(_)) => {}
    }
    match client.and_then(|c| Ok((c.caller_arn()?, c))) {
        Ok((arn, client)) => Finding::ok("server", format!("answers at {} as {arn}", client.endpoint())),
        Err(e) => Finding::fail(
            "server",
            format!("runs and does not answer: {e}"),
            "look into its log, then `batchyard stop` and start it again",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Format;
    use crate::cli::testing::{Captured, TempDir, client_at};

    #[test]
    fn json_has_every_finding_with_state_and_mend() {
        let dir = TempDir::new();
        let captured = Captured::new(Some(Format::Json));
        let settings = Settings { data_dir: dir.path().to_path_buf(), ..Settings::default() };
        run(&settings, Ok(client_at("http://127.0.0.1:9")), &mut captured.console()).unwrap();
        let document: serde_json::Value = serde_json::from_str(&captured.out()).unwrap();
        let findings = document["findings"].as_array().unwrap();
        for name in ["user", "kernel", "busybox", "data folder", "disk", "clock", "server"] {
            let finding = findings.iter().find(|f| f["name"] == name).unwrap_or_else(|| panic!("no {name}"));
            assert_eq!(finding["mend"].is_null(), finding["state"] == "ok", "{finding}");
        }
    }

    #[test]
    fn without_root_the_way_out_is_root() {
        let probe = as_other(Finding::fail("overlayfs", "no: mount: not permitted", "modprobe"));
        assert!(probe.mend.unwrap().contains("root"));
        let program = Finding::fail("supervisor", "not there", "install batchyard anew");
        assert_eq!(as_other(program.clone()), program);
    }

    #[test]
    fn a_server_that_runs_and_does_not_answer_is_a_failure() {
        let dir = TempDir::new();
        std::fs::create_dir(dir.path().join("run")).unwrap();
        std::fs::write(dir.path().join("run/pid"), local::pid_line()).unwrap();
        assert_eq!(server(dir.path(), Ok(client_at("http://127.0.0.1:9"))).state, Health::Fail);
        assert_eq!(server(TempDir::new().path(), Ok(client_at("http://127.0.0.1:9"))).state, Health::Ok);
    }
}
