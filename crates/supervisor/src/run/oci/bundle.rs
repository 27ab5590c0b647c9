//! The bundle's `config.json`: the task's container in the words of the OCI runtime specification.
//!
//! It says what the native launcher does, so that both give a job the same. Two things are not in it: the memory limit,
//! which falls into place when the program is about to run (a runtime's own set-up is larger than small limits), and
//! the seccomp filter, which the entry loads (one list of calls for every driver). Never here: running it.

use crate::run::child::hide::{MASKED, READONLY, is_folder, present};
use crate::run::child::mounts::{HOST_FILES, check_target, make_source, within};
use crate::run::child::place::{Root, attach};
use crate::run::child::user::Identity;
use crate::run::child::{creds, dev, exec, tmpfs};
use crate::run::devices::{self, Node};
use crate::run::fail::{During, Fail};
use crate::run::json::{Json, number, text, texts};
use crate::run::limits::{PERIOD_US, cpu_quota_us, cpu_shares};
use batchyard_supervisor::{Container, Mount, MountKind, Task};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Names of the capabilities by their numbers.
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What the configuration is made of.
pub struct Bundle<'a> {
    /// The task.
    pub task: &'a Task,
    /// Its container.
    pub container: &'a Container,
    /// Its root, mounted.
    pub root: &'a Root,
    /// Where that is.
    pub root_path: &'a str,
    /// An empty file, for masks.
    pub empty_file: &'a str,
    /// Who the program runs as.
    pub identity: &'a Identity,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Path of the container's group, as the runtime takes it.
    pub cgroup: String,
    /// The groups that it may look at, with their names; the name is empty for version 2.
    pub views: &'a [(&'static str, PathBuf)],
    /// Capabilities that the caller has, as a bit mask.
    pub held: u64,
    /// A device file can do no harm.
    pub devices_fenced: bool,
}

impl Bundle<'_> {
    /// The text of `config.json`.
    pub fn config(&self) -> Result<String, Fail> {
        let c = self.container;
        let root = Json::Map(vec![("path", text(self.root_path)), ("readonly", Json::Bool(c.readonly_root))]);
        let mut config = vec![
            ("ociVersion", text("1.0.2")),
            ("process", self.process()),
            ("root", root),
            ("mounts", Json::List(self.mounts()?)),
            ("linux", self.linux()?),
        ];
        config.extend(self.task.hostname.as_ref().map(|name| ("hostname", text(name))));
        Ok(Json::Map(config).to_string())
    }

    fn process(&self) -> Json {
        let (c, who) = (self.container, self.identity);
        let user = Json::Map(vec![
            ("uid", number(who.uid.as_raw())),
            ("gid", number(who.gid.as_raw())),
            ("additionalGids", Json::List(who.groups.iter().map(|g| number(g.as_raw())).collect())),
            ("umask", number(0o022)),
        ]);
        let bounding = creds::wanted(c, self.devices_fenced) & self.held;
        // As with Docker, nobody but root has any.
        let own = if who.uid.is_root() { bounding } else { 0 };
        let none = || Json::List(Vec::new());
        let capabilities = Json::Map(vec![
            ("bounding", capabilities(bounding)),
            ("effective", capabilities(own)),
            ("permitted", capabilities(own)),
            ("inheritable", none()),
            ("ambient", none()),
        ]);
        let rlimit = |u: &batchyard_supervisor::Ulimit| {
            let name = format!("RLIMIT_{}", u.name.to_uppercase());
            Json::Map(vec![("type", text(name)), ("soft", number(u.soft)), ("hard", number(u.hard))])
        };
        Json::Map(vec![
            ("terminal", Json::Bool(false)),
            ("user", user),
            ("args", texts(&self.argv)),
            ("env", texts(exec::environment(c, who))),
            ("cwd", text(if c.cwd.is_empty() { "/" } else { &c.cwd })),
            ("capabilities", capabilities),
            ("rlimits", Json::List(c.ulimits.iter().map(rlimit).collect())),
            ("noNewPrivileges", Json::Bool(!c.privileged)),
        ])
    }

    fn mounts(&self) -> Result<Vec<Json>, Fail> {
        let c = self.container;
        let access = if c.privileged { "rw" } else { "ro" };
        let shm = format!("size={}", dev::shm_bytes(c));
        let plain = ["nosuid", "noexec", "nodev"];
        let with = |more: &[&'static str]| [&plain[..], more].concat();
        let mut mounts = vec![
            mount("/proc", "proc", "proc", &plain),
            mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount(
                "/dev/pts",
                "devpts",
                "devpts",
                &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
            ),
            mount("/dev/shm", "tmpfs", "shm", &[&plain[..], &["mode=1777", &shm]].concat()),
            mount("/dev/mqueue", "mqueue", "mqueue", &plain),
            mount("/sys", "sysfs", "sysfs", &with(&[access])),
        ];
        self.views(access, &mut mounts);
        self.own_files(&with(&["bind", "rprivate"]), &mut mounts)?;
        if c.layers != ["/"] {
            let missing = |path: &&str| c.files.iter().all(|file| file.path != *path);
            let there = HOST_FILES.into_iter().filter(missing);
            let there = there.filter(|path| Path::new(path).is_file() && self.takes_file(path));
            mounts.extend(there.map(|path| mount(path, "bind", path, &with(&["bind", "rprivate", "ro"]))));
        }
        for own in &c.mounts {
            mounts.extend(self.own_mount(own)?);
        }
        Ok(mounts)
    }

    /// The container's own groups. With version 1 they are named one by one: of themselves runtimes show all hierarchies,
    /// crun even those of the host that the container has no group in.
    fn views(&self, access: &'static str, mounts: &mut Vec<Json>) {
        let plain = ["nosuid", "noexec", "nodev", access];
        if self.views.iter().any(|(name, _)| name.is_empty()) {
            return mounts.push(mount(
                "/sys/fs/cgroup",
                "cgroup",
                "cgroup",
                &[&plain[..], &["relatime"]].concat(),
            ));
        }
        if !self.views.is_empty() {
            let options = [&plain[..], &["mode=755", "size=64k"]].concat();
            mounts.push(mount("/sys/fs/cgroup", "tmpfs", "tmpfs", &options));
        }
        let bind = [&["bind", "rprivate"][..], &plain[..]].concat();
        let one = |(name, path): &(&str, PathBuf)| {
            mount(&format!("/sys/fs/cgroup/{name}"), "bind", &path.to_string_lossy(), &bind)
        };
        mounts.extend(self.views.iter().map(one));
    }

    /// Files of the container's own, beside the file for masks.
    fn own_files(&self, options: &[&str], mounts: &mut Vec<Json>) -> Result<(), Fail> {
        use std::os::unix::fs::PermissionsExt;
        for (index, file) in self.container.files.iter().enumerate().filter(|(_, f)| self.takes_file(&f.path))
        {
            let place = format!("{}.file{index}", self.empty_file);
            let permissions = std::fs::Permissions::from_mode(0o644);
            std::fs::write(&place, &file.text)
                .and_then(|()| std::fs::set_permissions(&place, permissions))
                .during(format_args!("write {}", file.path))?;
            mounts.push(mount(&file.path, "bind", &place, options));
        }
        Ok(())
    }

    /// An image may hold something odd in a file's place; then it keeps it.
    fn takes_file(&self, path: &str) -> bool {
        !matches!(present(self.root, path), Ok(Some(fd)) if is_folder(&fd).unwrap_or(true))
    }

    fn own_mount(&self, own: &Mount) -> Result<Option<Json>, Fail> {
        check_target(own)?;
        let target = own.target.as_str();
        let made = match &own.kind {
            MountKind::Bind(source) => self.bind(own, source)?,
            MountKind::BindWithin(folder, source) => self.bind_within(own, folder, source)?,
            MountKind::Tmpfs(size, options) => {
                let options = tmpfs::for_runtime(own, *size, options);
                let options: Vec<&str> = options.iter().map(String::as_str).collect();
                mount(target, "tmpfs", "tmpfs", &options)
            }
            MountKind::Mask => match present(self.root, target)? {
                None => return Ok(None),
                Some(fd) if is_folder(&fd).during(format_args!("mask {target}"))? => mount(
                    target,
                    "tmpfs",
                    "tmpfs",
                    &["nosuid", "nodev", "noexec", "mode=755", "size=4k", "ro"],
                ),
                Some(_) => mount(
                    target,
                    "bind",
                    self.empty_file,
                    &["bind", "rprivate", "nosuid", "nodev", "noexec", "ro"],
                ),
            },
        };
        Ok(Some(made))
    }

    fn bind(&self, own: &Mount, source: &str) -> Result<Json, Fail> {
        make_source(own, source)?;
        let during = format_args!("mount {source} to {}", own.target);
        let found = std::fs::metadata(source).during(during)?;
        let kind = found.file_type();
        let unfenced = !self.devices_fenced && !self.container.privileged;
        let device = (kind.is_char_device() || kind.is_block_device())
            && unfenced
            && devices::given(self.container, kind.is_block_device(), found.rdev());
        let mut options = vec!["rbind", "rprivate"];
        if own.readonly {
            options.extend(["ro", "rro"]);
        }
        options.extend((unfenced && !device).then_some("nodev"));
        Ok(mount(&own.target, "bind", source, &options))
    }

    /// Looked up as the native launcher does, and put where the runtime finds it: it only knows paths.
    fn bind_within(&self, own: &Mount, folder: &str, source: &str) -> Result<Json, Fail> {
        let during = format_args!("mount {source} to {}", own.target);
        let tree = within(own, folder, source)?;
        let number = self.container.mounts.iter().position(|mount| std::ptr::eq(mount, own)).unwrap_or(0);
        let place = format!("{}.{number}", self.empty_file);
        if is_folder(&tree).during(during)? {
            std::fs::create_dir(&place).during(during)?;
        } else {
            std::fs::File::create(&place).during(during)?;
        }
        let target = rustix::fs::open(
            place.as_str(),
            rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        );
        attach(&tree, &target.during(during)?).during(during)?;
        self.bind(own, &place)
    }

    fn linux(&self) -> Result<Json, Fail> {
        let c = self.container;
        let kinds = ["pid", "mount", "ipc", "uts", "cgroup"].into_iter();
        // Without one of the network the container has the runtime's, which has its supervisor's.
        let namespaces: Vec<Json> = kinds.map(|kind| Json::Map(vec![("type", text(kind))])).collect();
        let hidden = |list: &[&str]| if c.privileged { texts([""; 0]) } else { texts(list) };
        Ok(Json::Map(vec![
            ("cgroupsPath", text(&self.cgroup)),
            ("resources", self.resources()?),
            ("namespaces", Json::List(namespaces)),
            ("devices", Json::List(self.devices()?)),
            ("maskedPaths", hidden(&MASKED)),
            ("readonlyPaths", hidden(&READONLY)),
        ]))
    }

    fn resources(&self) -> Result<Json, Fail> {
        let c = self.container;
        let mut cpu = vec![("shares", number(cpu_shares(c)))];
        if let Some(quota) = cpu_quota_us(c) {
            cpu.extend([("quota", number(quota)), ("period", number(PERIOD_US))]);
        }
        let mut resources = vec![("devices", Json::List(self.rules()?)), ("cpu", Json::Map(cpu))];
        resources.extend(c.pids_max.map(|max| ("pids", Json::Map(vec![("limit", number(max))]))));
        Ok(Json::Map(resources))
    }

    /// Nothing, and then the rules that the native launcher writes.
    fn rules(&self) -> Result<Vec<Json>, Fail> {
        let all = |allow| Json::Map(vec![("allow", Json::Bool(allow)), ("access", text("rwm"))]);
        if self.container.privileged {
            return Ok(vec![all(true)]);
        }
        let rule = |text_of_rule: String| {
            let (kind, rest) = text_of_rule.split_once(' ')?;
            let (numbers, access) = rest.split_once(' ')?;
            let (major, minor) = numbers.split_once(':')?;
            let mut pairs = vec![("allow", Json::Bool(true)), ("type", text(kind)), ("access", text(access))];
            pairs.extend(major.parse::<u32>().ok().map(|n| ("major", number(n))));
            pairs.extend(minor.parse::<u32>().ok().map(|n| ("minor", number(n))));
            Some(Json::Map(pairs))
        };
        let rules = devices::allowed(self.container)?;
        Ok(std::iter::once(all(false)).chain(rules.iter().filter_map(|r| rule(r.to_string()))).collect())
    }

    /// Device files besides those that every container has.
    fn devices(&self) -> Result<Vec<Json>, Fail> {
        let mut found = Vec::new();
        for node in devices::nodes(self.container)? {
            // A runtime leaves what is there as it is, without a word.
            if let Ok(there) = self.root.find(&node.target) {
                node.same_as(&rustix::fs::fstat(&there).during(format_args!("look at {}", node.target))?)?;
            } else if !dev::has(&node)? {
                found.push(device_file(&node));
            }
        }
        if self.container.privileged {
            host_devices(Path::new("/dev"), &mut found);
        }
        Ok(found)
    }
}

fn capabilities(mask: u64) -> Json {
    let has = |bit: usize| mask & (1 << bit) != 0;
    texts(CAPABILITIES.iter().enumerate().filter(|(bit, _)| has(*bit)).map(|(_, name)| format!("CAP_{name}")))
}

fn mount(target: &str, kind: &str, source: &str, options: &[&str]) -> Json {
    Json::Map(vec![
        ("destination", text(target)),
        ("type", text(kind)),
        ("source", text(source)),
        ("options", texts(options)),
    ])
}

/// A device of this host as a file inside.
fn device_file(node: &Node) -> Json {
    Json::Map(vec![
        ("path", text(&node.target)),
        ("type", text(if node.block { "b" } else { "c" })),
        ("major", number(rustix::fs::major(node.number))),
        ("minor", number(rustix::fs::minor(node.number))),
        ("fileMode", number(node.mode)),
        ("uid", number(node.uid)),
        ("gid", number(node.gid)),
    ])
}

/// A privileged container gets the host's devices. Those that cannot be looked at are left out, and those that every
/// runtime makes itself.
fn host_devices(folder: &Path, found: &mut Vec<Json>) {
    const MADE: [&str; 9] = ["null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "mqueue"];
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let top = folder == Path::new("/dev");
        if kind.is_dir() && !(top && ["pts", "shm", "mqueue"].contains(&name.as_str())) {
            host_devices(&path, found);
        } else if (kind.is_char_device() || kind.is_block_device()) && !(top && MADE.contains(&name.as_str()))
        {
            found.extend(Node::host(&path).as_ref().map(device_file));
        }
    }
}
