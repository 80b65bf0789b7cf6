//! Redis Sentinels.

use super::reply::Reply;
use super::server::{RedisOptions, RedisServer};
use crate::wait_until;

/// The Sentinels' name for the servers.
const SERVICE: &str = "flags";

/// A primary, a replica, and three Sentinels that watch them.
#[derive(Debug)]
pub struct RedisSentinel {
    /// The primary at first, then the replica.
    servers: [RedisServer; 2],
    sentinels: Vec<RedisServer>,
}

impl RedisSentinel {
    /// Starts them; `None` without Redis.
    #[must_use]
    pub fn start() -> Option<Self> {
        let primary = RedisServer::start()?;
        let replica = RedisOptions::default().config(format!("replicaof 127.0.0.1 {}", primary.port())).start()?;
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            let sentinel = RedisOptions::default()
                .sentinel()
                .config(format!("sentinel monitor {SERVICE} 127.0.0.1 {} 2", primary.port()))
                .config(format!("sentinel down-after-milliseconds {SERVICE} 1000"))
                .config(format!("sentinel failover-timeout {SERVICE} 3000"));
            sentinels.push(sentinel.start()?);
        }
        let set = Self { servers: [primary, replica], sentinels };
        wait_until("each Sentinel knows the replica and the others", || {
            set.sentinels.iter().all(|sentinel| {
                let Reply::List(state) = sentinel.command(&["SENTINEL", "MASTER", SERVICE]) else { return false };
                let field = |name: &str| state.chunks(2).find(|pair| pair[0].text() == name).map(|pair| pair[1].text());
                field("num-slaves") == Some("1") && field("num-other-sentinels") == Some("2")
            })
        });
        Some(set)
    }

    /// The name of the service.
    #[must_use]
    pub fn service(&self) -> &'static str {
        SERVICE
    }

    /// The Sentinels' URLs.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(RedisServer::url).collect()
    }

    /// The Sentinels.
    #[must_use]
    pub fn sentinels(&self) -> &[RedisServer] {
        &self.sentinels
    }

    /// The server that is the primary at first.
    pub fn first_primary(&mut self) -> &mut RedisServer {
        &mut self.servers[0]
    }

    /// The server that is the replica at first.
    #[must_use]
    pub fn first_replica(&self) -> &RedisServer {
        &self.servers[1]
    }

    /// Waits until the Sentinels have promoted the replica.
    pub fn wait_for_failover(&self) {
        // A Sentinel closes all connections of a server whose role it changes.
        wait_until(
            "the replica is the primary",
            || matches!(self.servers[1].try_command(&["ROLE"]), Ok(Reply::List(role)) if role[0].text() == "master"),
        );
    }
}
