//! What an HTTP/2 client was sent and does not read. Its flow control holds such bytes back, while its connection looks alive.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// Of one frame, so that a slow client is seen to read.
const PIECE: usize = 16 * 1024;

/// Of one connection.
#[derive(Clone, Default)]
pub(super) struct Unread(Arc<Mutex<Answers>>);

#[derive(Default)]
struct Answers {
    count: u64,
    /// Those with pieces that were not sent yet.
    held: HashMap<u64, Held>,
}

struct Held {
    pieces: usize,
    /// The first piece of these was made, or the last one was sent.
    since: Instant,
}

impl Unread {
    fn lock(&self) -> MutexGuard<'_, Answers> {
        // No code that can panic leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This body, in pieces that are watched until they are sent.
    pub(super) fn watch(&self, body: Body) -> Body {
        let mut answers = self.lock();
        answers.count += 1;
        Body::new(Watched { body, answer: answers.count, rest: Bytes::new(), unread: self.clone() })
    }

    /// Returns once nothing of an answer was read for longer than the limit, though there is something to read.
    pub(super) async fn is_left(&self, limit: Duration) {
        loop {
            tokio::time::sleep(limit / 2).await;
            if self.lock().held.values().any(|held| held.since.elapsed() > limit) {
                return;
            }
        }
    }
}

struct Watched {
    body: Body,
    answer: u64,
    rest: Bytes,
    unread: Unread,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)).transpose()?.map(Frame::into_data) {
                Some(Ok(data)) => self.rest = data,
                Some(Err(trailers)) => return Poll::Ready(Some(Ok(trailers))),
                None => return Poll::Ready(None),
            }
        }
        let next = self.rest.len().min(PIECE);
        let (bytes, answer, unread) = (self.rest.split_to(next), self.answer, self.unread.clone());
        let held = Held { pieces: 0, since: Instant::now() };
        unread.lock().held.entry(answer).or_insert(held).pieces += 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(Piece { bytes, answer, unread })))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.rest.len() {
            0 => self.body.size_hint(),
            _ => SizeHint::new(),
        }
    }
}

/// Dropped once it is sent, or the connection has ended.
struct Piece {
    bytes: Bytes,
    answer: u64,
    unread: Unread,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut answers = self.unread.lock();
        if let Some(held) = answers.held.get_mut(&self.answer) {
            (held.pieces, held.since) = (held.pieces - 1, Instant::now());
            if held.pieces == 0 {
                answers.held.remove(&self.answer);
            }
        }
    }
}
