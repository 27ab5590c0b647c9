//! One attempt's folder: its files, its lock, and what they say together.
//!
//! Locked: it runs. Unlocked with an exit record: it ended. Unlocked without: it never began, or is lost, and only
//! whoever holds the lock may say so (architecture, "No double start"). A supervisor makes its preallocated exit record
//! before it makes anything else, so its absence proves that no container was ever made. Never here: what to do about
//! it (`attempt` does that).

use super::streams::Streams;
use batchyard_engine::TaskId;
use batchyard_supervisor::{self as records, Exit, Started};
use rustix::fs::{CWD, FileType, FlockOperation, Mode, OFlags};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Name of the server's own verdict that an attempt is lost; holds wall milliseconds.
const LOST: &str = "lost";
/// Name of the server's own record of which log streams the attempt has.
const STREAMS: &str = "streams";
/// Name of the file that takes what the supervisor itself says.
const DIAGNOSTICS: &str = "diagnostics";

/// An attempt's folder, which need not exist.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

/// The result of reaching for the lock.
#[derive(Debug)]
pub enum Claim {
    /// Ours now; closing the file gives it up.
    Held(File),
    /// A supervisor (or a start that is under way) has it.
    Busy,
}

/// What the records say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// There is an exit record.
    Ended(Exit),
    /// It was found to be lost, then.
    Lost(i64),
    /// A supervisor was at work and left no exit record. Without the lock this means that it runs.
    Begun(Option<Started>),
    /// A stop was asked for and no supervisor was at work yet.
    StopWanted,
    /// Nothing happened yet.
    Fresh,
}

impl Folder {
    /// The folder of this attempt below `attempts`.
    pub fn of(attempts: &Path, task: TaskId) -> Self {
        Self { path: attempts.join(task.to_string()) }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the writable layer goes.
    pub fn scratch(&self) -> PathBuf {
        self.path.join("scratch")
    }

    /// Where a volume without a path goes.
    pub fn volume(&self, index: usize) -> PathBuf {
        self.path.join("volumes").join(index.to_string())
    }

    /// Whether it is there.
    pub fn exists(&self) -> bool {
        self.path.is_dir()
    }

    /// Makes it, with the FIFO that supervisors listen on. Done twice, it changes nothing.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn make(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        match rustix::fs::mknodat(
            CWD,
            self.file(records::CONTROL),
            FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        ) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reaches for the lock without waiting.
    ///
    /// # Errors
    /// The folder is not there, or the lock file cannot be opened.
    pub fn claim(&self) -> io::Result<Claim> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = file.open(self.file(records::LOCK))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Claim::Held(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(Claim::Busy),
            Err(error) => Err(error.into()),
        }
    }

    /// What the records say. A record that cannot be read is told to the log and counts as "was at work".
    ///
    /// # Errors
    /// A file is there and the disk does not give it.
    pub fn fate(&self) -> io::Result<Fate> {
        let mut damaged = false;
        if let Some(text) = self.read(records::EXIT)? {
            match Exit::decode(&text) {
                Ok(exit) => return Ok(Fate::Ended(exit)),
                Err(error) => {
                    tracing::error!(folder = %self.path.display(), %error, "the exit record cannot be read");
                    damaged = true;
                }
            }
        }
        if let Some(text) = self.read(LOST)? {
            return Ok(Fate::Lost(text.trim().parse().unwrap_or_default()));
        }
        if let Some(text) = self.read(records::STARTED)? {
            return Ok(Fate::Begun(Started::decode(&text).ok()));
        }
        if damaged || self.file(records::EXIT_TMP).exists() {
            return Ok(Fate::Begun(None));
        }
        Ok(if self.file(records::STOP).exists() { Fate::StopWanted } else { Fate::Fresh })
    }

    /// The exit record that was complete but not yet renamed when its writer was cut off. Ask only with the lock held.
    pub fn unrenamed_exit(&self) -> Option<Exit> {
        let bytes = fs::read(self.file(records::EXIT_TMP)).ok()?;
        // It is preallocated: what lies behind its last line is filling.
        let end = bytes.windows(5).position(|w| w == b"\nend\n")? + 5;
        Exit::decode(std::str::from_utf8(&bytes[..end]).ok()?).ok()
    }

    /// Writes the task file.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write_task(&self, task: &records::Task) -> io::Result<()> {
        write_atomically(&self.file(records::TASK), task.encode().as_bytes())
    }

    /// The task file as it was written, if it was.
    pub fn task(&self) -> Option<records::Task> {
        records::Task::decode(&self.read(records::TASK).ok()??).ok()
    }

    /// Writes an exit record of the server's own, for an attempt that no supervisor will have. Only with the lock held.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write_exit(&self, exit: &Exit) -> io::Result<()> {
        write_atomically(&self.file(records::EXIT), exit.encode().as_bytes())
    }

    /// Writes down that the attempt is lost, so that it stays so whatever happens next.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write_lost(&self, at_ms: i64) -> io::Result<()> {
        write_atomically(&self.file(LOST), at_ms.to_string().as_bytes())
    }

    /// Asks the supervisor to stop, now or as soon as it listens.
    ///
    /// # Errors
    /// The request cannot be written down.
    pub fn ask_to_stop(&self, grace_s: u32) -> io::Result<()> {
        write_atomically(&self.file(records::STOP), grace_s.to_string().as_bytes())?;
        // Nobody listens yet: the request is read as soon as somebody does.
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        if let Ok(fifo) = rustix::fs::open(self.file(records::CONTROL), flags, Mode::empty()) {
            let _ = rustix::io::write(&fifo, b"s");
        }
        Ok(())
    }

    /// Writes down which log streams the attempt has.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write_streams(&self, streams: &Streams) -> io::Result<()> {
        write_atomically(&self.file(STREAMS), streams.encode().as_bytes())
    }

    /// The log streams of the attempt; none when it never got as far.
    pub fn streams(&self) -> Streams {
        let text = self.read(STREAMS).ok().flatten();
        text.and_then(|text| Streams::decode(&text).ok()).unwrap_or_default()
    }

    /// A file for what the supervisor itself says.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn diagnostics(&self) -> io::Result<File> {
        OpenOptions::new().append(true).create(true).mode(0o600).open(self.file(DIAGNOSTICS))
    }

    /// The last thing that the supervisor said, if it said anything.
    pub fn last_words(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&fs::read(self.file(DIAGNOSTICS)).ok()?).into_owned();
        text.lines().rev().map(str::trim).find(|l| !l.is_empty()).map(|l| l.chars().take(200).collect())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn read(&self, name: &str) -> io::Result<Option<String>> {
        match fs::read(self.file(name)) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Writes a file so that a reader sees the old content or the new, mode 0600.
///
/// # Errors
/// The disk refuses.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = write_beside(path, bytes)?;
    fs::rename(temporary, path)
}

/// The same, and on disk when this returns.
///
/// # Errors
/// The disk refuses.
pub fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = write_beside(path, bytes)?;
    File::open(&temporary)?.sync_all()?;
    fs::rename(temporary, path)?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    Ok(temporary)
}
