//! A body that is written as its parts come, for answers that are streams of events.
//!
//! Never here: what the parts are.

use super::life::Life;
use super::listen::Stage;
use bytes::Bytes;
use hyper::body::{Body, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::sync::watch;
use tokio::time::timeout;

/// The parts that are still to come.
#[derive(Debug)]
pub(super) struct Events {
    parts: Receiver<Bytes>,
    life: Arc<Life>,
}

impl Events {
    /// Ends with the parts, when the server stops, or when the client takes none for so long.
    pub fn new(
        mut parts: Receiver<Bytes>,
        mut stage: watch::Receiver<Stage>,
        life: Arc<Life>,
        patience: Duration,
    ) -> Self {
        let (sender, taken) = channel(1);
        tokio::spawn(async move {
            while *stage.borrow_and_update() == Stage::Serving {
                tokio::select! {
                    _ = stage.changed() => {}
                    part = parts.recv() => {
                        let Some(part) = part else { break };
                        if !matches!(timeout(patience, sender.send(part)).await, Ok(Ok(()))) {
                            break;
                        }
                    }
                    () = sender.closed() => break,
                }
            }
        });
        Self { parts: taken, life }
    }
}

impl Drop for Events {
    /// From here on the connection is like one with any other answer.
    fn drop(&mut self) {
        self.life.answering();
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.parts.poll_recv(cx).map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}
