//! The settings whose values are words. Never here: reading them.

/// What makes containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverName {
    /// The supervisor itself.
    Native,
    /// An OCI runtime.
    Oci,
    /// The Docker Engine or Podman.
    Docker,
    /// Nothing: jobs are plain processes of this host.
    Process,
}

/// When a registry is asked for a job's image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// When this machine has no image of the name.
    #[default]
    Missing,
    /// At every start; what is here already is not fetched again.
    Always,
    /// Never: images are imported or pulled by hand.
    Never,
}
