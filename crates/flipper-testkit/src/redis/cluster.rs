//! A Redis cluster.

use super::reply::Reply;
use super::server::{RedisOptions, RedisServer};
use crate::port::free_port;
use crate::wait_until;

const SLOTS: u16 = 16_384;

/// A cluster of three primaries without replicas.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts it; `None` without Redis.
    #[must_use]
    pub fn start() -> Option<Self> {
        let mut nodes = Vec::new();
        for _ in 0..3 {
            // The default bus port may exceed the highest port.
            let options = RedisOptions::default()
                .config("cluster-enabled yes")
                .config(format!("cluster-port {}", free_port()))
                .config("cluster-node-timeout 2000");
            nodes.push(options.start()?);
        }
        let cluster = Self { nodes };
        for (index, node) in cluster.nodes.iter().enumerate() {
            let range = |index: usize| index * usize::from(SLOTS) / 3;
            let (first, last) = (range(index).to_string(), (range(index + 1) - 1).to_string());
            assert_eq!(node.command(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]).text(), "OK");
            // Without their own epochs, the nodes disagree whose claim is newer.
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]);
        }
        for other in &cluster.nodes[1..] {
            let bus = other.command(&["CONFIG", "GET", "cluster-port"]);
            let Reply::List(bus) = bus else { panic!("{bus:?}") };
            let port = other.port().to_string();
            cluster.nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &port, bus[1].text()]);
        }
        wait_until("the cluster is formed", || {
            cluster.nodes.iter().all(|node| {
                let info = node.command(&["CLUSTER", "INFO"]);
                info.text().contains("cluster_state:ok") && info.text().contains("cluster_size:3")
            })
        });
        Some(cluster)
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// One of the nodes, to kill or pause it.
    pub fn node_mut(&mut self, index: usize) -> &mut RedisServer {
        &mut self.nodes[index]
    }

    /// The nodes' URLs.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::url).collect()
    }

    /// The node with this key.
    #[must_use]
    pub fn node_of(&self, key: &str) -> &RedisServer {
        let has = |node: &&RedisServer| !matches!(node.command(&["GET", key]), Reply::Error(_));
        self.nodes.iter().find(has).expect("a node for each key")
    }

    /// Moves a slot, with its keys, to another node.
    pub fn move_slot(&self, slot: u16, from: usize, to: usize) {
        let (from, to) = (&self.nodes[from], &self.nodes[to]);
        let id = |node: &RedisServer| node.command(&["CLUSTER", "MYID"]).text().to_owned();
        let (from_id, to_id, slot) = (id(from), id(to), slot.to_string());
        to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
        from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
        loop {
            let Reply::List(keys) = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]) else {
                panic!("no slot")
            };
            if keys.is_empty() {
                break;
            }
            for key in keys {
                let port = to.port().to_string();
                let moved = from.command(&["MIGRATE", "127.0.0.1", &port, key.text(), "0", "5000"]);
                assert_eq!(moved.text(), "OK");
            }
        }
        for node in [to, from] {
            assert_eq!(node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]).text(), "OK");
        }
    }
}
