//! What an API call can fail with. One function in `http` turns it into an answer; nothing else makes one.
//!
//! Codes and statuses are spec infrastructure §10.1. Never here: what the engine or the disk can fail with; those
//! become a [`ErrorKind::Server`] that says nothing of the inside, after being logged where they happened.

use std::fmt;

/// The kind decides code and status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// `ClientException`, 400: the caller can mend it.
    Client,
    /// `ClientException`, 400, whose message `http` wraps in AWS's frame with this request's id (spec jobs §0,
    /// "wrapped").
    ClientWrapped,
    /// `ServerException`, 500: ours.
    Server,
    /// `SerializationException`, 400: the body is not what the operation reads.
    Serialization,
    /// `UnknownOperationException`, 404: no such path or target.
    UnknownOperation,
    /// `UnknownOperationException`, 405: the path exists with another method.
    MethodNotAllowed,
    /// `InvalidAction`, 400, of the query protocol: no such `Action`.
    InvalidAction,
    /// `RequestEntityTooLargeException`, 413: over a limit of size.
    TooLarge,
    /// `RequestEntityTooLargeException`, 431: request line and headers are over their limit.
    HeadersTooLarge,
    /// `RequestTimeoutException`, 408: the client was too slow to send its request.
    RequestTimeout,
    /// `TooManyRequestsException`, 429.
    TooManyRequests,
    /// `AccessDeniedException`, 403.
    AccessDenied,
    /// `UnrecognizedClientException`, 403: unknown access key.
    UnrecognizedClient,
    /// `InvalidSignatureException`, 403: wrong signature, date out of range, body changed.
    InvalidSignature,
    /// `IncompleteSignatureException`, 400: the Authorization header cannot be read.
    IncompleteSignature,
    /// `MissingAuthenticationTokenException`, 403: not signed.
    MissingAuthentication,
    /// `ExpiredTokenException`, 403: a presigned request is over its time.
    ExpiredToken,
    /// `ResourceNotFoundException`, 400, of CloudWatch Logs.
    ResourceNotFound,
    /// `ResourceAlreadyExistsException`, 400, of CloudWatch Logs.
    ResourceAlreadyExists,
    /// `InvalidParameterException`, 400, of CloudWatch Logs.
    InvalidParameter,
    /// `OperationAbortedException`, 400, of CloudWatch Logs: something else is under way there.
    OperationAborted,
    /// `LimitExceededException`, 400, of CloudWatch Logs.
    LimitExceeded,
    /// `TooManyTagsException`, 400, of CloudWatch Logs.
    TooManyTags,
    /// `ValidationException`, 400, of CloudWatch Logs.
    Validation,
    /// `ServiceUnavailableException`, 503: shutting down, or the store takes no writes.
    Unavailable,
}

impl ErrorKind {
    /// The code on the wire and the HTTP status.
    pub fn wire(self) -> (&'static str, u16) {
        match self {
            Self::Client | Self::ClientWrapped => ("ClientException", 400),
            Self::Server => ("ServerException", 500),
            Self::Serialization => ("SerializationException", 400),
            Self::UnknownOperation => ("UnknownOperationException", 404),
            Self::MethodNotAllowed => ("UnknownOperationException", 405),
            Self::InvalidAction => ("InvalidAction", 400),
            Self::TooLarge => ("RequestEntityTooLargeException", 413),
            Self::HeadersTooLarge => ("RequestEntityTooLargeException", 431),
            Self::RequestTimeout => ("RequestTimeoutException", 408),
            Self::TooManyRequests => ("TooManyRequestsException", 429),
            Self::AccessDenied => ("AccessDeniedException", 403),
            Self::UnrecognizedClient => ("UnrecognizedClientException", 403),
            Self::InvalidSignature => ("InvalidSignatureException", 403),
            Self::IncompleteSignature => ("IncompleteSignatureException", 400),
            Self::MissingAuthentication => ("MissingAuthenticationTokenException", 403),
            Self::ExpiredToken => ("ExpiredTokenException", 403),
            Self::ResourceNotFound => ("ResourceNotFoundException", 400),
            Self::ResourceAlreadyExists => ("ResourceAlreadyExistsException", 400),
            Self::InvalidParameter => ("InvalidParameterException", 400),
            Self::OperationAborted => ("OperationAbortedException", 400),
            Self::LimitExceeded => ("LimitExceededException", 400),
            Self::TooManyTags => ("TooManyTagsException", 400),
            Self::Validation => ("ValidationException", 400),
            Self::Unavailable => ("ServiceUnavailableException", 503),
        }
    }
}

/// An API call's failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// Decides code and status.
    pub kind: ErrorKind,
    /// For the caller, in AWS's words where they are known.
    pub message: String,
}

impl ApiError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A `ClientException` with just the sentence (spec jobs §0, "plain").
    pub fn client(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Client, message)
    }

    /// A `ClientException` that reaches the caller as `Error executing request, Exception : <text>, RequestId: <id>`
    /// (spec jobs §0, "wrapped").
    pub fn wrapped(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::ClientWrapped, text)
    }

    /// A `ServerException`. Log the cause where this is made; the caller learns only that it is ours.
    pub fn server() -> Self {
        Self::new(ErrorKind::Server, "the server could not finish this request; its log says why")
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.wire().0, self.message)
    }
}

impl std::error::Error for ApiError {}
