//! A proxy that counts requests, and injects faults.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A fault of a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// None: it forwards everything.
    #[default]
    None,
    /// It sends this response: a status, header lines each with its `\r\n`, a text.
    Answer(u16, String, String),
    /// It sends the first half of the agent's text as the whole.
    Half,
    /// It sends nothing.
    Silence,
    /// It forwards, but ends blocking queries after this time: with this status, or by closing the connection.
    EndWaits(Duration, Option<u16>),
    /// It adds these header lines, each with its `\r\n`, to the agent's responses.
    Headers(String),
}

/// The most requests that are kept.
const KEPT: usize = 20_000;

/// A proxy for an agent, on a free port, by whole requests.
#[derive(Debug)]
pub struct ConsulProxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    agent: u16,
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct State {
    fault: Fault,
    requests: Vec<String>,
    bodies: Vec<String>,
    /// The sockets of each client's connection, by its number.
    connections: HashMap<usize, Vec<TcpStream>>,
    /// The number of clients that have connected.
    connected: usize,
    /// Responses to requests with this text are held back.
    held: Option<String>,
    ended: bool,
}

impl ConsulProxy {
    /// Starts one for the agent at this port, which need not exist if the fault never forwards.
    #[must_use]
    pub fn start(agent: u16, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Mutex::new(State { fault, ..State::default() });
        let shared = Arc::new(Shared { agent, state, released: Condvar::new() });
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = serving.clone();
                if shared.lock().ended {
                    return;
                }
                let mut state = shared.lock();
                state.connected += 1;
                let number = state.connected;
                state.connections.insert(number, stream.try_clone().into_iter().collect());
                drop(state);
                // Fails when one side has closed.
                thread::spawn(move || {
                    let ended = shared.serve(&stream, number);
                    shared.lock().connections.remove(&number);
                    ended
                });
            }
        });
        Self { port, shared }
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Sets the fault, and breaks open connections.
    pub fn fault(&self, fault: Fault) {
        let mut state = self.shared.lock();
        state.fault = fault;
        for connection in state.connections.drain().flat_map(|(_, held)| held) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// The number of connections so far.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.shared.lock().connected
    }

    /// The bodies of all requests, ordered as [`requests`](Self::requests).
    #[must_use]
    pub fn bodies(&self) -> Vec<String> {
        self.shared.lock().bodies.clone()
    }

    /// Holds back the responses to all requests with this text in their head, including pending ones.
    pub fn hold(&self, text: &str) {
        self.shared.lock().held = Some(text.to_owned());
    }

    /// Sends the held responses.
    pub fn release(&self) {
        self.shared.lock().held = None;
        self.shared.released.notify_all();
    }

    /// The heads of all requests, oldest first; of many, the last.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.shared.lock().requests.clone()
    }
}

impl Drop for ConsulProxy {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.release();
        self.fault(Fault::Silence);
        // Wakes the listener.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, client: &TcpStream, number: usize) -> io::Result<()> {
        let mut from_client = BufReader::new(client.try_clone()?);
        let mut to_client = client;
        let mut agent: Option<BufReader<TcpStream>> = None;
        loop {
            let head = read_head(&mut from_client)?;
            let mut body = vec![0; length(&head)];
            from_client.read_exact(&mut body)?;
            let fault = {
                let mut state = self.lock();
                // The soak makes more than a test asks about.
                if state.requests.len() == KEPT {
                    state.requests.drain(..KEPT / 2);
                    state.bodies.drain(..KEPT / 2);
                }
                state.requests.push(head.clone());
                state.bodies.push(String::from_utf8_lossy(&body).into_owned());
                state.fault.clone()
            };
            if let Fault::Answer(status, headers, text) = fault {
                let length = text.len();
                write!(to_client, "HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n{headers}\r\n{text}")?;
                continue;
            }
            if fault == Fault::Silence {
                // Until the connection breaks.
                let _ = from_client.read(&mut [0]);
                return Ok(());
            }
            let from_agent = match &mut agent {
                // Like real proxies, it does not reuse a connection that the agent has closed.
                Some(agent) if is_open(agent.get_ref()) => agent,
                _ => {
                    let stream = TcpStream::connect(("127.0.0.1", self.agent))?;
                    let held = stream.try_clone()?;
                    self.lock().connections.entry(number).or_default().push(held);
                    agent.insert(BufReader::new(stream))
                }
            };
            from_agent.get_mut().write_all(&[head.as_bytes(), &body].concat())?;
            let ends = match &fault {
                Fault::EndWaits(limit, status) if head.contains("&index=") => Some((*limit, *status)),
                _ => None,
            };
            from_agent.get_mut().set_read_timeout(ends.map(|(limit, _)| limit))?;
            let answer = match (read_head(from_agent), ends) {
                (Err(error), Some((_, status))) if is_timeout(&error) => {
                    agent = None;
                    let Some(status) = status else { return to_client.shutdown(Shutdown::Both) };
                    write!(to_client, "HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n")?;
                    continue;
                }
                (answer, _) => answer?,
            };
            let mut text = read_text(from_agent, &answer)?;
            let is_held = |state: &mut State| state.held.as_ref().is_some_and(|text| head.contains(text));
            drop(self.released.wait_while(self.lock(), is_held));
            if fault == Fault::Half {
                text.truncate(text.len() / 2);
            }
            let kept = |line: &&str| !line.starts_with("content-length:") && !line.starts_with("transfer-encoding:");
            let head: Vec<_> = answer.trim_end().split("\r\n").filter(|line| kept(&&*line.to_lowercase())).collect();
            let more = if let Fault::Headers(lines) = &fault { lines.as_str() } else { "" };
            write!(to_client, "{}\r\n{more}Content-Length: {}\r\n\r\n", head.join("\r\n"), text.len())?;
            to_client.write_all(&text)?;
        }
    }
}

/// Whether the other side has it still open.
fn is_open(stream: &TcpStream) -> bool {
    let peeked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
    let is_waiting = matches!(&peeked, Err(error) if is_timeout(error));
    is_waiting && stream.set_nonblocking(false).is_ok()
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// The head, including the empty line.
pub(crate) fn read_head(stream: &mut impl BufRead) -> io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

pub(crate) fn length(head: &str) -> usize {
    let head = head.to_lowercase();
    let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length:"));
    length.and_then(|length| length.trim().parse().ok()).unwrap_or(0)
}

fn read_text(stream: &mut impl BufRead, head: &str) -> io::Result<Vec<u8>> {
    if !head.to_lowercase().contains("transfer-encoding: chunked") {
        let mut text = vec![0; length(head)];
        stream.read_exact(&mut text)?;
        return Ok(text);
    }
    let mut text = Vec::new();
    loop {
        let mut size = String::new();
        stream.read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk)?;
        if size == 0 {
            return Ok(text);
        }
        text.extend_from_slice(&chunk[..size]);
    }
}
