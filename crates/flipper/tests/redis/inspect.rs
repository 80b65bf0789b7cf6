//! What the store finds out about its server.

use flipper::store::{Check, Finding};
use flipper::{FeatureFlagStore, RedisFeatureFlagStore};
use flipper_testkit::redis::{RedisCluster, RedisServer};

fn find<'a>(checks: &'a [Check], what: &str) -> &'a Check {
    checks.iter().find(|check| check.what == what).unwrap_or_else(|| panic!("no {what} in {checks:#?}"))
}

#[tokio::test]
async fn a_server_in_order() {
    let Some(server) = RedisServer::start() else { return };
    let store = RedisFeatureFlagStore::from_url(&server.url()).unwrap();
    let checks = store.inspect().await;
    for (what, text) in [
        ("reachable", "in "),
        ("version", "Redis "),
        ("kind", "a single server"),
        ("rights", "as default"),
        ("push", "CLIENT TRACKING"),
        ("persistence", "AOF"),
        ("eviction", "noeviction"),
        ("clock", "ours"),
        ("identity", "?base_key=features ("),
        ("flags", "0"),
    ] {
        let check = find(&checks, what);
        assert!(check.text.contains(text) && check.finding == Finding::Fine, "{check:?}");
    }
    assert_eq!(server.calls("set") + server.calls("del") + server.calls("eval"), 0);
}

#[tokio::test]
async fn what_could_be_better() {
    let options = RedisServer::options()
        .config("appendonly no")
        .config("maxmemory 100mb")
        .config("maxmemory-policy allkeys-lru")
        .config("user reader on nopass %R~* &* +@read +@connection +info +acl -client|tracking -client|trackinginfo");
    let Some(server) = options.start() else { return };
    let open =
        |user: &str| RedisFeatureFlagStore::from_url(&server.url().replace("//", &format!("//{user}@"))).unwrap();
    let checks = open("reader").inspect().await;
    for (what, text) in [
        ("rights", "SET, DEL, EVAL, EVALSHA"),
        ("push", "read every 1s"),
        ("persistence", "nothing saved"),
        ("eviction", "allkeys-lru"),
    ] {
        let check = find(&checks, what);
        assert!(check.text.contains(text) && check.finding == Finding::Problem && check.hint.is_some(), "{check:?}");
    }
    let checks = open("nobody").inspect().await;
    assert!(checks.len() == 1 && find(&checks, "reachable").finding == Finding::Fault, "{checks:?}");
}

#[tokio::test]
async fn a_cluster_and_a_replica() {
    let Some(cluster) = RedisCluster::start() else { return };
    let checks = RedisFeatureFlagStore::from_url(&cluster.urls()[0]).unwrap().inspect().await;
    assert_eq!(find(&checks, "kind").text, "a cluster of 3 primaries");
    assert!(find(&checks, "push").text.contains("each primary"));
    let primary = RedisServer::start().unwrap();
    let replica = RedisServer::options().config(format!("replicaof 127.0.0.1 {}", primary.port())).start().unwrap();
    let checks = RedisFeatureFlagStore::from_url(&replica.url()).unwrap().inspect().await;
    assert!(find(&checks, "kind").text.contains("a replica"), "{checks:?}");
}
