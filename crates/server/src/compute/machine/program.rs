//! The supervisor program: found, or written out of the server itself, and asked what this host offers.
//!
//! Never here: starting it for an attempt.

use batchyard_supervisor::format::to_hex;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Its file name beside the server or on PATH.
const NAME: &str = "batchyard-supervisor";

/// The program as it was built in, if it was (see build.rs).
const EMBEDDED: Option<&[u8]> = include!(concat!(env!("OUT_DIR"), "/supervisor.in"));

/// The program to start: the one that was built in, else one beside this program, else one on PATH. The built-in one
/// is written to `run` under a name that holds its digest, so an upgrade never replaces a program that still runs.
///
/// # Errors
/// It cannot be written, or there is none.
pub fn find(run: &Path) -> io::Result<PathBuf> {
    if let Some(bytes) = EMBEDDED {
        return unpack(run, bytes);
    }
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(NAME)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(NAME));
    beside.into_iter().chain(on_path).find(|candidate| candidate.is_file()).ok_or_else(|| {
        let text = format!("the program {NAME} is neither built in, nor beside this program, nor on PATH");
        io::Error::new(io::ErrorKind::NotFound, format!("{text}: build it with `make build`"))
    })
}

/// A program of this host, by name or by path.
pub fn on_path(name: &str) -> Option<PathBuf> {
    if name.starts_with('/') {
        return Some(PathBuf::from(name)).filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where administrators' programs are, which the PATH of an ordinary user lacks.
    let usual = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let folders = std::env::split_paths(&path).chain(usual);
    folders.filter(|folder| folder.is_absolute()).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Has the program try what this host offers for containers, with writable layers below `folder`; for an ordinary user
/// in a user namespace, where its server would be. Its output is a line
/// `key value` each: `yes`, or `no: ` and the reason.
///
/// # Errors
/// It cannot be run.
pub fn probe(program: &Path, folder: &Path) -> io::Result<Output> {
    let mut command = Command::new(program);
    if !rustix::process::geteuid().is_root() {
        command.arg("rootless").arg(program);
    }
    command.arg("--probe").arg(folder).output()
}

/// What a probe said under this key.
pub fn answer<'o>(output: &'o str, key: &str) -> Option<&'o str> {
    output.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
}

fn unpack(run: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let digest = to_hex(&Sha256::digest(bytes)[..6]);
    let target = run.join(format!("{NAME}-{digest}"));
    if fs::read(&target).is_ok_and(|there| there == bytes) {
        return Ok(target);
    }
    let temporary = run.join(format!("{NAME}-{digest}.{}", std::process::id()));
    let _ = fs::remove_file(&temporary);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o700).open(&temporary)?;
    file.write_all(bytes)?;
    drop(file);
    fs::rename(&temporary, &target)?;
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn unpacking_repairs_a_damaged_copy_and_makes_it_executable() {
        let folder = crate::compute::machine::testing::TempFolder::new();
        let path = unpack(folder.path(), b"program").expect("written");
        fs::write(&path, b"cut").expect("damaged");
        assert_eq!(unpack(folder.path(), b"program").expect("written again"), path);
        assert_eq!(fs::read(&path).expect("readable"), b"program");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o700);
    }
}
