use std::collections::BTreeMap;
use std::sync::Arc;

use super::subject::{Subject, assert_same, flag, name, segment, with_data};
use crate::record::FlagRecord;
use crate::state::Precondition;
use crate::store::FeatureFlagStore;

/// See [`FeatureFlagStore::list`].
pub async fn list_empty(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let listed = store.list().await;
    assert!(listed.is_empty(), "the list must be empty; each test needs a store of its own, without flags: {listed:?}");
    // Also after its only flag was deleted.
    let record = flag("GONE");
    store.put(&record, Precondition::Any).await;
    store.delete(record.name(), Precondition::Any).await;
    let listed = store.list().await;
    assert!(listed.is_empty(), "the list must be empty after its only flag was deleted: {listed:?}");
}

/// See [`FeatureFlagStore::list`].
pub async fn list_ordered(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let own = name("");
    // Not the order of writing, of a language, or of UTF-16.
    let names =
        ["b", "a", "B", "~", "é", "Z", "10", "9", "\u{ff5e}", "🐴", "", "-", "aa"].map(|first| format!("{first}{own}"));
    for name in &names {
        store.put(&FlagRecord::new(name, 0), Precondition::Any).await;
    }
    // Replaced, and created again: both must keep their place.
    store.put(&with_data(&FlagRecord::new(&names[1], 0), "n", 1), Precondition::Any).await;
    store.delete(&names[2], Precondition::Any).await;
    store.put(&FlagRecord::new(&names[2], 0), Precondition::Any).await;

    let mut ordered = names.to_vec();
    ordered.sort_unstable();
    let listed = store.list_of(&names).await;
    assert_eq!(listed.iter().map(|stored| &stored.name).collect::<Vec<_>>(), ordered.iter().collect::<Vec<_>>());
    let all = store.list().await;
    assert!(
        all.is_sorted_by(|a, b| a.name.as_bytes() < b.name.as_bytes()),
        "`list` must be ordered by the names' bytes"
    );
}

/// See [`FeatureFlagStore::list`].
pub async fn list_agrees_with_get(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let mut written = BTreeMap::new();
    for number in 0..12 {
        let record = with_data(&flag("AGREES"), "number", number);
        store.put(&record, Precondition::Any).await;
        written.insert(record.name().to_owned(), record);
    }
    let segment = segment("AGREES");
    store.put(&segment, Precondition::Any).await;
    written.insert(segment.name().to_owned(), segment);
    let names: Vec<String> = written.keys().cloned().collect();
    for name in names[..12].iter().step_by(3) {
        store.delete(name, Precondition::Any).await;
        written.remove(name);
    }
    let listed = store.list_of(&names).await;
    assert_eq!(
        listed.iter().map(|stored| &stored.name).collect::<Vec<_>>(),
        written.keys().collect::<Vec<_>>(),
        "`list` must have each flag once, and none that was deleted"
    );
    for (stored, record) in listed.iter().zip(written.values()) {
        assert_same(stored, record, "`list`");
        store.expect(record, &stored.version).await;
    }
}

/// See [`FeatureFlagStore::list`].
pub async fn list_is_authoritative(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("LISTED");
    for round in 0..5 {
        let written = with_data(&record, "round", round);
        let version = store.put(&written, Precondition::Any).await;
        let listed = store.list_of(&[record.name()]).await;
        assert_eq!(listed.len(), 1, "`list` must have the flag that was just put");
        assert_same(&listed[0], &written, "`list`");
        assert_eq!(listed[0].version, version, "`list` returned another version than the put");

        store.delete(record.name(), Precondition::Any).await;
        let listed = store.list_of(&[record.name()]).await;
        assert!(listed.is_empty(), "`list` has the flag that was just deleted");
    }
}

/// See [`FeatureFlagStore::list`].
pub async fn list_many(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let own = name("MANY");
    // More than a page of 1,000.
    let records: Vec<_> = (0..1_100).map(|number| FlagRecord::new(format!("{own}-{number:04}"), number)).collect();
    for (record, result) in records.iter().zip(store.put_all(&records, Precondition::Any).await) {
        result.unwrap_or_else(|error| panic!("`put_all` of {:?} failed: {error:?}", record.name()));
    }
    let mut listed = store.list().await;
    listed.retain(|stored| stored.name.starts_with(&own));
    assert_eq!(listed.len(), records.len(), "`list` must have all flags");
    for (stored, record) in listed.iter().zip(&records) {
        assert_same(stored, record, "`list`");
    }
}
