//! `eksProperties`: what the API forbids at registration (spec jobs §6.4). Never here: running pods, which does not work
//! yet and is refused at submit.

use crate::api::jobs::definition::one_of;
use crate::error::ApiError;
use batchyard_model::batch::*;
use batchyard_model::limits::MAX_CONTAINERS;
use std::collections::HashSet;

/// Checks a pod of a definition. `at` is what its properties are called to their sender.
pub fn check(eks: &EksProperties, at: &str) -> Result<(), ApiError> {
    let bad = |text: String| ApiError::wrapped(format!("{at}.podProperties{text}"));
    let pod = eks.pod_properties.as_ref().ok_or_else(|| bad(" is required".to_string()))?;
    if let Some(policy) = &pod.dns_policy {
        one_of(policy, &["Default", "ClusterFirst", "ClusterFirstWithHostNet"], "dnsPolicy")?;
    }
    let containers = pod.containers.as_deref().unwrap_or_default();
    let initial = pod.init_containers.as_deref().unwrap_or_default();
    for (list, member, least) in [(containers, "containers", 1), (initial, "initContainers", 0)] {
        if !(least..=MAX_CONTAINERS).contains(&list.len()) {
            return Err(bad(format!(
                ".{member} must have {least} to {MAX_CONTAINERS} elements, got {}",
                list.len()
            )));
        }
    }
    let mut names = HashSet::new();
    for container in containers.iter().chain(initial) {
        let name = container.name.as_deref().unwrap_or("Default");
        if !names.insert(name) {
            return Err(bad(format!(": two containers are called {name:?}")));
        }
        check_container(container).map_err(bad)?;
    }
    if let Some(namespace) = pod.metadata.as_ref().and_then(|m| m.namespace.as_deref()) {
        check_namespace(namespace).map_err(bad)?;
    }
    Ok(())
}

fn check_container(container: &EksContainer) -> Result<(), String> {
    let name = container.name.as_deref().unwrap_or("Default");
    if container.image.as_deref().unwrap_or_default().is_empty() {
        return Err(format!(": the container {name:?} needs an image"));
    }
    if let Some(policy) = &container.image_pull_policy {
        one_of(policy, &["Always", "IfNotPresent", "Never"], "imagePullPolicy")
            .map_err(|e| format!(": {}", e.message))?;
    }
    let resources = container.resources.clone().unwrap_or_default();
    let (limits, requests) = (resources.limits.unwrap_or_default(), resources.requests.unwrap_or_default());
    for kind in ["cpu", "memory"] {
        if !limits.contains_key(kind) && !requests.contains_key(kind) {
            return Err(format!(
                ": the container {name:?} needs {kind} in resources.limits or resources.requests"
            ));
        }
    }
    Ok(())
}

/// 1 to 63 lower-case letters, digits and hyphens, none of Kubernetes's own.
fn check_namespace(namespace: &str) -> Result<(), String> {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inner = namespace.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let plain =
        edge(namespace.chars().next()) && edge(namespace.chars().last()) && inner && namespace.len() <= 63;
    if plain && namespace != "default" && !namespace.starts_with("kube") {
        return Ok(());
    }
    Err(format!(
        ".metadata.namespace must be 1 to 63 lower-case letters, digits and hyphens, not default and not beginning with kube, got {namespace:?}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn text(pod: Value) -> String {
        let eks: EksProperties = serde_json::from_value(json!({ "podProperties": pod })).unwrap();
        check(&eks, "eksProperties").map_or_else(|e| e.message, |()| "fine".to_string())
    }

    #[test]
    fn pods_follow_their_rules() {
        let one = json!({"image": "i", "resources": {"requests": {"cpu": "1", "memory": "64Mi"}}});
        assert_eq!(text(json!({"containers": [one]})), "fine");
        assert!(text(json!({"containers": []})).contains("containers must have 1 to 10 elements"));
        assert!(text(json!({"containers": [one, one]})).contains("two containers are called"));
        assert!(text(json!({"containers": [{"image": "i"}]})).contains("needs cpu"));
        assert!(
            text(json!({"containers": [one], "dnsPolicy": "None"})).starts_with("dnsPolicy must be one of")
        );
        let space = |name: &str| text(json!({"containers": [one], "metadata": {"namespace": name}}));
        assert_eq!(space("my-jobs"), "fine");
        for bad in ["", "default", "kube-system", "A", "-a", &"a".repeat(64)] {
            assert!(space(bad).contains("metadata.namespace must be"), "{bad}");
        }
    }
}
