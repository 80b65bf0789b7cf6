//! A cluster of three primaries.

use flipper::{FeatureFlagStore, Precondition, RedisFeatureFlagStore, Updates};
use flipper_testkit::redis::RedisCluster;
use redis::ProtocolVersion;
use redis::cluster::ClusterClient;

use crate::{Follow, flag};

fn store(cluster: &RedisCluster, protocol: ProtocolVersion) -> RedisFeatureFlagStore {
    RedisFeatureFlagStore::new(ClusterClient::builder(cluster.urls()).use_protocol(protocol).build().unwrap())
}

#[tokio::test]
async fn every_primary_is_read_and_followed() {
    let Some(cluster) = RedisCluster::start() else { return };
    let store = store(&cluster, ProtocolVersion::RESP3);
    for number in 0..300 {
        store.put(&flag(&format!("F{number:03}"), false), Precondition::Absent).await.unwrap();
    }
    for node in cluster.nodes() {
        assert_ne!(node.command(&["DBSIZE"]), flipper_testkit::redis::Reply::Number(0));
    }
    assert_eq!(store.list().await.unwrap().len(), 300);
    let mut follow = Follow::of(&store);
    assert_eq!(follow.reset().await.0.len(), 300);
    assert_eq!(follow.following().await, Updates::Push);
    for number in 0..30 {
        let name = format!("F{number:03}");
        store.put(&flag(&name, true), Precondition::Any).await.unwrap();
        follow.until(&name, Some(true)).await;
    }
    cluster.nodes()[1].command(&["FLUSHALL"]);
    let (flags, _) = follow.reset().await;
    assert!(flags.len() < 300 && !flags.is_empty());
}

#[tokio::test]
async fn a_moved_slot_is_followed() {
    let Some(cluster) = RedisCluster::start() else { return };
    let store = store(&cluster, ProtocolVersion::RESP3);
    store.put(&flag("F", false), Precondition::Absent).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.reset().await;
    let key = "features/F";
    let flipper_testkit::redis::Reply::Number(slot) = cluster.nodes()[0].command(&["CLUSTER", "KEYSLOT", key]) else {
        panic!("no slot");
    };
    let at = cluster.nodes().iter().position(|node| node.port() == cluster.node_of(key).port()).unwrap();
    cluster.move_slot(u16::try_from(slot).unwrap(), at, (at + 1) % 3);
    store.put(&flag("F", true), Precondition::Any).await.unwrap();
    follow.until("F", Some(true)).await;
    // The watch notices, and begins anew.
    follow.lost().await;
    assert_eq!(follow.reset().await.0.len(), 1);
    store.put(&flag("F", false), Precondition::Any).await.unwrap();
    follow.until("F", Some(false)).await;
}

#[tokio::test]
async fn a_node_that_comes_back_is_followed() {
    let Some(mut cluster) = RedisCluster::start() else { return };
    let store = store(&cluster, ProtocolVersion::RESP3);
    for number in 0..30 {
        store.put(&flag(&format!("F{number}"), false), Precondition::Absent).await.unwrap();
    }
    let mut follow = Follow::of(&store);
    follow.reset().await;
    cluster.node_mut(0).kill();
    follow.lost().await;
    cluster.node_mut(0).restart();
    assert_eq!(follow.reset().await.0.len(), 30);
    for number in 0..30 {
        let name = format!("F{number}");
        while store.put(&flag(&name, true), Precondition::Any).await.is_err() {}
        follow.until(&name, Some(true)).await;
    }
}

#[tokio::test]
async fn without_resp3_it_is_polled() {
    let Some(cluster) = RedisCluster::start() else { return };
    let store = store(&cluster, ProtocolVersion::RESP2);
    let mut follow = Follow::of(&store);
    assert!(matches!(follow.following().await, Updates::Poll { .. }));
    store.put(&flag("F", true), Precondition::Absent).await.unwrap();
    follow.until("F", Some(true)).await;
    // One that takes it for a single server is told.
    let names = (0..3).map(|number| format!("F{number}"));
    let single = RedisFeatureFlagStore::connect(&cluster.urls()[0]).unwrap();
    let mut kinds = Vec::new();
    for name in names {
        if let Err(error) = single.get(&name).await {
            kinds.push(error.kind());
        }
    }
    assert!(!kinds.is_empty() && kinds.iter().all(|kind| *kind == flipper::ErrorKind::Unsupported), "{kinds:?}");
}
