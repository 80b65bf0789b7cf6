//! A proxy for any protocol and server, with faults.

#![expect(clippy::unwrap_used, reason = "a panic is a test's report")]

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The fault of a relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Harm {
    /// It forwards everything.
    #[default]
    None,
    /// It delays each piece of a response.
    Delay(Duration),
    /// On average every nth piece of a response it forwards half of one, and closes that connection.
    Cut(usize),
    /// It closes each connection at once.
    Refuse,
}

/// A proxy on a free port.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The port of the server of the next connection.
    server: u16,
    harm: Harm,
    /// A text in requests, and how many answers to such are still to be lost.
    losses: (String, usize),
    /// Both sockets of each connection, by its number.
    connections: HashMap<usize, [TcpStream; 2]>,
    /// How often open connections were broken.
    breaks: usize,
    connected: usize,
    pieces: usize,
    cuts: usize,
    ended: bool,
}

impl Relay {
    /// Starts one for the local server at this port.
    #[must_use]
    pub fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State { server, ..State::default() }));
        let serving = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = lock(&serving);
                let (ended, refuses) = (state.ended, state.harm == Harm::Refuse);
                let (server, breaks) = (state.server, state.breaks);
                drop(state);
                if ended {
                    return;
                }
                if !refuses {
                    // Fails if the server is down, which closes the client.
                    let _ = connect(client, server, breaks, &serving);
                }
            }
        });
        Self { port, state }
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets the fault. [`Harm::Refuse`] breaks open connections.
    pub fn harm(&self, harm: Harm) {
        let mut state = lock(&self.state);
        state.harm = harm;
        if harm == Harm::Refuse {
            state.breaks += 1;
            for (_, [client, server]) in state.connections.drain() {
                close(&client, &server);
            }
        }
    }

    /// The next connections are to the local server at this port; open ones stay.
    pub fn lead_to(&self, server: u16) {
        lock(&self.state).server = server;
    }

    /// The next requests with this text reach the server, and the connection is closed instead of an answer.
    pub fn lose_answers(&self, to: &str, times: usize) {
        lock(&self.state).losses = (to.to_owned(), times);
    }

    /// The number of connections it has cut.
    #[must_use]
    pub fn cuts(&self) -> usize {
        lock(&self.state).cuts
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.harm(Harm::Refuse);
        lock(&self.state).ended = true;
        // Wakes the listener.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(client: TcpStream, server: u16, breaks: usize, state: &Arc<Mutex<State>>) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", server))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ends = [client.try_clone()?, server.try_clone()?];
    let number = {
        let mut state = lock(state);
        // It was accepted before a break, and may lead to the server of before: dropped, as the open ones were.
        if state.breaks != breaks {
            return Ok(());
        }
        state.connected += 1;
        let number = state.connected;
        state.connections.insert(number, ends);
        number
    };
    let (to_server, from_client) = (server.try_clone()?, client.try_clone()?);
    let loses = Arc::new(AtomicBool::new(false));
    let (asking, will_lose) = (state.clone(), loses.clone());
    thread::spawn(move || {
        let _ = ask(&from_client, &to_server, &asking, &will_lose);
        close(&from_client, &to_server);
    });
    let state = state.clone();
    thread::spawn(move || {
        let _ = answer(&server, &client, &state, &loses);
        close(&server, &client);
        lock(&state).connections.remove(&number);
    });
    Ok(())
}

fn close(one: &TcpStream, other: &TcpStream) {
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}

fn ask(mut client: &TcpStream, mut server: &TcpStream, state: &Mutex<State>, loses: &AtomicBool) -> io::Result<()> {
    let mut piece = vec![0; 1 << 16];
    loop {
        let length = client.read(&mut piece)?;
        if length == 0 {
            return Ok(());
        }
        let (text, left) = &mut lock(state).losses;
        if *left > 0 && piece[..length].windows(text.len()).any(|part| part == text.as_bytes()) {
            *left -= 1;
            loses.store(true, Ordering::SeqCst);
        }
        server.write_all(&piece[..length])?;
    }
}

fn answer(mut server: &TcpStream, mut client: &TcpStream, state: &Mutex<State>, loses: &AtomicBool) -> io::Result<()> {
    let mut piece = vec![0; 1 << 16];
    loop {
        let length = server.read(&mut piece)?;
        if length == 0 {
            return Ok(());
        }
        let harm = {
            let mut state = lock(state);
            state.pieces += 1;
            let mut harm = state.harm;
            match state.harm {
                Harm::Cut(every) if scattered(state.pieces).is_multiple_of(every) => state.cuts += 1,
                Harm::Cut(_) => harm = Harm::None,
                _ => {}
            }
            if loses.load(Ordering::SeqCst) {
                state.cuts += 1;
                return Ok(());
            }
            harm
        };
        match harm {
            Harm::Cut(_) => {
                client.write_all(&piece[..length / 2])?;
                return Ok(());
            }
            Harm::Delay(delay) => thread::sleep(delay),
            Harm::None | Harm::Refuse => {}
        }
        client.write_all(&piece[..length])?;
    }
}

/// Without a pattern: a client that repeats the same pieces must not be cut each time.
fn scattered(number: usize) -> usize {
    let word = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from((word ^ (word >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33).unwrap_or_default()
}
