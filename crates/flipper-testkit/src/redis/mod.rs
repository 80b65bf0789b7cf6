//! Real Redis servers: single, cluster, Sentinel. Each on free ports, in a directory of its own, killed when dropped.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a test's report")]

mod cluster;
mod reply;
mod sentinel;
mod server;

pub use cluster::RedisCluster;
pub use reply::Reply;
pub use sentinel::RedisSentinel;
pub use server::{RedisOptions, RedisServer};
