//! `cargo xtask model`: reduces a service model of AWS to its facts (names, types, limits, wire names,
//! error codes). Sentences, examples, endpoints and signing details are left behind.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

use crate::json_text;

const METADATA: &[&str] =
    &["apiVersion", "jsonVersion", "protocol", "serviceId", "targetPrefix", "xmlNamespace"];
const SHAPE: &[&str] = &[
    "enum",
    "error",
    "exception",
    "fault",
    "key",
    "max",
    "member",
    "members",
    "min",
    "pattern",
    "required",
    "type",
    "value",
];
const MEMBER: &[&str] = &["deprecated", "idempotencyToken", "location", "locationName", "shape"];
const HTTP: &[&str] = &["method", "requestUri", "responseCode"];

/// Reads `source` (plain or gzipped), keeps the operations in `only` (all without it) and writes `target`.
pub fn reduce_file(source: &Path, target: &Path, only: Option<&[&str]>) -> Result<()> {
    let text = read(source)?;
    let model = serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", source.display()))?;
    let reduced = reduce(&model, only)?;
    let count = |part: &str| reduced[part].as_object().map_or(0, Map::len);
    println!("{}: {} operations, {} shapes", target.display(), count("operations"), count("shapes"));
    std::fs::write(target, json_text::to_text(&reduced))
        .with_context(|| format!("cannot write {}", target.display()))
}

fn read(source: &Path) -> Result<Vec<u8>> {
    if source.extension().is_some_and(|end| end == "gz") {
        let output = Command::new("gzip").arg("-dc").arg(source).output().context("cannot run gzip")?;
        ensure!(output.status.success(), "gzip cannot read {}", source.display());
        return Ok(output.stdout);
    }
    std::fs::read(source).with_context(|| format!("cannot read {}", source.display()))
}

/// The facts of `model`: the chosen operations and the shapes that they reach.
fn reduce(model: &Value, only: Option<&[&str]>) -> Result<Value> {
    let all = object(model, "operations")?;
    for name in only.unwrap_or_default() {
        ensure!(all.contains_key(*name), "the model has no operation {name}");
    }
    let chosen = all.iter().filter(|(name, _)| only.is_none_or(|only| only.contains(&name.as_str())));
    let operations: Map<String, Value> = chosen
        .map(|(name, operation)| Ok((name.clone(), reduce_operation(operation)?)))
        .collect::<Result<_>>()?;

    let shapes = object(model, "shapes")?;
    let mut reached = BTreeSet::new();
    operations.values().try_for_each(|operation| reach(operation, shapes, &mut reached))?;
    let kept: Map<String, Value> = reached
        .iter()
        .map(|name| Ok((name.clone(), reduce_shape(shapes.get(name).context("shape vanished")?))))
        .collect::<Result<_>>()?;
    Ok(serde_json::json!({
        "metadata": pick(&model["metadata"], METADATA),
        "operations": operations,
        "shapes": kept,
    }))
}

fn reduce_operation(operation: &Value) -> Result<Value> {
    let http = operation.get("http").context("an operation has no http part")?;
    let mut kept = Map::from_iter([("http".to_owned(), pick(http, HTTP))]);
    for part in ["input", "output"] {
        if let Some(shape) = operation.get(part) {
            kept.insert(part.to_owned(), pick(shape, &["shape"]));
        }
    }
    if let Some(Value::Array(errors)) = operation.get("errors") {
        kept.insert("errors".to_owned(), errors.iter().map(|error| pick(error, &["shape"])).collect());
    }
    Ok(Value::Object(kept))
}

fn reduce_shape(shape: &Value) -> Value {
    let mut kept = pick(shape, SHAPE);
    if let Some(error) = kept.get_mut("error") {
        *error = pick(error, &["code", "httpStatusCode", "senderFault"]);
    }
    for part in ["member", "key", "value"] {
        if let Some(target) = kept.get_mut(part) {
            *target = pick(target, MEMBER);
        }
    }
    if let Some(Value::Object(members)) = kept.get_mut("members") {
        members.values_mut().for_each(|member| *member = pick(member, MEMBER));
    }
    kept
}

/// Adds every shape that `value` names, directly or through another shape.
fn reach(value: &Value, shapes: &Map<String, Value>, reached: &mut BTreeSet<String>) -> Result<()> {
    match value {
        Value::Object(map) => {
            // `shape` as a key names a shape only where its value is text: a member may itself be called so.
            if let Some(Value::String(name)) = map.get("shape")
                && reached.insert(name.clone())
            {
                let Some(shape) = shapes.get(name) else { bail!("the model lacks the shape {name}") };
                reach(shape, shapes, reached)?;
            }
            map.values().try_for_each(|item| reach(item, shapes, reached))
        }
        Value::Array(items) => items.iter().try_for_each(|item| reach(item, shapes, reached)),
        _ => Ok(()),
    }
}

fn pick(value: &Value, keys: &[&str]) -> Value {
    let found = keys.iter().filter_map(|key| value.get(key).map(|item| ((*key).to_owned(), item.clone())));
    Value::Object(found.collect())
}

fn object<'a>(model: &'a Value, part: &str) -> Result<&'a Map<String, Value>> {
    model[part].as_object().with_context(|| format!("the model has no {part}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Value {
        serde_json::json!({
            "metadata": {"protocol": "rest-json", "endpointPrefix": "dropped"},
            "documentation": "prose",
            "operations": {
                "Get": {"name": "Get", "documentation": "prose", "http": {"method": "POST", "requestUri": "/get"},
                        "input": {"shape": "GetInput", "documentation": "prose"}, "errors": [{"shape": "Bad"}]},
                "Put": {"http": {"method": "POST", "requestUri": "/put"}, "input": {"shape": "PutInput"}},
            },
            "shapes": {
                "GetInput": {"type": "structure", "documentation": "prose", "required": ["names"],
                             "members": {"names": {"shape": "Names", "documentation": "prose"}}},
                "Names": {"type": "list", "member": {"shape": "Name", "documentation": "prose"}, "max": 3},
                "Name": {"type": "string", "max": 10, "pattern": "[a-z]+", "sensitive": true},
                "Bad": {"type": "structure", "members": {}, "exception": true, "error": {"httpStatusCode": 400}},
                "PutInput": {"type": "structure", "members": {}},
            },
        })
    }

    #[test]
    fn facts_stay_and_prose_goes() {
        let reduced = reduce(&sample(), None).unwrap();
        assert!(!reduced.to_string().contains("prose"));
        assert_eq!(reduced["metadata"], serde_json::json!({"protocol": "rest-json"}));
        assert_eq!(
            reduced["shapes"]["Names"],
            serde_json::json!({"type": "list", "member": {"shape": "Name"}, "max": 3})
        );
        assert_eq!(reduced["shapes"]["Bad"]["error"]["httpStatusCode"], 400);
    }

    #[test]
    fn only_keeps_what_the_chosen_operations_reach() {
        let reduced = reduce(&sample(), Some(&["Get"])).unwrap();
        let shapes: Vec<_> = reduced["shapes"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(shapes, ["Bad", "GetInput", "Name", "Names"]);
        assert!(reduced["operations"].get("Put").is_none());
        assert!(reduce(&sample(), Some(&["Nope"])).is_err());
    }
}
