//! The attempt folder from the supervisor's side: the lock in its hands, records out, the stop request in.
//!
//! Never here: what the records say (the library's formats), when they are written (the run).

use batchyard_supervisor as files;
use batchyard_supervisor::hooks::point;
use batchyard_supervisor::{Exit, Started, Task};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, FallocateFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Room that is set aside for the exit record: one block, since giving back others may take long.
const EXIT_RESERVE: u64 = 4096;
/// Longest reason that is written, so that the record fits the room. (ECS knows 255 characters.)
const MAX_EXIT_TEXT: usize = 1500;
/// Largest task file that is read.
const MAX_TASK: u64 = 64 * 1024 * 1024;

/// An attempt folder whose lock this process holds.
pub struct Folder {
    dir: OwnedFd,
    exit: OwnedFd,
    /// The locked file that came as standard input. Dropped last: whoever can lock it next finds the exit record.
    lock: OwnedFd,
}

impl Folder {
    /// Takes over standard input (the locked file) and sets room aside for the exit record.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let lock = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 100)?;
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        rustix::stdio::dup2_stdin(&null)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(path, flags, Mode::empty())?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let exit = rustix::fs::openat(&dir, files::EXIT_TMP, flags, Mode::RUSR | Mode::WUSR)?;
        if let Err(e) = rustix::fs::fallocate(&exit, FallocateFlags::empty(), 0, EXIT_RESERVE) {
            eprintln!("set room aside for the exit record: {e}");
        }
        Ok(Self { dir, exit, lock })
    }

    /// Reads the task.
    pub fn task(&self) -> Result<Task, String> {
        let file = self.open_file(files::TASK).map_err(|e| format!("open the task file: {e}"))?;
        let mut text = String::new();
        file.take(MAX_TASK).read_to_string(&mut text).map_err(|e| format!("read the task file: {e}"))?;
        Task::decode(&text).map_err(|e| e.to_string())
    }

    /// The server's FIFO. Opened for both ways, so that it neither blocks nor ends when the server goes.
    pub fn control(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let control = rustix::fs::openat(&self.dir, files::CONTROL, flags, Mode::empty())?;
        // Anything else would always be ready to read.
        match FileType::from_raw_mode(rustix::fs::fstat(&control)?.st_mode) {
            FileType::Fifo => Ok(control),
            _ => Err(Errno::INVAL),
        }
    }

    /// The stop request, if there is one: the grace in seconds that it names, `default` when it names none.
    pub fn stop_request(&self, default: u64) -> Option<u64> {
        let mut text = String::new();
        match self.open_file(files::STOP) {
            Ok(file) => {
                let _ = file.take(64).read_to_string(&mut text);
                Some(text.trim().parse().unwrap_or(default))
            }
            Err(Errno::NOENT) => None,
            Err(e) => {
                eprintln!("open the stop file: {e}");
                None
            }
        }
    }

    fn open_file(&self, name: &str) -> Result<File, Errno> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(rustix::fs::openat(&self.dir, name, flags, Mode::empty())?.into())
    }

    /// Writes that the container runs.
    pub fn write_started(&self, started: &Started) -> Result<(), Errno> {
        let tmp = "started.tmp";
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(&self.dir, tmp, flags, Mode::RUSR | Mode::WUSR)?;
        write_all(&file, started.encode().as_bytes())?;
        point("supervisor.in_started");
        rustix::fs::renameat(&self.dir, tmp, &self.dir, files::STARTED)
    }

    /// Writes the exit record so that a full disk cannot lose it, nor a power cut tear it.
    pub fn write_exit(&self, exit: &Exit) -> Result<(), Errno> {
        let mut exit = exit.clone();
        if let Some(text) = &mut exit.text {
            cut(text, MAX_EXIT_TEXT);
        }
        let text = exit.encode();
        write_all(&self.exit, text.as_bytes())?;
        rustix::fs::ftruncate(&self.exit, text.len() as u64)?;
        rustix::fs::fdatasync(&self.exit)?;
        point("supervisor.in_exit");
        rustix::fs::renameat(&self.dir, files::EXIT_TMP, &self.dir, files::EXIT)
    }

    /// Makes the record's name last. After the server is woken: it need not wait for what only a power cut could undo.
    pub fn sync(&self) {
        if let Err(e) = rustix::fs::fsync(&self.dir) {
            eprintln!("sync the attempt folder: {e}");
        }
    }

    /// Tells the server to look. Best effort: the files are the truth.
    pub fn wake(&self, socket: &str, task_id: &str) {
        if let Err(e) = send(Path::new(socket), task_id.as_bytes()) {
            eprintln!("wake the server: {e}");
        }
    }

    /// Lets the lock go: the attempt is over.
    pub fn release(self) {
        let Self { dir, exit, lock } = self;
        drop((dir, exit));
        drop(lock);
    }
}

/// Shortens a text to at most `max` bytes, at a character's edge.
pub fn cut(text: &mut String, max: usize) {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

fn write_all(fd: impl AsFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(&fd, bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Sends a datagram. Socket addresses hold 107 bytes of path; a longer one is reached through its folder's descriptor.
fn send(socket: &Path, payload: &[u8]) -> Result<(), Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let from = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    let (parent, name) = socket.parent().zip(socket.file_name()).ok_or(Errno::INVAL)?;
    let folder;
    let address = match SocketAddrUnix::new(socket) {
        Ok(address) => address,
        Err(_) => {
            use rustix::fd::AsRawFd;
            folder = rustix::fs::openat(CWD, parent, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            SocketAddrUnix::new(Path::new(&format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name))?
        }
    };
    rustix::net::sendto(&from, payload, SendFlags::NOSIGNAL, &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        let mut text = "aé€".to_string();
        cut(&mut text, 4);
        assert_eq!(text, "aé");
        cut(&mut text, 100);
        assert_eq!(text, "aé");
    }

    #[test]
    fn a_long_socket_path_is_reached() {
        let folder =
            std::env::temp_dir().join(format!("by-wake-{}", std::process::id())).join("x".repeat(120));
        std::fs::create_dir_all(&folder).unwrap();
        let socket = folder.join("wake");
        // Bound through a short path, since binding has the same limit.
        let dir = File::open(&folder).unwrap();
        let short = format!("/proc/self/fd/{}/wake", std::os::fd::AsRawFd::as_raw_fd(&dir));
        let server = std::os::unix::net::UnixDatagram::bind(short).unwrap();
        send(&socket, b"abc").unwrap();
        let mut got = [0; 8];
        assert_eq!(server.recv(&mut got).unwrap(), 3);
        std::fs::remove_dir_all(folder.parent().unwrap()).unwrap();
    }
}
