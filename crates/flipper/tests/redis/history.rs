//! The history in a real server, beside other writers and other users of its key.

use std::time::Duration;

use flipper::history::{Entry, HistoryLimits};
use flipper::store::Precondition;
use flipper::{ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord, RedisFeatureFlagStore};
use flipper_testkit::redis::RedisServer;
use futures_util::TryStreamExt;

use crate::flag;

const KEY: &str = ".features.history";

fn store(server: &RedisServer) -> RedisFeatureFlagStore {
    RedisFeatureFlagStore::from_url(&server.url()).unwrap()
}

async fn sources(store: &RedisFeatureFlagStore) -> Vec<String> {
    let features = FeatureFlagClient::remote(store.clone());
    let entries: Vec<Entry> = features.history("F").try_collect().await.unwrap();
    entries.iter().map(|entry| format!("{} {}", entry.verb, entry.source())).collect()
}

#[tokio::test]
async fn what_others_write_is_a_gap() {
    let Some(server) = RedisServer::start() else { return };
    let (store, silent) = (store(&server), store(&server).without_history());
    let features = FeatureFlagClient::remote(store.clone());
    features.create("F").await.unwrap();
    let mut record = FlagRecord::clone(&features.fetch("F").await.unwrap().unwrap());
    record.set_enabled(true);
    server.command(&["SET", "features/F", &record.to_json()]);
    assert_eq!(sources(&store).await, ["enable outside", "create program"]);
    features.disable("F").await.unwrap();
    FeatureFlagClient::remote(silent.clone()).enable("F").await.unwrap();
    let expected = ["enable outside", "disable program", "enable outside", "create program"];
    assert_eq!(sources(&store).await, expected);
    assert!(!silent.capabilities().history);
    let none = silent.history(&flipper::history::HistoryQuery::all()).await.unwrap_err();
    assert_eq!(none.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_key_of_another_type_takes_no_write() {
    let Some(server) = RedisServer::start() else { return };
    let store = store(&server);
    store.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
    server.command(&["SET", KEY, "x"]);
    for when in [Precondition::Any, Precondition::Unchanged(store.get("F").await.unwrap().unwrap().version)] {
        let put = store.put(&flag("F", false), when.clone().into()).await.unwrap_err();
        let delete = store.delete("F", when.into()).await.unwrap_err();
        for error in [put, delete] {
            assert_eq!((error.kind(), error.nothing_written()), (ErrorKind::Unavailable, true), "{error:?}");
            assert!(error.to_string().contains("key of the history"), "{error}");
        }
    }
    assert!(store.get("F").await.unwrap().unwrap().record.unwrap().is_enabled());
    server.command(&["DEL", KEY]);
    store.delete("F", Precondition::Any.into()).await.unwrap();
}

#[tokio::test]
async fn old_entries_and_too_many_are_dropped() {
    const WRITES: i64 = 3_000;
    let Some(server) = RedisServer::start() else { return };
    let length = || match server.command(&["XLEN", KEY]) {
        flipper_testkit::redis::Reply::Number(length) => length,
        other => panic!("{other:?}"),
    };
    // Redis drops whole nodes of a stream, of a hundred entries by default.
    let few = store(&server).history_limits(HistoryLimits::default().entries(200));
    for round in 0..WRITES {
        few.put(&flag("F", round % 2 == 0), Precondition::Any.into()).await.unwrap();
    }
    assert!((200..=400).contains(&length()), "{}", length());
    // About one write in 64 looks for them, and deletes a hundred.
    let young = store(&server).history_limits(HistoryLimits::default().age(Duration::from_millis(1)));
    for round in 0..WRITES {
        young.put(&flag("F", round % 2 == 0), Precondition::Any.into()).await.unwrap();
    }
    assert!((1..WRITES / 2).contains(&length()), "{}", length());
    let newest = young.history(&flipper::history::HistoryQuery::of("F").limit(1)).await.unwrap();
    assert_eq!(newest.entries[0].after, young.get("F").await.unwrap().map(|stored| stored.record));
}
