//! Real Redis servers: single, cluster, Sentinel. Each on free ports, in a directory of its own, killed when dropped.

mod cluster;
mod reply;
mod sentinel;
mod server;
mod tls;

pub use cluster::RedisCluster;
pub use reply::Reply;
pub use sentinel::RedisSentinel;
pub use server::{RedisOptions, RedisServer};

use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Until when a server must have started, or a state must be reached.
const PATIENCE: Duration = Duration::from_secs(30);

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Looks until it is so.
///
/// # Panics
///
/// If it is not within half a minute.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
