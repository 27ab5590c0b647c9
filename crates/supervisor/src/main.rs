//! `batchyard-supervisor <attempt folder>`: owns one attempt of one job on this host, from start to exit record.
//!
//! Started by the server with the attempt's locked file as standard input; see the library half for the folder's
//! files. No runtime, and one thread until the container's first process is made, so that this copy is whole.
//! Never here: talking to anybody but the folder and the wake socket.

mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    match args.as_slice() {
        [flag] if flag == "--version" => {
            println!("batchyard-supervisor {}", env!("CARGO_PKG_VERSION"));
            println!("record {}", batchyard_supervisor::format::VERSION);
            ExitCode::SUCCESS
        }
        [flag] if flag == "--probe" => run::probe::print(&std::env::temp_dir()),
        [flag, folder] if flag == "--probe" => run::probe::print(folder.as_ref()),
        [flag, first, argv @ ..] if flag == run::oci::inside::FLAG => {
            let argv = argv.iter().map(|a| a.to_string_lossy().into_owned());
            run::oci::inside::enter(&first.to_string_lossy(), argv.collect())
        }
        [flag] if flag == "--netns" => run::netns::hold(),
        [flag, cgroup, blocked @ ..] if flag == "--fence" => run::fence::raise(cgroup, blocked),
        [word, program, args @ ..] if word == "rootless" => run::rootless::enter(program, args),
        [folder] if !folder.as_encoded_bytes().starts_with(b"-") => run::attempt(folder.as_ref()),
        _ => {
            eprintln!(
                "usage: batchyard-supervisor ATTEMPT_FOLDER | --version | --probe [SCRATCH_FOLDER] | --netns \
                 | --fence CGROUP [ADDRESS/PREFIX...] | rootless PROGRAM [ARGUMENT...]"
            );
            ExitCode::from(2)
        }
    }
}
