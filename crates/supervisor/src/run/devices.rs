//! Which device files a container gets and may use: its devices looked up on this host, and rules for either version of
//! control groups.
//!
//! Never here: making the files (the child's `/dev`), attaching the rules (the limits).

use super::bpf;
use super::fail::{Fail, name};
use batchyard_supervisor::{Container, Device};
use rustix::fs::FileType;
use rustix::io::Errno;
use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// Bits of a rule's access, as the kernel gives them to a program of version 2.
const MAKE: u32 = 1;
const READ: u32 = 2;
const WRITE: u32 = 4;
const ALL: u32 = MAKE | READ | WRITE;

/// Folders of folders of devices are looked into this far, as no `/dev` is deeper.
const MAX_DEPTH: u32 = 8;

/// What may be done with which device files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    block: bool,
    major: Option<u32>,
    minor: Option<u32>,
    access: u32,
}

impl fmt::Display for Rule {
    /// As version 1's `devices.allow` reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.block { "b " } else { "c " })?;
        let part = |n: Option<u32>| n.map_or("*".to_string(), |n| n.to_string());
        write!(f, "{}:{} ", part(self.major), part(self.minor))?;
        let letters = [(READ, "r"), (WRITE, "w"), (MAKE, "m")];
        letters
            .iter()
            .filter(|(bit, _)| self.access & bit != 0)
            .try_for_each(|(_, letter)| f.write_str(letter))
    }
}

/// A device of this host, as a container is to have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Path on this host.
    pub source: String,
    /// Path inside the container.
    pub target: String,
    /// A block device.
    pub block: bool,
    /// Its number.
    pub number: u64,
    /// Permissions of the file on this host.
    pub mode: u32,
    /// Its owner there.
    pub uid: u32,
    /// Its group there.
    pub gid: u32,
    access: u32,
}

impl Node {
    fn of(device: &Device, source: &Path, target: String, found: &Metadata) -> Option<Self> {
        let kind = found.file_type();
        let block = kind.is_block_device();
        let bit = |given, bit| if given { bit } else { 0 };
        let access = bit(device.read, READ) | bit(device.write, WRITE) | bit(device.mknod, MAKE);
        let (number, mode) = (found.rdev(), found.mode() & 0o7777);
        let (uid, gid) = (found.uid(), found.gid());
        let source = source.to_string_lossy().into_owned();
        (block || kind.is_char_device()).then_some(Self {
            source,
            target,
            block,
            number,
            mode,
            uid,
            gid,
            access,
        })
    }

    /// The device at this path of the host, under the same path.
    pub fn host(path: &Path) -> Option<Self> {
        let target = path.to_string_lossy().into_owned();
        let device =
            Device { source: String::new(), target: String::new(), read: true, write: true, mknod: true };
        Self::of(&device, path, target, &std::fs::metadata(path).ok()?)
    }

    /// What is at the target already must be this device.
    ///
    /// # Errors
    /// It is something else.
    pub fn same_as(&self, found: &rustix::fs::Stat) -> Result<(), Fail> {
        let kind = FileType::from_raw_mode(found.st_mode);
        let wanted = if self.block { FileType::BlockDevice } else { FileType::CharacterDevice };
        if kind == wanted && found.st_rdev == self.number {
            return Ok(());
        }
        Err(self.taken())
    }

    /// Something else is at its target.
    pub fn taken(&self) -> Fail {
        Fail::runtime(format_args!("make the device {}: the container has another file there", self.target))
    }

    fn rule(&self) -> Rule {
        let (major, minor) = (rustix::fs::major(self.number), rustix::fs::minor(self.number));
        Rule { block: self.block, major: Some(major), minor: Some(minor), access: self.access }
    }
}

/// The devices that the task names, in its order. A folder of `/dev` stands for the devices in it, as with Docker.
///
/// # Errors
/// What cannot be had, in Docker's words.
pub fn nodes(c: &Container) -> Result<Vec<Node>, Fail> {
    let mut found = Vec::new();
    for device in &c.devices {
        let fail = |why: &str| {
            let text = "error gathering device information while adding custom device";
            Fail::daemon(format_args!("{text} {:?}: {why}", device.source))
        };
        let source = Path::new(&device.source);
        let metadata = std::fs::metadata(source);
        let metadata = metadata.map_err(|e| fail(&Errno::from_io_error(&e).map_or(e.to_string(), name)))?;
        let before = found.len();
        if metadata.is_dir() && source.canonicalize().is_ok_and(|p| p.starts_with("/dev")) {
            below(device, source, device.target.trim_end_matches('/'), MAX_DEPTH, &mut found);
        } else {
            found.extend(Node::of(device, source, device.target.clone(), &metadata));
        }
        if found.len() == before {
            return Err(fail("not a device node"));
        }
    }
    Ok(found)
}

fn below(device: &Device, folder: &Path, target: &str, depth: u32, found: &mut Vec<Node>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, inside) = (entry.path(), format!("{target}/{}", entry.file_name().to_string_lossy()));
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() && depth > 0 => below(device, &path, &inside, depth - 1, found),
            Ok(metadata) => found.extend(Node::of(device, &path, inside, &metadata)),
            Err(_) => {}
        }
    }
}

/// Whether what was asked for can be kept to: without a fence a file alone says nothing of what may be done with it, and
/// device files outside of `/dev` are none.
///
/// # Errors
/// A device that may not be used in every way, or that is to lie elsewhere, on a host that cannot see to that.
pub fn check(c: &Container, fenced: bool) -> Result<(), Fail> {
    if fenced || c.privileged {
        return Ok(());
    }
    match c.devices.iter().find(|d| !(d.read && d.write && d.target.starts_with("/dev/"))) {
        Some(d) => Err(Fail::runtime(format_args!(
            "the device {} with less than all permissions or outside of /dev needs a control group of devices: ask for all, or run the server as \
             root",
            d.source
        ))),
        None => Ok(()),
    }
}

/// Whether a device file is one that the container was given.
pub fn given(c: &Container, block: bool, number: u64) -> bool {
    nodes(c).is_ok_and(|nodes| nodes.iter().any(|n| (n.block, n.number) == (block, number)))
}

/// Docker's default set and the container's own devices. A bind of a device opens nothing.
///
/// # Errors
/// As [`nodes`].
pub fn allowed(c: &Container) -> Result<Vec<Rule>, Fail> {
    let any = |block| Rule { block, major: None, minor: None, access: MAKE };
    let char = |major, minor| Rule { block: false, major: Some(major), minor, access: ALL };
    let mut rules = vec![any(false), any(true)];
    // null, zero, full, random, urandom; tty, console, ptmx; the pseudo-terminals.
    rules.extend([3, 5, 7, 8, 9].map(|minor| char(1, Some(minor))));
    rules.extend([0, 1, 2].map(|minor| char(5, Some(minor))));
    rules.push(char(136, None));
    rules.extend(nodes(c)?.iter().map(Node::rule));
    Ok(rules)
}

/// The rules as a program for version 2. It gets a pointer to `{access << 16 | type, major, minor}` and answers 1 or 0.
pub fn program(rules: &[Rule]) -> Vec<u64> {
    let mut code = vec![
        bpf::load(2, 1, 0), // r2 = type and access
        bpf::copy(3, 2),
        bpf::mask(2, 0xffff),         // r2 &= 0xffff: type
        bpf::with_value(0x77, 3, 16), // r3 >>= 16: access
        bpf::load(4, 1, 4),           // r4 = major
        bpf::load(5, 1, 8),           // r5 = minor
    ];
    for rule in rules {
        let mut tests = vec![bpf::jump_unless(2, if rule.block { 1 } else { 2 })];
        if rule.access != ALL {
            // r1, the pointer, is no longer needed: r1 = what is wanted beyond the rule.
            tests.extend([bpf::copy(1, 3), bpf::mask(1, ALL & !rule.access), bpf::jump_unless(1, 0)]);
        }
        tests.extend(rule.major.map(|n| bpf::jump_unless(4, n)));
        tests.extend(rule.minor.map(|n| bpf::jump_unless(5, n)));
        code.extend(bpf::all(tests, 2));
        code.extend([bpf::set(0, 1), bpf::EXIT]);
    }
    code.extend([bpf::set(0, 0), bpf::EXIT]);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(code: &[u64], block: bool, access: u32, major: u32, minor: u32) -> bool {
        bpf::run(code, &[access << 16 | if block { 1 } else { 2 }, major, minor], &[]) == 1
    }

    #[test]
    fn the_program_answers_as_the_rules_say() {
        let code = program(&allowed(&Container::default()).unwrap());
        assert!(run(&code, false, 6, 1, 3), "null may be read and written");
        assert!(run(&code, false, 2, 136, 77), "a pseudo-terminal may be read");
        assert!(run(&code, true, 1, 8, 0), "a disk's file may be made");
        assert!(!run(&code, true, 2, 8, 0), "a disk may not be read");
        assert!(!run(&code, false, 2, 1, 1), "memory may not be read");
        assert!(!run(&code, false, 3, 1, 1), "memory may not be made and read at once");
    }

    #[test]
    fn rules_read_as_version_1_wants_them() {
        let texts: Vec<String> =
            allowed(&Container::default()).unwrap().iter().map(Rule::to_string).collect();
        assert_eq!(texts[..3], ["c *:* m", "b *:* m", "c 1:3 rwm"]);
        assert_eq!(texts.last().unwrap(), "c 136:* rwm");
    }

    fn device(source: &str, target: &str, letters: &str) -> Device {
        Device {
            source: source.into(),
            target: target.into(),
            read: letters.contains('r'),
            write: letters.contains('w'),
            mknod: letters.contains('m'),
        }
    }

    fn with(devices: Vec<Device>) -> Container {
        Container { devices, ..Container::default() }
    }

    #[test]
    fn a_device_may_be_used_as_it_was_given() {
        // Like /dev/null by number, under another rule than the one that every container has.
        let rules = allowed(&with(vec![device("/dev/tty", "/dev/t", "r")])).unwrap();
        assert_eq!(rules.last().unwrap().to_string(), "c 5:0 r");
        let read_only = Rule { block: true, major: Some(7), minor: Some(0), access: READ };
        let code = program(&[read_only]);
        assert!(run(&code, true, READ, 7, 0));
        for access in [WRITE, MAKE, READ | WRITE, ALL] {
            assert!(!run(&code, true, access, 7, 0), "{access}");
        }
        assert!(!run(&code, true, READ, 7, 1) && !run(&code, false, READ, 7, 0));
    }

    #[test]
    fn what_is_no_device_is_named() {
        let text = |source: &str| nodes(&with(vec![device(source, "/dev/x", "rwm")])).unwrap_err().0;
        assert!(
            text("/dev/nope").ends_with("device \"/dev/nope\": no such file or directory"),
            "{}",
            text("/dev/nope")
        );
        assert!(text("/etc/passwd").ends_with("not a device node"));
        assert!(text("/proc/self/ns").ends_with("not a device node"));
        assert!(check(&with(vec![device("/dev/null", "/dev/x", "r")]), false).is_err());
        assert!(check(&with(vec![device("/dev/null", "/dev/x", "rw")]), false).is_ok());
        assert!(check(&with(vec![device("/dev/null", "/x", "rw")]), false).is_err());
        assert!(given(&with(vec![device("/dev/null", "/dev/x", "r")]), false, rustix::fs::makedev(1, 3)));
    }
}
