//! A connection, driven by the requesting task: in a task of its own, as hyper expects, each request and response would wake a thread.

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

pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    line: Line,
}

/// Must be polled to send and receive; `None` once closed.
struct Line(Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>);

pub(crate) struct Failed {
    pub(crate) error: Error,
    pub(crate) unsent: Option<Request<Full<Bytes>>>,
}

impl Connection {
    pub(crate) async fn over(io: impl Read + Write + Send + Unpin + 'static) -> Result<Self> {
        let (sender, line) = http1::handshake(io).await.map_err(broken)?;
        Ok(Self { sender, line: Line(Some(Box::pin(line))) })
    }

    /// Reads at most `most` bytes. Dropping the future makes the connection unusable.
    pub(crate) async fn exchange(
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

    /// An answer of any length.
    pub(crate) async fn open(mut self, request: Request<Full<Bytes>>) -> Result<(Parts, Download), Failed> {
        let answered = self.sender.try_send_request(request);
        let answered = self.line.drive(answered).await;
        match answered {
            Ok(response) => {
                let (head, body) = response.into_parts();
                Ok((head, Download { connection: self, body }))
            }
            Err(mut error) => {
                let unsent = error.take_message();
                Err(Failed { error: broken(error.into_error()), unsent })
            }
        }
    }

    pub(crate) fn is_ready(&mut self) -> bool {
        // No task waits for an idle connection.
        self.line.run(&mut Context::from_waker(Waker::noop()));
        self.line.0.is_some() && self.sender.is_ready()
    }
}

/// A body that is read as it arrives.
pub(crate) struct Download {
    connection: Connection,
    body: Incoming,
}

impl Download {
    /// `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            let frame = self.connection.line.drive(self.body.frame()).await;
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => return Ok(Some(data)),
                    // Trailers.
                    Err(_) => {}
                },
                Some(Err(error)) => return Err(broken(error)),
            }
        }
    }
}

impl Line {
    fn run(&mut self, context: &mut Context<'_>) {
        // The pending request gets the error.
        if self.0.as_mut().is_some_and(|line| line.as_mut().poll(context).is_ready()) {
            self.0 = None;
        }
    }

    async fn drive<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        poll_fn(|context| {
            // hyper delivers the body only after it was polled for.
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
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Error::unavailable(format!("the answer of the server has more than {limit} bytes")))
        }
        Err(error) => Err(Error::new(ErrorKind::Unavailable).with_source(error)),
    }
}

fn broken(error: hyper::Error) -> Error {
    Error::new(ErrorKind::Unavailable).with_source(error)
}
