//! Which members of `computeResources` belong to which kind of environment: the table of spec infrastructure §1.3.
//!
//! Never here: what the values may be (`values`), and which of them an update may change (`update`).

use crate::error::ApiError;
use batchyard_model::batch::ComputeResource;
use std::collections::BTreeMap;

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// EC2 on ECS.
    Ec2,
    /// SPOT on ECS.
    Spot,
    /// FARGATE and FARGATE_SPOT.
    Fargate,
    /// ECS_MANAGED_INSTANCES.
    ManagedInstances,
    /// EC2 and SPOT on EKS.
    Eks,
}

/// A cell of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Must be given.
    Required,
    /// Must be given unless a launch template, which may have it, is.
    RequiredWithoutTemplate,
    /// Must be given where allocationStrategy is BEST_FIT or not given.
    RequiredForBestFit,
    /// May be given.
    Optional,
    /// May be given and means nothing; kept and shown.
    Ignored,
    /// Must not be given.
    Absent,
}

const R: Rule = Rule::Required;
const T: Rule = Rule::RequiredWithoutTemplate;
const B: Rule = Rule::RequiredForBestFit;
const O: Rule = Rule::Optional;
const I: Rule = Rule::Ignored;
const X: Rule = Rule::Absent;

/// The table, in the order of [`Kind`].
#[rustfmt::skip]
pub(super) const TABLE: &[(&str, [Rule; 5])] = &[
    //                            EC2 SPOT FARGATE MANAGED EKS
    ("type",                     [R,  R,   R,      R,      R]),
    ("maxvCpus",                 [R,  R,   R,      R,      R]),
    ("minvCpus",                 [O,  O,   X,      X,      O]),
    ("desiredvCpus",             [O,  O,   X,      X,      O]),
    ("instanceTypes",            [R,  R,   X,      X,      R]),
    ("subnets",                  [R,  R,   R,      X,      R]),
    ("securityGroupIds",         [T,  T,   R,      X,      T]),
    ("instanceRole",             [R,  R,   X,      X,      R]),
    ("allocationStrategy",       [O,  O,   X,      X,      R]),
    ("bidPercentage",            [I,  O,   X,      X,      O]),
    ("spotIamFleetRole",         [I,  B,   X,      X,      O]),
    ("imageId",                  [O,  O,   X,      X,      O]),
    ("ec2Configuration",         [O,  O,   X,      X,      O]),
    ("launchTemplate",           [O,  O,   X,      X,      O]),
    ("ec2KeyPair",               [O,  O,   X,      X,      O]),
    ("placementGroup",           [O,  O,   X,      X,      O]),
    ("tags",                     [O,  O,   X,      X,      O]),
    ("scalingPolicy",            [O,  O,   X,      X,      O]),
    ("managedInstancesProvider", [X,  X,   X,      R,      X]),
    ("capacityTags",             [X,  X,   X,      O,      X]),
];

impl Kind {
    /// The column of a `computeResources.type`.
    ///
    /// # Errors
    /// A type that EKS does not have.
    pub(super) fn of(resource_type: &str, eks: bool) -> Result<Self, ApiError> {
        let kind = match resource_type {
            "EC2" => Self::Ec2,
            "SPOT" => Self::Spot,
            "FARGATE" | "FARGATE_SPOT" => Self::Fargate,
            _ => Self::ManagedInstances,
        };
        match kind {
            Self::Ec2 | Self::Spot if eks => Ok(Self::Eks),
            _ if eks => Err(ApiError::wrapped(format!(
                "computeResources.type must be EC2 or SPOT with eksConfiguration, got {resource_type}"
            ))),
            _ => Ok(kind),
        }
    }

    /// As messages name it.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Ec2 => "EC2",
            Self::Spot => "SPOT",
            Self::Fargate => "Fargate",
            Self::ManagedInstances => "ECS_MANAGED_INSTANCES",
            Self::Eks => "EKS",
        }
    }
}

/// The members that are given, with their values.
pub(super) fn given(resources: &ComputeResource) -> BTreeMap<String, serde_json::Value> {
    match serde_json::to_value(resources) {
        Ok(serde_json::Value::Object(members)) => members.into_iter().collect(),
        _ => BTreeMap::new(),
    }
}

/// Holds the members that are given, and those that are not, to the table.
///
/// # Errors
/// Names the first member that must be there or must not.
pub(super) fn check(kind: Kind, resources: &ComputeResource) -> Result<(), ApiError> {
    check_absent(kind, resources)?;
    TABLE.iter().try_for_each(|(member, _)| check_required(kind, resources, member))
}

/// The half of [`check`] that refuses what does not belong to this kind.
///
/// # Errors
/// Names the first member that must not be there.
pub(super) fn check_absent(kind: Kind, resources: &ComputeResource) -> Result<(), ApiError> {
    let given = given(resources);
    match TABLE.iter().find(|(member, rules)| rules[kind as usize] == X && given.contains_key(*member)) {
        Some((member, _)) => Err(not_applicable(kind, member)),
        None => Ok(()),
    }
}

/// The half of [`check`] that asks for what this kind needs, for one member.
///
/// # Errors
/// The member must be there and is not.
pub(super) fn check_required(kind: Kind, resources: &ComputeResource, member: &str) -> Result<(), ApiError> {
    let Some((_, rules)) = TABLE.iter().find(|(name, _)| *name == member) else { return Ok(()) };
    let needed = match rules[kind as usize] {
        Rule::Required => true,
        Rule::RequiredWithoutTemplate => resources.launch_template.is_none(),
        Rule::RequiredForBestFit => is_best_fit(resources),
        Rule::Optional | Rule::Ignored | Rule::Absent => false,
    };
    if needed && !given(resources).contains_key(member) { Err(missing(kind, member)) } else { Ok(()) }
}

/// The default strategy on ECS is BEST_FIT (spec infrastructure §2.1).
pub(super) fn is_best_fit(resources: &ComputeResource) -> bool {
    matches!(resources.allocation_strategy.as_deref(), None | Some("BEST_FIT"))
}

/// AWS's text for Fargate (spec jobs §6.2); the others follow it and say where the value belongs.
pub(super) fn not_applicable(kind: Kind, member: &str) -> ApiError {
    let label = kind.label();
    if kind == Kind::Fargate {
        return ApiError::wrapped(format!("{member} is not applicable for Fargate."));
    }
    let instead = match (kind, member) {
        (Kind::ManagedInstances, "tags") => "use capacityTags",
        (Kind::ManagedInstances, "instanceTypes") => {
            "use managedInstancesProvider.instanceLaunchTemplate.instanceRequirements"
        }
        (Kind::ManagedInstances, "subnets" | "securityGroupIds") => {
            "use managedInstancesProvider.instanceLaunchTemplate.networkConfiguration"
        }
        (Kind::ManagedInstances, "instanceRole") => {
            "use managedInstancesProvider.instanceLaunchTemplate.ec2InstanceProfileArn"
        }
        (_, "capacityTags") => "use tags",
        _ => "leave it out",
    };
    ApiError::wrapped(format!("{member} is not applicable for {label}: {instead}"))
}

fn missing(kind: Kind, member: &str) -> ApiError {
    let label = kind.label();
    ApiError::wrapped(match member {
        // AWS's own (spec infrastructure §10.1).
        "instanceRole" => "Instance role is required.".to_string(),
        "spotIamFleetRole" => {
            "computeResources.spotIamFleetRole is required for SPOT with the allocation strategy BEST_FIT: give it or another allocationStrategy".to_string()
        }
        "securityGroupIds" if kind != Kind::Fargate => format!(
            "computeResources.securityGroupIds is required for {label} unless a launch template has them"
        ),
        _ => format!("computeResources.{member} is required for {label}"),
    })
}

#[cfg(test)]
#[path = "matrix_tests.rs"]
mod tests;
