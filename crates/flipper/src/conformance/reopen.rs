use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::subject::{Subject, flag, with_data};
use crate::state::{HistoryQuery, Precondition};
use crate::store::FeatureFlagStore;

type Opening = Pin<Box<dyn Future<Output = Arc<dyn FeatureFlagStore>>>>;

/// Opens the store again that a behaviour has dropped.
pub struct Reopen(Box<dyn Fn() -> Opening>);

impl Reopen {
    /// Opens it by this function.
    pub fn new<S: FeatureFlagStore>(open: impl AsyncFn() -> S + 'static) -> Self {
        let open = Arc::new(open);
        Self(Box::new(move || {
            let open = open.clone();
            Box::pin(async move { Arc::new(open().await) as Arc<dyn FeatureFlagStore> })
        }))
    }

    async fn store(&self) -> Subject {
        Subject((self.0)().await)
    }
}

impl fmt::Debug for Reopen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reopen").finish_non_exhaustive()
    }
}

/// See [`FeatureFlagStore::put`].
pub async fn reopen_keeps_flags(store: Arc<dyn FeatureFlagStore>, reopen: Reopen) {
    let (kept, gone) = (flag("KEPT"), flag("GONE"));
    let changed = with_data(&kept, "n", 1);
    let store = Subject(store);
    store.put(&gone, Precondition::Any).await;
    store.put(&kept, Precondition::Any).await;
    let version = store.put(&changed, Precondition::Any).await;
    store.delete(gone.name(), Precondition::Any).await;
    drop(store);
    let store = reopen.store().await;
    store.expect(&changed, &version).await;
    store.expect_missing(gone.name()).await;
    assert_eq!(store.list_of(&[kept.name(), gone.name()]).await.len(), 1, "`list` must have the flag that was kept");
    // Also after the first time.
    let version = store.put(&kept, Precondition::Unchanged(version)).await;
    drop(store);
    reopen.store().await.expect(&kept, &version).await;
}

/// See [`FeatureFlagStore::put`].
pub async fn reopen_keeps_versions(store: Arc<dyn FeatureFlagStore>, reopen: Reopen) {
    let (record, other) = (flag("WRITTEN"), flag("DELETED"));
    let store = Subject(store);
    let stale = store.put(&record, Precondition::Any).await;
    let changed = with_data(&record, "n", 1);
    let current = store.put(&changed, Precondition::Any).await;
    let gone = store.put(&other, Precondition::Any).await;
    store.delete(other.name(), Precondition::Any).await;
    drop(store);
    let store = reopen.store().await;
    store.put_conflicts(&with_data(&record, "n", 2), Precondition::Unchanged(stale)).await;
    // Created again with other content, it is another flag.
    store.put(&with_data(&other, "n", 1), Precondition::Absent).await;
    store.put_conflicts(&with_data(&other, "n", 2), Precondition::Unchanged(gone)).await;
    store.put(&with_data(&record, "n", 3), Precondition::Unchanged(current)).await;
}

/// See [`FeatureFlagStore::history`].
pub async fn reopen_keeps_history(store: Arc<dyn FeatureFlagStore>, reopen: Reopen) {
    let store = Subject(store);
    if !store.0.capabilities().history {
        return;
    }
    let record = flag("WRITTEN");
    store.put(&record, Precondition::Absent).await;
    store.delete(record.name(), Precondition::Any).await;
    let before = store.history(&HistoryQuery::of(record.name())).await.entries;
    assert_eq!(before.len(), 2, "`history` of {:?} must have its creation and its deletion", record.name());
    drop(store);
    let store = reopen.store().await;
    assert_eq!(store.history(&HistoryQuery::of(record.name())).await.entries, before);
    store.put(&record, Precondition::Absent).await;
    assert_eq!(store.history(&HistoryQuery::of(record.name())).await.entries[1..], before);
}
