//! A proxy for any protocol, before any server, that can be made to do harm.

#![expect(clippy::unwrap_used, reason = "a panic is a test's report")]

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// What a relay does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Harm {
    /// It passes everything on.
    #[default]
    None,
    /// It keeps each piece of an answer back for so long.
    Delay(Duration),
    /// Of every so many pieces of answers, on average, it passes on half of one, and then closes that connection.
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
    harm: Harm,
    /// Both ends of each, by its number.
    connections: HashMap<usize, [TcpStream; 2]>,
    connected: usize,
    pieces: usize,
    cuts: usize,
    ended: bool,
}

impl Relay {
    /// Starts one before the server at this port of this machine.
    ///
    /// # Panics
    ///
    /// If no port can be had.
    #[must_use]
    pub fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<Mutex<State>>::default();
        let serving = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = lock(&serving);
                let (ended, refuses) = (state.ended, state.harm == Harm::Refuse);
                drop(state);
                if ended {
                    return;
                }
                if !refuses {
                    // Fails where the server is away, and then the client is closed.
                    let _ = connect(client, server, &serving);
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

    /// Does this from now on. [`Harm::Refuse`] breaks what is connected.
    pub fn harm(&self, harm: Harm) {
        let mut state = lock(&self.state);
        state.harm = harm;
        if harm == Harm::Refuse {
            for (_, [client, server]) in state.connections.drain() {
                close(&client, &server);
            }
        }
    }

    /// How many connections it has cut.
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

fn connect(client: TcpStream, server: u16, state: &Arc<Mutex<State>>) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", server))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ends = [client.try_clone()?, server.try_clone()?];
    let number = {
        let mut state = lock(state);
        state.connected += 1;
        let number = state.connected;
        state.connections.insert(number, ends);
        number
    };
    let (mut to_server, mut from_client) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        close(&from_client, &to_server);
    });
    let state = state.clone();
    thread::spawn(move || {
        let _ = answer(&server, &client, &state);
        close(&server, &client);
        lock(&state).connections.remove(&number);
    });
    Ok(())
}

fn close(one: &TcpStream, other: &TcpStream) {
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}

fn answer(mut server: &TcpStream, mut client: &TcpStream, state: &Mutex<State>) -> io::Result<()> {
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

/// No pattern: a client that tries again with as many pieces each time would be cut each time.
fn scattered(number: usize) -> usize {
    let word = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from((word ^ (word >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33).unwrap_or_default()
}
