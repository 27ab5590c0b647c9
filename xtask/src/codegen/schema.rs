//! The shape model as typed data: what `cargo xtask model` left in `data/*.json`, and questions about it
//! (what is reachable, what has limits). It refuses fields that it does not know, so that no fact is lost silently.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Deserialize;

/// One service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    pub metadata: Metadata,
    pub operations: BTreeMap<String, Operation>,
    pub shapes: BTreeMap<String, Shape>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    pub api_version: String,
    pub target_prefix: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    pub http: Http,
    pub input: Option<Target>,
    pub output: Option<Target>,
    #[serde(default, rename = "errors")]
    pub _errors: Vec<Target>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Http {
    pub method: String,
    pub request_uri: String,
    #[serde(rename = "responseCode")]
    pub _response_code: Option<u16>,
}

/// A use of a shape by an operation, a member or a collection.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Target {
    pub shape: String,
    pub location: Option<String>,
    pub location_name: Option<String>,
    #[serde(default)]
    pub deprecated: bool,
    #[serde(default, rename = "idempotencyToken")]
    pub _idempotency_token: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    #[serde(rename = "type")]
    pub kind: Kind,
    #[serde(default)]
    pub members: BTreeMap<String, Target>,
    #[serde(default)]
    pub required: Vec<String>,
    pub member: Option<Target>,
    pub key: Option<Target>,
    pub value: Option<Target>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub pattern: Option<String>,
    #[serde(rename = "enum")]
    pub values: Option<Vec<String>>,
    #[serde(default)]
    pub exception: bool,
    #[serde(default)]
    pub fault: bool,
    pub error: Option<ErrorInfo>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ErrorInfo {
    pub code: Option<String>,
    pub http_status_code: Option<u16>,
    #[serde(rename = "senderFault")]
    pub _sender_fault: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Blob,
    Boolean,
    Double,
    Float,
    Integer,
    List,
    Long,
    Map,
    String,
    Structure,
    Timestamp,
}

impl Shape {
    /// The shapes that a value of this shape holds.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.members.values().chain(&self.member).chain(&self.key).chain(&self.value)
    }

    /// Whether there is a least or a greatest that limits anything: no text or collection has less than nothing in it.
    pub fn is_sized(&self) -> bool {
        let counts = matches!(self.kind, Kind::Blob | Kind::String | Kind::List | Kind::Map);
        self.max.is_some() || self.min.is_some_and(|min| min != 0.0 || !counts)
    }

    /// Whether the shape limits its values by itself (its parts aside).
    pub fn has_own_limits(&self) -> bool {
        self.is_sized() || self.pattern.is_some() || self.values.is_some() || !self.required.is_empty()
    }
}

impl Model {
    pub fn shape(&self, name: &str) -> Result<&Shape> {
        self.shapes.get(name).with_context(|| format!("the model lacks the shape {name}"))
    }

    /// Every shape that a value of one of `roots` may hold, the roots included.
    pub fn reachable<'a>(&'a self, roots: impl IntoIterator<Item = &'a str>) -> Result<BTreeSet<&'a str>> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&str> = roots.into_iter().collect();
        while let Some(name) = open.pop() {
            if found.insert(name) {
                open.extend(self.shape(name)?.targets().map(|target| target.shape.as_str()));
            }
        }
        Ok(found)
    }

    /// Whether anything in a value of this shape can break a limit of the model.
    pub fn has_limits(&self, name: &str) -> Result<bool> {
        let shapes = self.reachable([name])?;
        shapes.into_iter().try_fold(false, |found, part| Ok(found || self.shape(part)?.has_own_limits()))
    }

    /// Whether a structure holds itself without a list or map in between, so that Rust needs a box.
    pub fn is_direct_cycle(&self, owner: &str, member: &str) -> Result<bool> {
        let mut seen = BTreeSet::new();
        let mut open = vec![member];
        while let Some(name) = open.pop() {
            if name == owner {
                return Ok(true);
            }
            if seen.insert(name) {
                open.extend(self.shape(name)?.members.values().map(|target| target.shape.as_str()));
            }
        }
        Ok(false)
    }

    /// The names of all input shapes.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.operations
            .values()
            .filter_map(|operation| operation.input.as_ref())
            .map(|input| input.shape.as_str())
    }
}
