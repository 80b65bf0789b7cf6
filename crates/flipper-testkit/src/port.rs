//! Free ports.

#![expect(clippy::unwrap_used, reason = "a panic is a test's report")]

use std::collections::HashSet;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::sync::{LazyLock, Mutex};

const LEAST: u16 = 20_000;

/// Those of this process: a server may not have taken its port yet.
static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// A port that was free just now. The system gives it to no client's connection, which would keep a server that was killed from starting again.
#[must_use]
pub fn free_port() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let ports = range.split_whitespace().next().and_then(|first| first.parse().ok()).map(|first: u16| LEAST..first);
    let Some(ports) = ports.filter(|ports| ports.len() > 1_000) else { return bound(0).unwrap() };
    let mut given = GIVEN.lock().unwrap();
    if given.len() > ports.len() / 2 {
        given.clear();
    }
    let random = RandomState::new();
    let places = (0..10_000).map(|turn: u32| random.hash_one(turn) % ports.len() as u64);
    let mut places = places.map(|place| LEAST + u16::try_from(place).unwrap());
    places.find(|port| bound(*port).is_some() && given.insert(*port)).unwrap()
}

fn bound(port: u16) -> Option<u16> {
    TcpListener::bind(("127.0.0.1", port)).ok().map(|listener| listener.local_addr().unwrap().port())
}
