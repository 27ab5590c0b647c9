//! `nodeProperties`: what the API forbids at registration (spec jobs §5.1). Never here: running them, which does not work
//! yet and is refused at submit.

use super::eks;
use crate::api::jobs::{definition, ecs};
use crate::error::ApiError;
use batchyard_engine::resource::Platform;
use batchyard_model::batch::*;
use batchyard_model::limits::{MAX_NODE_RANGES, MAX_NODES};

/// Checks `nodeProperties` of a definition.
pub fn check(nodes: &NodeProperties) -> Result<(), ApiError> {
    let count = nodes.num_nodes.unwrap_or_default();
    if !(1..=MAX_NODES).contains(&count) {
        return Err(bad(format!("numNodes must be between 1 and {MAX_NODES}, got {count}")));
    }
    let main = nodes.main_node.unwrap_or_default();
    if !(0..count).contains(&main) {
        return Err(bad(format!("mainNode must be between 0 and {}, got {main}", count - 1)));
    }
    let ranges = nodes.node_range_properties.as_deref().unwrap_or_default();
    if ranges.is_empty() || ranges.len() > MAX_NODE_RANGES {
        return Err(bad(format!(
            "nodeRangeProperties must have 1 to {MAX_NODE_RANGES} elements, got {}",
            ranges.len()
        )));
    }
    let mut covered = vec![false; usize::try_from(count).unwrap_or_default()];
    for range in ranges {
        let text = range.target_nodes.as_deref().unwrap_or_default();
        let (from, to) = targets(text, count)
            .ok_or_else(|| bad(format!("targetNodes must be nodes of 0 to {}, got {text:?}", count - 1)))?;
        covered[from..=to].fill(true);
        check_range(range)?;
    }
    match covered.iter().position(|covered| !covered) {
        Some(node) => Err(bad(format!("nodeRangeProperties: node {node} is in no range"))),
        None => Ok(()),
    }
}

/// First and last node of `n`, `a:b`, `:b` or `a:`.
fn targets(text: &str, count: i32) -> Option<(usize, usize)> {
    let node = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<i32>().ok().filter(|node| digits && *node < count)
    };
    let (from, to) = match text.split_once(':') {
        None => (node(text)?, node(text)?),
        Some((from, to)) => {
            (if from.is_empty() { 0 } else { node(from)? }, if to.is_empty() { count - 1 } else { node(to)? })
        }
    };
    let (from, to) = (usize::try_from(from).ok()?, usize::try_from(to).ok()?);
    (from <= to).then_some((from, to))
}

fn check_range(range: &NodeRangeProperty) -> Result<(), ApiError> {
    match (&range.container, &range.ecs_properties, &range.eks_properties) {
        (Some(container), None, None) => definition::check(container, Platform::Ec2),
        (None, Some(properties), None) => ecs::check(properties, Platform::Ec2),
        (None, None, Some(properties)) => eks::check(properties, "nodeRangeProperties.eksProperties"),
        _ => Err(bad(
            "nodeRangeProperties: each range needs exactly one of container, ecsProperties and eksProperties"
                .to_string(),
        )),
    }
}

fn bad(text: String) -> ApiError {
    ApiError::wrapped(format!("nodeProperties.{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn text(count: i32, main: i32, targets: &[&str]) -> String {
        let needs = json!([{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]);
        let container = json!({"image": "i", "resourceRequirements": needs});
        let ranges: Vec<Value> =
            targets.iter().map(|t| json!({"targetNodes": t, "container": container})).collect();
        let nodes = json!({"numNodes": count, "mainNode": main, "nodeRangeProperties": ranges});
        check(&serde_json::from_value(nodes).unwrap()).map_or_else(|e| e.message, |()| "fine".to_string())
    }

    #[test]
    fn ranges_cover_all_nodes() {
        for targets in [&["0:3"][..], &["0", "1:"], &[":1", "2:3"], &["0:3", "1:2"], &[":"]] {
            assert_eq!(text(4, 0, targets), "fine", "{targets:?}");
        }
        assert!(text(4, 0, &["0:1", "3"]).contains("node 2 is in no range"));
        for target in ["4", "2:1", "x", "", "-1", "0:9", "+1"] {
            assert!(text(4, 0, &[target]).contains("targetNodes must be nodes"), "{target}");
        }
        assert!(text(0, 0, &["0"]).contains("numNodes must be"));
        assert!(text(2, 2, &["0:1"]).contains("mainNode must be between 0 and 1"));
        assert!(text(2, 0, &[]).contains("1 to 5 elements"));
    }
}
