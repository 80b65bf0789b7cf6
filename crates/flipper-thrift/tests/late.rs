//! Late responses. Most generated clients take the next response for that of their last call, so after a client's timeout none
//! may follow.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper::{FeatureFlagClient, FeatureFlagStore, RedisFeatureFlagStore, ThriftRpcFeatureFlagStore};
use flipper_testkit::redis::RedisServer;
use flipper_testkit::{PATIENCE, within};
use flipper_thrift::{Server, ServerOptions};
use support::{Python, block_on, call, string};

/// A server that reads every flag from Redis, and the flags A, B and C.
fn serve(options: ServerOptions) -> Option<(RedisServer, Server)> {
    let redis = RedisServer::start()?;
    let store = RedisFeatureFlagStore::from_url(&redis.url()).unwrap();
    let features = FeatureFlagClient::remote(store.clone());
    block_on(async {
        for name in ["A", "B", "C"] {
            features.create(name).await.unwrap();
        }
    });
    Some((redis, Server::start_with("127.0.0.1:0", store, options).unwrap()))
}

/// The answer for a name is the name itself, or an error, but never another flag.
fn assert_own(name: &str, answer: &str) {
    assert!(!["A", "B", "C", "missing"].contains(&answer) || answer == name, "{name} was asked for, and {answer} came");
}

/// `timeout_ms`: of the client's reads. It repeats at once after each failure, like a program with its next request.
fn no_flag_is_returned_for_another(timeout_ms: u64, answer_within: Duration) {
    let Some((redis, server)) = serve(ServerOptions::new().answer_within(answer_within)) else { return };
    let port = server.local_addr().port().to_string();
    let Some(mut client) = Python::start("late.py", &[&port, &timeout_ms.to_string()], false) else { return };
    assert_eq!(client.line(), "ready");
    redis.pause();
    let first = client.ask("get A");
    assert!(first == "timeout" || first.starts_with("error") || first == "closed", "{first}");
    assert_own("B", &client.ask("get B"));
    redis.resume();
    for _ in 0..3 {
        for name in ["C", "A", "B"] {
            assert_own(name, &client.ask(&format!("get {name}")));
        }
    }
    assert_eq!(client.ask("connect A"), "connected");
    for name in ["C", "A", "B"] {
        assert_eq!(client.ask(&format!("get {name}")), name);
    }
}

/// PHP's default.
#[test]
fn a_client_that_waits_for_750_ms() {
    no_flag_is_returned_for_another(750, Duration::from_millis(700));
}

#[test]
fn a_client_that_waits_for_less_than_the_server_takes() {
    no_flag_is_returned_for_another(300, Duration::from_millis(700));
}

#[test]
fn a_server_that_takes_its_time() {
    no_flag_is_returned_for_another(750, Duration::from_secs(60));
}

/// thriftpy2's default.
#[test]
fn a_client_that_waits_long_gets_an_error_and_keeps_its_connection() {
    let Some((redis, server)) = serve(ServerOptions::new()) else { return };
    let port = server.local_addr().port().to_string();
    let Some(mut client) = Python::start("late.py", &[&port, "3000"], false) else { return };
    assert_eq!(client.line(), "ready");
    redis.pause();
    let started = Instant::now();
    let answer = client.ask("get A");
    assert!(answer.starts_with("error: ") && answer.contains("did not answer in time"), "{answer}");
    assert!(started.elapsed() < Duration::from_secs(3), "before the client gives up");
    redis.resume();
    // The store may still have broken connections.
    within(PATIENCE, move || {
        let mut answer = client.ask("get B");
        while answer.starts_with("error") {
            answer = client.ask("get B");
        }
        assert_eq!(answer, "B");
        assert_eq!(client.ask("get C"), "C");
    });
}

fn get(name: &str, number: u8) -> Vec<u8> {
    let mut arguments = vec![11, 0, 1];
    arguments.extend(string(name));
    arguments.push(0);
    let mut message = call("Get", &arguments);
    message[14] = number;
    message
}

/// npm's client numbers its calls, may pipeline many, and finds the response of each.
#[test]
fn numbered_calls_are_answered_however_late_and_many() {
    let Some((redis, server)) = serve(ServerOptions::new()) else { return };
    let mut stream = TcpStream::connect(server.local_addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    redis.pause();
    stream.write_all(&[get("A", 1), get("B", 2), get("C", 3)].concat()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::park_timeout(Duration::from_millis(1200));
            redis.resume();
        });
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answers = Vec::new();
        stream.read_to_end(&mut answers).unwrap();
        let text = String::from_utf8_lossy(&answers).into_owned();
        assert_eq!(text.matches("NoOpBucketer").count(), 3, "{text}");
    });
}

/// Pipelined calls without numbers, which some programs send, work while responses are quick.
#[test]
fn quick_calls_ahead_without_numbers_are_answered() {
    let Some((_redis, server)) = serve(ServerOptions::new()) else { return };
    let mut stream = TcpStream::connect(server.local_addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&[get("A", 0), get("B", 0), get("C", 0)].concat()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).unwrap();
    assert_eq!(String::from_utf8_lossy(&answers).matches("NoOpBucketer").count(), 3);
}

/// A server whose responses are for the previous call: the store returns an error, and opens a new connection.
#[test]
fn our_own_client_takes_no_answer_for_another() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let Some((_redis, server)) = serve(ServerOptions::new()) else { return };
    let behind = server.local_addr();
    let connections = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = connections.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let (mut client, mut server) = (stream.unwrap(), TcpStream::connect(behind).unwrap());
            std::thread::spawn(move || {
                let (mut buffer, mut held) = ([0; 65536], None::<Vec<u8>>);
                loop {
                    let Ok(count @ 1..) = client.read(&mut buffer) else { return };
                    server.write_all(&buffer[..count]).unwrap();
                    let count = server.read(&mut buffer).unwrap();
                    // The first response is immediate; from then on it is that of the previous call.
                    let answer = held.replace(buffer[..count].to_vec()).unwrap_or_else(|| buffer[..count].to_vec());
                    if client.write_all(&answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    let url = format!("thrift://{address}?max_connections=1");
    let store = ThriftRpcFeatureFlagStore::from_url(&url).unwrap();
    for _ in 0..3 {
        for name in ["A", "B", "C"] {
            for read in [block_on(store.get(name)), block_on(store.get_cached(name))] {
                assert!(read.is_err() || read.is_ok_and(|found| found.is_some_and(|flag| flag.name == name)));
            }
        }
    }
    assert!(connections.load(std::sync::atomic::Ordering::SeqCst) > 3, "each mistake ends a connection");
}
