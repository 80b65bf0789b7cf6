//! A server on loopback, and a client that sends exactly what a test says.
#![allow(dead_code, reason = "each test program uses its part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use flipper::MemoryFeatureFlagStore;
use flipper_server::{AccessControl, App, HttpOptions, HttpServer};
use flipper_testkit::{PATIENCE, wait_until};
use tokio::runtime::Runtime;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    _running: HttpServer,
    _runtime: Runtime,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(there, _)| there.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Server {
    pub(crate) fn start(access: impl FnOnce() -> AccessControl) -> Self {
        Self::with(|app| app.access(access()))
    }

    pub(crate) fn with(configure: impl FnOnce(App) -> App) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let running = runtime.block_on(async {
            let app = configure(App::new(Arc::new(MemoryFeatureFlagStore::new())));
            HttpServer::start(vec![listener], app, HttpOptions::default()).await.unwrap()
        });
        Self { address: running.local_addrs()[0], _running: running, _runtime: runtime }
    }

    pub(crate) fn ask(&self, path: &str, headers: &[&str]) -> Answer {
        self.send("GET", path, headers)
    }

    /// Repeats the request until it has this status.
    #[track_caller]
    pub(crate) fn ask_until(&self, path: &str, headers: &[&str], status: u16) -> Answer {
        let mut answer = self.ask(path, headers);
        wait_until("the status is as expected", || {
            if answer.status != status {
                answer = self.ask(path, headers);
            }
            answer.status == status
        });
        answer
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &[&str]) -> Answer {
        self.send_to(method, path, "localhost", headers)
    }

    /// Of an answer that may never end.
    pub(crate) fn status(&self, method: &str, path: &str) -> u16 {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut line = [0; 12];
        stream.read_exact(&mut line).unwrap();
        std::str::from_utf8(&line[9..]).unwrap().parse().unwrap()
    }

    pub(crate) fn send_to(&self, method: &str, path: &str, host: &str, headers: &[&str]) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let headers: String =
            headers.iter().filter(|header| !header.is_empty()).map(|header| format!("{header}\r\n")).collect();
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }
}
