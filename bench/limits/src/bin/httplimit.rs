//! The limit of a durable submission: HTTP, SigV4 checked, JSON parsed, answered after an fdatasync that is shared.
//!
//!   httplimit --dir DIR [--port 0] [--threads 2] [--region us-east-1]
//!     POST /echo            body back
//!     POST /v1/submitjob    the durable submission
//!
//! Prints `listening on 127.0.0.1:PORT` and serves until it is killed.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use limits::flags::Flags;
use limits::group::Log;
use limits::sigv4::{ACCESS_KEY, Head, SECRET_KEY, signature, signing_key};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

struct App {
    keys: (String, String),
    region: String,
    /// The day that the key was derived for, and the key.
    signing: Mutex<(String, [u8; 32])>,
    count: AtomicU64,
    log: Log,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Submission {
    job_name: String,
    job_queue: String,
    job_definition: String,
    #[serde(default)]
    container_overrides: Option<serde_json::Value>,
}

impl App {
    /// Nothing unless the request is signed as it must be.
    fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Option<()> {
        let get = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
        let authorization = get("authorization")?;
        let credential = authorization.split("Credential=").nth(1)?.split(',').next()?;
        let given = authorization.split("Signature=").nth(1)?;
        let (key_id, scope) = credential.split_once('/')?;
        let day = scope.split('/').next()?;
        if key_id != self.keys.0 {
            return None;
        }
        let key = {
            let mut signing = self.signing.lock().ok()?;
            if signing.0 != day {
                *signing = (day.to_string(), signing_key(&self.keys.1, day, &self.region));
            }
            signing.1
        };
        let head = Head {
            path: "/v1/submitjob",
            content_type: get("content-type")?,
            host: get("host")?,
            date: get("x-amz-date")?,
            scope,
        };
        let wanted = signature(&key, &head, body);
        let same = wanted.len() == given.len()
            && wanted.bytes().zip(given.bytes()).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0;
        same.then_some(())
    }
}

async fn submit(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    if app.verify(&headers, &body).is_none() {
        return (StatusCode::FORBIDDEN, r#"{"message":"signature"}"#.to_string());
    }
    let job: Submission = match serde_json::from_slice(&body) {
        Ok(job) => job,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()),
    };
    let number = app.count.fetch_add(1, Ordering::Relaxed);
    let weight =
        job.job_queue.len() + job.job_definition.len() + usize::from(job.container_overrides.is_some());
    app.log.write(body.to_vec()).await;
    let id = format!("{number:08x}-0000-4000-8000-{weight:012x}");
    let answer = serde_json::json!({
        "jobArn": format!("arn:aws:batch:us-east-1:000000000000:job/{id}"), "jobId": id, "jobName": job.job_name,
    });
    (StatusCode::OK, answer.to_string())
}

fn main() -> std::io::Result<()> {
    let flags = Flags::from_args();
    let environment = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_string());
    let app = Arc::new(App {
        keys: (
            environment("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            environment("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ),
        region: flags.text("region", "us-east-1").to_string(),
        signing: Mutex::new((String::new(), [0; 32])),
        count: AtomicU64::new(0),
        log: Log::create(&Path::new(flags.text("dir", ".")).join("limit.log"))?,
    });
    let threads = flags.number("threads", 2) as usize;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        let router = Router::new()
            .route("/echo", post(|body: Bytes| async move { body }))
            .route("/v1/submitjob", post(submit))
            .with_state(app);
        let port = flags.number("port", 0) as u16;
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        println!("listening on {}", listener.local_addr()?);
        let listener = axum::serve::ListenerExt::tap_io(listener, |socket| {
            let _ = socket.set_nodelay(true);
        });
        axum::serve(listener, router).await
    })
}
