//! Real Consul agents: single, cluster, with ACLs, TLS or a Unix socket. Each on free ports, in a directory of its own, killed
//! when dropped. And a proxy to put before one.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a test's report")]

mod agent;
mod cluster;
mod http;
mod proxy;

pub use agent::{ConsulAgent, ConsulOptions, MASTER_TOKEN};
pub use cluster::ConsulCluster;
pub use http::Reply;
pub use proxy::{ConsulProxy, Fault};

use std::path::PathBuf;

use crate::{program, skip};

/// The program: that of `CONSUL_BIN`, the one on the `PATH`, or the one that `scripts/setup` has fetched. `None`, said aloud,
/// where there is none.
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
