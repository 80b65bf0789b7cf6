#!/usr/bin/env bash
# A server that reads the body of a request wakes its own task once more than one that does not, and with tokio's threads another thread too.
# Version: crate hyper 1.12.0, HTTP/1, with the whole request in one piece.
# Expected: once the answer is written, nothing is left to do until the next request.
# Seen: taking the last part of the body wakes the task of the connection, as if there were room for more. It runs again, and finds nothing.
# Consequence: on a runtime with several threads, a connection that is used by one client makes about one more system call for each request, to
# wake a thread. A benchmark against a handler that reads no body does not show what reading costs, but that.
source "$(dirname "$0")/support/common.sh"

rust_probe 'hyper = { version = "=1.12.0", features = ["http1", "server"] }' 'hyper-util = { version = "0.1", features = ["tokio"] }' \
  'http-body-util = "0.1"' 'tokio = { version = "1", features = ["io-util", "macros", "rt"] }' <<'RUST'
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::{Context, Wake};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for reads in [false, true] {
        let (mut client, server) = tokio::io::duplex(4096);
        client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd").await.unwrap();
        let service = hyper::service::service_fn(|request: Request<Incoming>| async move {
            if reads {
                assert_eq!(request.into_body().collect().await.unwrap().to_bytes().len(), 4);
            }
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"done"))))
        });
        let io = hyper_util::rt::TokioIo::new(server);
        let mut connection = pin!(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
        let count = Arc::new(Count::default());
        assert!(connection.as_mut().poll(&mut Context::from_waker(&count.clone().into())).is_pending());
        let woken = count.0.load(Ordering::Relaxed);
        let mut answer = [0; 4096];
        let length = client.read(&mut answer).await.unwrap();
        assert!(answer[..length].ends_with(b"done"));
        println!("{}: {woken}", if reads { "the body is read" } else { "it is not read" });
    }
}
RUST
timeout 60 "$probe" >"$home/out"
expected "the answer is complete after the first poll, and the task is not woken"
while read -r line; do seen "how often the task was woken when the answer was complete; $line"; done <"$home/out"
[ "$(cat "$home/out")" = $'it is not read: 0\nthe body is read: 1' ] || changed "how often the task is woken"
