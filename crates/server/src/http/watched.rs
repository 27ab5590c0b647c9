//! The socket as hyper sees it: notes what the connection is doing, and puts a readable answer in the place of
//! hyper's empty refusals.

use super::life::Life;
use super::refusal;
use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A socket under observation.
pub(super) struct Watched<T> {
    inner: T,
    life: Arc<Life>,
    /// What is written instead of hyper's refusal.
    instead: Bytes,
    refused: bool,
}

impl<T> Watched<T> {
    pub fn new(inner: T, life: Arc<Life>) -> Self {
        Self { inner, life, instead: Bytes::new(), refused: false }
    }

    /// Whether a refusal was written.
    pub fn refused(&self) -> bool {
        self.refused
    }

    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: Read + Unpin> Read for Watched<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_read(cx, buf);
        if result.is_ready() {
            this.life.read();
        }
        result
    }
}

impl<T: Write + Unpin> Watched<T> {
    /// How much of `buf` is not hyper's refusal. The refusal is dropped, and ours takes its place at the next flush.
    fn cut(&mut self, buf: &[u8]) -> usize {
        let Some((start, kind)) = refusal::find(buf) else { return buf.len() };
        if start == 0 {
            self.refused = true;
            self.life.leave_unread();
            self.instead = refusal::render(kind);
        }
        start
    }

    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.instead.has_remaining() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.instead))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.instead.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Write + Unpin> Write for Watched<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let keep = this.cut(buf);
        if keep == 0 && !buf.is_empty() {
            return Poll::Ready(Ok(buf.len()));
        }
        let written = ready!(Pin::new(&mut this.inner).poll_write(cx, &buf[..keep]))?;
        this.life.written();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A refusal has no body, so it comes alone in the last slice that holds anything.
        let mut filled = bufs.iter().filter(|buf| !buf.is_empty());
        let (first, second) = (filled.next(), filled.next());
        let last = bufs.iter().rfind(|buf| !buf.is_empty());
        if let (Some(first), None) = (first, second) {
            return self.poll_write(cx, first);
        }
        if let (Some(first), Some(last)) = (first, last)
            && refusal::find(last).is_some()
        {
            // Rare: one slice at a time, until the refusal comes alone.
            return self.poll_write(cx, first);
        }
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.inner).poll_write_vectored(cx, bufs))?;
        this.life.written();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_instead(cx))?;
        ready!(Pin::new(&mut this.inner).poll_flush(cx))?;
        this.life.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_instead(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}
