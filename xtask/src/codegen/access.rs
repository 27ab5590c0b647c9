//! What IAM calls each operation, read from `data/access.json`: the service models do not say.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Service → operation → access.
pub type Access = BTreeMap<String, BTreeMap<String, Entry>>;

/// The IAM side of one operation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The action's name without the service, where it is not the operation's.
    pub action: Option<String>,
    /// The access level: Read, List, Write or Tagging.
    pub level: String,
    /// Resource types that every call is checked against.
    #[serde(default)]
    pub required: Vec<String>,
    /// Resource types that a call is checked against if it names one.
    #[serde(default)]
    pub optional: Vec<String>,
}
