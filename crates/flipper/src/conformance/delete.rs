use std::sync::Arc;

use super::subject::{FOREIGN_NAMES, Subject, flag, name, overlong, with_data};
use crate::state::Precondition;
use crate::store::FeatureFlagStore;

/// See [`FeatureFlagStore::delete`].
pub async fn delete_existing(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("EXISTING");
    store.put(&record, Precondition::Any).await;
    store.delete(record.name(), Precondition::Any).await;
    store.expect_missing(record.name()).await;
    let listed = store.list_of(&[record.name()]).await;
    assert!(listed.is_empty(), "`list` has the deleted flag: {listed:?}");
}

/// See [`FeatureFlagStore::delete`].
pub async fn delete_missing(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let (missing, other) = (name("MISSING"), flag("OTHER"));
    let version = store.put(&other, Precondition::Any).await;
    store.delete(&missing, Precondition::Any).await;
    store.delete(&missing, Precondition::Any).await;
    store.expect_missing(&missing).await;
    store.expect(&other, &version).await;
    let listed = store.list_of(&[&missing]).await;
    assert!(listed.is_empty(), "`list` has a flag that never was: {listed:?}");
}

/// See [`FeatureFlagStore::delete`].
pub async fn delete_unchanged(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("UNCHANGED");
    let first = store.put(&record, Precondition::Any).await;
    let changed = with_data(&record, "n", 1);
    let second = store.put(&changed, Precondition::Any).await;

    store.delete_conflicts(record.name(), Precondition::Unchanged(first.clone())).await;
    store.expect(&changed, &second).await;
    store.delete(record.name(), Precondition::Unchanged(second.clone())).await;
    store.expect_missing(record.name()).await;
    for version in [first, second] {
        store.delete_conflicts(record.name(), Precondition::Unchanged(version.clone())).await;
        store.delete_conflicts(&name("NEVER"), Precondition::Unchanged(version)).await;
    }
}

/// See [`FeatureFlagStore::delete`].
pub async fn delete_absent(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("ABSENT");
    let version = store.put(&record, Precondition::Any).await;
    store.delete_conflicts(record.name(), Precondition::Absent).await;
    store.expect(&record, &version).await;
    store.delete(record.name(), Precondition::Any).await;
    store.delete(record.name(), Precondition::Absent).await;
    store.delete(&name("NEVER"), Precondition::Absent).await;
}

/// See [`FeatureFlagStore::delete`].
pub async fn delete_aba(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("ABA");
    let read = store.put(&record, Precondition::Absent).await;
    for round in 0..2 {
        store.delete(record.name(), Precondition::Any).await;
        let recreated = with_data(&record, "round", round);
        let version = store.put(&recreated, Precondition::Absent).await;
        store.delete_conflicts(record.name(), Precondition::Unchanged(read.clone())).await;
        store.expect(&recreated, &version).await;
    }
}

/// See [`FeatureFlagStore::delete`].
pub async fn delete_then_create(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let old = with_data(&flag("AGAIN"), "old", true);
    let new = with_data(&old, "new", true);
    for _ in 0..3 {
        store.put(&old, Precondition::Absent).await;
        store.delete(old.name(), Precondition::Any).await;
        let version = store.put(&new, Precondition::Absent).await;
        store.expect(&new, &version).await;
        store.delete(old.name(), Precondition::Unchanged(version)).await;
    }
}

/// See [`FeatureFlagStore::delete`].
pub async fn delete_touches_one(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("ONE");
    // A delete by pattern or prefix would hit this one.
    let longer = crate::FlagRecord::new(format!("{}-LONGER", record.name()), 1);
    let other = flag("OTHER");
    store.put(&record, Precondition::Any).await;
    let longer_version = store.put(&longer, Precondition::Any).await;
    let other_version = store.put(&other, Precondition::Any).await;
    store.delete(record.name(), Precondition::Any).await;
    store.expect_missing(record.name()).await;
    store.expect(&longer, &longer_version).await;
    store.expect(&other, &other_version).await;
    store.put(&with_data(&other, "n", 1), Precondition::Unchanged(other_version)).await;
}

/// See [`FeatureFlagStore::delete`].
pub async fn delete_foreign_name(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("BESIDE");
    let version = store.put(&record, Precondition::Any).await;
    let long = overlong();
    for foreign in FOREIGN_NAMES.into_iter().chain([long.as_str()]) {
        store.delete(foreign, Precondition::Any).await;
        store.delete(foreign, Precondition::Absent).await;
        store.delete_conflicts(foreign, Precondition::Unchanged(version.clone())).await;
    }
    store.expect(&record, &version).await;
}
