//! `SET` and `PUBLISH` in one message, the published message, a `GET`: over plain sockets.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::TcpStream;

use flipper_testkit::Role;

use super::{is_on, text};
use crate::way::{Write, saw};

struct Redis(BufReader<TcpStream>);

impl Redis {
    fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    fn send(&mut self, commands: &[&[&str]]) {
        let mut message = String::new();
        for command in commands {
            message.push_str(&format!("*{}\r\n", command.len()));
            for part in *command {
                message.push_str(&format!("${}\r\n{part}\r\n", part.len()));
            }
        }
        self.0.get_mut().write_all(message.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert!(!line.starts_with('-'), "{line}");
        line.trim_end().to_owned()
    }

    fn text(&mut self) -> String {
        let length: usize = self.line().trim_start_matches('$').parse().unwrap();
        let mut bytes = vec![0; length + 2];
        self.0.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }
}

pub(super) fn writer(address: &str) -> Write {
    let mut redis = Redis::connect(address);
    let mut write = move |is_on| {
        redis.send(&[&["SET", "wire/F", &text(is_on)], &["PUBLISH", "wire", ""]]);
        redis.line();
        redis.line();
    };
    write(false);
    Box::new(write)
}

pub(super) fn follow(address: &str, role: &Role) {
    let [mut subscriber, mut reader] = [(); 2].map(|()| Redis::connect(address));
    subscriber.send(&[&["SUBSCRIBE", "wire"]]);
    // `*3`, two texts, a number.
    subscriber.line();
    subscriber.text();
    subscriber.text();
    subscriber.line();
    role.say("ready");
    loop {
        subscriber.line();
        for _ in 0..3 {
            subscriber.text();
        }
        reader.send(&[&["GET", "wire/F"]]);
        saw(role, is_on(&reader.text()));
    }
}
