use std::sync::Arc;

use super::race::is_complete;
use super::run::Plant;
use super::subject::{Subject, flag, name};
use crate::record::FlagRecord;
use crate::state::Precondition;
use crate::store::FeatureFlagStore;

/// See [`FeatureFlagStore::stream`].
pub async fn stream_agrees_with_list(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    assert!(store.stream().await.is_empty(), "the stream of a store without flags must be empty");
    let own = name("STREAM");
    // More than a page of 1,000.
    let records: Vec<_> = (0..1_100).map(|number| FlagRecord::new(format!("{own}-{number:04}"), number)).collect();
    for (record, result) in records.iter().zip(store.put_all(&records, Precondition::Any).await) {
        result.unwrap_or_else(|error| panic!("`put_all` of {:?} failed: {error:?}", record.name()));
    }
    store.delete(records[7].name(), Precondition::Any).await;
    let (mut streamed, listed) = (store.stream().await, store.list().await);
    streamed.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(streamed.len(), listed.len(), "`stream` must have each flag of `list` once");
    for (stored, listed) in streamed.iter().zip(&listed) {
        assert_eq!(
            (&stored.name, &stored.version, &stored.record),
            (&listed.name, &listed.version, &listed.record),
            "`stream` and `list` must agree"
        );
    }
}

/// See [`FeatureFlagStore::stream`].
pub async fn stream_is_complete(store: Arc<dyn FeatureFlagStore>) {
    let in_order = |store: Subject| async move {
        let mut flags = store.stream().await;
        flags.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        flags
    };
    is_complete(store, "stream", in_order).await;
}

/// See [`FeatureFlagStore::stream`].
pub async fn corrupt_stream(store: Arc<dyn FeatureFlagStore>, plant: Plant) {
    let store = Subject(store);
    let good = flag("GOOD");
    store.put(&good, Precondition::Any).await;
    let corrupt = name("CORRUPT");
    plant.value(&corrupt, b"[1, 2]").await;
    // It may receive a foreign write late.
    let got = store.existing(&corrupt).await;
    let streamed = store.stream().await;
    let find = |name: &str| streamed.iter().find(|stored| stored.name == name);
    let found = find(&corrupt).unwrap_or_else(|| panic!("`stream` lacks a value that is no flag"));
    assert_eq!((&found.version, &found.record), (&got.version, &got.record), "`stream` and `get` must agree");
    assert!(find(good.name()).is_some_and(|stored| stored.record.is_ok()), "the other flags must be there");
}
