use std::time::Duration;

use flipper::store::Precondition;
use flipper::{ErrorKind, FeatureFlagClient, FeatureFlagStore, RedisFeatureFlagStore};
use flipper_testkit::redis::{RedisServer, Reply};

use crate::{Follow, flag, names, store};

#[tokio::test]
async fn other_types_are_no_flags_and_stay() {
    let Some(server) = RedisServer::start() else { return };
    let store = RedisFeatureFlagStore::from_url(&server.url()).unwrap();
    server.command(&["HSET", "features/HASH", "a", "b"]);
    server.command(&["RPUSH", "features/LIST", "a"]);
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    assert_eq!(names(&store.list().await.unwrap()), ["F"]);
    assert!(store.get("HASH").await.unwrap().is_none());
    for when in [Precondition::Any, Precondition::Absent] {
        let error = store.put(&flag("HASH", true), when.clone().into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
        store.delete("HASH", when.into()).await.unwrap();
    }
    assert_eq!(server.command(&["HGET", "features/HASH", "a"]).text(), "b");

    let mut follow = Follow::of(&store);
    assert_eq!(names(&follow.reset().await.0), ["F"]);
    server.command(&["DEL", "features/F"]);
    server.command(&["RPUSH", "features/F", "a"]);
    follow.until("F", None).await;
}

#[tokio::test]
async fn values_that_are_no_flags_are_corrupt() {
    let Some(server) = RedisServer::start() else { return };
    let store = RedisFeatureFlagStore::from_url(&server.url()).unwrap();
    server.command(&["SET", "features/TEXT", "not JSON"]);
    server.command(&["SET", "features/EMPTY", ""]);
    server.command(&["SET", "features/NUMBER", "7"]);
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let listed = store.list().await.unwrap();
    assert_eq!(names(&listed), ["EMPTY", "F", "NUMBER", "TEXT"]);
    for found in &listed {
        assert_eq!(found.record.is_err(), found.name != "F", "{found:?}");
    }
    let features = FeatureFlagClient::remote(store.clone());
    assert_eq!(features.enable("TEXT").await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(server.command(&["GET", "features/TEXT"]).text(), "not JSON");
    features.destroy("TEXT").await.unwrap();
    assert_eq!(server.command(&["GET", "features/TEXT"]), Reply::Nil);
}

#[tokio::test]
async fn base_keys_do_not_see_each_other() {
    let Some(server) = RedisServer::start() else { return };
    let open = |base: &str| RedisFeatureFlagStore::from_url(&server.url()).unwrap().base_key(base);
    let bases = ["a", "a/b", "a*", "[ab]", "a?", r"a\", "é", ""];
    for (index, base) in bases.iter().enumerate() {
        open(base).put(&flag(&format!("F{index}"), true), Precondition::Absent.into()).await.unwrap();
    }
    for (index, base) in bases.iter().enumerate() {
        let store = open(base);
        assert_eq!(names(&store.list().await.unwrap()), [format!("F{index}")], "{base}");
        let mut follow = Follow::of(&store);
        assert_eq!(names(&follow.reset().await.0), [format!("F{index}")], "{base}");
    }
    assert!(open("a").get("b/F1").await.unwrap().is_none());
}

#[tokio::test]
async fn many_flags_among_more_other_keys() {
    let Some(server) = RedisServer::start() else { return };
    let store = store(&server.url()).timeout(Duration::from_secs(10));
    server.command(&["DEBUG", "POPULATE", "20000", "other"]);
    let base = store.to_string().replace("Redis(", "").replace(')', "");
    let mut records = Vec::new();
    for number in 0..3000 {
        records.push(flag(&format!("F{number:04}"), true));
    }
    for result in store.put_all(&records, Precondition::Any.into()).await {
        result.unwrap();
    }
    server.command(&["SET", &format!("{base}/deeper/F"), "x"]);
    let listed = store.list().await.unwrap();
    assert_eq!(listed.len(), records.len());
    assert!(listed.iter().zip(&records).all(|(found, put)| *found.record.clone().unwrap() == *put));
}
