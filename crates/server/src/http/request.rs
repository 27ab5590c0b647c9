//! One request: head, body, signature, call, answer. Always an answer, whatever happens.

use super::answer::{Answer, Protocol};
use super::call::{Api, Call, Operation};
use super::events::Events;
use super::life::Life;
use super::listen::{Shared, Stage};
use super::route::{self, Route};
use super::{body, limits::Limits};
use crate::error::{ApiError, ErrorKind};
use crate::iam::{Principal, SignedRequest, sigv4};
use batchyard_model::logs::LogsOperation;
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONNECTION, CONTENT_ENCODING, EXPECT, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::watch;

/// Answers a request.
pub(super) async fn answer<A: Api>(
    shared: Arc<Shared<A>>,
    life: Arc<Life>,
    stage: watch::Receiver<Stage>,
    request: Request<Incoming>,
) -> Response<Either<Full<Bytes>, Events>> {
    life.handling();
    let id = uuid::Uuid::new_v4().to_string();
    let (head, incoming) = request.into_parts();
    let route = route::route(&head);
    let (mut answer, allow) =
        match take_body(&head, incoming, &route, &limits(&route, shared.http.limits)).await {
            Err(refused) => {
                if refused.unread {
                    life.leave_unread();
                }
                (Answer::failure(protocol(&route), &refused.error, &id), None)
            }
            Ok(body) => match route {
                Route::Health => (Answer::healthy(), None),
                Route::Nowhere(protocol, error, allow) => (Answer::failure(protocol, &error, &id), allow),
                Route::Operation(operation, arn) => {
                    (operate(&shared, &head, operation, arn, body, &id).await, None)
                }
                Route::Form => (form(&shared, &head, body, &id).await, None),
            },
        };
    tracing::debug!(id, method = %head.method, path = head.uri.path(), status = answer.status.as_u16(), "answered");
    let events = answer.events.take();
    let mut response = answer.into_response(&id);
    if let Some(allow) = allow {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    }
    if life.has_unread() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    match events {
        // No limit of time holds for the whole of it; the body looks after clients that take nothing.
        Some(parts) => {
            let events = Events::new(parts, stage, life, shared.http.limits.write_time);
            response.map(|_| Either::Right(events))
        }
        None => {
            life.answering();
            response.map(Either::Left)
        }
    }
}

fn protocol(route: &Route) -> Protocol {
    match route {
        Route::Operation(operation, _) => Protocol::of(operation.service()),
        Route::Nowhere(protocol, ..) => *protocol,
        Route::Form => Protocol::Query,
        Route::Health => Protocol::Rest,
    }
}

/// A batch of PutLogEvents holds 1 MiB of messages, which JSON may need six times the room for, and 10,000 objects.
const PUT_LOG_EVENTS_BODY: usize = 8 << 20;

fn limits(route: &Route, mut limits: Limits) -> Limits {
    if let Route::Operation(Operation::Logs(LogsOperation::PutLogEvents), _) = route {
        limits.body_bytes = limits.body_bytes.max(PUT_LOG_EVENTS_BODY);
        limits.discard_bytes = limits.discard_bytes.max(limits.body_bytes);
    }
    limits
}

async fn take_body(
    head: &Parts,
    incoming: Incoming,
    route: &Route,
    limits: &Limits,
) -> Result<Bytes, body::Refused> {
    let waits = head.headers.contains_key(EXPECT);
    if let (true, Route::Nowhere(_, error, _)) = (waits, route) {
        return Err(body::Refused { error: error.clone(), unread: true });
    }
    let body = body::read(incoming, limits, waits).await?;
    match head.headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            let encoding = encoding.to_str().unwrap_or_default();
            let text = format!("content-encoding '{encoding}' is not read; send the body as it is");
            Err(body::Refused { error: ApiError::new(ErrorKind::Serialization, text), unread: false })
        }
        _ => Ok(body),
    }
}

/// The query protocol says in the query or in the body what it wants.
async fn form<A: Api>(shared: &Arc<Shared<A>>, head: &Parts, body: Bytes, id: &str) -> Answer {
    let mut form = sigv4::pairs(head.uri.query().unwrap_or_default());
    form.extend(sigv4::pairs(&String::from_utf8_lossy(&body)));
    match route::form(&form) {
        Ok(operation) => operate(shared, head, operation, None, body, id).await,
        Err(error) => Answer::failure(Protocol::Query, &error, id),
    }
}

async fn operate<A: Api>(
    shared: &Arc<Shared<A>>,
    head: &Parts,
    operation: Operation,
    resource_arn: Option<String>,
    body: Bytes,
    id: &str,
) -> Answer {
    let protocol = Protocol::of(operation.service());
    let result = match verify(shared, head, operation, &body) {
        Ok(principal) => {
            let query = query(head);
            let call = Call { operation, principal, body, resource_arn, query, request_id: id.to_owned() };
            if operation.streams() {
                guarded(shared.api.stream(call), operation, id).await.map(Answer::events)
            } else {
                let body = guarded(shared.api.call(call), operation, id).await;
                body.map(|body| Answer::success(protocol, body))
            }
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(answer) => answer,
        Err(error) => {
            tracing::debug!(id, operation = operation.name(), %error, "refused");
            Answer::failure(protocol, &error, id)
        }
    }
}

fn verify<A: Api>(
    shared: &Shared<A>,
    head: &Parts,
    operation: Operation,
    body: &[u8],
) -> Result<Principal, ApiError> {
    let request = SignedRequest {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        body,
    };
    shared.http.verifier.verify(&request, operation.service(), crate::clock::wall_ms() / 1000)
}

fn query(head: &Parts) -> Vec<(String, String)> {
    let Some(query) = head.uri.query() else { return Vec::new() };
    let mut pairs = sigv4::pairs(query);
    pairs.retain(|(name, _)| !name.starts_with("X-Amz-"));
    pairs
}

/// A handler's panic is one request's 500, not the connection's end.
async fn guarded<T>(
    call: impl Future<Output = Result<T, ApiError>>,
    operation: Operation,
    id: &str,
) -> Result<T, ApiError> {
    let mut call = pin!(call);
    std::future::poll_fn(|cx| {
        // What the handler shares with others is behind locks and channels that survive a panic; the future itself is
        // not polled again.
        catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            tracing::error!(id, operation = operation.name(), panic = text, "a handler panicked");
            std::task::Poll::Ready(Err(ApiError::server()))
        })
    })
    .await
}
