//! `--inside`: the entry of a container that an OCI runtime made, which becomes the job's program.
//!
//! It is the first thing that the runtime executes in the container, as the job's user and under all its limits, from a
//! sealed copy in memory. It tells the supervisor that the container is there, waits until it may go on, puts the
//! output into the job's own pipes (the runtime's words went elsewhere) and loads the seccomp filter. So exit codes,
//! the words of a program that is not there, and the moment of the start are the native launcher's. Never here: making
//! the container.

use crate::run::child::{self, Ends, exec, init};
use crate::run::fail::{During, Fail};
use crate::run::sys;
use rustix::fs::Mode;
use std::convert::Infallible;
use std::fs::File;
use std::io::Read;
use std::process::ExitCode;

/// The flag that calls it.
pub const FLAG: &str = "--inside";
/// The next argument when a tiny init is to be the first process.
pub const WITH_INIT: &str = "init";
/// … and when not.
pub const WITHOUT_INIT: &str = "-";
/// Descriptors as the runtime hands them over: to go on, reports, standard output and error, this program, the filter.
pub const DESCRIPTORS: [i32; 6] = [3, 4, 5, 6, 7, 8];

/// Becomes the program. Returns only when it was not called as it is to be.
pub fn enter(first: &str, argv: Vec<String>) -> ExitCode {
    let [go, status, out, err, _, filter] = DESCRIPTORS;
    let Some([go, status, out, err, filter]) = sys::inherited([go, status, out, err, filter]) else {
        eprintln!("{FLAG} is for containers that this program has an OCI runtime make");
        return ExitCode::from(2);
    };
    let ends = Ends { go, status, out, err };
    let Err(fail) = run(first == WITH_INIT, argv, &ends, filter.into());
    child::give_up(&fail, &ends.status)
}

fn run(with_init: bool, argv: Vec<String>, ends: &Ends, mut filter: File) -> Result<Infallible, Fail> {
    let mut seccomp = Vec::new();
    filter.read_to_end(&mut seccomp).during("read the seccomp filter")?;
    let env = std::env::vars_os().map(|(n, v)| format!("{}={}", n.to_string_lossy(), v.to_string_lossy()));
    let program = exec::Program::of(argv, env.collect())?;
    child::wait_for_go(ends)?;
    child::take_output(ends)?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    sys::close_all_on_exec().during("mark descriptors")?;
    if with_init {
        init::split()?;
    }
    sys::reset_signals();
    if !seccomp.is_empty() {
        sys::set_seccomp(&seccomp).during("install the seccomp filter")?;
    }
    Err(program.exec())
}
