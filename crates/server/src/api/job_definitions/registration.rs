//! From a registration to the definition that is kept (spec jobs §6).
//!
//! Refuses what the API forbids. What this version can't run is kept, so that it can be described; submitting it is
//! refused. Never here: the rules of each kind.

use super::{check_priority, check_retry, check_timeout, eks, nodes, shown, shown_retry};
use crate::api::input::{check_tags, required};
use crate::api::jobs::{definition, ecs, requirements};
use crate::error::ApiError;
use batchyard_engine::resource::Platform;
use batchyard_model::batch::*;

/// The definition as it is kept: checked, with the lists that AWS shows even when empty (spec jobs §6.1).
pub fn checked(mut input: RegisterJobDefinitionRequest) -> Result<JobDefinition, ApiError> {
    let platforms = input.platform_capabilities.clone().unwrap_or_default();
    let platform = requirements::platform(&platforms)?;
    check_kind(&input)?;
    check_work(&mut input, platform)?;
    check_tags(&input.tags)?;
    check_retry(&input.retry_strategy)?;
    check_timeout(&input.timeout)?;
    check_priority(input.scheduling_priority, "schedulingPriority")?;
    check_consumables(input.consumable_resource_properties.as_ref())?;
    let orchestration = if is_eks(&input) { "EKS" } else { "ECS" };
    Ok(JobDefinition {
        consumable_resource_properties: input.consumable_resource_properties,
        container_orchestration_type: Some(orchestration.to_string()),
        container_properties: input.container_properties,
        ecs_properties: input.ecs_properties,
        eks_properties: input.eks_properties,
        node_properties: input.node_properties,
        parameters: Some(input.parameters.unwrap_or_default()),
        platform_capabilities: Some(platforms),
        propagate_tags: input.propagate_tags,
        retry_strategy: input.retry_strategy.map(shown_retry),
        scheduling_priority: input.scheduling_priority,
        tags: Some(input.tags.unwrap_or_default()),
        timeout: input.timeout,
        r#type: input.r#type,
        ..JobDefinition::default()
    })
}

/// `multinode` has nodeProperties, `container` exactly one of the others (spec jobs §5.1).
fn check_kind(input: &RegisterJobDefinitionRequest) -> Result<(), ApiError> {
    let kind = required(&input.r#type, "type")?;
    let given = [
        (input.container_properties.is_some(), "containerProperties"),
        (input.ecs_properties.is_some(), "ecsProperties"),
        (input.eks_properties.is_some(), "eksProperties"),
        (input.node_properties.is_some(), "nodeProperties"),
    ];
    let given: Vec<&str> = given.iter().filter(|(given, _)| *given).map(|(_, name)| *name).collect();
    match (kind.as_str(), given.as_slice()) {
        ("multinode", ["nodeProperties"]) => Ok(()),
        ("multinode", []) => {
            Err(ApiError::wrapped("nodeProperties must be provided for a job definition of type multinode"))
        }
        ("container", []) => Err(ApiError::wrapped(
            "Container properties must be provided for a job definition of type container",
        )),
        ("container", [one]) if *one != "nodeProperties" => Ok(()),
        (_, several) => Err(ApiError::wrapped(format!(
            "a job definition of type {kind} can't have {}",
            several.join(" and ")
        ))),
    }
}

fn check_work(input: &mut RegisterJobDefinitionRequest, platform: Platform) -> Result<(), ApiError> {
    let named = input.platform_capabilities.as_ref().is_some_and(|p| !p.is_empty());
    if is_eks(input) && (named || input.propagate_tags.is_some()) {
        let what = if named { "platformCapabilities" } else { "propagateTags" };
        return Err(ApiError::wrapped(format!("{what} is not applicable for EKS.")));
    }
    if let Some(container) = &mut input.container_properties {
        if platform == Platform::ManagedInstances {
            return Err(ApiError::wrapped(
                "the platform capability MANAGED_INSTANCES needs ecsProperties, got containerProperties",
            ));
        }
        definition::check(container, platform)?;
        shown::container(container, platform);
    }
    if let Some(properties) = &mut input.ecs_properties {
        ecs::check(properties, platform)?;
        shown::ecs(properties);
    }
    if let Some(properties) = &mut input.eks_properties {
        eks::check(properties, "eksProperties")?;
        shown::eks(properties);
    }
    if let Some(properties) = &mut input.node_properties {
        if platform != Platform::Ec2 {
            let name = platform.capability();
            return Err(ApiError::wrapped(format!("nodeProperties is not applicable for {name}.")));
        }
        nodes::check(properties)?;
        shown::nodes(properties);
    }
    Ok(())
}

fn is_eks(input: &RegisterJobDefinitionRequest) -> bool {
    let ranges = input.node_properties.as_ref().and_then(|n| n.node_range_properties.as_ref());
    input.eks_properties.is_some() || ranges.into_iter().flatten().any(|r| r.eks_properties.is_some())
}

fn check_consumables(properties: Option<&ConsumableResourceProperties>) -> Result<(), ApiError> {
    let list = properties.and_then(|p| p.consumable_resource_list.as_deref()).unwrap_or_default();
    let whole = |r: &ConsumableResourceRequirement| {
        r.consumable_resource.as_ref().is_some_and(|n| !n.is_empty()) && r.quantity.is_some_and(|q| q >= 0)
    };
    match list.iter().position(|r| !whole(r)) {
        Some(i) => Err(ApiError::wrapped(format!(
            "consumableResourceProperties.consumableResourceList[{i}] needs a consumableResource and a quantity of at least 0"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn register(body: Value) -> Result<JobDefinition, String> {
        checked(serde_json::from_value(body).unwrap()).map_err(|e| e.message)
    }

    fn container() -> Value {
        json!({"image": "i", "resourceRequirements":
            [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]})
    }

    #[test]
    fn one_kind_of_work_is_described() {
        let refused = |body: Value| register(body).unwrap_err();
        assert!(register(json!({"type": "container", "containerProperties": container()})).is_ok());
        assert!(refused(json!({"type": "container"})).starts_with("Container properties must be provided"));
        assert!(refused(json!({"type": "multinode"})).starts_with("nodeProperties must be provided"));
        let both = json!({"type": "container", "containerProperties": container(), "eksProperties": {}});
        assert_eq!(
            refused(both),
            "a job definition of type container can't have containerProperties and eksProperties"
        );
        let wrong = json!({"type": "multinode", "containerProperties": container()});
        assert_eq!(refused(wrong), "a job definition of type multinode can't have containerProperties");
        let managed = json!({"type": "container", "containerProperties": container(),
            "platformCapabilities": ["MANAGED_INSTANCES"]});
        assert!(refused(managed).contains("needs ecsProperties"));
    }

    #[test]
    fn pods_and_nodes_are_kept() {
        let pod = json!({"podProperties": {"containers": [{"image": "i", "resources":
            {"limits": {"cpu": "1", "memory": "64Mi"}}}]}});
        let kept = register(json!({"type": "container", "eksProperties": pod})).unwrap();
        assert_eq!(kept.container_orchestration_type.as_deref(), Some("EKS"));
        let shown = serde_json::to_value(kept.eks_properties).unwrap();
        assert_eq!(shown["podProperties"]["containers"][0]["args"], json!([]));
        let propagating = json!({"type": "container", "eksProperties": pod, "propagateTags": true});
        assert_eq!(register(propagating).unwrap_err(), "propagateTags is not applicable for EKS.");
        let ranges = json!([{"targetNodes": "0:", "container": container()}]);
        let nodes = json!({"numNodes": 2, "mainNode": 0, "nodeRangeProperties": ranges});
        let kept = register(json!({"type": "multinode", "nodeProperties": nodes})).unwrap();
        let shown = serde_json::to_value(kept.node_properties).unwrap();
        assert_eq!(shown["nodeRangeProperties"][0]["container"]["command"], json!([]));
    }
}
