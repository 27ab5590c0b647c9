//! Whose containers get ids of nobody on this host, and which ids those are.
//!
//! All containers share one range, as with Docker's userns-remap: so files that jobs leave in a folder of the host are
//! each other's, and one job is kept from another by everything else. Never here: making the namespace.

use super::program::answer;
use batchyard_engine::resource::Platform;
use batchyard_supervisor::IdMap;
use std::io;
use std::path::Path;
use std::process::Output;

/// Ids in a container: as many as the file formats of images and most programs count on.
const IDS: u32 = 65_536;

/// Who gets a user namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UserNamespaces {
    /// Nobody.
    #[default]
    Off,
    /// Jobs of Fargate environments.
    Fargate,
    /// All jobs.
    All,
}

/// What was decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Users {
    whose: UserNamespaces,
    first: u32,
}

impl Users {
    /// Whether this host can do what is wanted, by what this program said of it. Without, Fargate environments do without, which is said; that
    /// was nobody's wish.
    ///
    /// # Errors
    /// All jobs are to have one and cannot, or the range of ids is too near the end.
    pub fn decide(
        whose: UserNamespaces,
        first: u32,
        program: &Path,
        probe: &io::Result<Output>,
    ) -> io::Result<Self> {
        if whose == UserNamespaces::Off {
            return Ok(Self::default());
        }
        let Some(reason) = cannot(program, probe) else { return Ok(Self { whose, first }) };
        if whose == UserNamespaces::All {
            return Err(io::Error::other(format!(
                "user_namespaces = all, and this machine cannot do that: {reason}"
            )));
        }
        tracing::warn!(%reason, "jobs of Fargate environments run without user namespaces, so root in them is this machine's");
        Ok(Self::default())
    }

    /// The ids of a container on this platform.
    ///
    /// # Errors
    /// A privileged one is to have none of its own.
    pub fn of(self, platform: Platform, privileged: bool) -> Result<Option<IdMap>, String> {
        let mapped = match self.whose {
            UserNamespaces::Off => false,
            UserNamespaces::Fargate => platform == Platform::Fargate,
            UserNamespaces::All => true,
        };
        if mapped && privileged {
            return Err(
                "CannotCreateContainerError: Error response from daemon: privileged mode is incompatible with user \
                 namespaces (setting user_namespaces)"
                    .to_string(),
            );
        }
        Ok(mapped.then_some(IdMap { first: self.first, count: IDS }))
    }
}

/// Why there can be none here.
fn cannot(program: &Path, probe: &io::Result<Output>) -> Option<String> {
    let output = match probe {
        Ok(output) => String::from_utf8_lossy(&output.stdout),
        Err(error) => return Some(format!("{} cannot be asked: {error}", program.display())),
    };
    match answer(&output, "user_namespaces") {
        Some("yes") => None,
        Some(no) => Some(no.trim_start_matches("no: ").to_string()),
        None => Some(format!("{} does not know of them", program.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::program::probe;
    use super::*;

    #[test]
    fn those_that_should_have_ids_of_their_own() {
        let map = Some(IdMap { first: 7, count: IDS });
        let users = |whose| Users { whose, first: 7 };
        for (whose, ec2, fargate) in [
            (UserNamespaces::Off, None, None),
            (UserNamespaces::Fargate, None, map),
            (UserNamespaces::All, map, map),
        ] {
            assert_eq!(users(whose).of(Platform::Ec2, false), Ok(ec2), "{whose:?}");
            assert_eq!(users(whose).of(Platform::Fargate, false), Ok(fargate), "{whose:?}");
        }
        assert_eq!(users(UserNamespaces::Fargate).of(Platform::Ec2, true), Ok(None));
        let refused = users(UserNamespaces::All).of(Platform::Ec2, true);
        assert!(refused.expect_err("refused").contains("user_namespaces"));
    }

    #[test]
    fn a_host_that_cannot_is_told_or_refused() {
        let nowhere = Path::new("/nowhere");
        let probe = probe(nowhere, nowhere);
        let decided = |whose| Users::decide(whose, 7, nowhere, &probe);
        assert_eq!(decided(UserNamespaces::Off).ok(), Some(Users::default()));
        assert_eq!(decided(UserNamespaces::Fargate).ok(), Some(Users::default()));
        let refused = decided(UserNamespaces::All).expect_err("refused").to_string();
        assert!(refused.contains("user_namespaces = all") && refused.contains("/nowhere"), "{refused}");
    }
}
