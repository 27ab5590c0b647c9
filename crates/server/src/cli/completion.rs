//! `batchyard completion`: what a shell needs to complete commands, flags, and the names of jobs, queues and definitions
//! that there are at this moment.
//!
//! The shell asks this program again at each press of the key. Whatever goes wrong then is silent, and nothing takes
//! longer than [`MOST`]. Never here: the tree of commands (mod.rs).

use super::client::Client;
use super::client::calls::Depth;
use super::error::CliError;
use super::job::{Job, State};
use super::output::Console;
use super::{Cli, Globals};
use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::engine::{PathCompleter, ValueCompleter};
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, CompletionCandidate};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::time::{Duration, Instant};

/// The variable by which the shell's function asks; holds the name of the shell.
const VARIABLE: &str = "BATCHYARD_COMPLETE";
/// Longest time to look for names: far more than a server on this machine takes.
pub const MOST: Duration = Duration::from_millis(800);
/// Most jobs of a queue and state that are offered.
const OFFERED: usize = 100;

/// Print what a shell needs to complete commands, jobs and queues.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  source <(batchyard completion bash)                                 in ~/.bashrc
  source <(batchyard completion zsh)                                  in ~/.zshrc, after compinit
  batchyard completion fish > ~/.config/fish/completions/batchyard.fish
  eval (batchyard completion elvish | slurp)                          in ~/.config/elvish/rc.elv
  batchyard completion powershell | Out-String | Invoke-Expression    in $PROFILE

Names of jobs, queues and definitions come from the endpoint that the line means; where it does not answer there are \
none. Make the file anew after an upgrade, where there is one.")]
pub struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// A shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // the names say it
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    Elvish,
    Powershell,
}

/// Runs the command.
pub fn run(args: &CompletionArgs, console: &mut Console) -> Result<u8, CliError> {
    let name = args.shell.to_possible_value().map(|v| v.get_name().to_string()).unwrap_or_default();
    let program = program();
    let mut script = Vec::new();
    match Shells::builtins().completer(&name) {
        Some(shell) => {
            shell.write_registration(VARIABLE, "batchyard", "batchyard", &program, &mut script)?;
        }
        None => return Err(CliError::Failed(format!("this build knows nothing of {name}"))),
    }
    console.print(&String::from_utf8_lossy(&script))?;
    Ok(0)
}

/// How the shell finds this program again: by name where it did so now, else by its path.
fn program() -> String {
    let named = std::env::args_os().next().unwrap_or_default();
    if std::path::Path::new(&named).components().count() < 2 {
        return "batchyard".into();
    }
    std::path::absolute(&named).map_or_else(|_| "batchyard".into(), |p| p.to_string_lossy().into_owned())
}

/// Answers the shell and ends the program, when it is the shell that asks.
pub fn answer_if_asked() {
    CompleteEnv::with_factory(Cli::command).var(VARIABLE).complete();
}

/// Names of queues.
pub fn queues(current: &OsStr) -> Vec<CompletionCandidate> {
    let names = asked(|client| client.queue_names(&[]));
    matching(current, names.unwrap_or_default().into_iter().map(|name| (name, None)))
}

/// Names and ids of jobs in any state, and `last`.
pub fn jobs(current: &OsStr) -> Vec<CompletionCandidate> {
    of_states(current, &State::ALL)
}

/// Names and ids of jobs that have not ended, and `last`.
pub fn open_jobs(current: &OsStr) -> Vec<CompletionCandidate> {
    of_states(current, &State::OPEN)
}

/// Files, and names of active definitions.
pub fn sources(current: &OsStr) -> Vec<CompletionCandidate> {
    let names = asked(|client| {
        let answer = client.batch("DescribeJobDefinitions", &serde_json::json!({ "status": "ACTIVE" }))?;
        let list = answer["jobDefinitions"].as_array().cloned().unwrap_or_default();
        let name = |d: &serde_json::Value| d["jobDefinitionName"].as_str().map(String::from);
        let mut names: Vec<String> = list.iter().filter_map(name).collect();
        names.sort_unstable();
        names.dedup();
        // Those are made by the program for its own use.
        names.retain(|n| !n.starts_with("batchyard-run-") && !n.starts_with("batchyard-submit-"));
        Ok(names)
    });
    let mut found = matching(current, names.unwrap_or_default().into_iter().map(|n| (n, None)));
    found.extend(PathCompleter::file().complete(current));
    found
}

fn of_states(current: &OsStr, states: &[State]) -> Vec<CompletionCandidate> {
    let until = Instant::now() + MOST;
    let found = asked(|client| {
        let mut jobs = Vec::new();
        'all: for queue in client.queue_names(&[])? {
            for state in states {
                if Instant::now() >= until {
                    break 'all;
                }
                jobs.extend(client.list_jobs(&queue, *state, Depth::First(OFFERED))?.jobs);
            }
        }
        Ok(super::select::once_each(jobs))
    });
    let jobs = found.unwrap_or_default();
    if jobs.is_empty() {
        return vec![];
    }
    matching(current, words(&jobs, !current.is_empty()))
}

/// Each name once with the newest job's state, then `last`, then ids where one was begun: all ids for nothing are too
/// many to read.
fn words(jobs: &[Job], ids: bool) -> Vec<(String, Option<String>)> {
    let mut seen = HashSet::new();
    let newest = jobs.iter().filter(|j| seen.insert(j.name()));
    let mut words: Vec<_> = newest.map(|j| (j.name().to_string(), Some(j.status().to_string()))).collect();
    words.push(("last".into(), Some("the newest job".into())));
    if ids {
        let about = |j: &Job| Some(format!("{} {}", j.name(), j.status()));
        words.extend(jobs.iter().map(|j| (j.id().to_string(), about(j))));
    }
    words
}

fn matching(
    current: &OsStr,
    words: impl IntoIterator<Item = (String, Option<String>)>,
) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else { return vec![] };
    words
        .into_iter()
        .filter(|(word, _)| word.starts_with(current))
        .map(|(word, help)| CompletionCandidate::new(word).help(help.map(Into::into)))
        .collect()
}

/// What the endpoint of the line that is being typed says, if it does.
fn asked<T>(ask: impl FnOnce(&Client) -> Result<T, CliError>) -> Option<T> {
    let globals = typed(std::env::args_os());
    ask(&globals.client().ok()?.hurried(MOST)).ok()
}

/// The flags that say where to ask, from a line that is not finished.
fn typed(words: impl IntoIterator<Item = OsString>) -> Globals {
    let words: Vec<String> = words.into_iter().map(|w| w.to_string_lossy().into_owned()).collect();
    // What comes before the first `--` is the shell's own, a second one ends the flags.
    let line = words.iter().skip_while(|w| *w != "--").skip(1).take_while(|w| *w != "--").collect::<Vec<_>>();
    let value = |flag: &str| {
        line.iter().enumerate().find_map(|(i, word)| match word.strip_prefix(flag)? {
            "" => line.get(i + 1).map(ToString::to_string),
            rest => rest.strip_prefix('=').map(String::from),
        })
    };
    Globals {
        endpoint_url: value("--endpoint-url"),
        region: value("--region"),
        profile: value("--profile"),
        data_dir: value("--data-dir").map(Into::into),
        ..Globals::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::job;

    #[test]
    fn the_flags_of_an_unfinished_line_are_read() {
        let line = ["batchyard", "--", "batchyard", "wait", "--region=r", "--data-dir", "/x", "--profile"];
        let globals = typed(line.map(OsString::from));
        assert_eq!(globals.region.as_deref(), Some("r"));
        assert_eq!(globals.data_dir.as_deref(), Some(std::path::Path::new("/x")));
        assert_eq!(globals.profile, None);
    }

    #[test]
    fn names_once_and_ids_where_one_was_begun() {
        let jobs = [job("aa", "x", "RUNNING"), job("ab", "x", "FAILED")].map(Job::new);
        let all = words(&jobs, false);
        assert_eq!(all.iter().map(|w| w.0.as_str()).collect::<Vec<_>>(), ["x", "last"]);
        assert_eq!(all[0].1.as_deref(), Some("RUNNING"));
        assert_eq!(matching(OsStr::new("a"), words(&jobs, true)).len(), 2);
    }
}
