//! The program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    batchyard::cli::main(&batchyard::cli::Hooks { server: batchyard::start::run })
}
