//! The one place where results and errors become HTTP answers: statuses, codes, headers and the three body formats
//! (spec infrastructure §10.1).

use crate::api::sts::escape;
use crate::error::{ApiError, ErrorKind};
use crate::iam::Service;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::sync::mpsc::Receiver;

/// The id of this request, on every answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
/// The error's code; clients read it before the body's.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// How a service writes its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// rest-json: Batch, and whatever belongs to no service.
    Rest,
    /// JSON 1.1: CloudWatch Logs.
    Json11,
    /// The query protocol's XML: STS.
    Query,
}

impl Protocol {
    /// The protocol of a service.
    pub fn of(service: Service) -> Self {
        match service {
            Service::Batch => Self::Rest,
            Service::Logs => Self::Json11,
            Service::Sts => Self::Query,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Rest => "application/json",
            Self::Json11 => "application/x-amz-json-1.1",
            Self::Query => "text/xml",
        }
    }
}

/// An answer before it is HTTP.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub content_type: &'static str,
    /// The error's code where it goes into a header.
    pub code: Option<&'static str>,
    pub body: Bytes,
    /// Instead of the body: parts that come one after the other.
    pub events: Option<Receiver<Bytes>>,
}

impl Answer {
    /// What an operation answered.
    pub fn success(protocol: Protocol, body: Bytes) -> Self {
        Self { status: StatusCode::OK, content_type: protocol.content_type(), code: None, body, events: None }
    }

    /// What `/health` answers.
    pub fn healthy() -> Self {
        Self {
            status: StatusCode::OK,
            content_type: "text/plain",
            code: None,
            body: Bytes::from_static(b"ok\n"),
            events: None,
        }
    }

    /// An error.
    pub fn failure(protocol: Protocol, error: &ApiError, request_id: &str) -> Self {
        let (code, status) = wire(protocol, error.kind);
        let message = match error.kind {
            ErrorKind::ClientWrapped => {
                &format!("Error executing request, Exception : {}, RequestId: {request_id}", error.message)
            }
            _ => &error.message,
        };
        let body = match protocol {
            Protocol::Rest | Protocol::Json11 => {
                serde_json::json!({ "__type": code, "message": message }).to_string()
            }
            Protocol::Query => xml(code, status, message, request_id),
        };
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            content_type: protocol.content_type(),
            code: (protocol != Protocol::Query).then_some(code),
            body: body.into(),
            events: None,
        }
    }

    /// An answer in parts.
    pub fn events(events: Receiver<Bytes>) -> Self {
        Self {
            status: StatusCode::OK,
            content_type: "application/vnd.amazon.eventstream",
            code: None,
            body: Bytes::new(),
            events: Some(events),
        }
    }

    /// The answer as hyper sends it. `request_id` is of our making, so it fits into a header.
    pub fn into_response(self, request_id: &str) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert(REQUEST_ID, id);
        }
        if let Some(code) = self.code {
            headers.insert(ERROR_TYPE, HeaderValue::from_static(code));
        }
        response
    }

    /// The answer as the last bytes of a connection.
    pub fn into_bytes(self, request_id: &str) -> Bytes {
        let code = self.code.map_or(String::new(), |code| format!("{ERROR_TYPE}: {code}\r\n"));
        let head = format!(
            "HTTP/1.1 {}\r\nconnection: close\r\ncontent-type: {}\r\n{REQUEST_ID}: {request_id}\r\n{code}\
             content-length: {}\r\n\r\n",
            self.status,
            self.content_type,
            self.body.len()
        );
        [head.as_bytes(), &self.body].concat().into()
    }
}

/// Code and status as the protocol's services give them: JSON 1.1 refuses with 400, the query protocol has names of
/// its own.
fn wire(protocol: Protocol, kind: ErrorKind) -> (&'static str, u16) {
    let (code, status) = kind.wire();
    match (protocol, kind) {
        (Protocol::Rest, _) => (code, status),
        (Protocol::Json11, ErrorKind::Server) => ("InternalFailure", status),
        (Protocol::Json11, ErrorKind::TooManyRequests) => ("ThrottlingException", 400),
        (Protocol::Json11, _) if status == 403 => (code, 400),
        (Protocol::Json11, _) => (code, status),
        (Protocol::Query, ErrorKind::Server) => ("InternalFailure", status),
        (Protocol::Query, ErrorKind::TooManyRequests) => ("Throttling", 400),
        (Protocol::Query, ErrorKind::UnrecognizedClient) => ("InvalidClientTokenId", status),
        (Protocol::Query, ErrorKind::InvalidSignature) => ("SignatureDoesNotMatch", status),
        (Protocol::Query, _) => (code.strip_suffix("Exception").unwrap_or(code), status),
    }
}

fn xml(code: &str, status: u16, message: &str, request_id: &str) -> String {
    let fault = if status < 500 { "Sender" } else { "Receiver" };
    format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>{fault}</Type>\
         <Code>{code}</Code><Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
        escape(message)
    )
}
