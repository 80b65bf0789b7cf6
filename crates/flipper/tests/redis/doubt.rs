//! When a watch reports a doubt, and when it believes the server again.

use std::time::{Duration, Instant};

use flipper::store::{Precondition, WatchEvent};
use flipper::{ErrorKind, FeatureFlagStore, RedisFeatureFlagStore};
use flipper_testkit::redis::{RedisSentinel, RedisServer, Reply};

use crate::{Follow, eventually, flag, names};

/// The reason of the loss, and the server and flags that come after it. No change may come in between.
async fn doubted(follow: &mut Follow<'_>) -> (flipper::Error, Option<flipper::store::Identity>, Vec<String>) {
    let (mut reason, mut serving) = (None, None);
    loop {
        match follow.next().await {
            WatchEvent::Lost(error) => reason = Some(error),
            WatchEvent::Serving(identity) => serving = Some(identity),
            WatchEvent::Reset { flags, .. } => {
                let reason = reason.expect("`Lost` before the reset");
                return (reason, serving, names(&flags).into_iter().map(str::to_owned).collect());
            }
            // A server that is loading when the watch connects pushes what it loads.
            WatchEvent::Changed { flag, .. } if reason.is_none() => assert!(is_as_put(&flag), "{flag:?}"),
            WatchEvent::Compared { .. } if reason.is_none() => {}
            event @ (WatchEvent::Changed { .. } | WatchEvent::Removed { .. } | WatchEvent::Compared { .. }) => {
                panic!("a change in doubt, or without a write: {event:?}");
            }
            _ => {}
        }
    }
}

fn is_as_put(flag: &flipper::store::Stored) -> bool {
    let number = flag.name.strip_prefix('F').and_then(|number| number.parse::<u32>().ok());
    number.is_some_and(|number| flag.record.as_ref().is_ok_and(|record| record.is_enabled() == (number % 2 == 0)))
}

/// The flags of the next `Reset`, which needs no doubt.
async fn undoubted(follow: &mut Follow<'_>) -> Vec<String> {
    loop {
        match follow.next().await {
            WatchEvent::Lost(error) => panic!("{error:?}"),
            WatchEvent::Reset { flags, .. } => return names(&flags).into_iter().map(str::to_owned).collect(),
            _ => {}
        }
    }
}

async fn serving(follow: &mut Follow<'_>) -> flipper::store::Identity {
    loop {
        if let WatchEvent::Serving(identity) = follow.next().await {
            return identity;
        }
    }
}

fn open(server: &RedisServer, user: &str) -> RedisFeatureFlagStore {
    let url = format!("redis://{user}:x@127.0.0.1:{}", server.port());
    RedisFeatureFlagStore::from_url(&url).unwrap().poll_every(Duration::from_millis(50))
}

/// A user for each way: pushed changes, notifications, polling, and polling without `INFO`.
fn server() -> Option<RedisServer> {
    RedisServer::options()
        .config("notify-keyspace-events KA")
        .config("user notified on nopass ~* &* +@all -client|tracking")
        .config("user polled on nopass ~* &* +@all -client|tracking -config")
        .config("user blind on nopass ~* &* +@all -client|tracking -config -info")
        .start()
}

#[tokio::test]
async fn a_server_that_comes_back_empty() {
    for user in ["default", "notified", "polled", "blind"] {
        let Some(mut server) = server() else { return };
        let store = open(&server, user);
        store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
        let mut follow = Follow::of(&store);
        let before = serving(&mut follow).await;
        assert_eq!(names(&follow.reset().await.0), ["F"]);
        server.restart_empty();
        let (_, after, flags) = doubted(&mut follow).await;
        let after = after.unwrap();
        assert!(flags.is_empty());
        assert_eq!(before.place(), after.place());
        assert_eq!(before == after, user == "blind", "{user}: {before} {after}");
    }
}

#[tokio::test]
async fn flushed_and_swapped_while_connected() {
    let Some(server) = server() else { return };
    let store = open(&server, "default");
    let other = RedisFeatureFlagStore::from_url(&format!("{}/1", server.url())).unwrap();
    other.put(&flag("OTHER", true), Precondition::Absent.into()).await.unwrap();
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let mut follow = Follow::of(&store);
    assert_eq!(undoubted(&mut follow).await, ["F"]);
    // Redis does not push it; the next sign of life shows it.
    server.command(&["SWAPDB", "0", "1"]);
    assert_eq!(undoubted(&mut follow).await, ["OTHER"]);
    server.command(&["DEBUG", "RELOAD"]);
    assert_eq!(undoubted(&mut follow).await, ["OTHER"]);
    server.command(&["FLUSHALL"]);
    assert!(undoubted(&mut follow).await.is_empty());
}

#[tokio::test]
async fn the_reason_is_the_latest() {
    let Some(mut server) = RedisServer::start() else { return };
    let store = RedisFeatureFlagStore::from_url(&server.url()).unwrap();
    let mut follow = Follow::of(&store);
    follow.reset().await;
    server.kill();
    assert_eq!(follow.lost().await.kind(), ErrorKind::Unavailable);
    server.restart_with("requirepass other");
    while follow.lost().await.kind() != ErrorKind::Unauthorized {}
}

#[tokio::test]
async fn each_sign_of_life_confirms() {
    for (user, bound) in [("default", 2), ("polled", 3)] {
        let Some(server) = server() else { return };
        let store = open(&server, user).silence(Duration::from_secs(2)).timeout(Duration::from_secs(1));
        let mut follow = Follow::of(&store);
        let (mut last, mut lasts) = (None::<Instant>, Duration::ZERO);
        while last.is_none_or(|last| last < Instant::now() - Duration::from_secs(3)) || lasts.is_zero() {
            if let WatchEvent::Confirmed { at, valid_for } = follow.next().await {
                assert!(at <= Instant::now() && valid_for <= Duration::from_secs(bound), "{user}: {valid_for:?}");
                // Each comes before the last one ends.
                assert!(last.is_none_or(|last| last + lasts > Instant::now()));
                (last, lasts) = (Some(at), valid_for);
                if at > Instant::now() - Duration::from_millis(500) {
                    break;
                }
            }
        }
        server.pause();
        let paused = Instant::now();
        follow.lost().await;
        assert!(paused.elapsed() < Duration::from_secs(bound + 5), "{:?}", paused.elapsed());
        server.resume();
        follow.reset().await;
    }
}

#[tokio::test]
async fn a_replica_whose_primary_comes_back_empty() {
    let Some(mut primary) = RedisServer::start() else { return };
    let replica = RedisServer::options().config(format!("replicaof 127.0.0.1 {}", primary.port())).start().unwrap();
    RedisFeatureFlagStore::from_url(&primary.url())
        .unwrap()
        .put(&flag("F", true), Precondition::Absent.into())
        .await
        .unwrap();
    let store = RedisFeatureFlagStore::from_url(&replica.url()).unwrap();
    eventually("the replica has it", async || store.list().await.is_ok_and(|flags| flags.len() == 1)).await;
    let mut follow = Follow::of(&store);
    assert_eq!(names(&follow.reset().await.0), ["F"]);
    primary.kill();
    let error = follow.lost().await;
    assert!(error.to_string().contains("lost its primary"), "{error}");
    primary.restart_empty();
    assert!(follow.reset().await.0.is_empty());

    // Between two signs of life only the replication history shows it.
    let other = RedisServer::start().unwrap();
    RedisFeatureFlagStore::from_url(&other.url())
        .unwrap()
        .put(&flag("G", true), Precondition::Absent.into())
        .await
        .unwrap();
    replica.command(&["REPLICAOF", "127.0.0.1", &other.port().to_string()]);
    let (_, _, flags) = doubted(&mut follow).await;
    assert_eq!(flags, ["G"]);
}

#[tokio::test]
async fn a_replica_that_is_promoted() {
    let Some(primary) = RedisServer::start() else { return };
    let replica = RedisServer::options().config(format!("replicaof 127.0.0.1 {}", primary.port())).start().unwrap();
    RedisFeatureFlagStore::from_url(&primary.url())
        .unwrap()
        .put(&flag("F", false), Precondition::Absent.into())
        .await
        .unwrap();
    assert_eq!(primary.command(&["WAIT", "1", "10000"]), Reply::Number(1));
    let store = RedisFeatureFlagStore::from_url(&replica.url()).unwrap();
    let mut follow = Follow::of(&store);
    assert_eq!(undoubted(&mut follow).await, ["F"]);
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    store.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
    // Its data stay: no doubt within two signs of life.
    let (promoted, mut confirmed) = (Instant::now(), 0);
    while confirmed < 2 {
        match follow.next().await {
            WatchEvent::Confirmed { at, .. } if at > promoted => confirmed += 1,
            event @ (WatchEvent::Lost(_) | WatchEvent::Removed { .. } | WatchEvent::Reset { .. }) => {
                panic!("{event:?}")
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_failover_by_hand_loses_no_flag() {
    let Some(set) = RedisSentinel::start() else { return };
    let hosts = set.urls().iter().map(|url| url.replace("redis://", "")).collect::<Vec<_>>().join(",");
    let url = format!("redis-sentinel://{hosts}/{}", set.service());
    let store = RedisFeatureFlagStore::from_url(&url).unwrap();
    let writer = RedisFeatureFlagStore::from_url(&url).unwrap();
    store.put(&flag("F", false), Precondition::Absent.into()).await.unwrap();
    let mut follow = Follow::of(&store);
    assert_eq!(names(&follow.reset().await.0), ["F"]);
    flipper_testkit::wait_until("the Sentinels agree", || {
        set.sentinels()[0].command(&["SENTINEL", "FAILOVER", set.service()]) == Reply::Text("OK".to_owned())
    });
    set.wait_for_failover();
    let last = async { while writer.put(&flag("F", true), Precondition::Any.into()).await.is_err() {} };
    let seen = async {
        loop {
            let found = match follow.next().await {
                WatchEvent::Reset { flags, .. } => {
                    assert_eq!(names(&flags), ["F"]);
                    flags.into_iter().next()
                }
                WatchEvent::Changed { flag, .. } => Some(flag),
                WatchEvent::Removed { name, .. } => panic!("{name}"),
                _ => None,
            };
            if found.is_some_and(|flag| flag.record.unwrap().is_enabled()) {
                return;
            }
        }
    };
    tokio::join!(last, seen);
}

#[tokio::test]
async fn restarts_with_all_data_change_nothing() {
    let restarts = std::env::var("FLIPPER_RESTARTS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let Some(mut server) = server() else { return };
    let stores = ["default", "notified", "polled"].map(|user| open(&server, user));
    let flags: Vec<_> = (0..300).map(|number| flag(&format!("F{number:03}"), number % 2 == 0)).collect();
    for result in stores[0].put_all(&flags, Precondition::Absent.into()).await {
        result.unwrap();
    }
    let mut follows: Vec<_> = stores.iter().map(|store| Follow::of(store)).collect();
    for follow in &mut follows {
        assert_eq!(follow.reset().await.0.len(), flags.len());
    }
    for _ in 0..restarts {
        server.kill();
        server.restart();
        for follow in &mut follows {
            let (_, _, found) = doubted(follow).await;
            assert_eq!(found.len(), flags.len());
        }
    }
}

#[tokio::test]
async fn clients_that_are_held_up() {
    let Some(server) = server() else { return };
    let store = open(&server, "default").silence(Duration::from_secs(2)).timeout(Duration::from_secs(1));
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.reset().await;
    server.command(&["CLIENT", "PAUSE", "4000", "ALL"]);
    let (reason, _, flags) = doubted(&mut follow).await;
    assert_eq!((reason.kind(), flags.len()), (ErrorKind::Unavailable, 1));
}
