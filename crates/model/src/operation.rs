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
