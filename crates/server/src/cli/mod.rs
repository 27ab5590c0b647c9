//! The command line: the tree of commands, what they have in common, and the one place that prints an error.
//!
//! A file a command. Those that drive a queue speak the public API through [`client`] and nothing else, so they drive
//! any AWS Batch endpoint; those of this machine (`server`, `stop`, `env`, `image`, `doctor`) also read the data folder.
//! Never here: what the server does ([`Hooks`] leads there), what a command does.

pub mod cancel;
pub mod client;
mod columns;
pub mod completion;
pub mod doctor;
mod doctor_checks;
mod doctor_drivers;
mod ending;
pub mod env;
pub mod error;
pub mod follow;
mod forms;
pub mod image;
mod image_fetch;
mod image_login;
pub mod interrupt;
pub mod job;
pub mod local;
pub mod logs;
pub mod man;
pub mod output;
pub mod ps;
pub mod queues;
pub mod rows;
pub mod run;
mod run_request;
pub mod select;
pub mod selector;
pub mod server;
pub mod show;
pub mod stop;
pub mod submit;
pub mod terminate;
#[cfg(test)]
#[path = "tests/testing.rs"]
mod testing;
pub mod units;
mod usage;
pub mod wait;

use crate::config::{self as settings, Settings};
use clap::{Args, Parser, Subcommand};
use client::Client;
use client::config::{self, Folder, Options};
use error::CliError;
use output::{Console, Format, Shape};
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
#[derive(Debug, Default, Args)]
struct Globals {
    /// Endpoint of all services, for clients; else AWS_ENDPOINT_URL_BATCH, …_CLOUDWATCH_LOGS, AWS_ENDPOINT_URL, the aws
    /// files
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    endpoint_url: Option<String>,
    /// Region; else for clients AWS_REGION, AWS_DEFAULT_REGION, the aws files, and for `server` its settings
    #[arg(long, global = true, help_heading = "Global options")]
    region: Option<String>,
    /// Profile of the aws files, for clients; else AWS_PROFILE
    #[arg(long, global = true, help_heading = "Global options")]
    profile: Option<String>,
    /// Data folder of a server on this machine: talk to that server; else BATCHYARD_DATA_DIR, then
    /// /var/lib/batchyard for root and ~/.local/share/batchyard for others
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    data_dir: Option<PathBuf>,
    /// Form of the output, for commands that list or show
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", help_heading = "Global options")]
    output: Option<Format>,
    /// What to print of the JSON document, in JMESPath as `aws` takes it; -o json where no form is asked for
    #[arg(long, global = true, value_name = "JMESPATH", help_heading = "Global options")]
    query: Option<String>,
    /// Columns to print, of those in a table's header and the fields of -o json: id,name,exitCode
    #[arg(long, global = true, value_name = "NAMES", value_delimiter = ',', help_heading = "Global options")]
    columns: Vec<String>,
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
    Submit(submit::SubmitArgs),
    #[command(alias = "jobs")]
    Ps(ps::PsArgs),
    Show(show::ShowArgs),
    Logs(logs::LogsArgs),
    Wait(wait::WaitArgs),
    Cancel(cancel::CancelArgs),
    Terminate(terminate::TerminateArgs),
    Queues(queues::QueuesArgs),
    Image(image::ImageArgs),
    Doctor(doctor::DoctorArgs),
    Completion(completion::CompletionArgs),
    Man(man::ManArgs),
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
    completion::answer_if_asked();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::explain(&error, std::env::args_os()),
    };
    let globals = &cli.globals;
    let shape = Shape::new(globals.query.as_deref(), &globals.columns);
    let (shape, bad) = shape.map_or_else(|e| (Shape::default(), Some(e)), |shape| (shape, None));
    let mut console = Console::standard(globals.output, shape, globals.no_color);
    match bad.map_or_else(|| cli.dispatch(hooks, &mut console), Err) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            cli.tell(&error, &mut console);
            ExitCode::from(error.exit_code())
        }
    }
}

impl Cli {
    fn dispatch(&self, hooks: &Hooks, console: &mut Console) -> Result<u8, CliError> {
        let Self { globals, command } = self;
        usage::check(globals, command)?;
        let client = || globals.client();
        match command {
            Command::Server(flags) => {
                let mut flags = flags.clone();
                flags.data_dir = globals.data_dir.clone();
                flags.region = globals.region.clone();
                (hooks.server)(flags)?;
                Ok(error::OK)
            }
            Command::Stop(args) => {
                let dir = globals.settings()?.data_dir;
                stop::run(args, &dir, local_client(&dir), console)
            }
            Command::Env(_) => env::run(&globals.settings()?.data_dir, console),
            Command::Image(args) => {
                let settings = globals.settings()?;
                // Files of images have owners that only root of the server's namespace can give and remove.
                crate::rootless::enter(&settings)?;
                image::run(args, &settings, console)
            }
            Command::Doctor(_) => {
                let settings = globals.settings()?;
                doctor::run(&settings, local_client(&settings.data_dir), console)
            }
            Command::Run(args) => run::run(args, &client()?, console),
            Command::Ps(args) => ps::run(args, &client()?, console),
            Command::Show(args) => show::run(args, &client()?, console),
            Command::Logs(args) => logs::run(args, &client()?, console),
            Command::Wait(args) => wait::run(args, &client()?, console),
            Command::Submit(args) => submit::run(args, &client()?, console),
            Command::Cancel(args) => cancel::run(args, &client()?, console),
            Command::Terminate(args) => terminate::run(args, &client()?, console),
            Command::Queues(args) => queues::run(args, &client()?, console),
            Command::Completion(args) => completion::run(args, console),
            Command::Man(args) => man::run(args, console),
        }
    }
}

impl Globals {
    /// The settings that a server started here would have, as far as other commands need them: which data folder, for
    /// one. What a server would refuse is an error, since its defaults would lead to another server's folder.
    fn settings(&self) -> Result<Settings, CliError> {
        let of_flag = self.data_dir.iter().map(|dir| ("data_dir", dir.to_string_lossy().into_owned()));
        let flags = settings::Flags { config: None, values: of_flag.collect() };
        let found = settings::read(&flags, std::env::vars_os()).map_err(|e| CliError::from(&e))?;
        let dir = self.data_dir.clone().unwrap_or_else(|| found.data_dir.clone());
        Ok(Settings { data_dir: std::path::absolute(&dir).unwrap_or(dir), ..found })
    }

    /// A client of whatever the flags, the aws configuration or this machine name.
    fn client(&self) -> Result<Client, CliError> {
        let options = Options {
            endpoint_url: self.endpoint_url.clone(),
            region: self.region.clone(),
            profile: self.profile.clone(),
            folder: self.folder()?,
        };
        config::resolve(&options, &|name| std::env::var(name).ok()).map(Client::new)
    }

    fn folder(&self) -> Result<Folder, CliError> {
        let elsewhere = self.endpoint_url.is_some() || self.profile.is_some();
        if self.data_dir.is_none() && elsewhere {
            return Ok(Folder::Unasked);
        }
        let dir = self.settings()?.data_dir;
        let by_variable = std::env::var_os("BATCHYARD_DATA_DIR").is_some_and(|v| !v.is_empty());
        Ok(match &self.data_dir {
            Some(_) => Folder::Flag(dir),
            None if by_variable => Folder::Variable(dir),
            None => Folder::Default(dir),
        })
    }
}

impl Cli {
    /// Prints why the command ended.
    fn tell(&self, error: &CliError, console: &mut Console) {
        console.clear_progress();
        if error.is_silent() {
            return;
        }
        if matches!(self.command, Command::Env(_)) {
            // Nobody may be left to read it; then there is nothing that could go on.
            let _ = console.line(env::FAIL);
        }
        console.note(format!("batchyard: {error}"));
        if let Some(hint) = self.hint(error) {
            console.note(hint);
        }
    }

    /// For those who mean the server that root runs on this machine and whose aws configuration leads to AWS.
    fn hint(&self, error: &CliError) -> Option<&'static str> {
        let here = usage::is_local(&self.command) || self.globals.endpoint_url.is_some();
        if here || self.globals.profile.is_some() || matches!(error, CliError::Usage(_)) {
            return None;
        }
        let other =
            !rustix::process::geteuid().is_root() && std::path::Path::new("/var/lib/batchyard").exists();
        (other && self.globals.client().ok()?.is_aws()).then_some(
            "that was AWS, which your aws configuration names; for the server that root runs on this machine use sudo",
        )
    }
}

/// A client of the server of the data folder, whatever else is configured: stopping one server must never end the jobs
/// of another.
fn local_client(dir: &std::path::Path) -> Result<Client, CliError> {
    let options = Options { folder: Folder::Flag(dir.into()), ..Options::default() };
    config::resolve(&options, &|_| None).map(Client::new)
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

    #[test]
    fn an_env_that_fails_makes_eval_fail() {
        let dir = testing::TempDir::new();
        let cli =
            Cli::try_parse_from(["batchyard", "env", "--data-dir", dir.path().to_str().unwrap()]).unwrap();
        let captured = testing::Captured::new(None);
        let hooks = Hooks { server: |_| Ok(()) };
        let error = cli.dispatch(&hooks, &mut captured.console()).unwrap_err();
        cli.tell(&error, &mut captured.console());
        assert!(captured.err().starts_with("batchyard: no server runs on "), "{}", captured.err());
        let script = format!("eval '{}' && echo went on", captured.out());
        let shell = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(shell.stdout).unwrap(), "");
    }
}
