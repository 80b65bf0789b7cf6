use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::PATIENCE;

/// A kept connection without a client library, for benchmarks: HTTP, of which it reads only Consul's index. Panics at any fault.
#[derive(Debug)]
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    /// To an address with its port.
    #[must_use]
    pub fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// The index, or 0, and the length of the body.
    pub fn request(&mut self, method: &str, path: &str, body: &[u8]) -> (u64, usize) {
        self.send(method, path, body);
        self.receive()
    }

    /// Without waiting for the answer.
    pub fn send(&mut self, method: &str, path: &str, body: &[u8]) {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        self.0.get_mut().write_all(&[head.as_bytes(), body].concat()).unwrap();
    }

    /// The answer to what was sent.
    pub fn receive(&mut self) -> (u64, usize) {
        let (mut index, mut length, mut chunked) = (0, 0, false);
        loop {
            let line = self.line().to_ascii_lowercase();
            match line.split_once(": ") {
                Some(("x-consul-index", value)) => index = value.parse().unwrap(),
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(("transfer-encoding", value)) => chunked = value == "chunked",
                Some(_) => {}
                None if line.is_empty() => break,
                None => assert!(line.starts_with("http/1.1 2"), "{line}"),
            }
        }
        let mut body = Vec::new();
        while chunked {
            let size = usize::from_str_radix(&self.line(), 16).unwrap();
            let at = body.len();
            body.resize(at + size + 2, 0);
            self.0.read_exact(&mut body[at..]).unwrap();
            chunked = size > 0;
        }
        let at = body.len();
        body.resize(at + length, 0);
        self.0.read_exact(&mut body[at..]).unwrap();
        (index, body.len())
    }

    /// The next line, without its end.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}
