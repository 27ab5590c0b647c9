//! What SubmitJob would say against a job, as far as nothing has to be looked up: for `submit --dry-run`, since the API has
//! no operation to ask. The rules are those that SubmitJob goes by, not copies.
//!
//! Never here: queues, environments and room.

use super::submission;
use crate::api::input::read;
use crate::api::job_definitions::checked;
use crate::api::known::Definition;
use crate::error::ApiError;
use batchyard_engine::DefinitionId;
use batchyard_model::batch::{JobDefinition, SubmitJobRequest};
use serde_json::Value;

/// Why a request would be refused with this definition: `described` as Describe shows it, or not yet registered, as
/// RegisterJobDefinition takes it. None when nothing stands against it.
pub fn objection(request: &Value, definition: &Value, described: bool) -> Option<String> {
    judged(request, definition, described).err().map(|error| error.message)
}

fn judged(request: &Value, definition: &Value, described: bool) -> Result<(), ApiError> {
    let body = definition.to_string();
    let definition: JobDefinition =
        if described { crate::wire::parse(body.as_bytes())? } else { checked(read(body.as_bytes())?)? };
    let mut request = request.clone();
    // A definition that is not registered yet has no name to submit by.
    request["jobDefinition"] = "dry-run".into();
    let input: SubmitJobRequest = read(request.to_string().as_bytes())?;
    submission::check(&input)?;
    let definition = Definition { id: DefinitionId(0), active: true, definition, arn: String::new() };
    submission::merged(&input, &definition).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(request: Value, container: Value) -> Option<String> {
        let mut whole = json!({"jobName": "j", "jobQueue": "q"});
        whole.as_object_mut().unwrap().extend(request.as_object().unwrap().clone());
        let mut properties = json!({"image": "busybox", "command": ["true"],
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]});
        properties.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
        let own = json!({"jobDefinitionName": "d", "type": "container", "containerProperties": properties});
        let text = objection(&whole, &own, false);
        let mut shown = own.clone();
        shown["status"] = "ACTIVE".into();
        assert_eq!(objection(&whole, &shown, true).is_some(), text.is_some(), "registered or not");
        text
    }

    #[test]
    fn what_submit_job_refuses_a_dry_run_refuses() {
        assert_eq!(said(json!({}), json!({})), None);
        for (request, container, words) in [
            (json!({"jobName": "bad name"}), json!({}), "Job name"),
            (json!({"timeout": {"attemptDurationSeconds": 5}}), json!({}), "at least 60"),
            (json!({"retryStrategy": {"attempts": 99}}), json!({}), "attempts"),
            (json!({"arrayProperties": {"size": 1}}), json!({}), "arrayProperties"),
            (json!({"tags": {"aws:x": "1"}}), json!({}), "aws:"),
            (json!({"containerOverrides": {"command": [""]}}), json!({}), "Command field"),
            (
                json!({}),
                json!({"secrets": [{"name": "n", "valueFrom": "arn:aws:ssm:r:1:parameter/p"}]}),
                "secrets",
            ),
            (json!({"parameters": {}}), json!({"command": ["Ref::missing"]}), "missing"),
        ] {
            let text = said(request, container).expect(words);
            assert!(text.contains(words), "{text}");
        }
    }
}
