//! A proxy that counts requests, answers some itself, and can be a server without conditional writes.

use std::io::{self, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::consul::{length, read_head};

/// The most heads of requests.
const KEPT: usize = 20_000;

/// A proxy on a free port, by whole requests. A request is found by a text in its head, such as `PUT /` or `list-type`.
#[derive(Debug)]
pub struct S3Proxy {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<String>,
    answers: Vec<Answer>,
    /// Methods, and the header that is removed from their requests.
    removed: Vec<(String, &'static str)>,
    ended: bool,
}

#[derive(Debug)]
struct Answer {
    to: String,
    status: u16,
    body: String,
    times: usize,
}

impl S3Proxy {
    /// Starts one for the server at this port.
    #[must_use]
    pub fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<Mutex<State>>::default();
        let serving = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = serving.clone();
                if lock(&state).ended {
                    return;
                }
                // Fails when one side has closed.
                thread::spawn(move || serve(&client, server, &state));
            }
        });
        Self { port, state }
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The heads of all requests, oldest first; of many, the last.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        lock(&self.state).requests.clone()
    }

    /// How many requests had this text in their head.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        lock(&self.state).requests.iter().filter(|head| head.contains(text)).count()
    }

    /// Answers requests with this text itself, so many times: with a status and S3's code for an error.
    pub fn refuse(&self, to: &str, status: u16, code: &str, times: usize) {
        let body = format!("<Error><Code>{code}</Code><Message>as the test asked</Message></Error>");
        let body = if code.is_empty() { String::new() } else { body };
        lock(&self.state).answers.push(Answer { to: to.to_owned(), status, body, times });
    }

    /// Forwards everything again.
    pub fn obey(&self) {
        lock(&self.state).answers.clear();
    }

    /// Removes the conditions of requests with this method.
    pub fn ignore_conditions(&self, method: &str) {
        ["if-match", "if-none-match"].iter().for_each(|header| self.remove(method, header));
    }

    /// Removes this header, in lower case, of requests with this method.
    pub fn remove(&self, method: &str, header: &'static str) {
        lock(&self.state).removed.push((method.to_owned(), header));
    }
}

impl Drop for S3Proxy {
    fn drop(&mut self) {
        lock(&self.state).ended = true;
        // Wakes the listener.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(client: &TcpStream, server: u16, state: &Mutex<State>) -> io::Result<()> {
    client.set_nodelay(true)?;
    let (mut from_client, mut to_client) = (BufReader::new(client.try_clone()?), client);
    loop {
        let mut head = read_head(&mut from_client)?;
        let mut body = vec![0; length(&head)];
        from_client.read_exact(&mut body)?;
        if let Some((status, text)) = take_in(&mut lock(state), &mut head) {
            let length = text.len();
            // Else the client takes it for the answer to its next request.
            let text = if head.starts_with("HEAD ") { "" } else { &text };
            write!(
                to_client,
                "HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\nContent-Type: application/xml\r\n\r\n{text}"
            )?;
            continue;
        }
        // The older version closes the connection, and has no chunked responses.
        let mut stream = TcpStream::connect(("127.0.0.1", server))?;
        let (first, rest) = head.split_once("\r\n").unwrap_or((&head, ""));
        let first = first.replace("HTTP/1.1", "HTTP/1.0");
        stream.write_all(&[first.as_bytes(), b"\r\n", rest.as_bytes(), &body].concat())?;
        let mut from_server = BufReader::new(stream);
        let answer = read_head(&mut from_server)?;
        let mut text = Vec::new();
        from_server.read_to_end(&mut text)?;
        let kept = |line: &&str| {
            let line = line.to_lowercase();
            let hop = ["connection:", "transfer-encoding:"].iter().any(|name| line.starts_with(name));
            !hop && (!line.starts_with("content-length:") || head.starts_with("HEAD"))
        };
        let lines: Vec<_> = answer.trim_end().split("\r\n").filter(kept).collect();
        let answer = lines.join("\r\n").replacen("HTTP/1.0", "HTTP/1.1", 1);
        let bodiless = head.starts_with("HEAD")
            || [" 204 ", " 304 "]
                .iter()
                .any(|status| answer.split("\r\n").next().is_some_and(|line| line.contains(status)));
        let length = if bodiless { String::new() } else { format!("Content-Length: {}\r\n", text.len()) };
        to_client.write_all(&[answer.as_bytes(), b"\r\n", length.as_bytes(), b"\r\n", &text].concat())?;
    }
}

fn take_in(state: &mut State, head: &mut String) -> Option<(u16, String)> {
    // The soak makes more than a test asks about.
    if state.requests.len() == KEPT {
        state.requests.drain(..KEPT / 2);
    }
    state.requests.push(head.clone());
    for (method, header) in &state.removed {
        let is_it = |line: &&str| line.to_lowercase().split(':').next() == Some(header);
        if head.starts_with(method) {
            *head = head.split("\r\n").filter(|line| !is_it(line)).collect::<Vec<_>>().join("\r\n");
        }
    }
    let answer = state.answers.iter_mut().find(|answer| answer.times > 0 && head.contains(&answer.to))?;
    answer.times -= 1;
    Some((answer.status, answer.body.clone()))
}
