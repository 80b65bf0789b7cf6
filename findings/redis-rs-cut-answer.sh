#!/usr/bin/env bash
# The crate redis reports an answer that is cut off by the end of the connection as one that cannot be parsed: its asynchronous client alone.
# Version: crate redis 1.8.1. The server of the script announces ten bytes, sends three, and closes, as a server that is killed may.
# Expected: an error of the connection, as from the same crate's blocking client, and as for a connection that ends before an answer.
# Seen: the blocking client says so; the asynchronous one has the kind `Parse`, "Unexpected end of input", and `is_io_error()` and
# `is_connection_dropped()` are false.
# Consequence: code that repeats after errors of the connection alone takes an outage for a wrong server; look for the end of the input too.
source "$(dirname "$0")/support/common.sh"

rust_probe 'redis = { version = "=1.8.1", default-features = false, features = ["tokio-comp"] }' \
  'tokio = { version = "1", features = ["rt", "net", "time"] }' <<'RUST'
use std::io::{Read, Write};
use std::net::TcpListener;

fn serve(answer: &'static [u8]) -> redis::Client {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut seen = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let read = client.read(&mut piece).unwrap();
            seen.extend_from_slice(&piece[..read]);
            if read == 0 || seen.windows(3).any(|part| part == b"GET") {
                break;
            }
            // What the driver sends first.
            let commands = piece[..read].iter().filter(|byte| **byte == b'*').count();
            client.write_all(&b"+OK\r\n".repeat(commands)).unwrap();
        }
        client.write_all(answer).unwrap();
    });
    redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap()
}

fn show(what: &str, error: &redis::RedisError) {
    let end = error.to_string().contains("end of input");
    println!("{what}: {} {} {end}", error.is_io_error(), error.is_connection_dropped());
}

async fn ask(client: redis::Client) -> redis::RedisError {
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("GET").arg("a").query_async::<String>(&mut connection).await.unwrap_err()
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (what, answer) in [("none", &b""[..]), ("part", b"$10\r\nabc")] {
        let mut connection = serve(answer).get_connection().unwrap();
        show(&format!("blocking, {what}"), &redis::cmd("GET").arg("a").query::<String>(&mut connection).unwrap_err());
        show(&format!("async, {what}"), &runtime.block_on(ask(serve(answer))));
    }
}
RUST
timeout 60 "$probe" >"$home/out"
expected "an error of the connection from both clients"
while read -r line; do seen "answer $line (is_io_error, is_connection_dropped, end of input)"; done <"$home/out"
wanted=$'blocking, none: true true false\nasync, none: true true false\nblocking, part: true true false\nasync, part: false false true'
[ "$(cat "$home/out")" = "$wanted" ] || changed "the kind of the errors"
