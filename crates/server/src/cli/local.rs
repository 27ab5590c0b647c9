//! A server on this machine, as its data folder tells of it.
//!
//! `run/endpoint` holds the URL on its first line and the region on its second; `run/pid` holds the process id and its
//! start time (field 22 of `/proc/PID/stat`), so that a reused id is not taken for the server; `credentials` is a file
//! as the aws programs keep it. The server writes them, the commands read them. Never here: talking to the server.

use super::client::ini::Ini;
use super::client::sign::Credentials;
use super::error::CliError;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::{fs, io};

pub use crate::compute::machine::RUN;

/// Name, inside [`RUN`], of the file with URL and region.
pub const ENDPOINT: &str = "endpoint";
/// Name, inside [`RUN`], of the file that [`pid_line`] fills.
pub const PID: &str = "pid";
/// Name of the file with the root credentials, mode 0600.
pub const CREDENTIALS: &str = "credentials";

/// What a client needs to reach the server of a data folder.
#[derive(Debug, Clone)]
pub struct Server {
    /// `http://127.0.0.1:9740`, without a slash at its end.
    pub url: String,
    /// Its region.
    pub region: String,
    /// Its root keys.
    pub credentials: Credentials,
}

/// Reads what the server of `data_dir` left there. Nothing when no server ever started (or it left no endpoint).
/// Errors: the files are there and may not or cannot be read.
pub fn find(data_dir: &Path) -> Result<Option<Server>, CliError> {
    let Some(endpoint) = read(&data_dir.join(RUN).join(ENDPOINT))? else { return Ok(None) };
    let Some(keys) = read(&data_dir.join(CREDENTIALS))? else { return Ok(None) };
    let mut lines = endpoint.lines().map(str::trim);
    let url = lines.next().unwrap_or_default().trim_end_matches('/').to_string();
    let region = lines.next().unwrap_or_default().to_string();
    let ini = Ini::parse(&keys);
    let key = |name: &str| ini.get("default", name).map(String::from);
    match (key("aws_access_key_id"), key("aws_secret_access_key")) {
        (Some(access_key_id), Some(secret_access_key)) if !url.is_empty() && !region.is_empty() => {
            let credentials = Credentials { access_key_id, secret_access_key, session_token: None };
            Ok(Some(Server { url, region, credentials }))
        }
        _ => Err(CliError::Failed(format!(
            "the endpoint or credentials file in {} is damaged; start the server again to have it written anew",
            data_dir.display()
        ))),
    }
}

fn read(path: &Path) -> Result<Option<String>, CliError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => Err(CliError::Usage(format!(
            "{} cannot be read, because a part of it is a file and no folder; choose another data folder",
            path.display()
        ))),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Err(CliError::Denied(format!(
            "{} belongs to another user; run this as the user who runs the server, or with sudo",
            path.display()
        ))),
        Err(e) => Err(CliError::Failed(format!("cannot read {}: {e}", path.display()))),
    }
}

/// The running server process of a data folder: a descriptor that stays its own even if the id is reused.
pub struct Process {
    /// Its process id.
    pub pid: Pid,
    /// Signals go here; readable once it has ended.
    pub fd: OwnedFd,
}

/// Finds the process that runs on `data_dir`. Nothing when there is none (any more).
pub fn process(data_dir: &Path) -> Result<Option<Process>, CliError> {
    let Some(text) = read(&data_dir.join(RUN).join(PID))? else { return Ok(None) };
    let mut words = text.split_whitespace();
    let (Some(pid), Some(start)) = (words.next().and_then(|w| w.parse().ok()), words.next()) else {
        return Err(CliError::Failed(format!(
            "{} does not hold a process id and its start time; end the server by hand",
            data_dir.join(RUN).join(PID).display()
        )));
    };
    let Some(pid) = Pid::from_raw(pid) else { return Ok(None) };
    // The descriptor first, then the check: what was checked is then what it stands for.
    let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(None) };
    Ok((start_time(pid).as_deref() == Some(start)).then_some(Process { pid, fd }))
}

/// The line of `run/pid` for the calling process: id and start time.
pub fn pid_line() -> String {
    let pid = rustix::process::getpid();
    format!("{} {}\n", pid.as_raw_pid(), start_time(pid).unwrap_or_default())
}

/// Start of a process in clock ticks since boot, as `/proc` has it. Nothing for one that has ended.
fn start_time(pid: Pid) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
    // The name in parentheses may hold anything; the fields after the last one are plain. The first is the state.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    (!matches!(fields.next()?, "Z" | "X")).then_some(())?;
    fields.nth(18).map(String::from)
}

#[cfg(test)]
mod tests {
    use super::super::testing::TempDir;
    use super::*;

    fn run_dir(endpoint: &str) -> TempDir {
        let dir = TempDir::new();
        fs::create_dir(dir.path().join(RUN)).unwrap();
        fs::write(dir.path().join(RUN).join(ENDPOINT), endpoint).unwrap();
        let keys = "[default]\naws_access_key_id = AK\naws_secret_access_key = s/e+c=\n";
        fs::write(dir.path().join(CREDENTIALS), keys).unwrap();
        dir
    }

    #[test]
    fn a_data_folder_tells_its_server() {
        let dir = run_dir("http://127.0.0.1:9740/\neu-west-1\n");
        let server = find(dir.path()).unwrap().unwrap();
        assert_eq!((server.url.as_str(), server.region.as_str()), ("http://127.0.0.1:9740", "eu-west-1"));
        assert_eq!(server.credentials.secret_access_key, "s/e+c=");
    }

    #[test]
    fn no_folder_is_no_server_and_a_damaged_one_is_an_error() {
        assert!(find(Path::new("/nonexistent/batchyard")).unwrap().is_none());
        assert!(find(run_dir("").path()).is_err());
    }

    #[test]
    fn a_reused_process_id_is_not_the_server() {
        let dir = run_dir("x\ny\n");
        let pid_file = dir.path().join(RUN).join(PID);
        fs::write(&pid_file, pid_line()).unwrap();
        assert_eq!(process(dir.path()).unwrap().unwrap().pid, rustix::process::getpid());
        fs::write(&pid_file, format!("{} 1", std::process::id())).unwrap();
        assert!(process(dir.path()).unwrap().is_none());
        fs::write(&pid_file, "what").unwrap();
        assert!(process(dir.path()).is_err());
    }
}
