use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use flipper_testkit::PATIENCE;
use serde_json::Value;

/// One connection, for requests that no library would send.
pub(crate) struct Http(BufReader<TcpStream>);

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) text: String,
}

impl Http {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// An evaluation; `key` as it is in the path.
    pub(crate) fn evaluate(&mut self, key: &str, body: &str) -> Answer {
        self.post(&format!("/ofrep/v1/evaluate/flags/{key}"), &[], body)
    }

    pub(crate) fn bulk(&mut self, headers: &[(&str, &str)], body: &str) -> Answer {
        self.post("/ofrep/v1/evaluate/flags", headers, body)
    }

    pub(crate) fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.request("POST", path, headers, body.as_bytes())
    }

    pub(crate) fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.send(method, path, headers, body);
        let (status, headers) = self.head();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.map_or(0, |(_, length)| length.parse().unwrap());
        let mut text = vec![0; if status == 304 { 0 } else { length }];
        self.0.read_exact(&mut text).unwrap();
        Answer { status, headers, text: String::from_utf8(text).unwrap() }
    }

    /// The stream of events at this path.
    pub(crate) fn events(mut self, path: &str) -> (Answer, Events) {
        self.send("GET", path, &[("Accept", "text/event-stream")], b"");
        let (status, headers) = self.head();
        (Answer { status, headers, text: String::new() }, Events(self))
    }

    fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        // In one piece; the server may answer a body that is too large before it has read all.
        let _ = self.0.get_mut().write_all(&[request.as_bytes(), body].concat());
    }

    fn head(&mut self) -> (u16, Vec<(String, String)>) {
        let status = self.line();
        let status = status.split(' ').nth(1).unwrap_or_else(|| panic!("no status: {status:?}")).parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        (status, headers)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }

    #[track_caller]
    pub(crate) fn tag(&self) -> String {
        self.header("etag").unwrap_or_else(|| panic!("no ETag: {self:?}")).to_owned()
    }

    /// The answer for one flag of a bulk answer.
    #[track_caller]
    pub(crate) fn flag(&self, key: &str) -> Value {
        let json = self.json();
        let found = json["flags"].as_array().unwrap().iter().find(|flag| flag["key"] == key);
        found.unwrap_or_else(|| panic!("no {key}: {json}")).clone()
    }

    /// An error as every client reads it.
    #[track_caller]
    pub(crate) fn is_error(&self, status: u16, key: &str, code: &str, details: &str) {
        let json = self.json();
        assert_eq!((self.status, &json["key"], &json["errorCode"]), (status, &key.into(), &code.into()), "{json}");
        assert!(json["errorDetails"].as_str().unwrap().contains(details), "{json}");
        assert_eq!(self.header("content-type"), Some("application/json"));
    }
}

/// A stream of events, in chunks.
pub(crate) struct Events(Http);

impl Events {
    /// The next chunk, which is a message or a heartbeat; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<String> {
        let size = self.0.line();
        let size = usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("no size of a chunk: {size:?}"));
        let mut chunk = vec![0; size + 2];
        self.0.0.read_exact(&mut chunk).unwrap();
        (size > 0).then(|| String::from_utf8(chunk[..size].to_vec()).unwrap())
    }

    pub(crate) fn message(&mut self) -> String {
        loop {
            let chunk = self.next().unwrap();
            if !chunk.starts_with(':') {
                return chunk;
            }
        }
    }
}
