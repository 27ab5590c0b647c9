//! Who the job runs as: `user[:group]`, names or numbers, by the container's own passwd and group files.
//!
//! No link in an image leads out of it to them. Never here: becoming that user.

use super::place::Root;
use crate::run::fail::Fail;
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use std::fs::File;
use std::io::Read;

/// Most that is read of either file.
const MAX_FILE: u64 = 4 << 20;
/// Largest number of a user or group.
const MAX_ID: u32 = i32::MAX as u32;

/// A resolved user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub uid: Uid,
    /// Its group.
    pub gid: Gid,
    /// All its groups, the first included: else a program that drops that one gains what the group is kept from.
    pub groups: Vec<Gid>,
    /// Its home folder.
    pub home: String,
}

/// Resolves the task's `user` by this machine's files. Empty is root.
pub fn resolve(user: &str) -> Result<Identity, Fail> {
    find(user, &read("/etc/passwd"), &read("/etc/group"))
}

/// The same by the files of a container's root.
pub fn resolve_in(root: &Root, user: &str) -> Result<Identity, Fail> {
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let read = |path: &str| text(rustix::fs::openat2(&root.fd, path, READING, Mode::empty(), inside));
    find(user, &read("/etc/passwd"), &read("/etc/group"))
}

/// How the files are opened: whatever an image put in their place, it does not hold this up.
const READING: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);

fn read(path: &str) -> String {
    text(rustix::fs::open(path, READING, Mode::empty()))
}

/// The file's text; empty when it is missing or no plain file.
fn text(opened: Result<OwnedFd, Errno>) -> String {
    let Ok(fd) = opened else { return String::new() };
    let plain =
        rustix::fs::fstat(&fd).is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::RegularFile);
    let mut bytes = Vec::new();
    if plain {
        let _ = File::from(fd).take(MAX_FILE).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn find(user: &str, passwd: &str, group: &str) -> Result<Identity, Fail> {
    let (user, wanted_group) = user.split_once(':').unwrap_or((user, ""));
    let user = if user.is_empty() { "0" } else { user };
    let number = id(user);
    let entry = passwd
        .lines()
        .map(|l| l.split(':').collect::<Vec<_>>())
        .find(|e| e.len() >= 4 && (e[0] == user || (number.is_some() && id(e[2]) == number)));
    let (uid, mut gid, name, home) = match (&entry, number) {
        (Some(e), _) => {
            let uid = id(e[2])
                .ok_or_else(|| Fail::daemon(format_args!("user {user}: bad number in passwd file")))?;
            let home = e.get(5).filter(|h| !h.is_empty()).unwrap_or(&"/");
            (uid, id(e[3]).unwrap_or(0), e[0], *home)
        }
        (None, Some(uid)) => (uid, 0, "", "/"),
        (None, None) => {
            return Err(Fail::daemon(format_args!(
                "unable to find user {user}: no matching entries in passwd file"
            )));
        }
    };
    let rows = group.lines().map(|l| l.split(':').collect::<Vec<_>>()).filter(|e| e.len() >= 3);
    let mut groups = Vec::new();
    if wanted_group.is_empty() {
        let member =
            |e: &[&str]| !name.is_empty() && e.get(3).is_some_and(|m| m.split(',').any(|m| m == name));
        groups = rows.filter(|e| member(e)).filter_map(|e| id(e[2])).map(Gid::from_raw).collect();
    } else {
        let number = id(wanted_group);
        let mut rows = rows.filter(|e| e[0] == wanted_group).filter_map(|e| id(e[2]));
        gid = rows.next().or(number).ok_or_else(|| {
            Fail::daemon(format_args!(
                "unable to find group {wanted_group}: no matching entries in group file"
            ))
        })?;
    }
    let gid = Gid::from_raw(gid);
    if !groups.contains(&gid) {
        groups.insert(0, gid);
    }
    Ok(Identity { uid: Uid::from_raw(uid), gid, groups, home: home.to_string() })
}

fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|n| *n <= MAX_ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\nbad\n::\n";
    const GROUP: &str = "root:x:0:\napp:x:1001:\naudio:x:29:other,app\nlogs:x:44:app\n";

    fn ids(user: &str) -> (u32, u32, Vec<u32>, String) {
        let i = find(user, PASSWD, GROUP).unwrap();
        (i.uid.as_raw(), i.gid.as_raw(), i.groups.iter().map(|g| g.as_raw()).collect(), i.home)
    }

    #[test]
    fn names_and_numbers_are_found() {
        assert_eq!(ids(""), (0, 0, vec![0], "/root".into()));
        assert_eq!(ids("app"), (1000, 1001, vec![1001, 29, 44], "/home/app".into()));
        assert_eq!(ids("1000"), ids("app"));
        assert_eq!(ids("app:audio"), (1000, 29, vec![29], "/home/app".into()));
        assert_eq!(ids("4000"), (4000, 0, vec![0], "/".into()));
        assert_eq!(ids("4000:5000"), (4000, 5000, vec![5000], "/".into()));
    }

    #[test]
    fn unknown_ones_are_refused_in_docker_s_words() {
        let text = |u| find(u, PASSWD, GROUP).unwrap_err().0;
        assert!(text("nobody").ends_with("unable to find user nobody: no matching entries in passwd file"));
        assert!(text("app:x").ends_with("unable to find group x: no matching entries in group file"));
        assert!(text("4294967295").contains("unable to find user"), "-1 means `leave it` to the kernel");
    }
}
