//! The kinds of the driver's clients.

use std::sync::Arc;

use redis::Client;
use redis::cluster::ClusterClient;
use redis::sentinel::SentinelClient;
use tokio::sync::Mutex;

#[derive(Clone)]
pub(super) enum Kind {
    Node(Box<Client>),
    Cluster(Box<ClusterClient>),
    // Finding the primary needs `&mut`.
    Sentinel(Arc<Mutex<SentinelClient>>),
}
