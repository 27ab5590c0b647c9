//! `batchyard env`: the exports that point other AWS Batch clients at the server on this machine.
//!
//! Never here: starting the server, clients' own configuration files.

use super::error::CliError;
use super::local;
use super::output::Console;
use clap::Args;
use std::path::Path;

/// Print the exports that other clients need.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  eval \"$(batchyard env)\"
  batchyard env --data-dir ./data > .envrc
  (eval \"$(batchyard env)\" && aws batch describe-job-queues)

Endpoints of other services stay as they are, but the shell's keys are then Batchyard's, which AWS does not know: use a
shell of its own for this, or keep your own keys in a profile. On an error the output is `false`, so that eval fails.")]
pub struct EnvArgs {}

/// What the shell gets to evaluate instead of exports: without it `eval "$(batchyard env)" && aws …` would go on, to
/// wherever the shell's own configuration leads.
pub const FAIL: &str = "false";

/// Runs the command: an error of code 1 when no server runs on this data folder.
pub fn run(data_dir: &Path, console: &mut Console) -> Result<u8, CliError> {
    let server = local::find(data_dir)?;
    let (Some(server), Some(_)) = (server, local::process(data_dir)?) else {
        return Err(CliError::Failed(format!(
            "no server runs on {0}; start one with `batchyard server --data-dir {0}`",
            data_dir.display()
        )));
    };
    console.print(&exports(&server))?;
    Ok(0)
}

fn exports(server: &local::Server) -> String {
    let mut text = format!(
        "# Point AWS Batch clients at {0}.\n# Version 2 of the aws program before 2.13 (Debian 12 has 2.9) reads no \
         AWS_ENDPOINT_URL_*: add --endpoint-url {0} there.\n",
        server.url.replace(['\n', '\r'], " ")
    );
    let pairs = [
        ("AWS_ACCESS_KEY_ID", &server.credentials.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &server.credentials.secret_access_key),
        ("AWS_DEFAULT_REGION", &server.region),
        ("AWS_REGION", &server.region),
        ("AWS_ENDPOINT_URL_BATCH", &server.url),
        ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", &server.url),
        ("AWS_ENDPOINT_URL_STS", &server.url),
    ];
    for (name, value) in pairs {
        text.push_str(&format!("export {name}={}\n", quoted(value)));
    }
    // Live tail would otherwise look for `stream-` before the address.
    text.push_str("export AWS_DISABLE_HOST_PREFIX_INJECTION='true'\n");
    // Either would win over the keys above.
    text.push_str("unset AWS_SESSION_TOKEN AWS_PROFILE\n");
    text
}

/// A word as any POSIX shell takes it literally.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// A word quoted only where a shell would otherwise read it differently.
pub fn quoted_if_needed(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_string() } else { quoted(word) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::sign::Credentials;
    use crate::cli::testing::{Captured, TempDir};
    use std::fs;
    use std::process::Command;

    #[test]
    fn a_shell_gets_exactly_these_values() {
        let server = local::Server {
            url: "http://127.0.0.1:9740".into(),
            region: "us-east-1".into(),
            credentials: Credentials {
                access_key_id: "AK".into(),
                secret_access_key: "a'b\"c$d`e\\f /+=".into(),
                session_token: None,
            },
        };
        let script = format!(
            "AWS_PROFILE=x AWS_SESSION_TOKEN=y; export AWS_PROFILE AWS_SESSION_TOKEN\n{}\
             printf '%s|%s|%s|%s' \"$AWS_SECRET_ACCESS_KEY\" \"$AWS_ENDPOINT_URL_BATCH\" \
             \"${{AWS_PROFILE-none}}\" \"${{AWS_ENDPOINT_URL-none}}\"",
            exports(&server)
        );
        let shell = Command::new("sh").env_remove("AWS_ENDPOINT_URL").args(["-c", &script]).output().unwrap();
        assert_eq!(
            String::from_utf8(shell.stdout).unwrap(),
            "a'b\"c$d`e\\f /+=|http://127.0.0.1:9740|none|none"
        );
    }

    #[test]
    fn a_server_that_does_not_run_is_code_1_and_nothing_to_eval() {
        let dir = TempDir::new();
        fs::create_dir(dir.path().join("run")).unwrap();
        fs::write(dir.path().join("run/endpoint"), "http://127.0.0.1:1\nus-east-1\n").unwrap();
        fs::write(
            dir.path().join("credentials"),
            "[default]\naws_access_key_id=a\naws_secret_access_key=b\n",
        )
        .unwrap();
        fs::write(dir.path().join("run/pid"), format!("{} 1\n", std::process::id())).unwrap();
        let captured = Captured::new(None);
        let error = run(dir.path(), &mut captured.console()).unwrap_err();
        assert_eq!((error.exit_code(), captured.out().as_str()), (1, ""));
        assert!(error.to_string().contains("batchyard server"));
        fs::write(dir.path().join("run/pid"), local::pid_line()).unwrap();
        assert_eq!(run(dir.path(), &mut captured.console()).unwrap(), 0);
    }

    #[test]
    fn words_are_quoted_only_where_needed() {
        assert_eq!(quoted_if_needed("a-b/c"), "a-b/c");
        assert_eq!(quoted_if_needed("exit 7"), "'exit 7'");
        assert_eq!(quoted_if_needed(""), "''");
    }
}
