//! Real Redis servers: single, cluster, Sentinel. Each on free ports, in a directory of its own, killed when dropped.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a test's report")]

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

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
