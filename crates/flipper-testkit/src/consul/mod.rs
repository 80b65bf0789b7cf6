//! Real Consul agents: single, cluster, with ACLs, TLS or a Unix socket. Each has free ports and its own directory, and is killed
//! when dropped. And a proxy with faults.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a test's report")]

mod agent;
mod cluster;
mod connection;
mod http;
mod proxy;

pub use agent::{ConsulAgent, ConsulOptions, MASTER_TOKEN};
pub use cluster::ConsulCluster;
pub use connection::Connection;
pub use http::Reply;
pub use proxy::{ConsulProxy, Fault};
pub(crate) use proxy::{length, read_head};

use std::path::PathBuf;

use crate::{program, skip};

/// The program: `CONSUL_BIN`, or the one on the `PATH`, or the one that `scripts/setup` fetched. Otherwise prints `SKIP` and
/// returns `None`.
#[must_use]
pub fn consul() -> Option<PathBuf> {
    let named = std::env::var_os("CONSUL_BIN").map(PathBuf::from);
    let fetched = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/consul/consul"));
    let found = named.or_else(|| program("consul")).or_else(|| fetched.is_file().then_some(fetched));
    if found.is_none() {
        skip("consul", "consul is not installed; scripts/setup fetches it, or set CONSUL_BIN");
    }
    found
}
