use std::time::{Duration, Instant};

use flipper::store::{Precondition, Updates};
use flipper::{FeatureFlagStore, RedisFeatureFlagStore};
use flipper_testkit::redis::RedisServer;

use crate::{Follow, flag, store};

fn base(store: &impl std::fmt::Display) -> String {
    store.to_string().replace("Redis(", "").replace(')', "")
}

#[tokio::test]
async fn says_how_changes_arrive() {
    let options = RedisServer::options()
        .config("user notified on nopass ~* &* +@all -client|tracking")
        .config("user polled on nopass ~* &* +@all -client|tracking -config");
    let Some(server) = options.start() else { return };
    let following = async |user: &str| {
        let store = store(&format!("redis://{user}:x@127.0.0.1:{}", server.port()));
        Follow::of(&store).following().await
    };
    let (second, ten) = (Duration::from_secs(1), Duration::from_secs(10));
    assert_eq!(following("default").await, Updates::Push);
    assert_eq!(following("notified").await, Updates::Poll { every: second });
    assert_eq!(following("polled").await, Updates::Poll { every: second });
    server.command(&["CONFIG", "SET", "notify-keyspace-events", "K$gxe"]);
    assert_eq!(following("notified").await, Updates::Notifications { check_every: ten });
    server.command(&["CONFIG", "SET", "notify-keyspace-events", "Kg"]);
    assert_eq!(following("notified").await, Updates::Poll { every: second });
}

#[tokio::test]
async fn flushes_and_expiry_are_seen() {
    let Some(server) = RedisServer::options().config("notify-keyspace-events KA").start() else { return };
    server.command(&["ACL", "SETUSER", "notified", "on", "nopass", "~*", "&*", "+@all", "-client|tracking"]);
    for user in ["default", "notified"] {
        let url = format!("redis://{user}:x@127.0.0.1:{}", server.port());
        let store = store(&url).poll_every(Duration::from_millis(50));
        let key = format!("{}/F", base(&store));
        let mut follow = Follow::of(&store);
        follow.reset().await;
        for flush in ["FLUSHDB", "FLUSHALL"] {
            store.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
            follow.until("F", Some(true)).await;
            server.command(&[flush]);
            follow.until("F", None).await;
        }
        store.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
        follow.until("F", Some(true)).await;
        server.command(&["PEXPIRE", &key, "100"]);
        follow.until("F", None).await;
        store.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
        server.command(&["RENAME", &key, &format!("{key}2")]);
        follow.until("F2", Some(true)).await;
    }
}

/// The mirror's order relies on it.
#[tokio::test]
async fn reads_are_no_older_than_said() {
    let Some(server) = RedisServer::start() else { return };
    let store = store(&server.url());
    let writer = RedisFeatureFlagStore::from_url(&server.url()).unwrap().base_key(base(&store));
    let mut follow = Follow::of(&store);
    let before = Instant::now();
    assert!(follow.reset().await.1.unwrap() >= before);
    for round in 0..100 {
        let written = Instant::now();
        writer.put(&flag("F", round % 2 == 0), Precondition::Any.into()).await.unwrap();
        let read_at = follow.until("F", Some(round % 2 == 0)).await.unwrap();
        assert!(read_at >= written && read_at <= Instant::now());
    }
}

#[tokio::test]
async fn a_slow_reader_gets_the_last_state() {
    let Some(server) = RedisServer::start() else { return };
    let store = store(&server.url());
    let writer = RedisFeatureFlagStore::from_url(&server.url()).unwrap().base_key(base(&store));
    let mut follow = Follow::of(&store);
    follow.reset().await;
    for round in 0..2000 {
        writer.put(&flag(&format!("F{}", round % 100), round % 2 == 0), Precondition::Any.into()).await.unwrap();
    }
    writer.put(&flag("F0", false), Precondition::Any.into()).await.unwrap();
    follow.until("F0", Some(false)).await;
}

#[tokio::test]
async fn a_dropped_watch_closes_its_connection() {
    let Some(server) = RedisServer::start() else { return };
    let store = store(&server.url());
    let tracking = || server.command(&["CLIENT", "LIST"]).text().matches("flags=tB").count();
    {
        let mut follow = Follow::of(&store);
        follow.reset().await;
        assert_eq!(tracking(), 1);
    }
    flipper_testkit::wait_until("no client tracks", || tracking() == 0);
}
