//! Which operation a request is for, from its head alone.

use super::answer::Protocol;
use super::call::Operation;
use crate::error::{ApiError, ErrorKind};
use crate::iam::sigv4::decode;
use batchyard_model::batch;
use batchyard_model::logs::LogsOperation;
use batchyard_model::sts::{self, StsOperation};
use hyper::http::request::Parts;

/// Where a request goes.
#[derive(Debug)]
pub(super) enum Route {
    /// Is the server there? Needs no signature.
    Health,
    /// An operation, and the ARN in its path.
    Operation(Operation, Option<String>),
    /// The query protocol: the operation is the form's `Action`.
    Form,
    /// Nowhere; with the methods that the path has.
    Nowhere(Protocol, ApiError, Option<&'static str>),
}

const TARGET: &str = "x-amz-target";

/// The route of a request.
pub(super) fn route(head: &Parts) -> Route {
    let (method, path) = (head.method.as_str(), head.uri.path());
    match path {
        "/" => root(head, method),
        "/health" if matches!(method, "GET" | "HEAD") => Route::Health,
        "/health" => wrong_method(path, "GET, HEAD"),
        _ => match batch::route(method, path) {
            Some((operation, parameter)) => with_parameter(Operation::Batch(operation), parameter),
            None if path.starts_with("/v1/tags/") && path.len() > 9 => {
                wrong_method(path, "DELETE, GET, POST")
            }
            None if batch::route("POST", path).is_some() => wrong_method(path, "POST"),
            None => nowhere(Protocol::Rest, format!("no operation of AWS Batch is at {}", clip(path))),
        },
    }
}

fn with_parameter(operation: Operation, parameter: Option<&str>) -> Route {
    let Some(parameter) = parameter else { return Route::Operation(operation, None) };
    match decode(parameter) {
        Some(arn) => Route::Operation(operation, Some(arn)),
        None => {
            let error = ApiError::client("the resource ARN in the path is not valid UTF-8");
            Route::Nowhere(Protocol::Rest, error, None)
        }
    }
}

/// `/` is shared by the JSON 1.1 services, told apart by a header, and the query services.
fn root(head: &Parts, method: &str) -> Route {
    let Some(target) = head.headers.get(TARGET) else {
        let has_action = head.uri.query().is_some_and(|query| query.contains("Action="));
        return match method {
            "POST" => Route::Form,
            "GET" if has_action => Route::Form,
            "GET" | "HEAD" => nowhere(
                Protocol::Rest,
                "this is the API of Batchyard, for AWS clients: see `batchyard env`".into(),
            ),
            _ => wrong_method("/", "GET, HEAD, POST"),
        };
    };
    if method != "POST" {
        return wrong_method("/", "POST");
    }
    let target = target.to_str().unwrap_or_default();
    match LogsOperation::from_target(target) {
        Some(operation) => Route::Operation(Operation::Logs(operation), None),
        None => nowhere(Protocol::Json11, format!("no operation here has the {TARGET} {}", clip(target))),
    }
}

/// The operation of a form.
pub(super) fn form(form: &[(String, String)]) -> Result<Operation, ApiError> {
    let get = |name: &str| form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let (action, version) = (get("Action"), get("Version"));
    match StsOperation::from_name(action) {
        Some(operation) if version.is_empty() || version == sts::API_VERSION => Ok(Operation::Sts(operation)),
        _ => Err(ApiError::new(
            ErrorKind::InvalidAction,
            format!("Could not find operation {} for version {}", clip(action), clip(version)),
        )),
    }
}

fn nowhere(protocol: Protocol, text: String) -> Route {
    Route::Nowhere(protocol, ApiError::new(ErrorKind::UnknownOperation, text), None)
}

fn wrong_method(path: &str, allowed: &'static str) -> Route {
    let error = ApiError::new(ErrorKind::MethodNotAllowed, format!("{} is asked with {allowed}", clip(path)));
    Route::Nowhere(Protocol::Rest, error, Some(allowed))
}

/// What a client sent, short enough for a message.
fn clip(text: &str) -> String {
    text.chars().take(200).collect()
}
