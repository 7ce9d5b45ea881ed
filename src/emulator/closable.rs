//! A connection that ends after an answer although no header of the answer says so, as with a service whose limit of
//! requests or of idle time is reached.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Marks an answer after which the connection is closed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closes;

/// A stream that looks as if the client had left, once the answer is written that is meant to be the last one.
pub(super) struct Closable {
    stream: TcpStream,
    /// True if the answer that is written now is the last one.
    closes: Arc<AtomicBool>,
    is_at_end: bool,
    /// Whoever waits for the next request.
    reader: Option<Waker>,
}

impl Closable {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, closes: Arc::default(), is_at_end: false, reader: None }
    }

    /// Set to true to close the connection after the present answer.
    pub(super) fn closes(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.closes)
    }

    pub(super) fn into_inner(self) -> TcpStream {
        self.stream
    }
}

impl AsyncRead for Closable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_at_end {
            return Poll::Ready(Ok(()));
        }
        self.reader = Some(cx.waker().clone());
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Closable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) && self.closes.load(Relaxed) {
            self.is_at_end = true;
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
