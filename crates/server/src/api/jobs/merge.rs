//! A definition and a submission become one job (spec jobs §2.2, §2.3). Pure; never here: reading either.

use super::container::{check_command, check_nul, check_types};
use crate::error::ApiError;
use batchyard_model::batch::*;
use std::collections::BTreeMap;

/// The container of a job: the definition's with the submission's overrides, `Ref::` substituted.
pub fn container(
    definition: &ContainerProperties,
    overrides: Option<&ContainerOverrides>,
    parameters: &BTreeMap<String, String>,
) -> Result<ContainerDetail, ApiError> {
    let none = ContainerOverrides::default();
    let over = overrides.unwrap_or(&none);
    check_command(over.command.as_deref().unwrap_or_default(), "containerOverrides.command")?;
    let list = over.resource_requirements.as_deref().unwrap_or_default();
    check_types(list, "containerOverrides.resourceRequirements")?;
    super::container::check_environment(over.environment.as_deref().unwrap_or_default())?;
    let command = over.command.as_ref().filter(|c| !c.is_empty()).or(definition.command.as_ref());
    let command = command.map(|c| substitute(c, parameters)).transpose()?.unwrap_or_default();
    check_nul(&command, "parameters: command")?;
    let d = definition.clone();
    Ok(ContainerDetail {
        command: Some(command),
        enable_execute_command: d.enable_execute_command,
        environment: Some(environment(d.environment, over.environment.as_deref())),
        ephemeral_storage: d.ephemeral_storage,
        execution_role_arn: d.execution_role_arn,
        fargate_platform_configuration: d.fargate_platform_configuration,
        image: d.image,
        instance_type: over.instance_type.clone().or(d.instance_type),
        job_role_arn: d.job_role_arn,
        linux_parameters: d.linux_parameters.map(shown_linux),
        log_configuration: d.log_configuration.map(shown_log),
        memory: d.memory.map(|m| over.memory.unwrap_or(m)),
        mount_points: Some(d.mount_points.unwrap_or_default()),
        network_configuration: d.network_configuration,
        network_interfaces: Some(Vec::new()),
        privileged: d.privileged,
        readonly_root_filesystem: d.readonly_root_filesystem,
        repository_credentials: d.repository_credentials,
        resource_requirements: Some(requirements(
            d.resource_requirements,
            over.resource_requirements.as_deref(),
        )),
        runtime_platform: d.runtime_platform,
        secrets: Some(d.secrets.unwrap_or_default()),
        ulimits: Some(d.ulimits.unwrap_or_default()),
        user: d.user,
        vcpus: d.vcpus.map(|v| over.vcpus.unwrap_or(v)),
        volumes: Some(d.volumes.unwrap_or_default()),
        ..ContainerDetail::default()
    })
}

/// By name: the override wins, new names are added.
fn environment(definition: Option<Vec<KeyValuePair>>, over: Option<&[KeyValuePair]>) -> Vec<KeyValuePair> {
    let mut all = definition.unwrap_or_default();
    for pair in over.unwrap_or_default() {
        match all.iter_mut().find(|p| p.name == pair.name) {
            Some(old) => old.value.clone_from(&pair.value),
            None => all.push(pair.clone()),
        }
    }
    all
}

/// By type: the override wins, other types stay.
fn requirements(
    definition: Option<Vec<ResourceRequirement>>,
    over: Option<&[ResourceRequirement]>,
) -> Vec<ResourceRequirement> {
    let mut all = definition.unwrap_or_default();
    for requirement in over.unwrap_or_default() {
        match all.iter_mut().find(|r| r.r#type == requirement.r#type) {
            Some(old) => old.value.clone_from(&requirement.value),
            None => all.push(requirement.clone()),
        }
    }
    all
}

/// Replaces `Ref::name` in each element. A name ends at the first character that can't be part of one, so the
/// documented whole-element form and the form inside an element both work.
fn substitute(command: &[String], parameters: &BTreeMap<String, String>) -> Result<Vec<String>, ApiError> {
    command.iter().map(|element| substitute_element(element, parameters)).collect()
}

fn substitute_element(element: &str, parameters: &BTreeMap<String, String>) -> Result<String, ApiError> {
    let mut out = String::with_capacity(element.len());
    let mut rest = element;
    while let Some(at) = rest.find("Ref::") {
        out.push_str(&rest[..at]);
        let after = &rest[at + 5..];
        let end = after
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')))
            .unwrap_or(after.len());
        let name = &after[..end];
        let value = parameters.get(name).ok_or_else(|| {
            ApiError::client(format!("Unable to substitute value. No parameter found for reference {name}"))
        })?;
        out.push_str(value);
        rest = &after[end..];
    }
    out.push_str(rest);
    Ok(out)
}

fn shown_linux(mut linux: LinuxParameters) -> LinuxParameters {
    linux.devices.get_or_insert_default();
    linux.tmpfs.get_or_insert_default();
    linux
}

fn shown_log(mut log: LogConfiguration) -> LogConfiguration {
    log.options.get_or_insert_default();
    log.secret_options.get_or_insert_default();
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> KeyValuePair {
        KeyValuePair { name: Some(name.into()), value: Some(value.into()) }
    }

    fn strings(list: &[&str]) -> Option<Vec<String>> {
        Some(list.iter().map(ToString::to_string).collect())
    }

    /// Spec jobs §2.2, points 2 to 4.
    #[test]
    fn overrides_win_by_name_and_type_and_replace_the_command() {
        let definition = ContainerProperties {
            command: strings(&["a"]),
            environment: Some(vec![pair("A", "1"), pair("B", "2")]),
            resource_requirements: Some(vec![ResourceRequirement {
                r#type: Some("VCPU".into()),
                value: Some("1".into()),
            }]),
            ..Default::default()
        };
        let over = ContainerOverrides {
            command: strings(&["b", "c"]),
            environment: Some(vec![pair("B", "3"), pair("C", "4")]),
            resource_requirements: Some(vec![ResourceRequirement {
                r#type: Some("MEMORY".into()),
                value: Some("8".into()),
            }]),
            ..Default::default()
        };
        let job = container(&definition, Some(&over), &BTreeMap::new()).unwrap();
        assert_eq!(job.command, strings(&["b", "c"]));
        assert_eq!(job.environment.unwrap(), [pair("A", "1"), pair("B", "3"), pair("C", "4")]);
        assert_eq!(job.resource_requirements.unwrap().len(), 2);
        let empty = ContainerOverrides { command: Some(Vec::new()), ..Default::default() };
        assert_eq!(container(&definition, Some(&empty), &BTreeMap::new()).unwrap().command, strings(&["a"]));
    }

    #[test]
    fn what_an_override_or_a_parameter_must_not_bring() {
        let refused = |over, parameter: &str| {
            let definition = ContainerProperties { command: strings(&["a", "Ref::p"]), ..Default::default() };
            let parameters = BTreeMap::from([("p".to_string(), parameter.to_string())]);
            container(&definition, Some(&over), &parameters).unwrap_err().message
        };
        let over = ContainerOverrides { command: strings(&["a\0"]), ..Default::default() };
        assert_eq!(refused(over, ""), "containerOverrides.command[0] must not contain a NUL character");
        let none = ContainerOverrides::default();
        assert_eq!(refused(none, "\0"), "parameters: command[1] must not contain a NUL character");
        let one = ResourceRequirement { r#type: Some("VCPU".into()), value: Some("1".into()) };
        let over =
            ContainerOverrides { resource_requirements: Some(vec![one.clone(), one]), ..Default::default() };
        assert_eq!(refused(over, ""), "containerOverrides.resourceRequirements has the type VCPU twice");
    }

    /// Spec jobs §2.3.
    #[test]
    fn references_are_substituted_or_refused() {
        let parameters = BTreeMap::from([("in".to_string(), "x y".to_string())]);
        let done =
            substitute(&strings(&["Ref::in", "--a=Ref::in,b", "plain"]).unwrap(), &parameters).unwrap();
        assert_eq!(done, ["x y", "--a=x y,b", "plain"]);
        let error = substitute(&strings(&["Ref::out"]).unwrap(), &parameters).unwrap_err();
        assert_eq!(error.message, "Unable to substitute value. No parameter found for reference out");
    }
}
