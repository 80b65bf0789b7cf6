//! One connection, driven by whoever has a request for it.
//!
//! hyper means connections to be tasks. Then each request passes the wake of a thread on its way out, and each answer one of a
//! task on its way in: a good part of the time that a change takes to be seen. Driven by who waits, a request is written before
//! the first `await` returns.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::http::response::Parts;
use hyper::rt::{Read, Write};
use hyper::{Request, Response};

use crate::error::{Error, ErrorKind, Result};

pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    line: Line,
}

/// What must be polled for anything to come or go; `None` once it is closed.
struct Line(Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>);

/// Why there is no answer, and the request where none of it was sent.
pub(super) struct Failed {
    pub(super) error: Error,
    pub(super) unsent: Option<Request<Full<Bytes>>>,
}

impl Connection {
    pub(super) async fn over(io: impl Read + Write + Send + Unpin + 'static) -> Result<Self> {
        let (sender, line) = http1::handshake(io).await.map_err(broken)?;
        Ok(Self { sender, line: Line(Some(Box::pin(line))) })
    }

    /// Sends a request, and reads all of the answer, which may have so many bytes. A future that is dropped closes the connection
    /// with it.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        most: usize,
    ) -> Result<(Parts, Bytes), Failed> {
        let answered = self.sender.try_send_request(request);
        self.line
            .drive(async {
                let (head, body) = match answered.await {
                    Ok(response) => Response::into_parts(response),
                    Err(mut error) => {
                        let unsent = error.take_message();
                        return Err(Failed { error: broken(error.into_error()), unsent });
                    }
                };
                let body = read(body, most).await.map_err(|error| Failed { error, unsent: None })?;
                Ok((head, body))
            })
            .await
    }

    /// Whether it takes one more request, as far as can be seen from here.
    pub(super) fn is_ready(&mut self) -> bool {
        // Nobody waits for this connection, who would have to be woken.
        let mut nobody = Context::from_waker(Waker::noop());
        self.line.run(&mut nobody);
        self.line.0.is_some() && self.sender.is_ready()
    }
}

impl Line {
    fn run(&mut self, context: &mut Context<'_>) {
        // What goes wrong is told to who waits for the answer.
        if self.0.as_mut().is_some_and(|line| line.as_mut().poll(context).is_ready()) {
            self.0 = None;
        }
    }

    async fn drive<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        poll_fn(|context| {
            // The body is handed over only after it was asked for, which is the second time.
            for _ in 0..2 {
                self.run(context);
                if let Poll::Ready(done) = future.as_mut().poll(context) {
                    return Poll::Ready(done);
                }
            }
            Poll::Pending
        })
        .await
    }
}

async fn read(body: Incoming, limit: usize) -> Result<Bytes> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::new(ErrorKind::Unavailable)
            .with_message(format!("the answer of the Consul agent has more than {limit} bytes"))),
        Err(error) => Err(Error::new(ErrorKind::Unavailable).with_source(error)),
    }
}

fn broken(error: hyper::Error) -> Error {
    Error::new(ErrorKind::Unavailable).with_source(error)
}
