//! The server of an ordinary user: how it becomes root of a user namespace of that user, and what is weaker there than as
//! the machine's root.
//!
//! The supervisor program makes the namespace and executes this program again in it; everything after that is as ever.
//! Never here: how containers are made in it.

use crate::compute::machine::network::NetworkNamespaces;
use crate::compute::machine::program::answer;
use crate::compute::machine::users::UserNamespaces;
use crate::compute::machine::{self, program};
use crate::config::{DriverName, Settings};
use anyhow::{Context, bail};
use batchyard_supervisor::Rootless;
use batchyard_supervisor::rootless::Marker;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Something that an ordinary user's server cannot do, or does less well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weakness {
    /// One or two words.
    pub name: &'static str,
    /// What is so.
    pub found: String,
    /// What would help.
    pub mend: &'static str,
}

/// The user in whose user namespace this process is root, if an ordinary user started it.
pub fn user() -> Option<u32> {
    match Marker::own() {
        Some(Marker::Inside(uid)) => Some(uid),
        _ => None,
    }
}

/// Why this process, an ordinary user's, is in none though it was to be.
pub fn refused() -> Option<String> {
    match Marker::own() {
        Some(Marker::Refused(why)) => Some(why),
        _ => None,
    }
}

/// Executes this program again as root of a user namespace, where an ordinary user started it and the driver is `native`.
/// Returns where there is nothing to do, and after a refusal, which [`refused`] tells.
///
/// # Errors
/// The supervisor program is there and cannot be executed.
pub fn enter(settings: &Settings) -> anyhow::Result<()> {
    if settings.driver != DriverName::Native
        || rustix::process::geteuid().is_root()
        || Marker::own().is_some()
    {
        return Ok(());
    }
    let run = settings.data_dir.join(machine::RUN);
    // What is wrong with the folder is said by whoever needs it next.
    let Ok(()) = DirBuilder::new().recursive(true).mode(0o700).create(&run) else { return Ok(()) };
    let Ok(supervisor) = program::find(&run.canonicalize()?) else { return Ok(()) };
    let this = std::env::current_exe().context("where this program lies is not known")?;
    let error = Command::new(&supervisor).arg("rootless").arg(this).args(std::env::args_os().skip(1)).exec();
    Err(error).with_context(|| {
        format!("{} can't be executed; is its file system mounted noexec?", supervisor.display())
    })
}

/// What supervisors are told, by what the probe said in the namespace.
pub fn facts(probe: &str) -> Rootless {
    let ids = answer(probe, "ids").and_then(|n| n.parse().ok()).unwrap_or(1);
    let has = |name: &str| answer(probe, name) == Some("yes");
    Rootless { ids, limits: has("controller_memory") && has("controller_pids") }
}

/// What is weaker than as root, by what the probe said in the namespace.
pub fn weaknesses(probe: &str) -> Vec<Weakness> {
    let facts = facts(probe);
    let mut found = Vec::new();
    if !facts.limits {
        found.push(Weakness {
            name: "limits",
            found: "no control groups: memory, CPU and processes of jobs are not limited".into(),
            mend: "delegate control groups of version 2 to the user (systemd: Delegate=yes and DelegateSubgroup=server), or run as root",
        });
    } else if answer(probe, "controller_cpu") != Some("yes") {
        found.push(Weakness {
            name: "limits",
            found: "no cpu controller: memory and processes of jobs are limited, CPU is not".into(),
            mend: "delegate the cpu controller to the user too (systemd: Delegate=cpu memory pids)",
        });
    }
    if facts.ids <= 1 {
        found.push(Weakness {
            name: "ids",
            found: "one user id: all files of images belong to root, and a job that names another user fails".into(),
            mend: "install newuidmap and newgidmap (Debian: `apt-get install uidmap`) and give the user a range of 65,536 \
                   ids in /etc/subuid and /etc/subgid (`usermod --add-subuids`, `--add-subgids`)",
        });
    }
    found.push(Weakness {
        name: "rootless",
        found: "no networks and no limited disks of jobs' own, blocked_addresses are not kept from jobs, root in a job is \
                this user outside"
            .into(),
        mend: "run the server as root for them",
    });
    found
}

/// Settings that promise what cannot be had.
///
/// # Errors
/// There is one.
pub fn refuse_unheld(settings: &Settings) -> anyhow::Result<()> {
    let not = |setting: &str, what: &str, value: &str| {
        format!(
            "{setting}: a server of an ordinary user cannot {what}; set it to {value}, or run the server as root"
        )
    };
    if settings.network_namespaces != NetworkNamespaces::Off {
        bail!(not("network_namespaces", "make networks of jobs' own", "off"));
    }
    if settings.user_namespaces == UserNamespaces::All {
        bail!(not(
            "user_namespaces = all",
            "give jobs ids of nobody: they are all in the user namespace of its user",
            "off"
        ));
    }
    if settings.job_disk_bytes > 0 {
        bail!(not("job_disk_bytes", "limit a job's disk", "0"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(probe: &str) -> Vec<&'static str> {
        weaknesses(probe).into_iter().map(|w| w.name).collect()
    }

    #[test]
    fn what_is_weaker_follows_from_the_probe() {
        let limited = "ids 65537\ncontroller_memory yes\ncontroller_cpu yes\ncontroller_pids yes\n";
        assert_eq!(facts(limited), Rootless { ids: 65_537, limits: true });
        assert_eq!(names(limited), ["rootless"]);
        assert_eq!(names(&limited.replace("cpu yes", "cpu no: x")), ["limits", "rootless"]);
        let bare = "ids 1\ncontroller_memory no: x\n";
        assert_eq!(facts(bare), Rootless { ids: 1, limits: false });
        assert_eq!(names(bare), ["limits", "ids", "rootless"]);
        assert_eq!(facts("").ids, 1);
    }

    #[test]
    fn settings_that_cannot_be_held_are_named() {
        assert!(refuse_unheld(&Settings::default()).is_ok());
        let text = |settings: Settings| refuse_unheld(&settings).expect_err("refused").to_string();
        let network = Settings { network_namespaces: NetworkNamespaces::All, ..Settings::default() };
        assert!(text(network).starts_with("network_namespaces: "));
        let users = Settings { user_namespaces: UserNamespaces::All, ..Settings::default() };
        assert!(text(users).contains("user_namespaces = all"));
        assert!(text(Settings { job_disk_bytes: 1, ..Settings::default() }).contains("job_disk_bytes"));
    }
}
