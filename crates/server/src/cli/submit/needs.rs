//! What a job needs after all overrides, and what an environment has, as far as the API's own answers say it.
//!
//! Pure. Never here: asking for the answers (dry_run.rs).

use crate::cli::job::number;
use serde_json::Value;
use std::fmt;

/// What a job needs of one host.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Needs {
    /// Absent: not judged.
    pub vcpus: Option<f64>,
    /// MiB.
    pub memory: Option<f64>,
    /// GPUs.
    pub gpus: Option<f64>,
    /// `EC2`, `FARGATE`, … as platformCapabilities has it; `EKS` for pods.
    pub platform: String,
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = vec![];
        parts.extend(self.vcpus.map(|n| format!("{n} vCPU")));
        parts.extend(self.memory.map(|n| format!("{n} MiB")));
        parts.extend(self.gpus.map(|n| format!("{n} GPU")));
        if parts.is_empty() {
            parts.push("sizes of pods and nodes are not looked at".into());
        }
        write!(f, "{} on {}", parts.join(", "), self.platform)
    }
}

impl Needs {
    /// Why no environment takes these needs: parts of a vCPU are Fargate's (spec jobs §6.2).
    pub fn never(&self) -> Option<String> {
        let vcpus = self.vcpus.filter(|n| self.platform == "EC2" && n.fract() != 0.0)?;
        Some(format!("{vcpus} vCPU on EC2, which has whole ones only"))
    }
}

/// The needs of a definition with the overrides of a SubmitJob request (spec jobs §2.2).
pub fn of(definition: &Value, body: &Value) -> Needs {
    let present = |key: &str| definition.get(key).is_some_and(Value::is_object);
    let capability = definition["platformCapabilities"][0].as_str().unwrap_or("EC2");
    let mut needs = Needs { platform: capability.into(), ..Needs::default() };
    if present("eksProperties") {
        needs.platform = "EKS".into();
    }
    if present("eksProperties") || present("nodeProperties") {
        return needs;
    }
    let containers = containers(definition, body);
    let sum = |kind: &str, old: &str| {
        let of_one = |(own, over): &(&Value, Option<&Value>)| {
            over.and_then(|o| required(o, kind))
                .or_else(|| required(own, kind))
                .or_else(|| over.and_then(|o| o.get(old)?.as_f64()))
                .or_else(|| own.get(old)?.as_f64())
        };
        containers.iter().filter_map(of_one).reduce(|a, b| a + b)
    };
    needs.vcpus = sum("VCPU", "vcpus");
    needs.memory = sum("MEMORY", "memory");
    needs.gpus = sum("GPU", "");
    needs
}

/// Each container of a definition with its overrides.
fn containers<'a>(definition: &'a Value, body: &'a Value) -> Vec<(&'a Value, Option<&'a Value>)> {
    if let Some(single) = definition.get("containerProperties").filter(|c| c.is_object()) {
        return vec![(single, body.get("containerOverrides"))];
    }
    let list = |value: &'a Value, key: &str| -> &'a [Value] {
        let containers = value.get(key).and_then(|p| p.pointer("/taskProperties/0/containers"));
        containers.and_then(Value::as_array).map_or(&[], Vec::as_slice)
    };
    let overrides = list(body, "ecsPropertiesOverride");
    let of = |own: &'a Value| (own, overrides.iter().find(|o| o["name"] == own["name"]));
    list(definition, "ecsProperties").iter().map(of).collect()
}

fn required(container: &Value, kind: &str) -> Option<f64> {
    let list = container.get("resourceRequirements")?.as_array()?;
    list.iter().find(|r| r["type"] == kind)?["value"].as_str()?.parse().ok()
}

/// Names after `Ref::` in the commands that would run.
pub fn references(definition: &Value, body: &Value) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (own, over) in containers(definition, body) {
        let of = |v: &'_ Value| v["command"].as_array().filter(|c| !c.is_empty()).cloned();
        let command = over.and_then(of).or_else(|| of(own)).unwrap_or_default();
        for word in command.iter().filter_map(Value::as_str) {
            for part in word.split("Ref::").skip(1) {
                let end = part.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
                let name = &part[..end.unwrap_or(part.len())];
                if !name.is_empty() && !names.iter().any(|n| n == name) {
                    names.push(name.into());
                }
            }
        }
    }
    names
}

/// Why an environment cannot run the job; nothing where the API names no reason.
pub fn obstacle(environment: &Value, needs: Option<&Needs>) -> Option<String> {
    let text = |key: &str| environment[key].as_str().unwrap_or_default();
    match (text("state"), text("status")) {
        ("DISABLED", _) => return Some("it is DISABLED".into()),
        (_, "VALID" | "" | "UPDATING") => {}
        (_, status) => return Some(format!("it is {status}: {}", text("statusReason"))),
    }
    let needs = needs?;
    let kind = kind(environment);
    let runs = match needs.platform.as_str() {
        "FARGATE" => kind.starts_with("FARGATE"),
        "EKS" => kind == "EKS",
        "MANAGED_INSTANCES" => kind.contains("MANAGED_INSTANCES"),
        _ => matches!(kind.as_str(), "EC2" | "SPOT" | "UNMANAGED"),
    };
    if !runs {
        return Some(format!("it is of kind {kind}, and the definition is for {}", needs.platform));
    }
    let most = most(environment)?;
    let vcpus = needs.vcpus?;
    #[allow(clippy::cast_precision_loss)] // vCPUs of an environment are far below 2^53
    let room = most as f64;
    (vcpus > room)
        .then(|| format!("the job needs {vcpus} vCPUs and the whole environment has at most {most}"))
}

/// What an environment has to offer, for people.
pub fn capacity(environment: &Value) -> String {
    match most(environment) {
        Some(most) => format!("{}, at most {most} vCPUs", kind(environment)),
        None => format!("{}, as many vCPUs as its hosts have", kind(environment)),
    }
}

fn kind(environment: &Value) -> String {
    if environment.get("eksConfiguration").is_some_and(Value::is_object) {
        return "EKS".into();
    }
    let of_resources = environment["computeResources"]["type"].as_str();
    of_resources.or(environment["type"].as_str()).unwrap_or("EC2").to_string()
}

fn most(environment: &Value) -> Option<i64> {
    environment["computeResources"].get("maxvCpus").and_then(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn overrides_win_type_by_type() {
        let definition = json!({"containerProperties": {"command": ["a", "Ref::x"], "resourceRequirements": [
            {"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]}});
        let body = json!({"containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": "8"}]}});
        let needs = of(&definition, &body);
        assert_eq!((needs.vcpus, needs.memory, needs.gpus), (Some(8.0), Some(64.0), None));
        assert_eq!(needs.to_string(), "8 vCPU, 64 MiB on EC2");
        assert_eq!(references(&definition, &body), ["x"]);
        let body = json!({"containerOverrides": {"command": ["echo Ref::y and Ref::z-1."]}});
        assert_eq!(references(&definition, &body), ["y", "z-1"]);
        let old = json!({"containerProperties": {"vcpus": 2, "memory": 512}});
        assert_eq!(of(&old, &json!({"containerOverrides": {"vcpus": 4}})).vcpus, Some(4.0));
    }

    #[test]
    fn containers_of_a_task_add_up() {
        let need = |n: &str| json!([{"type": "VCPU", "value": n}]);
        let definition = json!({"platformCapabilities": ["FARGATE"], "ecsProperties": {"taskProperties": [{"containers": [
            {"name": "a", "resourceRequirements": need("0.25")}, {"name": "b", "resourceRequirements": need("0.5")}]}]}});
        let body = json!({"ecsPropertiesOverride": {"taskProperties": [{"containers": [
            {"name": "b", "resourceRequirements": need("1")}]}]}});
        assert_eq!(of(&definition, &body).vcpus, Some(1.25));
        assert_eq!(of(&definition, &body).platform, "FARGATE");
    }

    #[test]
    fn what_stands_in_the_way() {
        let needs = |vcpus: f64, platform: &str| Needs {
            vcpus: Some(vcpus),
            platform: platform.into(),
            ..Needs::default()
        };
        let environment = |kind: &str, state: &str| {
            json!({"type": "MANAGED", "state": state, "status": "VALID",
            "computeResources": {"type": kind, "maxvCpus": 4}})
        };
        let why = |e: &Value, n: &Needs| obstacle(e, Some(n)).unwrap_or_default();
        assert_eq!(obstacle(&environment("SPOT", "ENABLED"), Some(&needs(4.0, "EC2"))), None);
        assert!(why(&environment("EC2", "ENABLED"), &needs(5.0, "EC2")).contains("at most 4"));
        assert!(why(&environment("FARGATE", "ENABLED"), &needs(1.0, "EC2")).contains("of kind FARGATE"));
        assert!(why(&environment("EC2", "DISABLED"), &needs(1.0, "EC2")).contains("DISABLED"));
        let invalid = json!({"status": "INVALID", "statusReason": "why", "state": "ENABLED"});
        assert!(why(&invalid, &needs(1.0, "EC2")).contains("INVALID: why"));
        let unmanaged = json!({"type": "UNMANAGED", "state": "ENABLED", "status": "VALID"});
        assert_eq!(obstacle(&unmanaged, Some(&needs(500.0, "EC2"))), None);
    }
}
