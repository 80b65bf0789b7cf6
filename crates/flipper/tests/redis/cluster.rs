use flipper::store::{Precondition, Updates, WatchEvent};
use flipper::{FeatureFlagStore, RedisFeatureFlagStore};
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
        store.put(&flag(&format!("F{number:03}"), false), Precondition::Absent.into()).await.unwrap();
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
        store.put(&flag(&name, true), Precondition::Any.into()).await.unwrap();
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
    store.put(&flag("F", false), Precondition::Absent.into()).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.reset().await;
    let key = "features/F";
    let flipper_testkit::redis::Reply::Number(slot) = cluster.nodes()[0].command(&["CLUSTER", "KEYSLOT", key]) else {
        panic!("no slot");
    };
    let at = cluster.nodes().iter().position(|node| node.port() == cluster.node_of(key).port()).unwrap();
    cluster.move_slot(u16::try_from(slot).unwrap(), at, (at + 1) % 3);
    store.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
    follow.until("F", Some(true)).await;
    // The watch notices the move, and starts over.
    follow.lost().await;
    assert_eq!(follow.reset().await.0.len(), 1);
    store.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    follow.until("F", Some(false)).await;
}

#[tokio::test]
async fn a_node_that_comes_back_is_followed() {
    let Some(mut cluster) = RedisCluster::start() else { return };
    let store = store(&cluster, ProtocolVersion::RESP3);
    for number in 0..30 {
        store.put(&flag(&format!("F{number}"), false), Precondition::Absent.into()).await.unwrap();
    }
    let mut follow = Follow::of(&store);
    follow.reset().await;
    cluster.node_mut(0).kill();
    follow.lost().await;
    cluster.node_mut(0).restart();
    assert_eq!(follow.reset().await.0.len(), 30);
    for number in 0..30 {
        let name = format!("F{number}");
        while store.put(&flag(&name, true), Precondition::Any.into()).await.is_err() {}
        follow.until(&name, Some(true)).await;
    }
}

#[tokio::test]
async fn without_resp3_it_is_polled() {
    let Some(cluster) = RedisCluster::start() else { return };
    let store = store(&cluster, ProtocolVersion::RESP2);
    let mut follow = Follow::of(&store);
    assert!(matches!(follow.following().await, Updates::Poll { .. }));
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    follow.until("F", Some(true)).await;
}

#[tokio::test]
async fn one_node_stands_for_the_whole() {
    let Some(cluster) = RedisCluster::start() else { return };
    let whole = RedisFeatureFlagStore::from_url(&format!("redis-cluster://127.0.0.1:{}", cluster.nodes()[0].port()));
    let whole = whole.unwrap();
    for number in 0..60 {
        whole.put(&flag(&format!("F{number:02}"), false), Precondition::Absent.into()).await.unwrap();
    }
    for url in cluster.urls() {
        let given = [RedisFeatureFlagStore::from_url(&url).unwrap(), redis::Client::open(&*url).unwrap().into_store()];
        for store in given {
            let mut follow = Follow::of(&store);
            assert_eq!(follow.reset().await.0.len(), 60);
            assert_eq!(follow.following().await, Updates::Push);
            assert_eq!(store.list().await.unwrap().len(), 60);
            for number in 0..60 {
                let name = format!("F{number:02}");
                assert!(store.get(&name).await.unwrap().is_some());
                store.put(&flag(&name, number % 2 == 0), Precondition::Any.into()).await.unwrap();
            }
            follow.until("F58", Some(true)).await;
        }
    }
    let error = RedisFeatureFlagStore::from_url(&format!("{}/3", cluster.urls()[0])).unwrap().list().await.unwrap_err();
    assert_ne!(error.kind(), flipper::ErrorKind::Unsupported, "{error:?}");
}

trait IntoStore {
    fn into_store(self) -> RedisFeatureFlagStore;
}

impl IntoStore for redis::Client {
    fn into_store(self) -> RedisFeatureFlagStore {
        RedisFeatureFlagStore::new(self)
    }
}

/// The keys of one slot move to another node and back, one by one, while a writer flips the flags.
#[tokio::test(flavor = "multi_thread")]
async fn no_flag_vanishes_while_its_slot_moves() {
    let Some(cluster) = RedisCluster::start() else { return };
    let base = "{features}";
    let flipper_testkit::redis::Reply::Number(slot) = cluster.nodes()[0].command(&["CLUSTER", "KEYSLOT", base]) else {
        panic!("no slot");
    };
    let slot = u16::try_from(slot).unwrap();
    let at = usize::from(slot) * 3 / 16384;
    let cluster = std::sync::Arc::new(cluster);
    // One follows the node that the slot leaves, one a node that never has it.
    let stores: Vec<_> =
        cluster.urls().iter().map(|url| RedisFeatureFlagStore::from_url(url).unwrap().base_key(base)).collect();
    let names: Vec<_> = (0..200).map(|number| format!("F{number:03}")).collect();
    for name in &names {
        stores[0].put(&flag(name, false), Precondition::Absent.into()).await.unwrap();
    }
    let done = std::sync::atomic::AtomicBool::new(false);
    let moves = async {
        let cluster = std::sync::Arc::clone(&cluster);
        let moves = move || (at..at + 4).for_each(|at| cluster.move_slot(slot, at % 3, (at + 1) % 3));
        tokio::task::spawn_blocking(moves).await.unwrap();
        done.store(true, std::sync::atomic::Ordering::SeqCst);
    };
    let writer = async {
        let mut round = 0;
        let writer = RedisFeatureFlagStore::from_url(&cluster.urls()[2]).unwrap().base_key(base);
        while !done.load(std::sync::atomic::Ordering::SeqCst) {
            for name in &names {
                while writer.put(&flag(name, round % 2 == 0), Precondition::Any.into()).await.is_err() {}
            }
            round += 1;
        }
        for name in &names {
            while writer.put(&flag(name, true), Precondition::Any.into()).await.is_err() {}
        }
    };
    let followers = stores.iter().map(|store| async {
        let mut mirror = std::collections::BTreeMap::new();
        let mut follow = Follow::of(store);
        while mirror.len() < names.len()
            || mirror.values().any(|enabled| !enabled)
            || !done.load(std::sync::atomic::Ordering::SeqCst)
        {
            match follow.next().await {
                WatchEvent::Reset { flags, .. } => {
                    assert_eq!(flipper_names(&flags), names, "a partial reset");
                    mirror = flags.into_iter().map(|flag| (flag.name.clone(), is_on(&flag))).collect();
                }
                WatchEvent::Changed { flag, .. } => {
                    mirror.insert(flag.name.clone(), is_on(&flag));
                }
                WatchEvent::Removed { name, .. } => panic!("{name} was reported as removed"),
                _ => {}
            }
        }
    });
    let lister = async {
        while !done.load(std::sync::atomic::Ordering::SeqCst) {
            // If the slots do not rest, `list` fails; it returns no partial list.
            let Ok(flags) = stores[0].list().await else { continue };
            assert_eq!(flipper_names(&flags), names, "a partial list");
        }
    };
    tokio::join!(moves, writer, lister, futures_util::future::join_all(followers));
}

fn is_on(flag: &flipper::store::Stored) -> bool {
    flag.record.as_ref().unwrap().is_enabled()
}

fn flipper_names(flags: &[flipper::store::Stored]) -> Vec<&str> {
    let names: std::collections::BTreeSet<_> = flags.iter().map(|flag| flag.name.as_str()).collect();
    names.into_iter().collect()
}
