//! A laboratory for whole attempts: a small root from the machine's static busybox, an attempt folder, the supervisor
//! as the server starts it, and at the end a look for anything left behind.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, reason = "a panic is the report")]

use batchyard_supervisor::{Container, Exit, Mount, MountKind, Started, Task, cgroup, log_file};
use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Docker's default capabilities.
pub const DOCKER_CAPS: u64 = 0xa804_25fb;
/// The program under test: the one that cargo built, or the one that `SUPERVISOR` names.
fn supervisor() -> String {
    std::env::var("SUPERVISOR").unwrap_or_else(|_| env!("CARGO_BIN_EXE_batchyard-supervisor").into())
}

/// A seccomp filter that allows everything but `mkdir` (x86-64's 83 and `mkdirat`, 258), which it answers with EXDEV.
pub fn filter() -> Vec<u8> {
    let step = |code: u16, jt: u8, jf: u8, k: u32| {
        let mut bytes = code.to_ne_bytes().to_vec();
        bytes.extend([jt, jf]);
        bytes.extend(k.to_ne_bytes());
        bytes
    };
    [
        step(0x20, 0, 0, 0),
        step(0x15, 1, 0, 83),
        step(0x15, 0, 1, 258),
        step(0x06, 0, 0, 0x0005_0000 | 18),
        step(0x06, 0, 0, 0x7fff_0000),
    ]
    .concat()
}

/// Whether containers can be made here; says so loudly when not.
pub fn ready() -> bool {
    let mut missing = Vec::new();
    if !rustix::process::getuid().is_root() {
        missing.push("root");
    }
    if busybox().is_none() {
        missing.push("a static busybox (apt-get install busybox-static)");
    }
    let works = Command::new(supervisor()).arg("--probe").output().is_ok_and(|o| {
        let text = String::from_utf8_lossy(&o.stdout).into_owned();
        text.lines().any(|l| l == "containers yes")
    });
    if !works {
        missing.push("namespaces and overlayfs (batchyard-supervisor --probe)");
    }
    if !missing.is_empty() {
        eprintln!("==== SKIPPED: container tests need {} ====", missing.join(", "));
    }
    missing.is_empty()
}

fn busybox() -> Option<PathBuf> {
    let usual = ["/bin/busybox", "/usr/bin/busybox", "/bin/busybox-static"].map(PathBuf::from);
    let usual = usual.into_iter().find(|p| p.exists())?;
    // A dynamic one asks for its interpreter in the first bytes.
    let bytes = std::fs::read(&usual).ok()?;
    let dynamic = bytes[..bytes.len().min(4096)].windows(8).any(|w| w == b"ld-linux" || w == b"/ld-musl");
    (!dynamic).then_some(usual)
}

/// One attempt's surroundings.
pub struct Lab {
    /// Holds all of it.
    pub dir: PathBuf,
    /// The image's layer.
    pub rootfs: PathBuf,
    /// The attempt folder.
    pub attempt: PathBuf,
    /// The group of its tasks.
    pub cgroup: String,
}

/// A finished attempt.
pub struct Outcome {
    /// Its exit record.
    pub exit: Exit,
    /// Its lines.
    pub lines: Vec<String>,
    /// What the supervisor said.
    pub said: String,
}

impl Outcome {
    /// The single container's code.
    pub fn code(&self) -> Option<i32> {
        self.exit.containers[0].code
    }

    /// All lines as one text.
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }
}

impl Lab {
    /// A fresh one, nothing when containers cannot be made here.
    pub fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !ready() {
            return None;
        }
        let name = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(format!("batchyard-supervisor-{name}"));
        let rootfs = dir.join("rootfs");
        for folder in ["bin", "etc", "tmp", "proc", "dev", "sys"] {
            std::fs::create_dir_all(rootfs.join(folder)).unwrap();
        }
        let from = busybox().unwrap();
        std::fs::copy(&from, rootfs.join("bin/busybox")).unwrap();
        let applets = Command::new(&from).arg("--list").output().unwrap().stdout;
        for applet in String::from_utf8(applets).unwrap().lines().filter(|a| *a != "busybox") {
            let _ = symlink("busybox", rootfs.join("bin").join(applet));
        }
        std::fs::write(
            rootfs.join("etc/passwd"),
            "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n",
        )
        .unwrap();
        std::fs::write(rootfs.join("etc/group"), "root:x:0:\napp:x:1001:\naudio:x:29:app\n").unwrap();
        let attempt = dir.join("attempt");
        Some(Self { dir, rootfs, attempt, cgroup: format!("batchyard-test-{name}/task") })
    }

    /// A task that runs a shell script.
    pub fn task(&self, script: &str) -> Task {
        let container = Container {
            name: "default".into(),
            essential: true,
            argv: ["sh", "-c", script].map(String::from).into(),
            env: vec!["A=b".into()],
            layers: vec![self.rootfs.to_str().unwrap().into()],
            scratch: self.dir.join("scratch").to_str().unwrap().into(),
            memory_bytes: Some(64 << 20),
            cpu_shares: 1024,
            pids_max: Some(512),
            capabilities: DOCKER_CAPS,
            seccomp: filter(),
            stop_signal: 15,
            log: self.dir.join("log").to_str().unwrap().into(),
            ..Container::default()
        };
        Task {
            task_id: "0123456789abcdef0123456789abcdef".into(),
            job_id: "job".into(),
            attempt: 1,
            cgroup: self.cgroup.clone(),
            stop_grace_s: 30,
            containers: vec![container],
            ..Task::default()
        }
    }

    /// Prepares the attempt folder as the server does and starts the supervisor.
    pub fn start(&self, task: &Task) -> Child {
        self.prepare(task);
        self.spawn()
    }

    /// Prepares the attempt folder as the server does.
    pub fn prepare(&self, task: &Task) {
        let _ = std::fs::remove_dir_all(&self.attempt);
        let _ = std::fs::remove_file(self.dir.join("log"));
        std::fs::create_dir_all(&self.attempt).unwrap();
        std::fs::write(self.attempt.join("task"), task.encode()).unwrap();
        let control = self.attempt.join("control");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &control,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
    }

    /// Starts the supervisor on the folder as it is.
    pub fn spawn(&self) -> Child {
        let lock =
            File::options().create(true).write(true).truncate(false).open(self.attempt.join("lock")).unwrap();
        lock.try_lock().expect("the lock is free");
        let said = File::options().create(true).append(true).open(self.dir.join("said")).unwrap();
        Command::new(supervisor())
            .arg(&self.attempt)
            .stdin(Stdio::from(lock))
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap()
    }

    /// Waits for the supervisor and reads what it left.
    pub fn finish(&self, mut supervisor: Child) -> Outcome {
        let status = supervisor.wait().unwrap();
        let said = std::fs::read_to_string(self.dir.join("said")).unwrap();
        assert!(status.success(), "supervisor: {status}: {said}");
        let exit = std::fs::read_to_string(self.attempt.join("exit")).expect("an exit record");
        let exit = Exit::decode(&exit).unwrap();
        self.assert_clean();
        let lines = self.log().iter().map(|(_, l)| String::from_utf8_lossy(l).into_owned()).collect();
        Outcome { exit, lines, said }
    }

    /// Runs a task to its end.
    pub fn run(&self, task: &Task) -> Outcome {
        let supervisor = self.start(task);
        self.finish(supervisor)
    }

    /// Runs a script to its end.
    pub fn script(&self, script: &str) -> Outcome {
        self.run(&self.task(script))
    }

    /// The log's records.
    pub fn log(&self) -> Vec<(i64, Vec<u8>)> {
        let Ok(bytes) = std::fs::read(self.dir.join("log")) else { return Vec::new() };
        if bytes.len() < 8 {
            return Vec::new();
        }
        assert_eq!(bytes[..8], log_file::MAGIC);
        let (mut at, mut records) = (8, Vec::new());
        while let Some(record) = log_file::first(&bytes[at..]) {
            records.push((record.at_ms, record.text.to_vec()));
            at += record.size;
        }
        records
    }

    /// Asks for a stop as the server does.
    pub fn stop(&self, grace_s: &str) {
        std::fs::write(self.attempt.join("stop"), grace_s).unwrap();
        // For reading too, so that it neither waits for a supervisor nor fails without one.
        let fifo = File::options().read(true).write(true).open(self.attempt.join("control")).unwrap();
        std::io::Write::write_all(&mut &fifo, b"s").unwrap();
    }

    /// Waits for the `started` record.
    pub fn started(&self) -> Started {
        let file = self.attempt.join("started");
        until("started", || file.exists());
        Started::decode(&std::fs::read_to_string(file).unwrap()).unwrap()
    }

    /// Waits until the log holds a line.
    pub fn line(&self, line: &str) {
        until(line, || self.log().iter().any(|(_, l)| l == line.as_bytes()));
    }

    /// The attempt's control groups that exist.
    pub fn groups(&self) -> Vec<PathBuf> {
        cgroup::Hierarchies::read().unwrap().folders(&self.cgroup)
    }

    /// Fails when something is left behind.
    pub fn assert_clean(&self) {
        assert_eq!(self.groups(), Vec::<PathBuf>::new(), "cgroups are left");
        let scratch = self.dir.join("scratch");
        let left = std::fs::read_dir(&scratch).map_or(0, Iterator::count);
        assert_eq!(left, 0, "scratch is not empty");
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.dir.to_str().unwrap()), "mounts are left: {mounts}");
        assert!(!self.attempt.join("exit.tmp").exists());
        File::open(self.attempt.join("lock")).unwrap().try_lock().expect("the lock is free");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let parent = Path::new(&self.cgroup).parent().unwrap().to_str().unwrap().to_string();
        let folders = cgroup::Hierarchies::read().unwrap().folders(&parent);
        cgroup::kill_all(&folders, Duration::from_secs(5));
        let _ = cgroup::remove(&folders, Duration::from_secs(5));
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A bind mount.
pub fn bind(source: &Path, target: &str, readonly: bool) -> Mount {
    Mount { kind: MountKind::Bind(source.to_str().unwrap().into()), target: target.into(), readonly }
}

/// Waits for something to become true, at most 20 seconds.
pub fn until(what: &str, mut test: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !test() {
        assert!(Instant::now() < end, "waited for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
