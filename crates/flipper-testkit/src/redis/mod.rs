//! Real Redis servers: single, cluster, Sentinel. Each has free ports and its own directory, and is killed when dropped.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a test's report")]

mod cluster;
mod reply;
mod sentinel;
mod server;

pub use cluster::RedisCluster;
pub use reply::Reply;
pub use sentinel::RedisSentinel;
pub use server::{RedisOptions, RedisServer};
