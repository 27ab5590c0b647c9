//! Closed-loop HTTP/1.1 load with SigV4: every connection has one request on its way.
//!
//!   load --host 127.0.0.1:PORT --conns 16 --secs 3 --body '{"jobName":"j{n}",…}' [--pad 1024] [--region us-east-1]
//!        [--path /v1/submitjob]
//!
//! `{n}` in the body is a running number, `{pad}` filler up to --pad bytes. Keys: AWS_ACCESS_KEY_ID and
//! AWS_SECRET_ACCESS_KEY, else the limit's own. Prints one JSON object.

use limits::flags::Flags;
use limits::sigv4::{ACCESS_KEY, Head, SECRET_KEY, now, signature, signing_key};
use limits::stats::percentiles;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Plan {
    host: String,
    path: String,
    body: String,
    pad: usize,
    key_id: String,
    key: [u8; 32],
    scope: String,
    date: String,
    until: Instant,
    count: AtomicU64,
}

#[derive(Default)]
struct Seen {
    nanoseconds: Vec<u64>,
    statuses: BTreeMap<String, u64>,
}

impl Plan {
    fn from(flags: &Flags) -> Self {
        let environment =
            |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_string());
        let region = flags.text("region", "us-east-1");
        let (day, date) = now();
        Self {
            host: flags.text("host", "127.0.0.1:9740").to_string(),
            path: flags.text("path", "/v1/submitjob").to_string(),
            body: flags.text("body", r#"{"jobName":"j{n}","pad":"{pad}"}"#).to_string(),
            pad: flags.number("pad", 1024) as usize,
            key_id: environment("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            key: signing_key(&environment("AWS_SECRET_ACCESS_KEY", SECRET_KEY), &day, region),
            scope: format!("{day}/{region}/batch/aws4_request"),
            date,
            until: Instant::now() + Duration::from_secs(flags.number("secs", 3)),
            count: AtomicU64::new(0),
        }
    }

    fn request(&self) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let body = self.body.replace("{n}", &number.to_string());
        let filler = self.pad.saturating_sub(body.len().saturating_sub("{pad}".len()));
        let body = body.replace("{pad}", &"x".repeat(filler));
        let Self { host, path, key_id, scope, date, .. } = self;
        let head = Head { path, content_type: "application/json", host, date, scope };
        let signed = signature(&self.key, &head, body.as_bytes());
        format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\nx-amz-date: {date}\r\n\
             authorization: AWS4-HMAC-SHA256 Credential={key_id}/{scope}, \
             SignedHeaders=content-type;host;x-amz-date, Signature={signed}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

/// Reads one answer with a content length; gives its status.
async fn answer(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<u16> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(buffer).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
    let status = head.get(9..12).and_then(|v| v.parse().ok()).ok_or(ErrorKind::InvalidData)?;
    let length: usize = head
        .split("\r\ncontent-length:")
        .nth(1)
        .and_then(|v| v.split("\r\n").next())
        .and_then(|v| v.trim().parse().ok())
        .ok_or_else(|| Error::new(ErrorKind::InvalidData, "answer without content-length"))?;
    while buffer.len() < end + length {
        if socket.read_buf(buffer).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    buffer.drain(..end + length);
    Ok(status)
}

async fn connection(plan: Arc<Plan>) -> Result<Seen> {
    let mut seen = Seen::default();
    let mut socket = TcpStream::connect(&plan.host).await?;
    socket.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(64 << 10);
    while Instant::now() < plan.until {
        let request = plan.request();
        let began = Instant::now();
        socket.write_all(request.as_bytes()).await?;
        let status = answer(&mut socket, &mut buffer).await?;
        seen.nanoseconds.push(began.elapsed().as_nanos() as u64);
        *seen.statuses.entry(status.to_string()).or_default() += 1;
    }
    Ok(seen)
}

fn main() -> Result<()> {
    let flags = Flags::from_args();
    let connections = flags.number("conns", 1);
    let plan = Arc::new(Plan::from(&flags));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let began = Instant::now();
    let mut all = Seen::default();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..connections).map(|_| tokio::spawn(connection(plan.clone()))).collect();
        for task in tasks {
            let seen = task.await.map_err(Error::other)??;
            all.nanoseconds.extend(seen.nanoseconds);
            seen.statuses.into_iter().for_each(|(k, n)| *all.statuses.entry(k).or_default() += n);
        }
        Ok::<(), Error>(())
    })?;
    let per_second = all.nanoseconds.len() as f64 / began.elapsed().as_secs_f64();
    println!(
        "{}",
        serde_json::json!({
            "conns": connections, "per_s": per_second, "us": percentiles(all.nanoseconds), "status": all.statuses,
        })
    );
    Ok(())
}
