//! `batchyard image login` and `logout`: the logins that pulls of this data folder use.
//!
//! A password comes from standard input or a terminal that does not show it, never from the command line, where every user
//! of the machine could read it. Never here: where logins are kept and looked for (`crate::registry`).

use super::error::CliError;
use super::output::Console;
use crate::config::Settings;
use crate::registry::{self, Login, PullError, RegistrySettings};
use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{self, IsTerminal, Read};

/// Longest password or token that is taken, in bytes.
const LONGEST: u64 = 64 << 10;

/// The registry, and who logs in there.
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// Registry's host, with its port if it has one
    #[arg(default_value = registry::HUB)]
    registry: String,
    /// User; asked for when absent
    #[arg(short, long, value_name = "USER")]
    username: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    password_stdin: bool,
}

/// The registry.
#[derive(Debug, Args)]
pub struct LogoutArgs {
    /// Registry's host, with its port if it has one
    #[arg(default_value = registry::HUB)]
    registry: String,
}

/// Asks the registry whether the login is good, and keeps it.
pub fn login(args: &LoginArgs, settings: &Settings, console: &mut Console) -> Result<(), CliError> {
    let host = host(&args.registry)?;
    let login = Login {
        username: match &args.username {
            Some(name) => name.clone(),
            None => ask(console, &format!("User at {host}: "), true)?,
        },
        password: if args.password_stdin { piped()? } else { ask(console, "Password: ", false)? },
    };
    // A colon would end the name on its way to the registry.
    if login.username.is_empty() || login.username.contains(':') || login.password.is_empty() {
        let text = "a login has a user without a colon, and a password: neither may be empty";
        return Err(CliError::Usage(text.to_owned()));
    }
    let registries = RegistrySettings::of(settings, &settings.data_dir);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| CliError::Failed(e.to_string()))?;
    console.progress(&format!("logging in at {host}"));
    runtime.block_on(registry::check(&registries, &host, &login)).map_err(|e| refused(&e))?;
    registries.logins.keep(&host, &login).map_err(CliError::Denied)?;
    console.clear_progress();
    console.line(format!("{} is logged in at {host}", login.username))
}

/// Forgets the login.
pub fn logout(args: &LogoutArgs, settings: &Settings, console: &mut Console) -> Result<(), CliError> {
    let host = host(&args.registry)?;
    let logins = RegistrySettings::of(settings, &settings.data_dir).logins;
    if !logins.forget(&host).map_err(CliError::Denied)? {
        let text = format!("nobody is logged in at {host} here; Docker's own file is left to docker logout");
        return Err(CliError::NotFound(text));
    }
    console.line(format!("logged out at {host}"))
}

fn host(text: &str) -> Result<String, CliError> {
    registry::host_of(text).ok_or_else(|| {
        CliError::Usage(format!(
            "{text:?} is no registry's host: give it as in image names, without a repository"
        ))
    })
}

fn refused(error: &PullError) -> CliError {
    let text = error.to_string();
    if error.is_refusal() { CliError::Denied(text) } else { CliError::Failed(text) }
}

/// All of standard input, without the line's end.
fn piped() -> Result<String, CliError> {
    let mut text = String::new();
    let failed = |e: io::Error| CliError::Failed(format!("reading the password: {e}"));
    io::stdin().lock().take(LONGEST).read_to_string(&mut text).map_err(failed)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// A line from the terminal, shown while it is typed or not.
fn ask(console: &mut Console, question: &str, shown: bool) -> Result<String, CliError> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        let text = "there is no terminal to ask on: use -u USER --password-stdin";
        return Err(CliError::Usage(text.to_owned()));
    }
    let failed = |e: io::Error| CliError::Failed(format!("asking on the terminal: {e}"));
    let before = tcgetattr(&stdin).map_err(|e| failed(e.into()))?;
    if !shown {
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        quiet.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&stdin, OptionalActions::Flush, &quiet).map_err(|e| failed(e.into()))?;
    }
    console.prompt(question);
    let mut line = String::new();
    let read = stdin.read_line(&mut line);
    if !shown {
        tcsetattr(&stdin, OptionalActions::Now, &before).map_err(|e| failed(e.into()))?;
    }
    read.map_err(failed)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
