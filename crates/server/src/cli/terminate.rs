//! `batchyard terminate`: end jobs, whether they wait or run.
//!
//! Never here: how it is done (ending.rs).

use super::client::Client;
use super::client::calls::Ending;
use super::ending::{Which, end};
use super::error::CliError;
use super::output::Console;
use clap::Args;

/// End jobs, whether they wait or run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  batchyard terminate last
  batchyard terminate 3f2a 77b1 --reason 'wrong input'
  batchyard terminate 'train-*' @project=demo --queue gpu
  batchyard terminate -y --status RUNNABLE --since 1h

A pattern or flags alone mean jobs that have not ended. Of a name the newest job is meant, of a pattern all. A job that \
has ended already stays as it is, which is no error. More than 10 jobs are ended after a question only, or with -y.")]
pub struct TerminateArgs {
    /// Which jobs, and whether to ask.
    #[command(flatten)]
    pub which: Which,
    /// Becomes the job's statusReason
    #[arg(long, default_value = "terminated with `batchyard terminate`")]
    pub reason: String,
}

/// Runs the command.
pub fn run(args: &TerminateArgs, client: &Client, console: &mut Console) -> Result<u8, CliError> {
    end(Ending::Terminate, &args.which, &args.reason, client, console)
}
