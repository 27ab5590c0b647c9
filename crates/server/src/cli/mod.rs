//! The command line: the tree of commands, what they have in common, and the one place that prints an error.
//!
//! A file a command. Those that drive a queue speak the public API through [`client`] and nothing else, so they drive
//! any AWS Batch endpoint; those of this machine (`server`, `stop`, `env`, `image`, `doctor`) also read the data folder.
//! Never here: what the server does ([`Hooks`] leads there), what a command does.

pub mod client;
pub mod doctor;
mod doctor_checks;
pub mod env;
pub mod error;
pub mod follow;
pub mod image;
pub mod interrupt;
pub mod job;
pub mod local;
pub mod logs;
pub mod output;
pub mod ps;
pub mod queues;
pub mod rows;
pub mod run;
mod run_request;
pub mod select;
pub mod server;
pub mod show;
pub mod stop;
pub mod terminate;
#[cfg(test)]
#[path = "tests/testing.rs"]
mod testing;
pub mod units;
pub mod wait;

use crate::config as settings;
use clap::{Args, Parser, Subcommand};
use client::Client;
use client::config::{self, Options};
use error::CliError;
use output::{Console, Format};
use std::path::PathBuf;
use std::process::ExitCode;

/// AWS Batch on your own machines.
#[derive(Debug, Parser)]
#[command(
    name = "batchyard",
    version,
    propagate_version = true,
    after_help = "\
Examples:
  batchyard server                        then, in another shell:
  batchyard run busybox -- echo hello
  eval \"$(batchyard env)\" && aws batch describe-job-queues

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 denied, 124 wait timed out, 130 interrupted; `run` and `wait` end
with the job's own code."
)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// What all commands take.
#[derive(Debug, Args)]
struct Globals {
    /// Endpoint of all services; else AWS_ENDPOINT_URL_BATCH, …_CLOUDWATCH_LOGS, AWS_ENDPOINT_URL, the aws files
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    endpoint_url: Option<String>,
    /// Region; else AWS_REGION, AWS_DEFAULT_REGION, the aws files
    #[arg(long, global = true, help_heading = "Global options")]
    region: Option<String>,
    /// Profile of the aws files; else AWS_PROFILE
    #[arg(long, global = true, help_heading = "Global options")]
    profile: Option<String>,
    /// Data folder of a server on this machine: talk to that server; else BATCHYARD_DATA_DIR, then
    /// /var/lib/batchyard for root and ~/.local/share/batchyard for others
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    data_dir: Option<PathBuf>,
    /// Form of the output
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", help_heading = "Global options")]
    output: Option<Format>,
    /// No colours; NO_COLOR does the same
    #[arg(long, global = true, help_heading = "Global options")]
    no_color: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Server(server::ServerFlags),
    Stop(stop::StopArgs),
    Env(env::EnvArgs),
    Run(run::RunArgs),
    #[command(alias = "jobs")]
    Ps(ps::PsArgs),
    Show(show::ShowArgs),
    Logs(logs::LogsArgs),
    Wait(wait::WaitArgs),
    Terminate(terminate::TerminateArgs),
    Queues(queues::QueuesArgs),
    Image(image::ImageArgs),
    Doctor(doctor::DoctorArgs),
}

/// Where the command line hands over to the rest of the program. A function pointer keeps this module free of the
/// server, and lets a program without one exist.
pub struct Hooks {
    /// Runs the server until it is told to stop. Called outside of any asynchronous runtime. An error is printed as one
    /// line and ends the program with code 1.
    pub server: fn(server::ServerFlags) -> anyhow::Result<()>,
}

/// Reads the command line, runs the command, prints its error if it has one, and gives the exit code.
pub fn main(hooks: &Hooks) -> ExitCode {
    let cli = Cli::parse();
    let mut console = Console::standard(cli.globals.output, cli.globals.no_color);
    match cli.dispatch(hooks, &mut console) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            console.clear_progress();
            if !error.is_silent() {
                console.note(format!("batchyard: {error}"));
                if let Some(hint) = cli.globals.hint(&error) {
                    console.note(hint);
                }
            }
            ExitCode::from(error.exit_code())
        }
    }
}

impl Cli {
    fn dispatch(&self, hooks: &Hooks, console: &mut Console) -> Result<u8, CliError> {
        let Self { globals, command } = self;
        let client = || globals.client();
        match command {
            Command::Server(flags) => {
                let mut flags = flags.clone();
                flags.data_dir = globals.data_dir.clone();
                flags.region = globals.region.clone();
                (hooks.server)(flags)?;
                Ok(error::OK)
            }
            Command::Stop(args) => stop::run(args, &globals.local_dir(), globals.local_client(), console),
            Command::Env(_) => env::run(&globals.local_dir(), console),
            Command::Image(args) => image::run(args, &globals.local_dir(), console),
            Command::Doctor(_) => doctor::run(&globals.local_dir(), globals.local_client(), console),
            Command::Run(args) => run::run(args, &client()?, console),
            Command::Ps(args) => ps::run(args, &client()?, console),
            Command::Show(args) => show::run(args, &client()?, console),
            Command::Logs(args) => logs::run(args, &client()?, console),
            Command::Wait(args) => wait::run(args, &client()?, console),
            Command::Terminate(args) => terminate::run(args, &client()?, console),
            Command::Queues(args) => queues::run(args, &client()?, console),
        }
    }
}

impl Globals {
    /// The data folder that a command of this machine works on: the one that a server started here would take.
    fn local_dir(&self) -> PathBuf {
        let dir = self.data_dir.clone().unwrap_or_else(|| {
            // Settings that a server would refuse must not keep other commands from working.
            let loaded = settings::load(&settings::Flags::default(), std::env::vars_os());
            loaded.map(|l| l.settings).unwrap_or_default().data_dir
        });
        std::path::absolute(&dir).unwrap_or(dir)
    }

    /// A client of whatever the flags, the aws configuration or this machine name.
    fn client(&self) -> Result<Client, CliError> {
        let options = Options {
            endpoint_url: self.endpoint_url.clone(),
            region: self.region.clone(),
            profile: self.profile.clone(),
            data_dir: self.data_dir.clone(),
            default_data_dir: self.local_dir(),
        };
        config::resolve(&options, &|name| std::env::var(name).ok()).map(Client::new)
    }

    /// For those who mean the server on this machine and whose aws configuration leads to AWS.
    fn hint(&self, error: &CliError) -> Option<String> {
        if matches!(error, CliError::Usage(_)) || !self.client().ok()?.is_aws() {
            return None;
        }
        let dir = self.local_dir();
        local::process(&dir).ok()??;
        Some(format!(
            "that was AWS, which your aws configuration names; for the server on this machine add --data-dir {}, or \
             `eval \"$(batchyard env)\"`",
            dir.display()
        ))
    }

    /// A client of the server of the data folder, whatever else is configured: stopping one server must never end the
    /// jobs of another.
    fn local_client(&self) -> Result<Client, CliError> {
        let options = Options { data_dir: Some(self.local_dir()), ..Options::default() };
        config::resolve(&options, &|_| None).map(Client::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn commands(of: &clap::Command) -> Vec<clap::Command> {
        // `help` holds the whole tree once more.
        let deeper = of.get_subcommands().filter(|c| c.get_name() != "help").flat_map(commands);
        [of.clone()].into_iter().chain(deeper).collect()
    }

    #[test]
    fn the_tree_is_sound_and_every_command_has_three_examples() {
        let mut tree = Cli::command();
        tree.build();
        tree.clone().debug_assert();
        for command in commands(&tree) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples = help.lines().filter(|l| l.starts_with("  ") && l.contains("batchyard")).count();
            assert!(examples >= 3, "{} has {examples} examples", command.get_name());
        }
    }

    #[test]
    fn words_after_two_dashes_are_the_jobs() {
        let cli = Cli::try_parse_from([
            "batchyard",
            "run",
            "busybox",
            "-o",
            "json",
            "--",
            "sh",
            "-c",
            "exit 7",
            "-o",
        ])
        .unwrap();
        let Command::Run(args) = cli.command else { panic!("not run") };
        assert_eq!(args.command, ["sh", "-c", "exit 7", "-o"]);
        assert_eq!(cli.globals.output, Some(Format::Json));
        assert_eq!(Cli::try_parse_from(["batchyard", "run"]).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn the_flags_of_the_server_reach_it() {
        let cli = Cli::try_parse_from(["batchyard", "server", "--data-dir", "/x", "--region", "eu-west-1"])
            .unwrap();
        let hooks = Hooks {
            server: |flags| {
                assert_eq!(flags.data_dir, Some(PathBuf::from("/x")));
                assert_eq!(flags.region.as_deref(), Some("eu-west-1"));
                anyhow::bail!("it was called")
            },
        };
        let captured = testing::Captured::new(None);
        let error = cli.dispatch(&hooks, &mut captured.console()).unwrap_err();
        assert_eq!(error.to_string(), "it was called");
    }
}
