//! Which device files a container may use, as rules for either version of control groups.
//!
//! Never here: making the files (the child's `/dev`), attaching the rules (the limits).

use super::bpf;
use batchyard_supervisor::{Container, MountKind};
use std::fmt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

/// Reading, writing and making device files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    block: bool,
    major: Option<u32>,
    minor: Option<u32>,
    /// May be opened; making the file is allowed by every rule.
    open: bool,
}

impl fmt::Display for Rule {
    /// As version 1's `devices.allow` reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.block { "b " } else { "c " })?;
        let part = |n: Option<u32>| n.map_or("*".to_string(), |n| n.to_string());
        write!(f, "{}:{} ", part(self.major), part(self.minor))?;
        f.write_str(if self.open { "rwm" } else { "m" })
    }
}

/// Docker's default set and the devices that the container's binds name.
pub fn allowed(c: &Container) -> Vec<Rule> {
    let any = |block| Rule { block, major: None, minor: None, open: false };
    let char = |major, minor| Rule { block: false, major: Some(major), minor, open: true };
    let mut rules = vec![any(false), any(true)];
    // null, zero, full, random, urandom; tty, console, ptmx; the pseudo-terminals.
    rules.extend([3, 5, 7, 8, 9].map(|minor| char(1, Some(minor))));
    rules.extend([0, 1, 2].map(|minor| char(5, Some(minor))));
    rules.push(char(136, None));
    for mount in &c.mounts {
        let MountKind::Bind(source) = &mount.kind else { continue };
        let Ok(found) = std::fs::metadata(source) else { continue };
        let kind = found.file_type();
        if kind.is_char_device() || kind.is_block_device() {
            let (major, minor) = (rustix::fs::major(found.rdev()), rustix::fs::minor(found.rdev()));
            rules.push(Rule {
                block: kind.is_block_device(),
                major: Some(major),
                minor: Some(minor),
                open: true,
            });
        }
    }
    rules
}

/// The rules as a program for version 2. It gets a pointer to `{access << 16 | type, major, minor}` and answers 1 or 0.
pub fn program(rules: &[Rule]) -> Vec<u64> {
    const MAKE_ONLY: u32 = 1;
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
        if !rule.open {
            tests.push(bpf::jump_unless(3, MAKE_ONLY));
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
        let code = program(&allowed(&Container::default()));
        assert!(run(&code, false, 6, 1, 3), "null may be read and written");
        assert!(run(&code, false, 2, 136, 77), "a pseudo-terminal may be read");
        assert!(run(&code, true, 1, 8, 0), "a disk's file may be made");
        assert!(!run(&code, true, 2, 8, 0), "a disk may not be read");
        assert!(!run(&code, false, 2, 1, 1), "memory may not be read");
        assert!(!run(&code, false, 3, 1, 1), "memory may not be made and read at once");
    }

    #[test]
    fn rules_read_as_version_1_wants_them() {
        let texts: Vec<String> = allowed(&Container::default()).iter().map(Rule::to_string).collect();
        assert_eq!(texts[..3], ["c *:* m", "b *:* m", "c 1:3 rwm"]);
        assert_eq!(texts.last().unwrap(), "c 136:* rwm");
    }
}
