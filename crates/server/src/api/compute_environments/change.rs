//! `computeResources` of an update laid over what was there (spec infrastructure §1.5, §1.7): absent keeps, empty
//! removes, but an empty list means nothing on Fargate. Never here: whether the environment may be changed so.

use super::matrix::Kind;
use super::tidy::tidy;
use batchyard_model::batch::*;

/// The members that an update gives, in the form of a creation.
pub(super) fn touched(change: &ComputeResourceUpdate) -> ComputeResource {
    let c = change.clone();
    let mut r = ComputeResource {
        allocation_strategy: c.allocation_strategy,
        bid_percentage: c.bid_percentage.filter(|percent| *percent != 0),
        capacity_tags: c.capacity_tags,
        desired_vcpus: c.desired_vcpus,
        ec2_configuration: c.ec2_configuration,
        ec2_key_pair: c.ec2_key_pair,
        image_id: c.image_id,
        instance_role: c.instance_role,
        instance_types: c.instance_types,
        launch_template: c.launch_template,
        managed_instances_provider: c.managed_instances_provider.map(|p| provider(None, p)),
        max_vcpus: c.max_vcpus,
        min_vcpus: c.min_vcpus,
        placement_group: c.placement_group,
        scaling_policy: c.scaling_policy,
        security_group_ids: c.security_group_ids,
        subnets: c.subnets,
        tags: c.tags,
        r#type: c.r#type,
        spot_iam_fleet_role: None,
    };
    tidy(&mut r);
    r
}

/// What comes of it, tidy as what was there.
pub(super) fn merged(kind: Kind, old: &ComputeResource, change: &ComputeResourceUpdate) -> ComputeResource {
    let (o, c) = (old.clone(), change.clone());
    let list = |new: Option<Vec<String>>, old| match new {
        Some(list) if list.is_empty() && kind == Kind::Fargate => old,
        new => new.or(old),
    };
    let mut r = ComputeResource {
        allocation_strategy: c.allocation_strategy.or(o.allocation_strategy),
        // 0 is how Terraform takes it away.
        bid_percentage: c.bid_percentage.or(o.bid_percentage).filter(|percent| *percent != 0),
        capacity_tags: c.capacity_tags.or(o.capacity_tags),
        desired_vcpus: c.desired_vcpus.or(o.desired_vcpus),
        ec2_configuration: c.ec2_configuration.or(o.ec2_configuration),
        ec2_key_pair: c.ec2_key_pair.or(o.ec2_key_pair),
        image_id: c.image_id.or(o.image_id),
        instance_role: c.instance_role.or(o.instance_role),
        instance_types: list(c.instance_types, o.instance_types),
        launch_template: template(o.launch_template, c.launch_template),
        managed_instances_provider: match c.managed_instances_provider {
            Some(change) => Some(provider(o.managed_instances_provider, change)),
            None => o.managed_instances_provider,
        },
        max_vcpus: c.max_vcpus.or(o.max_vcpus),
        min_vcpus: c.min_vcpus.or(o.min_vcpus),
        placement_group: c.placement_group.or(o.placement_group),
        scaling_policy: c.scaling_policy.or(o.scaling_policy),
        security_group_ids: list(c.security_group_ids, o.security_group_ids),
        spot_iam_fleet_role: o.spot_iam_fleet_role,
        subnets: list(c.subnets, o.subnets),
        tags: c.tags.or(o.tags),
        r#type: c.r#type.or(o.r#type),
    };
    tidy(&mut r);
    if change.desired_vcpus.is_none()
        && let (Some(desired), Some(min), Some(max)) = (r.desired_vcpus, r.min_vcpus, r.max_vcpus)
    {
        // It follows the limits when they leave it outside.
        r.desired_vcpus = Some(desired.min(max).max(min));
    }
    r
}

/// A name or id in place of the old one, each member that is not given kept; an empty name or id removes the template.
fn template(
    old: Option<LaunchTemplateSpecification>,
    new: Option<LaunchTemplateSpecification>,
) -> Option<LaunchTemplateSpecification> {
    let Some(new) = new else { return old };
    let text = |t: &Option<String>| t.as_deref().map(str::is_empty);
    let (id, name) = (text(&new.launch_template_id), text(&new.launch_template_name));
    let names = id == Some(false) || name == Some(false);
    if !names && (id == Some(true) || name == Some(true)) {
        return None;
    }
    let old = old.unwrap_or_default();
    let kept = if names { LaunchTemplateSpecification::default() } else { old.clone() };
    Some(LaunchTemplateSpecification {
        launch_template_id: new.launch_template_id.or(kept.launch_template_id),
        launch_template_name: new.launch_template_name.or(kept.launch_template_name),
        // The version is the template's.
        version: new.version.or(kept.version),
        overrides: new.overrides.or(old.overrides),
        userdata_type: new.userdata_type.or(old.userdata_type),
    })
}

fn provider(
    old: Option<ManagedInstancesProvider>,
    new: UpdateManagedInstancesProviderConfiguration,
) -> ManagedInstancesProvider {
    let old = old.unwrap_or_default();
    ManagedInstancesProvider {
        infrastructure_optimization: new.infrastructure_optimization.or(old.infrastructure_optimization),
        infrastructure_role_arn: new.infrastructure_role_arn.or(old.infrastructure_role_arn),
        instance_launch_template: match new.instance_launch_template {
            Some(change) => Some(instances(old.instance_launch_template.unwrap_or_default(), change)),
            None => old.instance_launch_template,
        },
        propagate_tags: new.propagate_tags.or(old.propagate_tags),
    }
}

fn instances(old: InstanceLaunchTemplate, new: InstanceLaunchTemplateUpdate) -> InstanceLaunchTemplate {
    InstanceLaunchTemplate {
        capacity_option_type: old.capacity_option_type,
        capacity_reservations: new.capacity_reservations.or(old.capacity_reservations),
        ec2_instance_profile_arn: new.ec2_instance_profile_arn.or(old.ec2_instance_profile_arn),
        fips_enabled: old.fips_enabled,
        instance_metadata_tags_propagation: new
            .instance_metadata_tags_propagation
            .or(old.instance_metadata_tags_propagation),
        instance_requirements: new.instance_requirements.or(old.instance_requirements),
        local_storage_configuration: new.local_storage_configuration.or(old.local_storage_configuration),
        monitoring: new.monitoring.or(old.monitoring),
        network_configuration: new.network_configuration.or(old.network_configuration),
        storage_configuration: new.storage_configuration.or(old.storage_configuration),
    }
}
