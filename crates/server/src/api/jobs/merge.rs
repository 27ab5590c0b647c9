//! A definition's container and a submission become the job's (spec jobs §2.2, §2.3). Pure; never here: reading either.

use super::container::{check_command, check_environment, check_nul, check_types};
use super::fargate::LATEST;
use crate::error::ApiError;
use batchyard_engine::resource::Platform;
use batchyard_model::batch::*;
use std::collections::BTreeMap;

/// Most bytes of a command after its references were substituted: Linux takes little more for a new program.
const COMMAND_MAX: usize = 1 << 20;

/// What a submission may change of any container.
pub struct Overrides<'a> {
    /// `command`; empty keeps the definition's.
    pub command: &'a [String],
    /// `environment`.
    pub environment: &'a [KeyValuePair],
    /// `resourceRequirements`.
    pub requirements: &'a [ResourceRequirement],
    /// What it is called to its sender.
    pub at: &'a str,
}

/// What the submission's and the definition's words for a container come to.
pub struct Merged {
    /// `Ref::` substituted; empty: the image's own.
    pub command: Vec<String>,
    /// The definition's with the submission's.
    pub environment: Vec<KeyValuePair>,
    /// The definition's with the submission's.
    pub requirements: Vec<ResourceRequirement>,
}

impl Overrides<'_> {
    /// Checks them and lays them over a definition's members.
    pub fn over(
        &self,
        command: Option<&[String]>,
        environment: Option<&[KeyValuePair]>,
        requirements: Option<&[ResourceRequirement]>,
        parameters: &BTreeMap<String, String>,
    ) -> Result<Merged, ApiError> {
        check_command(self.command, &format!("{}.command", self.at))?;
        check_types(self.requirements, &format!("{}.resourceRequirements", self.at))?;
        check_environment(self.environment)?;
        let command = if self.command.is_empty() { command.unwrap_or_default() } else { self.command };
        let command = substitute(command, parameters)?;
        check_nul(&command, "parameters: command")?;
        Ok(Merged {
            command,
            environment: merged_environment(environment.unwrap_or_default(), self.environment),
            requirements: merged_requirements(requirements.unwrap_or_default(), self.requirements),
        })
    }
}

/// The container of a job: the definition's with the submission's overrides, `Ref::` substituted.
pub fn container(
    definition: &ContainerProperties,
    overrides: Option<&ContainerOverrides>,
    parameters: &BTreeMap<String, String>,
    platform: Platform,
) -> Result<ContainerDetail, ApiError> {
    let none = ContainerOverrides::default();
    let over = overrides.unwrap_or(&none);
    let merged = Overrides {
        command: over.command.as_deref().unwrap_or_default(),
        environment: over.environment.as_deref().unwrap_or_default(),
        requirements: over.resource_requirements.as_deref().unwrap_or_default(),
        at: "containerOverrides",
    }
    .over(
        definition.command.as_deref(),
        definition.environment.as_deref(),
        definition.resource_requirements.as_deref(),
        parameters,
    )?;
    let d = definition.clone();
    Ok(ContainerDetail {
        command: Some(merged.command),
        enable_execute_command: d.enable_execute_command,
        environment: Some(merged.environment),
        ephemeral_storage: d.ephemeral_storage,
        execution_role_arn: d.execution_role_arn,
        fargate_platform_configuration: shown_fargate(d.fargate_platform_configuration, platform),
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
        resource_requirements: Some(merged.requirements),
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
fn merged_environment(definition: &[KeyValuePair], over: &[KeyValuePair]) -> Vec<KeyValuePair> {
    let mut all = definition.to_vec();
    for pair in over {
        // A definition may say a name twice; what it says last would count, so none of it stays behind the override.
        let at = all.iter().position(|p| p.name == pair.name);
        all.retain(|p| p.name != pair.name);
        all.insert(at.unwrap_or(all.len()), pair.clone());
    }
    all
}

/// By type: the override wins, other types stay.
fn merged_requirements(
    definition: &[ResourceRequirement],
    over: &[ResourceRequirement],
) -> Vec<ResourceRequirement> {
    let mut all = definition.to_vec();
    for requirement in over {
        match all.iter_mut().find(|r| r.r#type == requirement.r#type) {
            Some(old) => old.value.clone_from(&requirement.value),
            None => all.push(requirement.clone()),
        }
    }
    all
}

/// Replaces `Ref::name` in each element. A name ends at the first character that can't be part of one, so the
/// documented whole-element form and the form inside an element both work.
///
/// A few kilobytes can name one long value thousands of times, so what comes of them has a limit.
fn substitute(command: &[String], parameters: &BTreeMap<String, String>) -> Result<Vec<String>, ApiError> {
    let mut length = 0;
    let mut substituted = |element: &String| {
        let element = substitute_element(element, parameters, COMMAND_MAX - length)?;
        length += element.len();
        Ok(element)
    };
    command.iter().map(&mut substituted).collect()
}

fn substitute_element(
    element: &str,
    parameters: &BTreeMap<String, String>,
    room: usize,
) -> Result<String, ApiError> {
    let fits = |length: usize| {
        let long = || format!("the command with its parameters is longer than {} KiB", COMMAND_MAX / 1024);
        if length <= room { Ok(()) } else { Err(ApiError::wrapped(long())) }
    };
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
        fits(out.len())?;
        rest = &after[end..];
    }
    out.push_str(rest);
    fits(out.len())?;
    Ok(out)
}

/// `linuxParameters` as AWS shows it: with its lists even when empty.
pub fn shown_linux(mut linux: LinuxParameters) -> LinuxParameters {
    linux.devices.get_or_insert_default();
    linux.tmpfs.get_or_insert_default();
    linux
}

/// `logConfiguration` as AWS shows it: with its map and list even when empty.
pub fn shown_log(mut log: LogConfiguration) -> LogConfiguration {
    log.options.get_or_insert_default();
    log.secret_options.get_or_insert_default();
    log
}

/// `fargatePlatformConfiguration` as AWS shows it: LATEST when none was given.
pub fn shown_fargate(
    given: Option<FargatePlatformConfiguration>,
    platform: Platform,
) -> Option<FargatePlatformConfiguration> {
    if platform != Platform::Fargate {
        return given;
    }
    let mut shown = given.unwrap_or_default();
    shown.platform_version.get_or_insert_with(|| LATEST.to_string());
    Some(shown)
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
        let job = container(&definition, Some(&over), &BTreeMap::new(), Platform::Ec2).unwrap();
        assert_eq!(job.command, strings(&["b", "c"]));
        assert_eq!(job.environment.unwrap(), [pair("A", "1"), pair("B", "3"), pair("C", "4")]);
        assert_eq!(job.resource_requirements.unwrap().len(), 2);
        let empty = ContainerOverrides { command: Some(Vec::new()), ..Default::default() };
        assert_eq!(
            container(&definition, Some(&empty), &BTreeMap::new(), Platform::Ec2).unwrap().command,
            strings(&["a"])
        );
    }

    #[test]
    fn what_an_override_or_a_parameter_must_not_bring() {
        let refused = |over, parameter: &str| {
            let definition = ContainerProperties { command: strings(&["a", "Ref::p"]), ..Default::default() };
            let parameters = BTreeMap::from([("p".to_string(), parameter.to_string())]);
            container(&definition, Some(&over), &parameters, Platform::Ec2).unwrap_err().message
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

    /// Spec jobs §2.2, point 5: the deprecated members change the definition's own, never its resourceRequirements.
    #[test]
    fn deprecated_overrides_change_only_deprecated_members() {
        let over = ContainerOverrides { vcpus: Some(4), memory: Some(512), ..Default::default() };
        let merged =
            |definition| container(&definition, Some(&over), &BTreeMap::new(), Platform::Ec2).unwrap();
        let old = ContainerProperties { vcpus: Some(1), memory: Some(64), ..Default::default() };
        let job = merged(old);
        assert_eq!((job.vcpus, job.memory), (Some(4), Some(512)));
        let need = ResourceRequirement { r#type: Some("VCPU".into()), value: Some("1".into()) };
        let new =
            ContainerProperties { resource_requirements: Some(vec![need.clone()]), ..Default::default() };
        let job = merged(new);
        assert_eq!((job.vcpus, job.memory, job.resource_requirements), (None, None, Some(vec![need])));
    }

    #[test]
    fn an_override_wins_over_each_of_a_name_said_twice() {
        let twice = [pair("A", "1"), pair("B", "2"), pair("A", "3")];
        assert_eq!(merged_environment(&twice, &[pair("A", "4")]), [pair("A", "4"), pair("B", "2")]);
        assert_eq!(merged_environment(&[], &[pair("A", "1"), pair("A", "2")]), [pair("A", "2")]);
    }

    #[test]
    fn fargate_shows_its_platform_version() {
        let version = |given: Option<&str>, platform| {
            let given = given.map(|v| FargatePlatformConfiguration { platform_version: Some(v.into()) });
            shown_fargate(given, platform).and_then(|f| f.platform_version)
        };
        assert_eq!(version(None, Platform::Fargate).as_deref(), Some("LATEST"));
        assert_eq!(version(Some("1.4.0"), Platform::Fargate).as_deref(), Some("1.4.0"));
        assert_eq!(version(None, Platform::Ec2), None);
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

    #[test]
    fn a_command_does_not_grow_without_end() {
        let parameters = BTreeMap::from([("p".to_string(), "x".repeat(1024))]);
        let done = |references: usize, elements: usize| {
            substitute(&vec!["Ref::p,".repeat(references); elements], &parameters).map(|c| c.concat().len())
        };
        assert_eq!(done(1, 1022), Ok(1022 * 1025));
        for (references, elements) in [(1, 1024), (1024, 1)] {
            let error = done(references, elements).unwrap_err();
            assert_eq!(error.message, "the command with its parameters is longer than 1024 KiB");
        }
    }
}
