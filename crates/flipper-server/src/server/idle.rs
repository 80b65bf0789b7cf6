//! The time that a connection waits for a request.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

/// One timer for all requests of a connection. Hyper asks for one before each request and drops it once that has come: each would be put
/// into the runtime's timers and taken out again, which all threads share.
#[derive(Clone, Default)]
pub(super) struct IdleTimer(Arc<Mutex<Option<Pin<Box<tokio::time::Sleep>>>>>);

impl IdleTimer {
    /// Frees its memory until the next request.
    pub(super) fn clear(&self) {
        drop(self.lock().take());
    }

    fn lock(&self) -> MutexGuard<'_, Option<Pin<Box<tokio::time::Sleep>>>> {
        // No code that can panic leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until a deadline. The timer may be set to an earlier one that no longer counts, and is set again when it fires.
struct Waiting {
    timer: IdleTimer,
    deadline: Instant,
}

impl Timer for IdleTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Waiting { timer: self.clone(), deadline })
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into()
    }
}

impl Sleep for Waiting {}

impl Future for Waiting {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline.into();
        let mut timer = self.timer.lock();
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        loop {
            ready!(timer.as_mut().poll(context));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::future::poll_immediate;
    use hyper::server::conn::http1::Builder;
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    #[track_caller]
    fn assert_took(took: Duration, expected: Duration) {
        // tokio's timers are of whole milliseconds.
        assert!((expected..expected + Duration::from_millis(5)).contains(&took), "{took:?}, not {expected:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_does_not_end_at_the_deadline_of_an_earlier_one() {
        let timer = IdleTimer::default();
        let begun = timer.now();
        let mut first = timer.sleep(IDLE);
        assert!(poll_immediate(first.as_mut()).await.is_none());
        drop(first);
        tokio::time::sleep(IDLE / 2).await;
        timer.sleep(IDLE).await;
        assert_took(timer.now() - begun, IDLE * 3 / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_kept_for_the_whole_time_after_each_request() {
        let (mut client, stream) = tokio::io::duplex(4096);
        let timer = IdleTimer::default();
        let begun = timer.now();
        let answer = service_fn(|_: Request<_>| async { Ok::<_, Infallible>(Response::new(String::new())) });
        let mut builder = Builder::new();
        builder.timer(timer.clone()).header_read_timeout(IDLE);
        let connection = tokio::spawn(builder.serve_connection(TokioIo::new(stream), answer));
        for _ in 0..2 {
            tokio::time::sleep(IDLE * 3 / 4).await;
            client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        }
        let mut answers = String::new();
        client.read_to_string(&mut answers).await.unwrap();
        assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{answers}");
        assert_took(timer.now() - begun, IDLE * 5 / 2);
        assert!(connection.await.unwrap().is_err());
    }
}
