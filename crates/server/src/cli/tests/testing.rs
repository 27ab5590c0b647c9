//! What the tests of the commands share: a tiny HTTP endpoint with canned answers, captured output, temporary folders.
//!
//! Only compiled for tests. Never here: a second implementation of the API; a handler answers what its test needs.

use super::client::Client;
use super::client::config::Settings;
use super::client::sign::Credentials;
use super::output::{Console, Format};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, thread};

/// Answers an operation (`describejobs`, `GetLogEvents`, …) with a status and a body.
pub type Handler = Arc<dyn Fn(&str, &Value) -> (u16, Value) + Send + Sync>;

/// Serves on a free port for the rest of the test process; gives the URL.
pub fn serve(handler: Handler) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let handler = handler.clone();
            thread::spawn(move || while answer(&stream, &handler).is_some() {});
        }
    });
    url
}

fn answer(stream: &TcpStream, handler: &Handler) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let path = line.split(' ').nth(1)?.to_string();
    let (mut length, mut target) = (0, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "x-amz-target" => target = value.rsplit('.').next().map(String::from),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let operation = target.unwrap_or_else(|| path.trim_start_matches("/v1/").to_string());
    let (status, value) = handler(&operation, &serde_json::from_slice(&body).unwrap_or_default());
    let text = value.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    );
    (&*stream).write_all(head.as_bytes()).ok()
}

/// A client of an endpoint, with keys that no test server checks.
pub fn client_at(url: &str) -> Client {
    let credentials =
        Credentials { access_key_id: "AK".into(), secret_access_key: "SK".into(), session_token: None };
    Client::new(Settings {
        region: "us-east-1".into(),
        credentials,
        endpoints: [url.to_string(), url.to_string(), url.to_string()],
    })
}

/// An endpoint with one queue `default` whose jobs are these; each is listed and described.
pub fn jobs_of(jobs: Vec<Value>) -> Handler {
    Arc::new(move |operation, body| match operation {
        "describejobqueues" => (200, json!({"jobQueues": [{"jobQueueName": "default"}]})),
        "listjobs" if body.get("filters").is_some() => {
            (400, json!({"__type": "ClientException", "message": "no filters in this test"}))
        }
        "listjobs" => {
            let of_state = jobs.iter().filter(|j| j["status"] == body["jobStatus"]).collect::<Vec<_>>();
            (200, json!({ "jobSummaryList": of_state }))
        }
        "describejobs" => {
            let wanted = body["jobs"].as_array().unwrap();
            let found = jobs.iter().filter(|j| wanted.contains(&j["jobId"])).collect::<Vec<_>>();
            (200, json!({ "jobs": found }))
        }
        "terminatejob" => (200, json!({})),
        other => (404, json!({"message": format!("no {other} in this test")})),
    })
}

/// Answers GetLogEvents from these streams, two lines a page, tokens as the API has them.
pub fn log_of(streams: Vec<(&'static str, Vec<&'static str>)>) -> Handler {
    Arc::new(move |operation, body| {
        let name = body["logStreamName"].as_str().unwrap_or_default();
        let Some((_, lines)) = streams.iter().find(|(n, _)| operation == "GetLogEvents" && *n == name) else {
            return (400, json!({"__type": "ResourceNotFoundException", "message": "no stream"}));
        };
        let from: usize = body["nextToken"].as_str().map_or(0, |t| t.parse().unwrap());
        let page: Vec<Value> = lines
            .iter()
            .enumerate()
            .skip(from)
            .take(2)
            .map(|(i, line)| json!({"timestamp": i, "message": line}))
            .collect();
        (200, json!({"nextForwardToken": (from + page.len()).to_string(), "events": page}))
    })
}

/// A job with an id that begins with `id`.
pub fn job(id: &str, name: &str, status: &str) -> Value {
    let id = format!("{id}{}", &"00000000-0000-4000-8000-000000000000"[id.len()..]);
    json!({"jobId": id, "jobName": name, "status": status, "createdAt": 1_700_000_000_000_i64,
           "jobQueue": "arn:aws:batch:us-east-1:000000000000:job-queue/default"})
}

#[derive(Clone, Default)]
struct Buffer(Rc<RefCell<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Output that a test looks at afterwards.
pub struct Captured {
    out: Buffer,
    err: Buffer,
    format: Option<Format>,
}

impl Captured {
    /// Nothing printed yet.
    pub fn new(format: Option<Format>) -> Self {
        Self { out: Buffer::default(), err: Buffer::default(), format }
    }

    /// A console that prints here.
    pub fn console(&self) -> Console {
        Console::to_writers(Box::new(self.out.clone()), Box::new(self.err.clone()), self.format)
    }

    /// What went to standard output.
    pub fn out(&self) -> String {
        String::from_utf8(self.out.0.borrow().clone()).unwrap()
    }

    /// What went to standard error.
    pub fn err(&self) -> String {
        String::from_utf8(self.err.0.borrow().clone()).unwrap()
    }
}

/// A folder of its own that goes away at the end.
pub struct TempDir(PathBuf);

impl TempDir {
    /// Makes one.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("batchyard-cli-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
