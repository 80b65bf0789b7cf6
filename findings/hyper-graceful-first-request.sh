#!/usr/bin/env bash
# A server that ends gracefully closes a connection on which the client has just connected, and is about to send its first request.
# Version: crate hyper 1.12.0, HTTP/1; so also servers on it, such as axum's `with_graceful_shutdown`.
# Expected: requests of connections that were accepted are answered, the last with `Connection: close`: that is what the client learns the end by.
# Seen: a connection of which no byte was read is closed at once, without an answer. If its first bytes were read, it is answered.
# Consequence: at each restart some clients that connected at that moment fail, on a new connection, where they do not try again as they would on
# a kept one. A longer drain does not help while a load balancer opens connections ahead of requests.
source "$(dirname "$0")/support/common.sh"

rust_probe 'hyper = { version = "=1.12.0", features = ["http1", "server"] }' 'hyper-util = { version = "0.1", features = ["tokio"] }' \
  'http-body-util = "0.1"' 'tokio = { version = "1", features = ["io-util", "macros", "rt"] }' <<'RUST'
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (start, rest) = (&b"GET / HTTP/1.1\r\n"[..], &b"Host: a\r\n\r\n"[..]);
    for begins in [true, false] {
        let (mut client, server) = tokio::io::duplex(4096);
        let service = hyper::service::service_fn(|_: Request<Incoming>| async {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"done"))))
        });
        let io = hyper_util::rt::TokioIo::new(server);
        let mut connection = pin!(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
        if begins {
            client.write_all(start).await.unwrap();
        }
        // The server has accepted it, and waits for a request.
        poll_fn(|context| Poll::Ready(connection.as_mut().poll(context).is_pending())).await;
        connection.as_mut().graceful_shutdown();
        let asks = async {
            if !begins {
                // Elsewhere the client takes some microseconds.
                tokio::task::yield_now().await;
                client.write_all(start).await?;
            }
            client.write_all(rest).await?;
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.map(|_| answer)
        };
        let (_, answer) = tokio::join!(connection, asks);
        let seen = match answer {
            Ok(answer) if answer.contains("connection: close") && answer.ends_with("done") => "an answer, and that it is the last".to_owned(),
            Ok(answer) if answer.is_empty() => "the end".to_owned(),
            Ok(answer) => answer,
            Err(error) => error.kind().to_string(),
        };
        println!("{}: {seen}", if begins { "a request had begun" } else { "none had begun" });
    }
}
RUST
timeout 60 "$probe" >"$home/out"
expected "an answer in both cases"
while read -r line; do seen "what the client gets: $line"; done <"$home/out"
[ "$(cat "$home/out")" = $'a request had begun: an answer, and that it is the last\nnone had begun: the end' ] || changed "what the client gets"
