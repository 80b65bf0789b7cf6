use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Fails a write that waits for longer than the limit, since the client does not read; and reads, if a request's head is not complete in time
/// from its first byte on.
pub(super) struct Timed<S> {
    stream: S,
    limit: Duration,
    /// Only while a write waits: most connections have none, and thousands are open.
    waiting: Option<Pin<Box<Sleep>>>,
    /// The time for a head, and whether one is complete and not yet answered: then bytes are of a body.
    head: Option<(Duration, Arc<AtomicBool>)>,
    /// The first byte of a head has come, which is incomplete if more is read.
    began: bool,
    /// Only while the rest of it is waited for: most heads arrive at once.
    reading: Option<Pin<Box<Sleep>>>,
}

impl<S> Timed<S> {
    pub(super) fn new(stream: S, limit: Duration, head: Option<(Duration, Arc<AtomicBool>)>) -> Self {
        Self { stream, limit, waiting: None, head, began: false, reading: None }
    }

    fn head_within(&mut self, context: &mut Context<'_>, has_more: bool) -> io::Result<()> {
        match (&self.head, self.began) {
            (Some((_, is_answering)), false) if !is_answering.load(Ordering::Acquire) => self.began = has_more,
            // At once after the first read: most heads need no look at the clock.
            (Some((limit, is_answering)), true) if !is_answering.load(Ordering::Acquire) => {
                self.reading.get_or_insert_with(|| Box::pin(tokio::time::sleep(*limit)));
            }
            _ => self.head_is_complete(),
        }
        match self.reading.as_mut().map(|reading| reading.as_mut().poll(context)) {
            Some(Poll::Ready(())) => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "the head of a request came too slowly"))
            }
            _ => Ok(()),
        }
    }

    fn head_is_complete(&mut self) {
        (self.began, self.reading) = (false, None);
    }

    fn within<T>(&mut self, context: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.waiting = None;
            return done;
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + limit)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.head_within(context, buffer.filled().len() > before)?;
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // The answer to the head.
        self.head_is_complete();
        let done = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.within(context, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.head_is_complete();
        let done = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.within(context, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_flush(context);
        self.within(context, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(context);
        self.within(context, done)
    }
}
