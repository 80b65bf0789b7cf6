//! A task that reads a body which has arrived does not wake itself.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::ptr::null;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use hyper::body::{Body, Frame};

thread_local! {
    /// Whose wakes wait, as its waker's data, and whether one does.
    static WAITING: Cell<(*const (), bool)> = const { Cell::new((null(), false)) };
}

struct Quiet(Waker);

impl Wake for Quiet {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let (whose, _) = WAITING.get();
        if whose == Arc::as_ptr(self).cast() {
            WAITING.set((whose, true));
        } else {
            self.0.wake_by_ref();
        }
    }
}

/// An HTTP/1 connection, in which [`next_frame`] has an effect.
pub(super) async fn quietly<T>(connection: impl Future<Output = T>) -> T {
    let mut connection = pin!(connection);
    let mut quiet: Option<(Waker, Waker)> = None;
    poll_fn(|context| {
        let task = context.waker();
        if quiet.as_ref().is_none_or(|(of, _)| !of.will_wake(task)) {
            quiet = Some((task.clone(), Arc::new(Quiet(task.clone())).into()));
        }
        let waker = quiet.as_ref().map_or(task, |(_, waker)| waker);
        connection.as_mut().poll(&mut Context::from_waker(waker))
    })
    .await
}

/// The next frame of a body. Hyper wakes the task of the connection whenever a frame is taken, since there may be room for another. After the
/// last one, the same task would run again for nothing, and the runtime would wake a thread for it. Over HTTP/2 this has no effect: those
/// connections are not in [`quietly`].
pub(crate) async fn next_frame<B: Body + Unpin>(body: &mut B) -> Option<Result<Frame<B::Data>, B::Error>> {
    poll_fn(|context| {
        let waiting = Waiting::begin(context.waker());
        let polled = Pin::new(&mut *body).poll_frame(context);
        if waiting.end() && !(polled.is_ready() && body.is_end_stream()) {
            context.waker().wake_by_ref();
        }
        polled
    })
    .await
}

/// What was before returns in the end, also if the body panics.
struct Waiting((*const (), bool));

impl Waiting {
    fn begin(waker: &Waker) -> Self {
        Self(WAITING.replace((waker.data(), false)))
    }

    /// Whether one waits.
    fn end(self) -> bool {
        WAITING.get().1
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Poll;

    use bytes::Bytes;
    use futures_util::FutureExt;
    use futures_util::future::poll_immediate;
    use http_body_util::BodyExt;
    use hyper::server::conn::http1::Builder;
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    /// Answers each request with its body.
    async fn serve(stream: DuplexStream, is_quiet: bool) {
        let answer = service_fn(|request: Request<_>| async move {
            let (mut body, mut read) = (axum::body::Body::new(request.into_body()), Vec::new());
            while let Some(frame) = if is_quiet { next_frame(&mut body).await } else { body.frame().await } {
                read.extend_from_slice(&frame.unwrap().into_data().unwrap());
            }
            Ok::<_, Infallible>(Response::new(axum::body::Body::from(read)))
        });
        quietly(Builder::new().serve_connection(TokioIo::new(stream), answer)).await.unwrap();
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Without it, the connection is polled again for each: if that is no longer so, this module is of no use.
    #[tokio::test]
    async fn an_answer_wakes_no_thread() {
        for (is_quiet, expected) in [(true, 0), (false, 1)] {
            let (mut client, stream) = duplex(4096);
            client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd").await.unwrap();
            let mut connection = pin!(serve(stream, is_quiet));
            let count = Arc::new(Count::default());
            assert!(connection.as_mut().poll(&mut Context::from_waker(&count.clone().into())).is_pending());
            let woken = count.0.load(Ordering::Relaxed);
            let mut answer = [0; 4096];
            let read = poll_immediate(client.read(&mut answer)).await.unwrap().unwrap();
            assert!(answer[..read].ends_with(b"abcd"));
            assert_eq!(woken, expected, "quiet: {is_quiet}");
        }
    }

    #[tokio::test]
    async fn a_body_in_parts_arrives() {
        for (head, parts) in [
            ("Content-Length: 4\r\n\r\nab", &["c", "d"][..]),
            ("Content-Length: 4\r\n\r\n", &["abcd"]),
            ("Content-Length: 4\r\nExpect: 100-continue\r\n\r\n", &["ab", "cd"]),
            ("Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", &["2\r\ncd\r\n", "0\r\n\r\n"]),
            ("Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n", &[]),
        ] {
            let (mut client, stream) = duplex(4096);
            let exchange = async {
                client.write_all(format!("POST / HTTP/1.1\r\nHost: a\r\n{head}").as_bytes()).await.unwrap();
                for part in parts {
                    for _ in 0..10 {
                        tokio::task::yield_now().await;
                    }
                    client.write_all(part.as_bytes()).await.unwrap();
                }
                let mut answer = Vec::new();
                while !answer.ends_with(b"abcd") {
                    assert!(client.read_buf(&mut answer).await.unwrap() > 0);
                }
                drop(client);
            };
            tokio::join!(serve(stream, true), exchange);
        }
    }

    /// The second in one write with the first, and a third once they are answered.
    #[tokio::test]
    async fn all_requests_of_a_connection_are_answered() {
        let request = |body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n{body}");
        let (mut client, stream) = duplex(4096);
        let exchange = async {
            for (requests, last) in [(request("abcd") + &request("efgh"), "efgh"), (request("ijkl"), "ijkl")] {
                client.write_all(requests.as_bytes()).await.unwrap();
                let mut answer = Vec::new();
                while !answer.ends_with(last.as_bytes()) {
                    assert!(client.read_buf(&mut answer).await.unwrap() > 0);
                }
            }
            drop(client);
        };
        tokio::join!(serve(stream, true), exchange);
    }

    /// Its one poll does this, and it ends.
    struct Polled<F>(F);

    impl<F: FnMut(&mut Context<'_>) + Unpin> Body for Polled<F> {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            (self.0)(context);
            Poll::Ready(None)
        }

        fn is_end_stream(&self) -> bool {
            true
        }
    }

    #[test]
    fn only_the_wake_of_the_same_connection_waits() {
        let [own, other] = [(); 2].map(|()| Arc::new(Count::default()));
        let of_other = Waker::from(Arc::new(Quiet(other.clone().into())));
        let mut body = Polled(|context: &mut Context<'_>| {
            // A body within a body ends no wait of the outer one.
            assert!(next_frame(&mut Polled(|_: &mut Context<'_>| {})).now_or_never().is_some());
            context.waker().wake_by_ref();
            of_other.wake_by_ref();
        });
        let connection = pin!(quietly(next_frame(&mut body)));
        assert!(connection.poll(&mut Context::from_waker(&own.clone().into())).is_ready());
        assert_eq!([own, other].map(|count| count.0.load(Ordering::Relaxed)), [0, 1]);
    }
}
