//! Names that only the Python library gives: each flag that a store lists can be checked, changed, moved and destroyed.

#![expect(clippy::unwrap_used, reason = "also in what the tests have in common")]

#[path = "support/python.rs"]
mod python;

use std::sync::Arc;

use flipper::store::Precondition;
use flipper::{
    ConsulClient, ConsulFeatureFlagStore, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore,
    MirroredFeatureFlagStore, RedisFeatureFlagStore, SqliteFeatureFlagStore,
};
use flipper_testkit::consul::ConsulAgent;
use flipper_testkit::redis::RedisServer;
use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

use self::python::Python;

fn names() -> Vec<String> {
    let odd = ["team/search", "a//b", "/", "b/", "../c", "d\ne", "f\0g", "\u{7f}", "é/🐎", "plain"];
    odd.iter().map(|name| (*name).to_owned()).chain(["x".repeat(300)]).collect()
}

/// Python writes them; then they are listed, checked, changed, copied into each other store and back, and destroyed.
async fn all_ways(
    python: &mut Python,
    mut names: Vec<String>,
    store: Arc<dyn FeatureFlagStore>,
    others: &[Arc<dyn FeatureFlagStore>],
) {
    for name in &names {
        python.ask(&json!(["create", name, true, {"name": name}]));
    }
    names.sort_unstable();
    let listed = |flags: Vec<flipper::store::Stored>| flags.into_iter().map(|flag| flag.name).collect::<Vec<_>>();
    assert_eq!(listed(store.list().await.unwrap()), names);
    let mut streamed = listed(store.stream().try_collect().await.unwrap());
    streamed.sort_unstable();
    assert_eq!(streamed, names);

    let mirror = MirroredFeatureFlagStore::new(store.clone());
    let features = FeatureFlagClient::new(mirror);
    features.ready().await.unwrap();
    for name in &names {
        assert!(features.is_enabled(name), "{name:?}");
        features.disable(name).await.unwrap();
        assert!(!features.is_enabled(name), "{name:?}");
        assert_eq!(python.ask(&json!(["get_client_data", name])), json!({"name": name}));
    }

    let flags = store.list().await.unwrap();
    let records: Vec<FlagRecord> = flags.iter().map(|flag| (**flag.record.as_ref().unwrap()).clone()).collect();
    for other in others {
        for result in other.put_all(&records, Precondition::Absent.into()).await {
            result.unwrap();
        }
        let copied: Vec<_> = other.list().await.unwrap().into_iter().map(|flag| flag.record.unwrap()).collect();
        assert!(copied.iter().map(|record| &**record).eq(&records), "{other}");
    }
    for name in &names {
        features.destroy(name).await.unwrap();
        assert!(store.get(name).await.unwrap().is_none(), "{name:?}");
    }
    for result in store.put_all(&records, Precondition::Absent.into()).await {
        result.unwrap();
    }
    let changed = tokio::spawn({
        let store = store.clone();
        async move {
            let mut watch = store.watch();
            while !format!("{:?}", watch.next().await).contains("watched/name") {}
        }
    });
    let deadline = std::time::Instant::now() + flipper_testkit::PATIENCE;
    while !changed.is_finished() {
        assert!(std::time::Instant::now() < deadline, "no change was reported");
        python.ask(&json!(["create", "watched/name", true, {}]));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    python.ask(&json!(["destroy", "watched/name"]));
    assert_eq!(listed(store.list().await.unwrap()), names);
}

/// A flag under `features` and one under `features/deeper` belong to two stores.
async fn nested(outer: &dyn FeatureFlagStore, inner: &dyn FeatureFlagStore) {
    inner.put(&FlagRecord::new("X", 0), Precondition::Absent.into()).await.unwrap();
    assert!(outer.get("deeper/X").await.unwrap().is_none());
    assert!(outer.list().await.unwrap().iter().all(|flag| flag.name != "deeper/X"));
    for when in [Precondition::Any, Precondition::Absent] {
        let refused = outer.put(&FlagRecord::new("deeper/X", 0), when.clone().into()).await.unwrap_err();
        assert_eq!(refused.kind(), flipper::ErrorKind::InvalidName);
        outer.delete("deeper/X", when.into()).await.unwrap();
    }
    assert!(inner.get("X").await.unwrap().is_some());
}

fn others() -> (tempfile::TempDir, Vec<Arc<dyn FeatureFlagStore>>) {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap();
    (folder, vec![Arc::new(MemoryFeatureFlagStore::new()), Arc::new(file)])
}

#[tokio::test(flavor = "multi_thread")]
async fn in_redis_and_consul() {
    let (Some(redis), Some(agent)) = (RedisServer::start(), ConsulAgent::options().dev().start()) else { return };
    let consul_at = |base: &str| {
        let client = ConsulClient::builder().address(agent.address()).build().unwrap();
        ConsulFeatureFlagStore::new(client).base_key(base).unwrap()
    };
    let redis_at = |base: &str| RedisFeatureFlagStore::from_url(&redis.url()).unwrap().base_key(base);

    let Some(mut python) = Python::start("redis", redis.port(), "features") else { return };
    let (_folder, mut to) = others();
    to.push(Arc::new(consul_at("copied")));
    all_ways(&mut python, names(), Arc::new(redis_at("features")), &to).await;
    nested(&redis_at("features"), &redis_at("features/deeper")).await;

    let Some(mut python) = Python::start("consul", agent.port(), "features") else { return };
    let (_folder, mut to) = others();
    to.push(Arc::new(redis_at("copied")));
    let in_a_path =
        |name: &String| !name.contains(char::is_control) && !format!("/{name}").contains("//") && !name.contains("..");
    let names = names().into_iter().filter(in_a_path).collect();
    all_ways(&mut python, names, Arc::new(consul_at("features")), &to).await;
    nested(&consul_at("features"), &consul_at("features/deeper")).await;
    assert_eq!(python.ask(&json!(["exists", "plain"])), Value::Bool(true));
}
