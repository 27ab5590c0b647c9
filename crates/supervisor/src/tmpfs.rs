//! The mount options of a tmpfs: which there are, and which of them a job can have. Docker's rules: every tmpfs is
//! `nosuid,nodev,noexec,mode=1777` unless its options say otherwise, and of two that contradict each other the later counts.
//!
//! Pure. Never here: mounting.

/// Options without a value that can be had. The last are about how mounts spread, which nobody but the job sees.
const FLAGS: [&str; 29] = [
    "defaults",
    "ro",
    "rw",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "sync",
    "async",
    "dirsync",
    "nomand",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "private",
    "rprivate",
    "slave",
    "rslave",
    "shared",
    "rshared",
    "unbindable",
    "runbindable",
];
/// What AWS lists and cannot be: a new file system is no other mount, and Linux has no mandatory locks any more.
const SENSELESS: [&str; 4] = ["remount", "bind", "rbind", "mand"];

/// Whether a tmpfs can have this option.
///
/// # Errors
/// What is wrong with it.
pub fn check(option: &str) -> Result<(), String> {
    let Some((name, value)) = option.split_once('=') else {
        return match option {
            _ if FLAGS.contains(&option) => Ok(()),
            _ if SENSELESS.contains(&option) => Err(format!("{option} cannot be had by a tmpfs")),
            "mode" | "uid" | "gid" | "nr_inodes" | "nr_blocks" | "mpol" => {
                Err(format!("{option} needs a value, as in {option}=…"))
            }
            _ => Err(format!("{option:?} is unknown")),
        };
    };
    let count = |text: &str| {
        let digits = text.strip_suffix(['k', 'm', 'g', 'K', 'M', 'G']).unwrap_or(text);
        digits.parse::<u64>().is_ok() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let fits = match name {
        "mode" => {
            u32::from_str_radix(value, 8).is_ok_and(|mode| mode <= 0o7777)
                && value.bytes().all(|b| b.is_ascii_digit())
        }
        "uid" | "gid" => {
            value.bytes().all(|b| b.is_ascii_digit()) && value.parse::<u32>().is_ok_and(|id| id < u32::MAX)
        }
        "nr_inodes" | "nr_blocks" => count(value),
        "mpol" => {
            !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"=:-".contains(&b))
        }
        "size" => return Err("size is a member of its own".to_string()),
        _ => return Err(format!("{option:?} is unknown")),
    };
    if fits { Ok(()) } else { Err(format!("{value:?} is no value of {name}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_awss() {
        for good in [
            "ro",
            "exec",
            "noatime",
            "rshared",
            "mode=0700",
            "mode=1777",
            "uid=1000",
            "nr_inodes=4k",
            "mpol=bind:0-1",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "remount",
            "bind",
            "mand",
            "mode",
            "mode=",
            "mode=9",
            "mode=17777",
            "mode=+7",
            "uid=-1",
            "uid=4294967295",
            "gid=root",
            "nr_inodes=",
            "nr_inodes=1x",
            "size=4m",
            "RO",
            "ro,suid",
            "mpol=a,b",
            "uid=1,suid",
            "context=x",
            "ro\0",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
