//! `batchyard man`: manual pages, made from the same tree of commands as `--help`.
//!
//! Never here: texts; they stand at the commands.

use super::Cli;
use super::error::CliError;
use super::output::Console;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use std::fs;
use std::path::{Path, PathBuf};

/// Write the manual pages.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  batchyard man | man -l -                    the first page, to read now
  batchyard man --of run | man -l -           the page of a command
  sudo batchyard man /usr/local/share/man/man1")]
pub struct ManArgs {
    /// Folder that gets a page for each command, and is made; without it one page is printed
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The command whose page is printed, as `run` or `image ls`
    #[arg(long, value_name = "COMMAND", num_args = 1.., conflicts_with = "dir")]
    pub of: Vec<String>,
}

/// Runs the command.
pub fn run(args: &ManArgs, console: &mut Console) -> Result<u8, CliError> {
    if let Some(dir) = &args.dir {
        let failed = |e: std::io::Error| {
            let kind = e.kind();
            let text = format!("cannot write manual pages into {}: {e}", dir.display());
            if kind == std::io::ErrorKind::PermissionDenied {
                CliError::Denied(text)
            } else {
                CliError::Failed(text)
            }
        };
        fs::create_dir_all(dir).map_err(failed)?;
        write_all(&built(), dir).map_err(failed)?;
        console.note(format!(
            "wrote the pages into {}; `man -l {}` reads one",
            dir.display(),
            dir.join("batchyard-run.1").display()
        ));
        return Ok(0);
    }
    let command = built();
    let mut page = &command;
    for word in &args.of {
        page = page.find_subcommand(word).ok_or_else(|| {
            CliError::NotFound(format!("no command {word}; `batchyard --help` lists those there are"))
        })?;
    }
    let mut text = Vec::new();
    page_of(page).render(&mut text)?;
    console.print(&String::from_utf8_lossy(&text))?;
    Ok(0)
}

fn built() -> Command {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    command
}

fn page_of(command: &Command) -> Man {
    let version = env!("CARGO_PKG_VERSION");
    Man::new(command.clone()).source(format!("batchyard {version}")).manual("Batchyard")
}

fn write_all(command: &Command, dir: &Path) -> std::io::Result<()> {
    page_of(command).generate_to(dir)?;
    command.get_subcommands().try_for_each(|c| write_all(c, dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{Captured, TempDir};

    #[test]
    fn a_page_for_each_command() {
        let dir = TempDir::new();
        let args = ManArgs { of: vec![], dir: Some(dir.path().join("man1")) };
        run(&args, &mut Captured::new(None).console()).unwrap();
        for name in ["batchyard.1", "batchyard-submit.1", "batchyard-image-ls.1"] {
            let page = fs::read_to_string(dir.path().join("man1").join(name)).unwrap();
            assert!(page.contains("Examples:"), "{name}");
        }
    }

    #[test]
    fn one_page_to_read() {
        let captured = Captured::new(None);
        let page = |word: &str| run(&ManArgs { of: vec![word.into()], dir: None }, &mut captured.console());
        assert_eq!(page("wait").unwrap(), 0);
        assert!(captured.out().contains("wait\\-timeout"), "{}", captured.out());
        assert_eq!(page("nothing").unwrap_err().exit_code(), 3);
    }
}
