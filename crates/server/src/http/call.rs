//! What a verified request is to the rest of the server, and what the rest of the server is to `http`.

use crate::error::{ApiError, ErrorKind};
use crate::iam::{Principal, Service};
use batchyard_model as model;
use batchyard_model::batch::BatchOperation;
use batchyard_model::logs::LogsOperation;
use batchyard_model::sts::StsOperation;
use bytes::Bytes;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;

/// An operation of one of the services on this port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// AWS Batch.
    Batch(BatchOperation),
    /// CloudWatch Logs.
    Logs(LogsOperation),
    /// STS.
    Sts(StsOperation),
}

impl Operation {
    /// The operation's row in its table: name, IAM action, resources.
    pub fn row(self) -> &'static model::Operation {
        match self {
            Self::Batch(operation) => operation.operation(),
            Self::Logs(operation) => operation.operation(),
            Self::Sts(operation) => operation.operation(),
        }
    }

    /// AWS's name, such as `SubmitJob`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether it is answered in parts, with a stream of events.
    pub fn streams(self) -> bool {
        self == Self::Logs(LogsOperation::StartLiveTail)
    }

    /// The service that a caller signs for.
    pub fn service(self) -> Service {
        match self {
            Self::Batch(_) => Service::Batch,
            Self::Logs(_) => Service::Logs,
            Self::Sts(_) => Service::Sts,
        }
    }
}

/// A request whose signature was right. Its input is neither parsed nor validated, its caller not yet authorized.
#[derive(Debug)]
pub struct Call {
    /// What is asked for.
    pub operation: Operation,
    /// Who asks.
    pub principal: Principal,
    /// The whole body.
    pub body: Bytes,
    /// The path's ARN, decoded, of the three tag operations.
    pub resource_arn: Option<String>,
    /// The query, decoded, in the order sent and without the parts of a presigned signature.
    pub query: Vec<(String, String)>,
    /// This request's id, which the answer carries too.
    pub request_id: String,
}

/// What answers calls. The future is dropped when the client's connection breaks or the server's patience at its stop
/// is over; what must not end half done belongs to another task.
pub trait Api: Send + Sync + 'static {
    /// Carries out one call: the body of a 200 answer, in the service's own format, or why not.
    fn call(self: &Arc<Self>, call: Call) -> impl Future<Output = Result<Bytes, ApiError>> + Send;

    /// Carries out a call that is answered in parts, as they come; [`Operation::streams`] says which.
    fn stream(
        self: &Arc<Self>,
        call: Call,
    ) -> impl Future<Output = Result<Receiver<Bytes>, ApiError>> + Send {
        let text = format!("{} is not answered in parts here", call.operation.name());
        std::future::ready(Err(ApiError::new(ErrorKind::UnknownOperation, text)))
    }
}
