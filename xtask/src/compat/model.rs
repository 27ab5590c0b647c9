//! The service models as far as the pages need them: operations, the structures that they take and give, members.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

/// All services together. A name that an earlier service has too is `service:Name`, as in `logs:TagResource`.
pub struct Model {
    /// The structures of input and output, by operation.
    pub operations: BTreeMap<String, Vec<String>>,
    /// By structure its members, each with the structure that it leads to, through lists and maps.
    pub shapes: BTreeMap<String, BTreeMap<String, Option<String>>>,
}

impl Model {
    /// Out of reduced service models, each the service's name and a text.
    ///
    /// # Errors
    /// A text that is no JSON or has no operations.
    pub fn parse(services: &[(&str, String)]) -> Result<Self> {
        let mut all = Self { operations: BTreeMap::new(), shapes: BTreeMap::new() };
        for (service, text) in services {
            let model: Value = serde_json::from_str(text).context("a service model is not JSON")?;
            let operations = model["operations"].as_object().context("a service model has no operations")?;
            let shapes = &model["shapes"];
            let earlier: BTreeSet<String> = all.shapes.keys().chain(all.operations.keys()).cloned().collect();
            let unique = |name: &str| match earlier.contains(name) {
                true => format!("{service}:{name}"),
                false => name.to_owned(),
            };
            let behind = |reference: &Value| structure(shapes, reference).map(|name| unique(&name));
            for (name, operation) in operations {
                let ends = ["input", "output"].map(|end| behind(&operation[end]));
                all.operations.insert(unique(name), ends.into_iter().flatten().collect());
            }
            for (name, shape) in shapes.as_object().into_iter().flatten() {
                let members = shape["members"].as_object().into_iter().flatten();
                let members = members.map(|(member, target)| (member.clone(), behind(target)));
                if shape["type"] == "structure" {
                    all.shapes.insert(unique(name), members.collect());
                }
            }
        }
        Ok(all)
    }
}

/// The structure that a reference leads to.
fn structure(shapes: &Value, reference: &Value) -> Option<String> {
    let name = reference["shape"].as_str()?;
    let shape = &shapes[name];
    match shape["type"].as_str()? {
        "structure" => Some(name.to_owned()),
        "list" => structure(shapes, &shape["member"]),
        "map" => structure(shapes, &shape["value"]),
        _ => None,
    }
}
