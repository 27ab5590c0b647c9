//! Puts the supervisor program into the server, so that there is one file to install.
//!
//! `BATCHYARD_SUPERVISOR` names the program when the server is built for shipping; without it the server looks for
//! `batchyard-supervisor` beside itself.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=BATCHYARD_SUPERVISOR");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let expression = match env::var_os("BATCHYARD_SUPERVISOR").filter(|path| !path.is_empty()) {
        Some(path) => embed(Path::new(&path), &out),
        None => "None",
    };
    fs::write(out.join("supervisor.in"), expression).expect("cannot write to OUT_DIR");
}

fn embed(program: &Path, out: &Path) -> &'static str {
    println!("cargo::rerun-if-changed={}", program.display());
    if let Err(error) = fs::copy(program, out.join("supervisor.bin")) {
        panic!(
            "BATCHYARD_SUPERVISOR={}: {error}; build the program batchyard-supervisor first",
            program.display()
        );
    }
    "Some(include_bytes!(concat!(env!(\"OUT_DIR\"), \"/supervisor.bin\")))"
}
