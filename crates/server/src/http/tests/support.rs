//! A server on a free port, a signer written apart from the one under test, and a client that sends raw bytes.

use crate::api::sts;
use crate::error::{ApiError, ErrorKind};
use crate::http::{Api, Call, Drained, Http, Limits, Operation, bind, serve};
use crate::iam::{Credentials, Verifier};
use batchyard_model::batch::BatchOperation as B;
use batchyard_model::logs::LogsOperation as L;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

pub const KEY: &str = "AKIDEXAMPLE";
pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// Answers by operation, so that a test chooses what happens by what it calls.
#[derive(Default)]
pub struct Toy {
    /// ListJobs says here that it has begun…
    pub begun: Notify,
    /// …and waits for this.
    pub go_on: Notify,
}

impl Api for Toy {
    async fn call(self: &Arc<Self>, call: Call) -> Result<Bytes, ApiError> {
        match call.operation {
            Operation::Batch(B::SubmitJob) => Err(ApiError::wrapped("no such thing")),
            Operation::Batch(B::CancelJob) => panic!("the toy breaks"),
            Operation::Batch(B::ListJobs) => {
                self.begun.notify_one();
                self.go_on.notified().await;
                Ok(Bytes::from_static(b"{\"jobSummaryList\":[]}"))
            }
            // More than the sockets' buffers hold.
            Operation::Batch(B::ListServiceJobs) => Ok(vec![b' '; 32 << 20].into()),
            Operation::Batch(B::ListTagsForResource | B::UntagResource) => {
                Ok(serde_json::json!({"arn": call.resource_arn, "query": call.query}).to_string().into())
            }
            Operation::Logs(L::GetLogEvents) => {
                Err(ApiError::new(ErrorKind::ResourceNotFound, "The specified log stream does not exist."))
            }
            Operation::Sts(_) => Ok(sts::get_caller_identity(&call.principal, &call.request_id)),
            _ => Ok(serde_json::json!({"bytes": call.body.len(), "id": call.request_id}).to_string().into()),
        }
    }
}

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    pub api: Arc<Toy>,
    pub stop: Option<oneshot::Sender<()>>,
    pub ended: JoinHandle<Drained>,
}

/// Limits that a test can wait for.
pub fn quick() -> Limits {
    Limits { body_bytes: 64 << 10, discard_bytes: 1 << 20, ..Limits::default() }
}

impl Server {
    pub async fn start(limits: Limits) -> Self {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let credentials = Credentials { access_key_id: KEY.into(), secret_access_key: SECRET.into() };
        let verifier = Verifier::new(credentials, "123456789012", "us-east-1");
        let api = Arc::new(Toy::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = serve(listener, api.clone(), Http { verifier, limits }, async move {
            stopped.await.ok();
        });
        Self { address, api, stop: Some(stop), ended: tokio::spawn(serving) }
    }

    pub async fn connect(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.unwrap(), buffer: Vec::new() }
    }

    /// Sends one request on a connection of its own.
    pub async fn ask(&self, request: &[u8]) -> Answer {
        let mut client = self.connect().await;
        client.send(request).await;
        client.answer().await
    }
}

/// A connection that sends whatever it is given.
pub struct Client {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Client {
    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next answer. A connection that closes or stays silent instead fails the test.
    pub async fn answer(&mut self) -> Answer {
        tokio::time::timeout(Duration::from_secs(20), self.read_answer())
            .await
            .expect("no answer within 20 s")
    }

    async fn read_answer(&mut self) -> Answer {
        let head_end = loop {
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            assert_ne!(self.stream.read_buf(&mut self.buffer).await.unwrap(), 0, "closed without an answer");
        };
        let head = String::from_utf8(self.buffer.drain(..head_end).collect()).unwrap().to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let length: usize = length.expect("no content-length").parse().unwrap();
        while self.buffer.len() < length {
            assert_ne!(self.stream.read_buf(&mut self.buffer).await.unwrap(), 0, "closed within an answer");
        }
        let body = String::from_utf8(self.buffer.drain(..length).collect()).unwrap();
        Answer { status: head[9..12].parse().unwrap(), head, body }
    }

    /// Reads to the end: the server must close, and say nothing more.
    pub async fn closed(&mut self) {
        let end = tokio::time::timeout(Duration::from_secs(20), self.stream.read_buf(&mut self.buffer)).await;
        assert_eq!(end.expect("still open after 20 s").unwrap_or(0), 0, "more than one answer");
        assert!(self.buffer.is_empty(), "more than one answer");
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// It is a modelled error: status, code in header and body, a message, a request id.
    #[track_caller]
    pub fn is_error(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("x-amzn-errortype"), Some(&*code.to_ascii_lowercase()), "{self:?}");
        assert_eq!(self.header("x-amzn-requestid").map(str::len), Some(36), "{self:?}");
        assert_eq!(self.json()["__type"], code);
        let message = self.json()["message"].as_str().unwrap().to_owned();
        assert!(!message.is_empty());
        message
    }
}

/// A request to be signed; every part can be bent afterwards.
#[derive(Clone)]
pub struct Ask {
    pub method: &'static str,
    pub target: String,
    pub service: &'static str,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub key: &'static str,
    pub secret: &'static str,
    pub region: &'static str,
    /// Seconds that the signer's clock is ahead.
    pub ahead: i64,
}

impl Ask {
    pub fn batch(path: &str, body: &str) -> Self {
        Self {
            method: "POST",
            target: path.into(),
            service: "batch",
            headers: vec![],
            body: body.into(),
            key: KEY,
            secret: SECRET,
            region: "us-east-1",
            ahead: 0,
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The signed request.
    pub fn bytes(&self) -> Vec<u8> {
        let now = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(self.ahead);
        let stamp = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut signed: Vec<(String, String)> = self.headers.clone();
        signed.push(("host".into(), "batchyard".into()));
        signed.push(("x-amz-date".into(), stamp.clone()));
        signed.sort();
        let names = signed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let mut query: Vec<&str> = query.split('&').collect();
        query.sort_unstable();
        let query = query.join("&");
        let lines: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let canonical = format!(
            "{}\n{}\n{query}\n{lines}\n{names}\n{}",
            self.method,
            path.replace('%', "%25"),
            hex(&Sha256::digest(&self.body))
        );
        let scope = format!("{}/{}/{}/aws4_request", &stamp[..8], self.region, self.service);
        let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
        let signature = hex(&hmac(&self.day_key(&stamp[..8]), &to_sign));
        let mut out = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &signed {
            out += &format!("{name}: {value}\r\n");
        }
        out += &format!(
            "authorization: AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}\r\n\
             content-length: {}\r\n\r\n",
            self.key,
            self.body.len()
        );
        [out.as_bytes(), &self.body].concat()
    }

    fn day_key(&self, day: &str) -> Vec<u8> {
        let first = hmac(format!("AWS4{}", self.secret).as_bytes(), day);
        [self.region, self.service, "aws4_request"].into_iter().fold(first, |key, part| hmac(&key, part))
    }
}

fn hmac(key: &[u8], data: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(data.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
