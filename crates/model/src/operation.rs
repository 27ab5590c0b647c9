//! What is known of an operation before its input is read: where it listens and what IAM calls it.
//! The tables themselves are generated, one per service.

/// A row of an operation table.
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    /// AWS's name, such as `SubmitJob`.
    pub name: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path, such as `/v1/submitjob` or `/v1/tags/{resourceArn}`.
    pub path: &'static str,
    /// Input members that travel in the path instead of the body.
    pub path_members: &'static [&'static str],
    /// Input members that travel in the query instead of the body.
    pub query_members: &'static [&'static str],
    /// The IAM action that a caller must be allowed, such as `batch:SubmitJob`. The bulk operations are allowed by
    /// the action of the single one (spec infrastructure §8.1).
    pub iam_action: &'static str,
    /// The action's access level.
    pub level: AccessLevel,
    /// The resource types that the action is checked against. None means `Resource: "*"`.
    pub resources: &'static [Resource],
}

/// A resource type that an action is checked against (spec infrastructure §8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource {
    /// IAM's name of the type, such as `job-queue`.
    pub kind: &'static str,
    /// Whether every call is checked against one, or only a call that names one.
    pub required: bool,
}

/// How IAM sorts actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLevel {
    /// Shows a resource.
    Read,
    /// Shows which resources there are.
    List,
    /// Makes, changes or removes a resource.
    Write,
    /// Changes tags only.
    Tagging,
}

/// An error that a service's model declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode {
    /// The code on the wire, such as `ClientException`.
    pub code: &'static str,
    /// The HTTP status that goes with it.
    pub status: u16,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{self, BatchOperation};
    use crate::logs::{self, LogsOperation};
    use crate::sts::{self, StsOperation};

    #[test]
    fn the_tables_are_whole() {
        assert_eq!(batch::OPERATIONS.len(), 48);
        assert_eq!(logs::OPERATIONS.len(), 16);
        assert_eq!(sts::OPERATIONS.len(), 1);
        for (row, operation) in batch::OPERATIONS.iter().zip(BatchOperation::ALL) {
            assert_eq!(operation.operation(), row);
            assert_eq!(BatchOperation::from_name(row.name), Some(*operation));
            assert!(row.iam_action.starts_with("batch:"), "{}", row.iam_action);
        }
        assert_eq!(BatchOperation::from_name("submitjob"), None);
        assert_eq!(
            StsOperation::from_name("GetCallerIdentity").map(StsOperation::name),
            Some("GetCallerIdentity")
        );
    }

    #[test]
    fn every_operation_is_found_by_its_request_line() {
        for operation in BatchOperation::ALL {
            let row = operation.operation();
            let path = row.path.replace("{resourceArn}", "arn%3Aaws%3Abatch%2Fq");
            let parameter = row.path.contains('{').then_some("arn%3Aaws%3Abatch%2Fq");
            assert_eq!(batch::route(row.method, &path), Some((*operation, parameter)));
            assert_eq!(batch::route("PUT", &path), None);
        }
        for path in ["/", "", "/v1/tags/", "/v1/tags", "/v1/submitjob/", "/v1/SubmitJob"] {
            assert_eq!(batch::route("POST", path), None, "{path}");
        }
    }

    #[test]
    fn logs_goes_by_target() {
        assert_eq!(
            LogsOperation::from_target("Logs_20140328.GetLogEvents"),
            Some(LogsOperation::GetLogEvents)
        );
        for wrong in ["GetLogEvents", "Logs_20140328.", "Logs_20200101.GetLogEvents", "Logs_20140328.Nope"] {
            assert_eq!(LogsOperation::from_target(wrong), None, "{wrong}");
        }
        assert_eq!(LogsOperation::GetLogEvents.operation().iam_action, "logs:GetLogEvents");
    }

    #[test]
    fn access_is_as_iam_says() {
        let row = |operation: BatchOperation| operation.operation();
        let bulk = row(BatchOperation::CancelJobs);
        assert_eq!(bulk.iam_action, "batch:CancelJob");
        assert_eq!(bulk.resources, [Resource { kind: "job", required: true }]);
        assert!(row(BatchOperation::DescribeJobs).resources.is_empty());
        let required = |operation: BatchOperation| -> Vec<&str> {
            let resources = row(operation).resources.iter();
            resources.filter(|resource| resource.required).map(|resource| resource.kind).collect()
        };
        assert_eq!(required(BatchOperation::SubmitJob), ["job", "job-queue"]);
        assert_eq!(required(BatchOperation::CreateJobQueue), ["job-queue"]);
        assert_eq!(row(BatchOperation::UntagResource).path_members, ["resourceArn"]);
        assert_eq!(row(BatchOperation::UntagResource).query_members, ["tagKeys"]);
    }

    #[test]
    fn errors_carry_their_status() {
        assert_eq!(batch::errors::CLIENT_EXCEPTION, ErrorCode { code: "ClientException", status: 400 });
        assert_eq!(batch::errors::SERVER_EXCEPTION.status, 500);
        assert_eq!(logs::errors::RESOURCE_NOT_FOUND_EXCEPTION.status, 400);
        assert_eq!(logs::errors::SERVICE_UNAVAILABLE_EXCEPTION.status, 500);
    }

    #[test]
    fn members_of_the_path_and_query_stay_out_of_the_body() {
        let request = batch::UntagResourceRequest {
            resource_arn: Some("arn".to_owned()),
            tag_keys: Some(vec!["k".to_owned()]),
        };
        assert_eq!(serde_json::to_string(&request).unwrap(), "{}");
        let read: batch::TagResourceRequest =
            serde_json::from_str(r#"{"resourceArn":"x","tags":{"a":"b"}}"#).unwrap();
        assert_eq!(read.resource_arn, None);
        assert_eq!(read.tags.map(|tags| tags.len()), Some(1));
    }
}
