use std::sync::Arc;

use super::local::until;
use super::run::Plant;
use super::subject::{Subject, assert_same, flag, name, with_data};
use crate::record::FlagRecord;
use crate::state::{Precondition, Stored};
use crate::store::{FeatureFlagStore, LocalFeatureFlagStore};

/// Empty, truncated, of another shape, not JSON, not text.
const VALUES: [&[u8]; 6] =
    [b"", br#"{"feature_name": "X", "is_ena"#, b"[1, 2]", br#"{"feature_name": 7}"#, b"hello", b"\xff\x00\xfe"];

/// See [`FeatureFlagStore::get`].
pub async fn corrupt_get(store: Arc<dyn FeatureFlagStore>, plant: Plant) {
    let store = Subject(store);
    for value in VALUES {
        let name = name("CORRUPT");
        plant.value(&name, value).await;
        let first = planted(&store, &name).await;
        assert_eq!(
            planted(&store, &name).await.version,
            first.version,
            "a value that is not changed keeps its version"
        );
    }
}

/// The store may receive a foreign write late.
async fn planted<S: FeatureFlagStore + ?Sized>(store: &Subject<S>, name: &str) -> Stored {
    let stored = store.existing(name).await;
    match &stored.record {
        Ok(record) => panic!("`get` of a value that is no flag returned {record:?}"),
        Err(corrupt) => assert!(!corrupt.reason().is_empty(), "the reason of a corrupt flag must not be empty"),
    }
    stored
}

/// See [`FeatureFlagStore::put`].
pub async fn corrupt_put(store: Arc<dyn FeatureFlagStore>, plant: Plant) {
    let store = Subject(store);
    for value in VALUES {
        let [any, unchanged] = ["ANY", "UNCHANGED"].map(flag);
        for record in [&any, &unchanged] {
            plant.value(record.name(), value).await;
            store.put_conflicts(record, Precondition::Absent).await;
        }
        let version = store.put(&any, Precondition::Any).await;
        store.expect(&any, &version).await;

        let read = planted(&store, unchanged.name()).await.version;
        let version = store.put(&unchanged, Precondition::Unchanged(read.clone())).await;
        store.expect(&unchanged, &version).await;
        store.put_conflicts(&with_data(&unchanged, "n", 1), Precondition::Unchanged(read)).await;
    }
}

/// See [`FeatureFlagStore::delete`].
pub async fn corrupt_delete(store: Arc<dyn FeatureFlagStore>, plant: Plant) {
    let store = Subject(store);
    for value in VALUES {
        let [any, unchanged] = ["ANY", "UNCHANGED"].map(name);
        for name in [&any, &unchanged] {
            plant.value(name, value).await;
            store.delete_conflicts(name, Precondition::Absent).await;
        }
        store.delete(&any, Precondition::Any).await;
        store.expect_missing(&any).await;
        let read = planted(&store, &unchanged).await.version;
        store.delete(&unchanged, Precondition::Unchanged(read)).await;
        store.expect_missing(&unchanged).await;
    }
}

/// See [`FeatureFlagStore::list`].
pub async fn corrupt_list(store: Arc<dyn FeatureFlagStore>, plant: Plant) {
    let store = Subject(store);
    let good = ["A", "B"].map(flag);
    let mut names = Vec::new();
    for record in &good {
        store.put(record, Precondition::Any).await;
        names.push(record.name().to_owned());
    }
    for value in VALUES {
        let name = name("CORRUPT");
        plant.value(&name, value).await;
        names.push(name);
    }
    names.sort_unstable();
    let listed = store.list_of(&names).await;
    assert_eq!(listed.iter().map(|stored| &stored.name).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    for stored in &listed {
        match good.iter().find(|record| record.name() == stored.name) {
            Some(record) => assert_same(stored, record, "`list`"),
            None => {
                assert!(stored.record.is_err(), "`list` returned a value that is no flag as one: {stored:?}");
                let got = planted(&store, &stored.name).await;
                assert_eq!(
                    (&stored.version, &stored.record),
                    (&got.version, &got.record),
                    "`list` and `get` must agree"
                );
            }
        }
    }
}

/// See [`LocalFeatureFlagStore::table`].
pub async fn corrupt_table(store: Arc<dyn LocalFeatureFlagStore>, plant: Plant) {
    let store = Subject::<dyn LocalFeatureFlagStore>::ready(store).await;
    let good = flag("GOOD");
    store.put(&good, Precondition::Any).await;
    for value in VALUES {
        let name = name("CORRUPT");
        plant.value(&name, value).await;
        let table = store.0.table();
        until("a value that is no flag coming into the table", || {
            table.get(&name).is_some_and(|stored| stored.record.is_err())
        })
        .await;
        assert!(table.get(good.name()).is_some_and(|stored| stored.record.is_ok()), "the other flags must go on");
    }
    let version = store.put(&with_data(&good, "n", 1), Precondition::Any).await;
    assert_eq!(store.0.table().get(good.name()).map(|stored| stored.version), Some(version));
}

/// See [`LocalFeatureFlagStore::status`].
pub async fn corrupt_status(store: Arc<dyn LocalFeatureFlagStore>, plant: Plant) {
    let store = Subject::<dyn LocalFeatureFlagStore>::ready(store).await;
    let [replaced, deleted] = ["REPLACED", "DELETED"].map(name);
    let named = |name: &str| store.0.status().corrupt.iter().any(|(corrupt, _)| corrupt == name);
    for name in [&replaced, &deleted] {
        plant.value(name, b"{").await;
        until("a value that is no flag coming into the status", || named(name)).await;
    }
    assert!(store.0.status().is_live(), "one value that is no flag must not make the store stale");
    store.put(&FlagRecord::new(&replaced, 0), Precondition::Any).await;
    assert!(!named(&replaced), "the status names a flag that was replaced");
    store.delete(&deleted, Precondition::Any).await;
    assert!(!named(&deleted), "the status names a flag that was deleted");
}
