//! A server in a runtime of its own, and a client that sends exactly what it is given.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use flipper::json::Json;
use flipper::store::LocalFeatureFlagStore;
use flipper::{HttpFeatureFlagStore, MemoryFeatureFlagStore};
use flipper_server::{App, HttpOptions, HttpServer};
use flipper_testkit::PATIENCE;
use tokio::runtime::Runtime;

pub struct Running {
    pub address: SocketAddr,
    server: Option<HttpServer>,
    runtime: Option<Runtime>,
}

impl Running {
    pub fn memory() -> Self {
        Self::over(MemoryFeatureFlagStore::new())
    }

    pub fn over(store: impl LocalFeatureFlagStore) -> Self {
        Self::start(App::new(Arc::new(store)), HttpOptions::default())
    }

    pub fn start(app: App, options: HttpOptions) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), app, options)
    }

    pub fn on(listener: TcpListener, app: App, options: HttpOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        // The caller may be within a runtime, where nothing may block on another.
        let (sender, started) = std::sync::mpsc::channel();
        runtime.spawn(async move { sender.send(HttpServer::start(vec![listener], app, options).await) });
        let server = started.recv().unwrap().unwrap();
        Self { address: server.local_addrs()[0], server: Some(server), runtime: Some(runtime) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn store(&self) -> HttpFeatureFlagStore {
        // A busy machine may take longer than the default.
        HttpFeatureFlagStore::builder(self.url()).timeout(PATIENCE).build().unwrap()
    }

    pub fn connections(&self) -> usize {
        self.server.as_ref().unwrap().connections()
    }

    pub fn shutdown(&mut self, drain: Duration) {
        let server = self.server.take().unwrap();
        let (sender, ended) = std::sync::mpsc::channel();
        self.runtime.as_ref().unwrap().spawn(async move {
            server.shutdown(drain).await;
            sender.send(())
        });
        ended.recv().unwrap();
    }

    /// One request over a connection of its own.
    pub fn send(&self, head: &str, body: &str) -> Answer {
        exchange(self.address, &request(head, body))
    }

    /// A request that must have this status.
    #[track_caller]
    pub fn expect(&self, status: u16, head: &str, body: &str) -> Answer {
        let answer = self.send(head, body);
        assert_eq!(answer.status, status, "{head}: {}", answer.body);
        if status >= 400 {
            answer.must_be_problem();
        }
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.server.take());
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// `head`: the request line without the version, and headers, a line each. A body is JSON unless a header says otherwise.
pub fn request(head: &str, body: &str) -> String {
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let mut text = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for header in headers.lines() {
        text.push_str(&format!("{}\r\n", header.trim()));
    }
    if !body.is_empty() {
        if !headers.to_ascii_lowercase().contains("content-type") {
            text.push_str("Content-Type: application/json\r\n");
        }
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    format!("{text}\r\n{body}")
}

/// Sends these bytes, and reads the answer until the server closes the connection.
pub fn exchange(address: SocketAddr, bytes: &str) -> Answer {
    let mut stream = connect(address);
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A server that refuses may reset the connection after its answer.
    let _ = stream.read_to_end(&mut answer);
    Answer::parse(&answer)
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let body = if is_chunked { whole(body) } else { body.to_owned() };
        Self { status, head: head.to_owned(), body }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    #[track_caller]
    pub fn json(&self) -> Json {
        Json::parse(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    #[track_caller]
    pub fn must_be_problem(&self) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.body);
        let json = self.json();
        for field in ["type", "title", "detail", "code"] {
            assert!(json[field].as_str().is_some_and(|text| !text.is_empty()), "{field} in {}", self.body);
        }
        assert_eq!(json["status"].as_i64(), Some(self.status.into()));
    }

    /// The code of a problem.
    #[track_caller]
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_else(|| panic!("no problem: {}", self.body)).to_owned()
    }
}

fn whole(mut chunked: &str) -> String {
    let mut body = Vec::new();
    while let Some((size, rest)) = chunked.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or_default();
        if size == 0 || rest.len() < size || !rest.is_char_boundary(size) {
            break;
        }
        body.extend_from_slice(&rest.as_bytes()[..size]);
        chunked = rest[size..].strip_prefix("\r\n").unwrap_or(&rest[size..]);
    }
    String::from_utf8_lossy(&body).into_owned()
}
