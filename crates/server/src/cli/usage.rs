//! Which of the flags that all commands have a command can use, and what is said of a line that cannot be read.
//!
//! A flag that would do nothing is refused, so that nobody believes it did something. Never here: the flags themselves.

use super::columns::{column_names, has_column};
use super::error::{CliError, USAGE};
use super::output::{Format, Listed};
use super::{Cli, Command, Globals, env};
use clap::CommandFactory;
use clap::error::{ContextKind, ErrorKind};
use std::ffi::OsString;
use std::process::ExitCode;

/// Whether the command works on this machine and not on an endpoint.
pub fn is_local(command: &Command) -> bool {
    matches!(
        command,
        Command::Server(_)
            | Command::Stop(_)
            | Command::Env(_)
            | Command::Image(_)
            | Command::Doctor(_)
            | Command::Completion(_)
            | Command::Man(_)
    )
}

/// Refuses the flags that this command has no use for.
pub fn check(globals: &Globals, command: &Command) -> Result<(), CliError> {
    let name = name(command);
    let server = matches!(command, Command::Server(_));
    let useless = [
        ("--endpoint-url", globals.endpoint_url.is_some()),
        ("--profile", globals.profile.is_some()),
        ("--region", globals.region.is_some() && !server),
    ];
    if is_local(command)
        && let Some((flag, _)) = useless.into_iter().find(|(_, given)| *given)
    {
        return Err(CliError::Usage(format!(
            "`{name}` works on this machine and has no use for {flag}; leave it out"
        )));
    }
    if globals.data_dir.is_some() && globals.profile.is_some() {
        return Err(CliError::Usage(
            "--data-dir and --profile name two different endpoints; give one".into(),
        ));
    }
    check_form(globals, command)?;
    check_columns(globals, command)
}

/// Refuses a form that the command does not have.
fn check_form(globals: &Globals, command: &Command) -> Result<(), CliError> {
    let known = formats(command);
    let given = [
        ("-o", globals.output.is_some()),
        ("--query", globals.query.is_some()),
        ("--columns", !globals.columns.is_empty()),
    ];
    let useless = |flag: &str| {
        Err(CliError::Usage(format!("this form of `{}` has no use for {flag}; leave it out", name(command))))
    };
    match given.into_iter().find(|(_, given)| *given) {
        Some((flag, _)) if known.is_empty() => return useless(flag),
        _ => {}
    }
    if globals.query.is_some() && matches!(command, Command::Logs(_)) {
        return useless("--query");
    }
    match globals.output {
        // A query makes a value of its own, for which there is every form.
        Some(format) if !known.contains(&format) && globals.query.is_none() => {
            let known = known.iter().map(|f| f.word()).collect::<Vec<_>>().join(", ");
            Err(CliError::Usage(format!(
                "`{}` cannot print {}; it knows -o {known}",
                name(command),
                format.word()
            )))
        }
        _ => Ok(()),
    }
}

/// Refuses columns that the command's rows do not have, before it does anything.
fn check_columns(globals: &Globals, command: &Command) -> Result<(), CliError> {
    if globals.columns.is_empty() {
        return Ok(());
    }
    let Some((has, names)) = columns(command) else {
        return Err(CliError::Usage(format!(
            "this form of `{}` has no use for --columns; leave it out",
            name(command)
        )));
    };
    if globals.output == Some(Format::Id) {
        return Err(CliError::Usage(
            "-o id prints one column only; leave --columns out, or use -o csv".into(),
        ));
    }
    match globals.columns.iter().find(|c| !has(c)) {
        Some(unknown) => Err(CliError::Usage(format!(
            "`{}` has no column {unknown}; it has {}",
            name(command),
            names.join(",")
        ))),
        None => Ok(()),
    }
}

/// Whether a column is there, and the names of all.
type Columns = (fn(&str) -> bool, Vec<&'static str>);

fn columns(command: &Command) -> Option<Columns> {
    fn of<T: Listed>() -> Option<Columns> {
        Some((has_column::<T>, column_names::<T>()))
    }
    match command {
        Command::Ps(_) | Command::Show(_) | Command::Wait(_) => of::<super::rows::JobRow>(),
        Command::Cancel(_) | Command::Terminate(_) => of::<super::ending::Outcome>(),
        Command::Submit(args) if args.dry_run => of::<super::submit::Check>(),
        Command::Submit(args) if args.wait => of::<super::rows::JobRow>(),
        Command::Submit(_) => of::<super::submit::Submitted>(),
        Command::Queues(_) => of::<super::queues::QueueRow>(),
        Command::Doctor(_) => of::<super::doctor::Finding>(),
        Command::Image(args) if args.formats() == Format::ALL => of::<super::image::ImageRow>(),
        _ => None,
    }
}

fn formats(command: &Command) -> &'static [Format] {
    match command {
        Command::Server(_)
        | Command::Stop(_)
        | Command::Env(_)
        | Command::Run(_)
        | Command::Completion(_)
        | Command::Man(_) => &[],
        Command::Submit(args) if args.follow => &[],
        Command::Logs(_) => &[Format::Table, Format::Json, Format::Jsonl],
        Command::Image(args) => args.formats(),
        _ => Format::ALL,
    }
}

fn name(command: &Command) -> &'static str {
    match command {
        Command::Server(_) => "server",
        Command::Stop(_) => "stop",
        Command::Env(_) => "env",
        Command::Run(_) => "run",
        Command::Ps(_) => "ps",
        Command::Show(_) => "show",
        Command::Logs(_) => "logs",
        Command::Wait(_) => "wait",
        Command::Terminate(_) => "terminate",
        Command::Queues(_) => "queues",
        Command::Image(_) => "image",
        Command::Doctor(_) => "doctor",
        Command::Man(_) => "man",
        Command::Completion(_) => "completion",
        Command::Cancel(_) => "cancel",
        Command::Submit(_) => "submit",
    }
}

/// Prints what clap has to say of a line (help and version too), and gives the exit code.
pub fn explain(error: &clap::Error, words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let asked = asked_for(words);
    if error.use_stderr() && asked.as_deref() == Some("env") {
        println!("{}", env::FAIL);
    }
    // Nobody to tell is no reason for another code.
    let _ = error.print();
    if asked.as_deref() == Some("run")
        && let Some(hint) = two_dashes(error)
    {
        eprintln!("\n{hint}");
    }
    ExitCode::from(if error.use_stderr() { USAGE } else { 0 })
}

/// The command that a line with an error in it asks for.
fn asked_for(words: impl IntoIterator<Item = OsString>) -> Option<String> {
    let lenient = Cli::command().ignore_errors(true).try_get_matches_from(words).ok()?;
    lenient.subcommand_name().map(String::from)
}

/// For those who write the job's command as docker wants it.
fn two_dashes(error: &clap::Error) -> Option<String> {
    let word = error.get(ContextKind::InvalidArg)?.to_string();
    (error.kind() == ErrorKind::UnknownArgument && !word.starts_with('-'))
        .then(|| format!("put -- before the job's command: batchyard run IMAGE -- {word} …"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn checked(line: &str) -> Result<(), CliError> {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        check(&cli.globals, &cli.command)
    }

    #[test]
    fn a_flag_that_would_do_nothing_is_refused() {
        for line in [
            "batchyard server --endpoint-url http://x",
            "batchyard server --profile x",
            "batchyard server -o json",
            "batchyard stop --region eu-west-1",
            "batchyard env -o id",
            "batchyard run -d -o json busybox",
            "batchyard logs -o csv last",
            "batchyard image rm x -o json",
            "batchyard image resolve x -o id",
            "batchyard ps --data-dir /x --profile y",
            "batchyard logs --query a last",
            "batchyard run --columns id busybox",
            "batchyard submit -f -o json x",
            "batchyard ps --columns id,nothing",
            "batchyard ps --columns id -o id",
            "batchyard image resolve x --columns name",
            "batchyard man -o json",
        ] {
            assert_eq!(checked(line).unwrap_err().exit_code(), USAGE, "{line}");
        }
    }

    #[test]
    fn a_flag_that_does_something_is_taken() {
        for line in [
            "batchyard server --region eu-west-1 --data-dir /x",
            "batchyard ps -o csv --endpoint-url http://x --profile y --region z",
            "batchyard logs -o jsonl last",
            "batchyard image ls -o id",
            "batchyard image resolve x -o json",
            "batchyard doctor -o json",
            "batchyard ps -o yaml --columns ID,exit,createdAt",
            "batchyard queues --columns name,RUNNABLE",
            "batchyard submit --dry-run --columns what,state x",
            "batchyard image resolve x --query layers[0] -o id",
        ] {
            checked(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
    }

    fn wrong(line: &str) -> (clap::Error, Option<String>) {
        let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
        (error, asked_for(line.split(' ').map(OsString::from)))
    }

    #[test]
    fn a_command_without_dashes_gets_a_hint() {
        let (error, asked) = wrong("batchyard run busybox echo hi");
        assert_eq!(asked.as_deref(), Some("run"));
        assert!(two_dashes(&error).unwrap().contains("IMAGE -- echo"));
        assert!(two_dashes(&wrong("batchyard run --typo busybox").0).is_none());
    }

    #[test]
    fn env_is_known_also_where_the_line_is_wrong() {
        assert_eq!(wrong("batchyard --data-dir x env --typo").1.as_deref(), Some("env"));
        assert_eq!(wrong("batchyard run env env").1.as_deref(), Some("run"));
    }
}
