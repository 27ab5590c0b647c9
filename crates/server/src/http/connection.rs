//! One connection from accept to close: hyper reads and writes it, a slow tick finds clients that take too long.

use super::call::Api;
use super::life::{Life, Phase};
use super::limits::Limits;
use super::listen::{Shared, Stage};
use super::refusal;
use super::request;
use super::watched::Watched;
use crate::error::ErrorKind;
use bytes::Bytes;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// How long last words may take to be written.
const SAY: Duration = Duration::from_secs(1);
/// How long a closed connection is still read from, so that its client reads our last words instead of a reset.
const LINGER: Duration = Duration::from_secs(5);
/// The same for a client that had no place, or sent nothing that is a request.
const LINGER_SHORT: Duration = Duration::from_secs(1);
/// And how much.
const LINGER_BYTES: usize = 64 << 20;

/// Why a connection ended.
enum End {
    /// Both sides are done, or the client is gone.
    Done,
    /// What came was not HTTP.
    NotHttp,
    /// The client was too slow.
    Slow(Phase),
    /// The server stops and waits no longer.
    Cut,
}

/// Serves a connection to its end.
pub(super) async fn run<A: Api>(
    stream: TcpStream,
    shared: Arc<Shared<A>>,
    mut stage: watch::Receiver<Stage>,
) {
    let life = Arc::new(Life::new());
    let limits = shared.http.limits;
    let io = Watched::new(TokioIo::new(stream), life.clone());
    let service = {
        let (life, stage) = (life.clone(), stage.clone());
        service_fn(move |request| {
            let answer = request::answer(shared.clone(), life.clone(), stage.clone(), request);
            async move { Ok::<_, Infallible>(answer.await) }
        })
    };
    let mut conn = builder(&limits).serve_connection(io, service);
    let start = Instant::now() + limits.tick();
    let mut tick = interval_at(start, limits.tick());
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = loop {
        if *stage.borrow_and_update() == Stage::Draining {
            Pin::new(&mut conn).graceful_shutdown();
        }
        tokio::select! {
            biased;
            result = &mut conn => break match result {
                Err(error) if error.is_parse() => End::NotHttp,
                // The client closed its side in the middle of a head; it may still listen.
                Err(error) if error.is_incomplete_message() && life.in_head() => End::NotHttp,
                _ => End::Done,
            },
            changed = stage.changed() => {
                if changed.is_err() || *stage.borrow() == Stage::Cut {
                    break End::Cut;
                }
            }
            _ = tick.tick() => if let Some(phase) = life.overdue(&limits) {
                break End::Slow(phase);
            },
        }
    };
    let io = conn.into_parts().io;
    let refused = io.refused();
    close(io.into_inner().into_inner(), end, refused, life.has_unread()).await;
}

fn builder(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    // A client that closes its sending side still waits for its answer. No `pipeline_flush`: with unread input left it
    // would close without writing the last answer.
    builder.half_close(true).max_buf_size(limits.head_bytes.max(8192));
    builder
}

/// Says what there is to say and closes, so that the client can read it.
async fn close(mut stream: TcpStream, end: End, refused: bool, unread: bool) {
    let last_words = match end {
        End::Slow(Phase::Head) => Some(ErrorKind::RequestTimeout),
        End::NotHttp if !refused => Some(ErrorKind::Serialization),
        _ => None,
    };
    if let Some(kind) = last_words {
        say(&mut stream, &refusal::render(kind)).await;
    } else if unread && !matches!(end, End::Cut) {
        linger(&mut stream, LINGER).await;
    }
}

/// Writes an answer to a connection that hyper does not have, and closes it.
pub(super) async fn say(stream: &mut TcpStream, answer: &Bytes) {
    // The client may be gone or not listening: nobody is left to tell.
    if let Ok(Ok(())) = timeout(SAY, stream.write_all(answer)).await {
        linger(stream, LINGER_SHORT).await;
    }
}

/// Closes our side and reads what the client still sends. Closing with unread input would reset the connection, and a
/// reset can overtake the answer.
async fn linger(stream: &mut TcpStream, time: Duration) {
    let drain = async {
        stream.shutdown().await?;
        let mut buffer = vec![0; 64 << 10];
        let mut read = 0;
        while read < LINGER_BYTES {
            match stream.read(&mut buffer).await? {
                0 => break,
                more => read += more,
            }
        }
        std::io::Result::Ok(())
    };
    // Time over or an error: either way the socket is closed now.
    let _ = timeout(time, drain).await;
}
