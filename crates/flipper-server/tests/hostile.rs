//! Requests that are slow, too large, or not what HTTP allows.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper::store::Precondition;
use flipper::{FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore};
use flipper_server::{Accepted, Acceptor, App, HttpOptions, Limits};
use flipper_testkit::{PATIENCE, block_on, wait_until};
use support::{Answer, Running, connect, exchange};
use tokio::net::TcpStream;

fn quick() -> Running {
    let limits = Limits::default().body_time(Duration::from_millis(200));
    let app = App::new(Arc::new(MemoryFeatureFlagStore::new())).limits(limits);
    let options = HttpOptions::default().header_time(Duration::from_millis(300)).max_head(8 * 1024);
    Running::start(app, options.idle_time(Duration::from_secs(1)))
}

/// Everything until the server closes the connection.
fn rest(mut stream: std::net::TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn slow_clients_are_closed() {
    let server = quick();
    for start in ["", "GET /heal", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: "] {
        let mut stream = connect(server.address);
        stream.write_all(start.as_bytes()).unwrap();
        let answer = Answer::parse(&rest(stream));
        assert!(matches!(answer.status, 0 | 408), "{start}: {answer:?}");
    }
    let mut stream = connect(server.address);
    let head = "POST /api/v1/flags HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\nConnection: close\r\n\r\n";
    stream.write_all(format!("{head}{{\"name\":").as_bytes()).unwrap();
    let answer = Answer::parse(&rest(stream));
    assert_eq!((answer.status, answer.code().as_str()), (408, "timeout"));
    wait_until("all are closed", || server.connections() == 0);
}

/// A proxy may use a connection again after a minute. Elapsed time is under test here.
#[test]
fn an_idle_connection_is_kept_and_a_slow_head_is_not() {
    let limits = Limits::default().body_time(Duration::from_secs(100));
    let app = App::new(Arc::new(MemoryFeatureFlagStore::new())).limits(limits);
    let options = HttpOptions::default().header_time(Duration::from_millis(300)).idle_time(Duration::from_secs(3600));
    let server = Running::start(app, options);
    let mut stream = connect(server.address);
    let pause = || std::thread::sleep(Duration::from_millis(900));
    pause();
    for (head, body) in [("GET /healthz", ""), ("POST /api/v1/flags", r#"{"name": "A"}"#), ("GET /api/v1/flags/A", "")]
    {
        let request = support::request(head, body).replace("Connection: close\r\n", "");
        let (head, body) = request.split_at(request.find("\r\n\r\n").unwrap() + 4);
        stream.write_all(head.as_bytes()).unwrap();
        if !body.is_empty() {
            // The time for a body is another one.
            pause();
            stream.write_all(body.as_bytes()).unwrap();
        }
        let (mut answer, mut byte) = (Vec::new(), [0]);
        while !answer.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        let answer = Answer::parse(&answer);
        assert_eq!(answer.status / 100, 2, "{head}");
        let length = answer.header("content-length").unwrap().parse().unwrap();
        stream.read_exact(&mut vec![0; length]).unwrap();
        pause();
    }
    stream.write_all(b"GET /healthz HTTP/1.1\r\n").unwrap();
    // Its end or a reset, and no timeout here.
    let ended = stream.read_to_end(&mut Vec::new());
    assert!(!ended.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
}

#[test]
fn heads_have_a_limit() {
    let server = quick();
    let answer = server.send(&format!("GET /healthz\nX-Large: {}", "x".repeat(20_000)), "");
    assert_eq!(answer.status, 431);
    let many: String = (0..150).map(|number| format!("\nX-{number}: 1")).collect();
    assert_eq!(server.send(&format!("GET /healthz{many}"), "").status, 431);
    let answer = server.send(&format!("GET /{}", "x".repeat(20_000)), "");
    assert!(matches!(answer.status, 414 | 431), "{answer:?}");
}

#[test]
fn connections_have_a_limit() {
    let app = App::new(Arc::new(MemoryFeatureFlagStore::new()));
    let server = Running::start(app, HttpOptions::default().max_connections(2));
    let held = [connect(server.address), connect(server.address)];
    wait_until("they are open", || server.connections() == 2);
    let mut third = connect(server.address);
    third.write_all(support::request("GET /healthz", "").as_bytes()).unwrap();
    drop(held);
    assert_eq!(Answer::parse(&rest(third)).status, 200);
}

/// Streams last: each keeps its connection, and all together leave some for requests.
#[test]
fn streams_leave_room() {
    let server =
        Running::start(App::new(Arc::new(MemoryFeatureFlagStore::new())), HttpOptions::default().max_connections(16));
    let open = |path: &str| {
        let mut stream = connect(server.address);
        stream.write_all(support::request(&format!("GET {path}"), "").as_bytes()).unwrap();
        let mut line = [0; 12];
        stream.read_exact(&mut line).unwrap();
        (stream, String::from_utf8(line[9..].to_vec()).unwrap())
    };
    let mut held = Vec::new();
    for (path, most) in [("/api/v1/changes", 10), ("/ofrep/v1/streams/flags", 4)] {
        for number in 0..=most {
            let (stream, status) = open(path);
            assert_eq!(status, if number < most { "200" } else { "503" }, "{path} {number}");
            held.extend((number < most).then_some(stream));
        }
    }
    server.expect(200, "GET /healthz", "");
}

/// HTTP/2 as after a handshake.
struct Http2;

impl Acceptor for Http2 {
    fn accept(&self, stream: TcpStream) -> Pin<Box<dyn Future<Output = io::Result<Accepted>> + Send + '_>> {
        Box::pin(async { Ok(Accepted { is_http2: true, ..Accepted::plain(stream) }) })
    }
}

fn get(server: &Running, path: &str) -> http::Request<()> {
    http::Request::get(format!("{}{path}", server.url())).body(()).unwrap()
}

/// Its flow control holds the answers back, while it answers pings.
#[test]
fn an_http2_client_that_does_not_read_is_closed() {
    let store = MemoryFeatureFlagStore::new();
    block_on(store.put(&FlagRecord::new("A", 7), Precondition::Any.into())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = HttpOptions::default().write_time(Duration::from_secs(1)).tls(Arc::new(Http2));
    let server = Running::start(App::new(Arc::new(store)), options);
    for (path, window) in
        [("/api/v1/changes", 0), ("/ofrep/v1/streams/flags", 0), ("/api/v1/flags", 0), ("/api/v1/flags", 1)]
    {
        runtime.block_on(async {
            let stream = TcpStream::connect(server.address).await.unwrap();
            let handshake = h2::client::Builder::new().initial_window_size(window).handshake::<_, bytes::Bytes>(stream);
            let (mut requests, connection) = handshake.await.unwrap();
            let connection = tokio::spawn(connection);
            let (answer, _) = requests.send_request(get(&server, path), true).unwrap();
            let answer = answer.await.unwrap();
            assert_eq!(answer.status(), 200);
            let ended = tokio::time::timeout(PATIENCE, connection).await;
            assert!(ended.is_ok(), "{path} with a window of {window} is left open");
        });
    }
    wait_until("all are closed", || server.connections() == 0);
}

/// Bytes after the answer to HEAD are an error of the stream.
#[test]
fn answers_to_head_are_empty_over_http2() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let app = App::new(Arc::new(MemoryFeatureFlagStore::new()));
    let server = Running::start(app, HttpOptions::default().tls(Arc::new(Http2)));
    let paths = [
        ("/ofrep/v1/evaluate/flags/A", 405),
        ("/ofrep/v1/evaluate/flags", 405),
        ("/ofrep/v1/streams/flags", 405),
        ("/ofrep/v2", 404),
        ("/healthz", 200),
        ("/elsewhere", 404),
    ];
    runtime.block_on(async {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let (mut requests, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        for (path, status) in paths {
            let mut head = get(&server, path);
            *head.method_mut() = http::Method::HEAD;
            let (answer, _) = requests.send_request(head, true).unwrap();
            let answer = answer.await.unwrap();
            assert_eq!(answer.status(), status, "{path}");
            let body = answer.into_body().data().await;
            assert!(body.is_none(), "{path}: {body:?}");
        }
    });
}

#[test]
fn large_answers_arrive_whole_over_http2() {
    let store = MemoryFeatureFlagStore::new();
    let flags: Vec<_> = (0..10_000).map(|number| FlagRecord::new(format!("F{number:06}"), 7)).collect();
    block_on(store.put_all(&flags, Precondition::Any.into()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = Running::start(App::new(Arc::new(store)), HttpOptions::default().tls(Arc::new(Http2)));
    let text = runtime.block_on(async {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let (mut requests, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let (answer, _) = requests.send_request(get(&server, "/api/v1/flags?limit=10000"), true).unwrap();
        let answer = answer.await.unwrap();
        let length: usize = answer.headers()["content-length"].to_str().unwrap().parse().unwrap();
        let (mut body, mut text) = (answer.into_body(), Vec::new());
        while let Some(bytes) = body.data().await {
            let bytes = bytes.unwrap();
            body.flow_control().release_capacity(bytes.len()).unwrap();
            text.extend_from_slice(&bytes);
        }
        assert_eq!(text.len(), length);
        String::from_utf8(text).unwrap()
    });
    assert_eq!(flipper::json::Json::parse(&text).unwrap()["flags"].as_array().unwrap().len(), 10_000);
}

#[test]
#[cfg(target_os = "linux")]
fn many_wait_to_be_accepted() {
    let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    if allowed.trim().parse::<usize>().unwrap() < 400 {
        return flipper_testkit::skip("many_wait_to_be_accepted", &format!("net.core.somaxconn is {allowed}"));
    }
    let app = App::new(Arc::new(MemoryFeatureFlagStore::new()));
    // The first keeps its place.
    let options = HttpOptions::default().max_connections(1).header_time(2 * flipper_testkit::PATIENCE);
    let server = Running::start(app, options);
    let _first = connect(server.address);
    wait_until("it has the place", || server.connections() == 1);
    let connected = |_| std::net::TcpStream::connect_timeout(&server.address, flipper_testkit::PATIENCE).unwrap();
    let waiting: Vec<_> = (0..300).map(connected).collect();
    assert_eq!((waiting.len(), server.connections()), (300, 1));
}

/// Its client is about to ask, and would take the end for a failure.
#[test]
fn a_connection_that_was_just_opened_is_answered_at_the_end() {
    // On a busy machine not at the first attempt: the server waits for a second.
    wait_until("a request was sent in time", || {
        let mut server = Running::memory();
        let address = server.address;
        let mut stream = connect(address);
        wait_until("it is accepted", || server.connections() == 1);
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| server.shutdown(Duration::ZERO));
            wait_until("the port is closed", || std::net::TcpStream::connect(address).is_err());
            let _ = stream.write_all(support::request("GET /healthz", "").as_bytes());
            let is_in_time = begun.elapsed() < Duration::from_millis(700);
            let answer = Answer::parse(&rest(stream));
            assert!(!is_in_time || answer.status == 200, "{answer:?}");
            is_in_time
        })
    });
}

/// Two readers of such bytes could disagree on where a request ends. The second request would destroy a flag.
#[test]
fn ambiguous_lengths_are_refused() {
    let store = MemoryFeatureFlagStore::new();
    block_on(store.put(&FlagRecord::new("A", 7), Precondition::Any.into())).unwrap();
    let server = Running::over(store);
    let hidden = "DELETE /api/v1/flags/A HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let post = "POST /api/v1/evaluate/A HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    for headers in [
        format!("Content-Length: 2\r\nContent-Length: {}\r\n", 2 + hidden.len()),
        format!("Content-Length: 2, {}\r\n", 2 + hidden.len()),
        "Content-Length: +2\r\n".to_owned(),
        "Content-Length: 0x2\r\n".to_owned(),
        "Content-Length: -2\r\n".to_owned(),
        "Content-Length : 2\r\n".to_owned(),
        "Content-Length: 99999999999999999999\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        "Transfer-Encoding: identity\r\n".to_owned(),
        "Content-Length: 2\r\n X-Folded: 1\r\n".to_owned(),
        "X-Null: a\0b\r\nContent-Length: 2\r\n".to_owned(),
        "X-Return: a\rb\r\nContent-Length: 2\r\n".to_owned(),
        ": 1\r\nContent-Length: 2\r\n".to_owned(),
    ] {
        let answer = exchange(server.address, &format!("{post}{headers}\r\n{{}}{hidden}"));
        assert!(matches!(answer.status, 400 | 501), "{headers:?}: {answer:?}");
        assert!(!answer.body.contains("HTTP/1.1 20"), "{headers:?}: {answer:?}");
    }
    // Chunks win over a length, as HTTP has it, and what looks like a second request within one is data.
    let size = hidden.len();
    for order in [
        format!(
            "Content-Length: 2\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{size:x}\r\n{hidden}\r\n0\r\n\r\n"
        ),
        format!(
            "Transfer-Encoding: chunked\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{size:x}\r\n{hidden}\r\n0\r\n\r\n"
        ),
    ] {
        let answer = exchange(server.address, &format!("{post}{order}"));
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    for size in ["g", "-1", "+5", "fffffffffffffffff", "5\n", ""] {
        let answer = exchange(
            server.address,
            &format!("{post}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{size}\r\n{hidden}"),
        );
        assert!(matches!(answer.status, 0 | 400), "{size:?}: {answer:?}");
    }
    server.expect(200, "GET /api/v1/flags/A", "");
}

#[test]
fn what_is_no_request() {
    let server = Running::memory();
    for bytes in [
        "\r\n\r\n\0\0\0",
        "GET\r\n\r\n",
        "GET / HTTP/3.0\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\u{7f}",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answer = exchange(server.address, bytes);
        assert!(matches!(answer.status, 0 | 400 | 404 | 405 | 505), "{bytes:?}: {answer:?}");
    }
    // Two in one piece are answered one after the other.
    let two = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /api/v1/flags/A HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut stream = connect(server.address);
    stream.write_all(two.as_bytes()).unwrap();
    let both = String::from_utf8(rest(stream)).unwrap();
    assert!(both.find("200 OK").unwrap() < both.find("404 Not Found").unwrap(), "{both}");
    wait_until("all are closed", || server.connections() == 0);
}

#[test]
fn a_hundred_thousand_flags() {
    let store = MemoryFeatureFlagStore::new();
    let flags: Vec<_> = (0..100_000).map(|number| FlagRecord::new(format!("F{number:06}"), 7)).collect();
    block_on(store.put_all(&flags, Precondition::Any.into()));
    let limits = Limits::default().request_time(Duration::from_secs(600));
    let server = Running::start(App::new(Arc::new(store)).limits(limits), HttpOptions::default());
    let (mut count, mut after) = (0, String::new());
    loop {
        let page = server.expect(200, &format!("GET /api/v1/flags?limit=10000&after={after}"), "").json();
        count += page["flags"].as_array().unwrap().len();
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => break,
        }
    }
    assert_eq!(count, 100_000);
    assert_eq!(server.send("GET /api/v1/export", "").body.lines().count(), 100_002);
}
