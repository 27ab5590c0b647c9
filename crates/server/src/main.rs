//! The program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    batchyard::cli::main(&batchyard::cli::Hooks { server: |_| anyhow::bail!("this build has no server") })
}
