//! The part of the protocol that tests need, independent of the driver under test.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A server's reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A status or a string; lossy UTF-8.
    Text(String),
    /// A number.
    Number(i64),
    /// Nil.
    Nil,
    /// An array.
    List(Vec<Reply>),
    /// An error, with its code.
    Error(String),
}

impl Reply {
    /// The text, or a panic.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            other => panic!("not a text: {other:?}"),
        }
    }
}

pub(super) fn ask(port: u16, password: Option<&str>, command: &[&str]) -> Result<Reply> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut stream = BufReader::new(stream);
    if let Some(password) = password {
        send(&mut stream, &["AUTH", password])?;
    }
    send(&mut stream, command)
}

fn send(stream: &mut BufReader<TcpStream>, command: &[&str]) -> Result<Reply> {
    let mut text = format!("*{}\r\n", command.len());
    for part in command {
        text.push_str(&format!("${}\r\n{part}\r\n", part.len()));
    }
    stream.get_mut().write_all(text.as_bytes())?;
    receive(stream)
}

fn receive(stream: &mut BufReader<TcpStream>) -> Result<Reply> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let broken = || Error::new(ErrorKind::InvalidData, "not Redis");
    let line = line.trim_end();
    let (kind, rest) = line.split_at_checked(1).ok_or_else(broken)?;
    let number = || rest.parse::<i64>().map_err(|_| broken());
    Ok(match kind {
        "+" => Reply::Text(rest.to_owned()),
        "-" => Reply::Error(rest.to_owned()),
        ":" => Reply::Number(number()?),
        "$" => match usize::try_from(number()?) {
            Err(_) => Reply::Nil,
            Ok(len) => {
                let mut bytes = vec![0; len + 2];
                stream.read_exact(&mut bytes)?;
                Reply::Text(String::from_utf8_lossy(&bytes[..len]).into_owned())
            }
        },
        "*" => Reply::List((0..number()?).map(|_| receive(stream)).collect::<Result<_>>()?),
        _ => return Err(broken()),
    })
}
