//! Every behaviour of the trait, for each kind of server and each way to follow changes.

use std::sync::Arc;
use std::time::Duration;

use flipper::RedisFeatureFlagStore;
use flipper::conformance::TwoConnections;
use flipper_testkit::Shared;
use flipper_testkit::redis::{RedisCluster, RedisServer};
use redis::ProtocolVersion;
use redis::cluster::ClusterClient;

use crate::random_base;

static SERVER: Shared<RedisServer> = Shared::new();
static CLUSTER: Shared<RedisCluster> = Shared::new();

fn server() -> Option<Arc<RedisServer>> {
    SERVER.get(|| {
        RedisServer::options()
            .config("notify-keyspace-events KA")
            .config("user notified on nopass ~* &* +@all -client|tracking")
            .config("user polled on nopass ~* &* +@all -client|tracking -config")
            .start()
    })
}

fn store(server: &RedisServer, user: &str, base: &str) -> RedisFeatureFlagStore {
    let url = format!("redis://{user}:x@127.0.0.1:{}/5", server.port());
    RedisFeatureFlagStore::from_url(&url).unwrap().base_key(base).poll_every(Duration::from_millis(50))
}

fn cluster(cluster: &RedisCluster, base: &str) -> RedisFeatureFlagStore {
    let client = ClusterClient::builder(cluster.urls()).use_protocol(ProtocolVersion::RESP3).build().unwrap();
    RedisFeatureFlagStore::new(client).base_key(base)
}

fn pushed() -> Option<(RedisFeatureFlagStore, Arc<RedisServer>)> {
    let server = server()?;
    Some((RedisFeatureFlagStore::from_url(&server.url()).unwrap().base_key(random_base()), server))
}

fn single(user: &str) -> Option<(RedisFeatureFlagStore, Arc<RedisServer>)> {
    let server = server()?;
    Some((store(&server, user, &random_base()), server))
}

flipper::store_conformance_tests!(pushed, async || pushed());
flipper::store_conformance_tests!(with_notifications, async || single("notified"));
flipper::store_conformance_tests!(polled, async || single("polled"));
flipper::store_conformance_tests!(two_connections, async || {
    let (server, base) = (server()?, random_base());
    Some((TwoConnections::new(store(&server, "default", &base), store(&server, "default", &base)), server))
});
flipper::store_conformance_tests!(in_a_cluster, async || {
    let (running, base) = (CLUSTER.get(RedisCluster::start)?, random_base());
    Some((TwoConnections::new(cluster(&running, &base), cluster(&running, &base)), running))
});

mod corrupt {
    use redis::AsyncTypedCommands;

    use super::*;

    flipper::corrupt_conformance_tests!(
        values,
        async || pushed(),
        async |store: &RedisFeatureFlagStore, name: &str, value: &[u8]| {
            let shown = store.to_string();
            let base = shown.strip_prefix("Redis(").unwrap().strip_suffix(')').unwrap();
            let client = redis::Client::open(server().unwrap().url()).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            connection.set(format!("{base}/{name}"), value).await.unwrap();
        },
    );
}
