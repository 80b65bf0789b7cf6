//! A `PUT` to a server, which sends its body as a line of a stream of events: over plain sockets, nothing stored or compared.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use flipper_testkit::Role;
use flipper_testkit::consul::Connection;

use super::{is_on, text};
use crate::way::{Write, saw};

type Followers = Arc<Mutex<Vec<TcpStream>>>;

pub(crate) fn serve(role: &Role) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    role.say(&listener.local_addr().unwrap().to_string());
    let followers = Followers::default();
    for stream in listener.incoming() {
        let (stream, followers) = (stream.unwrap(), followers.clone());
        std::thread::spawn(move || serve_one(&stream, &followers));
    }
}

fn serve_one(mut stream: &TcpStream, followers: &Followers) {
    stream.set_nodelay(true).unwrap();
    let mut input = BufReader::new(stream);
    loop {
        let (mut method, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if input.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.trim_end().parse().unwrap();
            }
            match line.trim_end() {
                "" => break,
                _ if method.is_empty() => method = line,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        input.read_exact(&mut body).unwrap();
        if method.starts_with("GET ") {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").unwrap();
            followers.lock().unwrap().push(stream.try_clone().unwrap());
            continue;
        }
        let event = [b"data: ", &*body, b"\n\n"].concat();
        for mut follower in &*followers.lock().unwrap() {
            follower.write_all(&event).unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    }
}

pub(super) fn writer(address: &str) -> Write {
    let mut server = Connection::open(address);
    Box::new(move |is_on| {
        server.request("PUT", "/F", text(is_on).as_bytes());
    })
}

pub(super) fn follow(address: &str, role: &Role) {
    let mut server = Connection::open(address);
    server.request("GET", "/changes", b"");
    role.say("ready");
    loop {
        if let Some(text) = server.line().strip_prefix("data: ") {
            saw(role, is_on(text));
        }
    }
}
