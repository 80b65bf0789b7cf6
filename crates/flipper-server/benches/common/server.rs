use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use flipper::store::{LocalFeatureFlagStore, Precondition};
use flipper::{FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore};
use flipper_server::{App, HttpOptions, HttpServer};
use flipper_testkit::{PATIENCE, block_on, open_files};

/// Clients connect from 127.0.0.1. So none of their ports is that of a server, which it needs again after a restart.
const HOST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const FLAGS: usize = 100;

/// A child process, killed when dropped. It is this program, which prints `@ADDRESS`.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(role: &str, arguments: &[String]) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg(role)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.find_map(|line| line.unwrap().strip_prefix('@').map(str::to_owned));
        let address = line.expect("the server did not start").parse().unwrap();
        Self { process, address }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Returns the body of the answer.
    pub(crate) fn send(&self, head: &str, body: &[u8]) -> Vec<u8> {
        let mut connection = Connection::open(self.address);
        connection.exchange(&request(head, body));
        connection.body
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In the child: serves until the parent ends. Port 0 takes a free one.
pub(crate) fn serve(store: Arc<dyn LocalFeatureFlagStore>, port: u16) {
    open_files();
    let runtime = super::runtime();
    let listener = TcpListener::bind((HOST, port)).unwrap();
    let server = HttpServer::start(vec![listener], App::new(store), HttpOptions::default());
    let server = runtime.block_on(server).unwrap();
    println!("@{}", server.local_addrs()[0]);
    wait_for_parent();
}

/// In the child: flags in memory.
pub(crate) fn serve_origin() {
    serve_flags(MemoryFeatureFlagStore::new());
}

pub(crate) fn serve_flags(store: MemoryFeatureFlagStore) {
    for number in 0..FLAGS {
        block_on(store.put(&FlagRecord::new(format!("F{number}"), 1), Precondition::Any.into())).unwrap();
    }
    serve(Arc::new(store), 0);
}

pub(crate) fn wait_for_parent() {
    let _ = std::io::stdin().read(&mut [0]);
}

pub(crate) fn request(head: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut bytes = format!(
        "{head} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    body: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, buffer: vec![0; 256 * 1024], body: Vec::new() }
    }

    /// Reads an answer with a length.
    pub(crate) fn exchange(&mut self, request: &[u8]) {
        self.stream.write_all(request).unwrap();
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).unwrap();
            assert!(read > 0, "the server closed the connection");
            filled += read;
            let Some(end) = self.buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let head = std::str::from_utf8(&self.buffer[..end]).unwrap().to_ascii_lowercase();
            assert!(head.starts_with("http/1.1 2"), "{head}");
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            let whole = end + 4 + length.unwrap_or(0);
            if filled >= whole {
                self.body.clear();
                self.body.extend_from_slice(&self.buffer[end + 4..whole]);
                return;
            }
        }
    }
}
