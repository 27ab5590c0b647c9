//! `batchyard cancel`: end jobs that wait, and leave those that run.
//!
//! Never here: how it is done (ending.rs).

use super::client::Client;
use super::client::calls::Ending;
use super::ending::{Which, end};
use super::error::CliError;
use super::output::Console;
use clap::Args;

/// End jobs that wait; those that run go on.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  batchyard cancel last
  batchyard cancel 'train-*' --since 2h --reason 'wrong input'
  batchyard cancel -y --queue default

A pattern or flags alone mean jobs that wait. A job that is STARTING or RUNNING goes on, which is code 1 for one that was \
named; `batchyard terminate` ends those too. More than 10 jobs are ended after a question only, or with -y.")]
pub struct CancelArgs {
    /// Which jobs, and whether to ask.
    #[command(flatten)]
    pub which: Which,
    /// Becomes the job's statusReason
    #[arg(long, default_value = "cancelled with `batchyard cancel`")]
    pub reason: String,
}

/// Runs the command.
pub fn run(args: &CancelArgs, client: &Client, console: &mut Console) -> Result<u8, CliError> {
    end(Ending::Cancel, &args.which, &args.reason, client, console)
}
