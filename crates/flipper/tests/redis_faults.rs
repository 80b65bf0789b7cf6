//! The Redis store and its watch when the server fails.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "also in what the tests have in common")]

use std::time::{Duration, Instant};

use flipper::store::{Precondition, Stored, Watch, WatchEvent};
use flipper::{Error, ErrorKind, FeatureFlagStore, FlagRecord, RedisFeatureFlagStore};
use flipper_testkit::redis::{RedisServer, Reply};
use futures_util::StreamExt;

fn flag(name: &str, enabled: bool) -> FlagRecord {
    let mut record = FlagRecord::new(name, 1_700_000_000);
    record.set_enabled(enabled);
    record
}

fn connect(server: &RedisServer) -> RedisFeatureFlagStore {
    RedisFeatureFlagStore::from_url(&server.url()).unwrap()
}

async fn next(watch: &mut Watch<'_>) -> WatchEvent {
    tokio::time::timeout(Duration::from_secs(30), watch.next()).await.expect("an event in time").expect("no end")
}

async fn lost(watch: &mut Watch<'_>) -> Error {
    loop {
        if let WatchEvent::Lost(error) = next(watch).await {
            return error;
        }
    }
}

/// The names of the next `Reset`; `Restored` must precede it.
async fn restored(watch: &mut Watch<'_>) -> Vec<String> {
    let mut is_restored = false;
    loop {
        match next(watch).await {
            WatchEvent::Restored => is_restored = true,
            WatchEvent::Reset { flags, read_at, .. } => {
                assert!(is_restored && read_at.is_some());
                return flags.into_iter().map(|flag| flag.name).collect();
            }
            _ => {}
        }
    }
}

async fn first_reset(watch: &mut Watch<'_>) {
    assert!(matches!(next(watch).await, WatchEvent::Serving(_)));
    assert!(matches!(next(watch).await, WatchEvent::Reset { .. }));
}

async fn until(store: &RedisFeatureFlagStore, watch: &mut Watch<'_>, name: &str, enabled: bool) {
    loop {
        let found = match next(watch).await {
            WatchEvent::Changed { flag, .. } if flag.name == name => Some(flag),
            WatchEvent::Hint { name: hinted } if hinted == name => store.get(name).await.unwrap(),
            _ => None,
        };
        if found.is_some_and(|flag| flag.record.is_ok_and(|record| record.is_enabled() == enabled)) {
            return;
        }
    }
}

/// The first success; every failure before it must be transient.
async fn eventually<T>(mut call: impl AsyncFnMut() -> flipper::Result<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match call().await {
            Ok(value) => return value,
            Err(error) => {
                assert!(error.kind() == ErrorKind::Unavailable && error.is_transient(), "{error:?}");
                assert!(Instant::now() < deadline, "still {error:?}");
            }
        }
    }
}

#[tokio::test]
async fn killed_and_restarted_with_its_data() {
    let Some(mut server) = RedisServer::start() else { return };
    let store = connect(&server);
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let mut watch = store.watch();
    first_reset(&mut watch).await;
    server.kill();
    assert_eq!(lost(&mut watch).await.kind(), ErrorKind::Unavailable);
    for error in
        [store.get("F").await.unwrap_err(), store.put(&flag("F", false), Precondition::Any.into()).await.unwrap_err()]
    {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(error.is_transient());
    }
    server.restart();
    assert_eq!(restored(&mut watch).await, ["F"]);
    let found = eventually(async || store.get("F").await).await;
    assert!(found.unwrap().record.unwrap().is_enabled());
    store.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    until(&store, &mut watch, "F", false).await;
}

#[tokio::test]
async fn killed_and_restarted_without_its_data() {
    let Some(mut server) = RedisServer::start() else { return };
    let store = connect(&server);
    let version = store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let mut watch = store.watch();
    first_reset(&mut watch).await;
    server.restart_empty();
    lost(&mut watch).await;
    assert!(restored(&mut watch).await.is_empty());
    let written = store.put(&flag("F", false), Precondition::Unchanged(version).into()).await;
    assert_eq!(written.unwrap_err().kind(), ErrorKind::Conflict);
    assert!(store.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn restarted_again_and_again() {
    let Some(mut server) = RedisServer::start() else { return };
    let store = connect(&server);
    let mut watch = store.watch();
    first_reset(&mut watch).await;
    for round in 0..20 {
        let name = format!("F{round}");
        eventually(async || store.put(&flag(&name, true), Precondition::Any.into()).await).await;
        server.kill();
        server.restart();
    }
    // No acknowledged write is lost, and the watch reaches the same state.
    let listed = eventually(async || store.list().await).await;
    assert_eq!(listed.len(), 20);
    eventually(async || store.put(&flag("LAST", true), Precondition::Any.into()).await).await;
    loop {
        match next(&mut watch).await {
            WatchEvent::Changed { flag: Stored { name, .. }, .. } | WatchEvent::Hint { name } if name == "LAST" => {
                break;
            }
            WatchEvent::Reset { flags, .. } if flags.len() == 21 => break,
            _ => {}
        }
    }
}

#[tokio::test]
async fn stopped_until_it_is_noticed() {
    let Some(server) = RedisServer::start() else { return };
    let store = connect(&server);
    store.put(&flag("F", false), Precondition::Absent.into()).await.unwrap();
    let mut watch = store.watch();
    first_reset(&mut watch).await;
    server.pause();
    // The server stays paused, so each call ends by its own timeout.
    let error = store.get("F").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    lost(&mut watch).await;
    server.resume();
    assert_eq!(restored(&mut watch).await, ["F"]);
    store.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
    until(&store, &mut watch, "F", true).await;
}

#[tokio::test]
async fn a_write_that_ran_out_of_time_is_whole() {
    let Some(server) = RedisServer::start() else { return };
    let store = connect(&server).timeout(Duration::from_millis(300));
    let version = store.put(&flag("F", false), Precondition::Absent.into()).await.unwrap();
    server.pause();
    let written = store.put(&flag("F", true), Precondition::Unchanged(version.clone()).into()).await;
    assert_eq!(written.unwrap_err().kind(), ErrorKind::Unavailable);
    server.resume();
    let found = eventually(async || store.get("F").await).await.unwrap();
    assert!(found.version == version || found.record.unwrap().is_enabled());
}

#[tokio::test]
async fn every_connection_is_killed() {
    let Some(server) = RedisServer::start() else { return };
    let store = connect(&server);
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let mut watch = store.watch();
    first_reset(&mut watch).await;
    for round in 0..5 {
        server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert!(store.get("F").await.unwrap().is_some());
        lost(&mut watch).await;
        assert_eq!(restored(&mut watch).await, ["F"]);
        store.put(&flag("F", round % 2 == 0), Precondition::Any.into()).await.unwrap();
        until(&store, &mut watch, "F", round % 2 == 0).await;
    }
}

#[tokio::test]
async fn a_read_only_replica() {
    let Some(primary) = RedisServer::start() else { return };
    let replica = RedisServer::options().config(format!("replicaof 127.0.0.1 {}", primary.port())).start().unwrap();
    connect(&primary).put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    assert_eq!(primary.command(&["WAIT", "1", "10000"]), Reply::Number(1));
    let store = connect(&replica);
    assert!(store.get("F").await.unwrap().is_some());
    for error in [
        store.put(&flag("F", false), Precondition::Any.into()).await.unwrap_err(),
        store.delete("F", Precondition::Any.into()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(error.to_string().contains("read-only replica"), "{error}");
    }
    let mut watch = store.watch();
    first_reset(&mut watch).await;
    connect(&primary).put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    until(&store, &mut watch, "F", false).await;
}

#[tokio::test]
async fn out_of_memory() {
    let Some(server) = RedisServer::options().config("maxmemory-policy noeviction").start() else { return };
    let store = connect(&server);
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = store.put(&flag("F", false), Precondition::Any.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("out of memory"), "{error}");
    assert!(store.get("F").await.unwrap().unwrap().record.unwrap().is_enabled());
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    store.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
}

#[tokio::test]
async fn loading_its_data() {
    let Some(mut server) = RedisServer::start() else { return };
    let store = connect(&server);
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    server.command(&["DEBUG", "POPULATE", "300", "other"]);
    server.command(&["BGREWRITEAOF"]);
    flipper_testkit::wait_until("the file is written", || {
        server.command(&["INFO", "persistence"]).text().contains("aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0")
    });
    let mut watch = store.watch();
    first_reset(&mut watch).await;
    server.kill();
    lost(&mut watch).await;
    // Microseconds for each key.
    server.restart_with("key-load-delay 10000\nloading-process-events-interval-bytes 1024");
    let mut loading = 0;
    let found = eventually(async || {
        let found = store.get("F").await;
        loading += usize::from(found.as_ref().is_err_and(|error| error.to_string().contains("loading")));
        found
    })
    .await;
    assert!(found.is_some());
    assert!(loading > 0, "the server was never seen loading");
    assert_eq!(restored(&mut watch).await, ["F"]);
}

#[tokio::test]
async fn the_tracking_table_overflows() {
    let Some(server) = RedisServer::options().config("tracking-table-max-keys 1").start() else { return };
    let store = connect(&server);
    let mut watch = store.watch();
    first_reset(&mut watch).await;
    for round in 0..200 {
        store.put(&flag(&format!("F{}", round % 20), true), Precondition::Any.into()).await.unwrap();
    }
    store.put(&flag("LAST", true), Precondition::Any.into()).await.unwrap();
    until(&store, &mut watch, "LAST", true).await;
}

#[tokio::test]
async fn no_server_at_all() {
    let store = RedisFeatureFlagStore::from_url("redis://127.0.0.1:1").unwrap();
    let mut watch = store.watch();
    assert_eq!(lost(&mut watch).await.kind(), ErrorKind::Unavailable);
    assert_eq!(store.get("F").await.unwrap_err().kind(), ErrorKind::Unavailable);
    // Another service listens there, and never sends anything.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", silent.local_addr().unwrap());
    let store = RedisFeatureFlagStore::from_url(&url).unwrap().timeout(Duration::from_millis(300));
    let started = Instant::now();
    assert_eq!(store.list().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(started.elapsed() < Duration::from_secs(10));
}
