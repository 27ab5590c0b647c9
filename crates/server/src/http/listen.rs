//! The listening socket: bind, accept under the limit of connections, stop in order.

use super::call::Api;
use super::connection;
use super::limits::Limits;
use super::refusal;
use crate::error::ErrorKind;
use crate::iam::Verifier;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// Connections over the limit that are being told so; beyond these they are just closed.
const TURNED_AWAY: usize = 64;
/// The pause after a failed accept: with no descriptors left the next one would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What `http` itself needs.
#[derive(Debug)]
pub struct Http {
    /// Checks signatures.
    pub verifier: Verifier,
    /// Sizes and times.
    pub limits: Limits,
}

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections cut off because their requests took longer than the limit for it.
    pub cut: usize,
}

/// What every connection shares.
pub(super) struct Shared<A> {
    pub api: Arc<A>,
    pub http: Http,
}

/// Where the server is in its life, as connections see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Takes requests.
    Serving,
    /// Ends what has begun.
    Draining,
    /// Ends now.
    Cut,
}

/// A socket listening on `address`; port 0 picks a free one.
///
/// # Errors
/// The address is in use, not of this machine, or not allowed; the message says which and names the setting.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error| {
        let help = match error.kind() {
            io::ErrorKind::AddrInUse => "; is another server running? Choose another with --listen",
            io::ErrorKind::AddrNotAvailable => "; it is no address of this machine, see --listen",
            io::ErrorKind::PermissionDenied => "; ports below 1024 are root's, see --listen",
            _ => "",
        };
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}{help}"))
    })
}

/// Serves until `stop` is ready, then accepts nothing more, lets requests end, and returns.
pub async fn serve<A: Api>(
    listener: TcpListener,
    api: Arc<A>,
    http: Http,
    stop: impl Future<Output = ()>,
) -> Drained {
    let limits = http.limits;
    let shared = Arc::new(Shared { api, http });
    let (stage, _) = watch::channel(Stage::Serving);
    let slots = Arc::new(Semaphore::new(limits.connections as usize));
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY));
    let mut stop = std::pin::pin!(stop);
    loop {
        let stream = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        // Answers are written whole; waiting to fill a segment only delays them.
        let _ = stream.set_nodelay(true);
        match slots.clone().try_acquire_owned() {
            Ok(slot) => {
                let (shared, stage) = (shared.clone(), stage.subscribe());
                tokio::spawn(async move {
                    connection::run(stream, shared, stage).await;
                    drop(slot);
                });
            }
            Err(_) => turn_away(stream, &turned_away),
        }
    }
    drop(listener);
    drain(&stage, &slots, &limits).await
}

fn turn_away(mut stream: TcpStream, turned_away: &Arc<Semaphore>) {
    if let Ok(place) = turned_away.clone().try_acquire_owned() {
        tokio::spawn(async move {
            connection::say(&mut stream, &refusal::render(ErrorKind::Unavailable)).await;
            drop(place);
        });
    }
}

async fn drain(stage: &watch::Sender<Stage>, slots: &Semaphore, limits: &Limits) -> Drained {
    let all = limits.connections;
    stage.send_replace(Stage::Draining);
    if timeout(limits.drain_time, slots.acquire_many(all)).await.is_ok() {
        return Drained { cut: 0 };
    }
    let cut = all as usize - slots.available_permits();
    stage.send_replace(Stage::Cut);
    // Each connection's task ends at its next poll.
    let _ = timeout(Duration::from_secs(1), slots.acquire_many(all)).await;
    Drained { cut }
}
