//! The environment of a container: the administrator's, under the image's, under the job's, under what Batch and the ECS agent set.
//!
//! Spec jobs §10. Never here: substitution of parameters (done before).

use super::image::Image;
use crate::compute::TaskSpec;
use batchyard_engine::resource::Platform;

/// Docker's search path where the image has none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `NAME=value` texts, each name once. What Batch sets cannot be overridden.
pub fn build(spec: &TaskSpec, image: &Image, hostname: &str, defaults: &[(String, String)]) -> Vec<String> {
    let mut variables: Vec<(String, String)> = Vec::new();
    set(&mut variables, "PATH", PATH);
    set(&mut variables, "HOSTNAME", hostname);
    for (name, value) in defaults {
        set(&mut variables, name, value);
    }
    for text in &image.env {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        set(&mut variables, name, value);
    }
    for (name, value) in &spec.environment {
        set(&mut variables, name, value);
    }
    let fargate = spec.platform == Platform::Fargate;
    set(&mut variables, "AWS_BATCH_JOB_ID", &spec.start.name.to_string());
    if let (Some(index), Some(size)) = (spec.start.name.index, spec.array_size) {
        set(&mut variables, "AWS_BATCH_JOB_ARRAY_INDEX", &index.to_string());
        set(&mut variables, "AWS_BATCH_JOB_ARRAY_SIZE", &size.to_string());
    }
    set(&mut variables, "AWS_BATCH_JOB_ATTEMPT", &spec.start.attempt.to_string());
    set(&mut variables, "AWS_BATCH_JQ_NAME", &spec.queue_name);
    set(&mut variables, "AWS_BATCH_CE_NAME", &spec.environment_name);
    set(&mut variables, "AWS_EXECUTION_ENV", if fargate { "AWS_ECS_FARGATE" } else { "AWS_ECS_EC2" });
    if fargate {
        set_missing(&mut variables, "AWS_REGION", &spec.region);
        set_missing(&mut variables, "AWS_DEFAULT_REGION", &spec.region);
    }
    variables.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// A name that is empty or holds `=` or NUL cannot be in an environment and is left out, as is NUL in a value.
fn set(variables: &mut Vec<(String, String)>, name: &str, value: &str) {
    if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
        return;
    }
    match variables.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => value.clone_into(old),
        None => variables.push((name.to_string(), value.to_string())),
    }
}

fn set_missing(variables: &mut Vec<(String, String)>, name: &str, value: &str) {
    if variables.iter().all(|(known, _)| known != name) {
        set(variables, name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::machine::testing::spec;

    fn value<'e>(env: &'e [String], name: &str) -> Vec<&'e str> {
        env.iter().filter_map(|text| text.strip_prefix(name)?.strip_prefix('=')).collect()
    }

    #[test]
    fn the_job_wins_over_the_image_and_batch_over_the_job() {
        let mut spec = spec();
        let own = [("A", "job"), ("AWS_BATCH_JOB_ID", "forged"), ("B", "x=y"), ("", "no"), ("C=", "no")];
        spec.environment = own.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        let image = Image { env: vec!["A=image".into(), "PATH=/img".into()], ..Image::default() };
        let env = build(&spec, &image, "here", &[("PATH".into(), "/default".into())]);
        assert_eq!(value(&env, "A"), ["job"]);
        assert_eq!(value(&env, "B"), ["x=y"]);
        assert_eq!(value(&env, "PATH"), ["/img"]);
        assert_eq!(value(&env, "AWS_BATCH_JOB_ID"), [spec.start.name.to_string()]);
        assert_eq!(value(&env, "AWS_BATCH_JOB_ATTEMPT"), ["2"]);
        assert_eq!(value(&env, "AWS_BATCH_JQ_NAME"), ["queue"]);
        assert_eq!(value(&env, "AWS_BATCH_CE_NAME"), ["environment"]);
        assert_eq!(value(&env, "AWS_EXECUTION_ENV"), ["AWS_ECS_EC2"]);
        assert!(value(&env, "AWS_REGION").is_empty() && !env.iter().any(|e| e.ends_with("=no")));
    }

    #[test]
    fn fargate_tasks_learn_their_region_unless_the_job_sets_it() {
        let mut spec = spec();
        spec.platform = Platform::Fargate;
        spec.environment = vec![("AWS_REGION".into(), "mine".into())];
        let env = build(&spec, &Image::default(), "here", &[]);
        assert_eq!(value(&env, "AWS_EXECUTION_ENV"), ["AWS_ECS_FARGATE"]);
        assert_eq!(
            (value(&env, "AWS_REGION"), value(&env, "AWS_DEFAULT_REGION")),
            (vec!["mine"], vec!["eu-test-1"])
        );
    }
}
