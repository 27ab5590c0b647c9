//! The lists and defaults that AWS shows of a definition though nobody sent them (spec jobs §1.3, §6.1).
//!
//! Only what was left out is filled in, so what was sent comes back as it was. Never here: checks.

use crate::api::jobs::merge::{shown_fargate, shown_linux, shown_log};
use batchyard_engine::resource::Platform;
use batchyard_model::batch::*;

/// Fills in what AWS shows of `containerProperties`.
pub fn container(c: &mut ContainerProperties, platform: Platform) {
    c.command.get_or_insert_default();
    c.environment.get_or_insert_default();
    c.mount_points.get_or_insert_default();
    c.resource_requirements.get_or_insert_default();
    c.secrets.get_or_insert_default();
    c.ulimits.get_or_insert_default();
    c.volumes.get_or_insert_default();
    c.linux_parameters = c.linux_parameters.take().map(shown_linux);
    c.log_configuration = c.log_configuration.take().map(shown_log);
    c.fargate_platform_configuration = shown_fargate(c.fargate_platform_configuration.take(), platform);
}

/// Fills in what AWS shows of `ecsProperties`.
pub fn ecs(ecs: &mut EcsProperties) {
    for task in ecs.task_properties.iter_mut().flatten() {
        task.volumes.get_or_insert_default();
        for c in task.containers.iter_mut().flatten() {
            c.command.get_or_insert_default();
            c.depends_on.get_or_insert_default();
            c.environment.get_or_insert_default();
            c.mount_points.get_or_insert_default();
            c.resource_requirements.get_or_insert_default();
            c.secrets.get_or_insert_default();
            c.ulimits.get_or_insert_default();
            c.linux_parameters = c.linux_parameters.take().map(shown_linux);
            c.log_configuration = c.log_configuration.take().map(shown_log);
        }
    }
}

/// Fills in what AWS shows of `eksProperties`.
pub fn eks(eks: &mut EksProperties) {
    let Some(pod) = &mut eks.pod_properties else { return };
    pod.volumes.get_or_insert_default();
    for c in pod.containers.iter_mut().chain(pod.init_containers.iter_mut()).flatten() {
        c.args.get_or_insert_default();
        c.command.get_or_insert_default();
        c.env.get_or_insert_default();
        c.volume_mounts.get_or_insert_default();
    }
}

/// Fills in what AWS shows of each range of `nodeProperties`.
pub fn nodes(nodes: &mut NodeProperties) {
    for range in nodes.node_range_properties.iter_mut().flatten() {
        if let Some(properties) = &mut range.container {
            container(properties, Platform::Ec2);
        }
        range.ecs_properties.iter_mut().for_each(ecs);
        range.eks_properties.iter_mut().for_each(eks);
    }
}
