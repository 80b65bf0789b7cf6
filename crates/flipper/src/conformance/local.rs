use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::subject::{CALL_LIMIT, Subject, assert_kind, assert_same, at_once, flag, name, with_data, within};
use crate::background;
use crate::error::ErrorKind;
use crate::record::FlagRecord;
use crate::state::{Health, Precondition, Stored, Version};
use crate::store::LocalFeatureFlagStore;

type Local = Subject<dyn LocalFeatureFlagStore>;

impl Local {
    pub(super) async fn ready(store: Arc<dyn LocalFeatureFlagStore>) -> Self {
        let store = Self(store);
        store.wait().await;
        store
    }

    async fn wait(&self) {
        let ready = within(format!("`ready` of {}", self.0), self.0.ready()).await;
        ready.unwrap_or_else(|error| panic!("`ready` failed: {error:?}"));
    }

    fn expect_in_table(&self, record: &FlagRecord, version: &Version) {
        let Some(stored) = self.0.table().get(record.name()) else {
            panic!("{:?} is not in the table, but was put", record.name());
        };
        assert_same(&stored, record, "the table");
        assert_eq!(&stored.version, version, "the table has another version than the put returned");
    }
}

pub(super) async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + CALL_LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} took longer than {CALL_LIMIT:?}");
        background::sleep(Duration::from_millis(5)).await;
    }
}

/// See [`LocalFeatureFlagStore::table`].
pub async fn table_is_one(store: Arc<dyn LocalFeatureFlagStore>) {
    let before = store.table().clone();
    let store = Local::ready(store).await;
    store.put(&flag("ONE"), Precondition::Any).await;
    assert!(Arc::ptr_eq(&before, store.0.table()), "clients keep the first table");
}

/// See [`LocalFeatureFlagStore::table`].
pub async fn table_shows_put(store: Arc<dyn LocalFeatureFlagStore>) {
    let store = Local::ready(store).await;
    let record = flag("SHOWN");
    for round in 0..50 {
        let written = with_data(&record, "round", round);
        let version = store.put(&written, Precondition::Any).await;
        store.expect_in_table(&written, &version);
    }
}

/// See [`LocalFeatureFlagStore::table`].
pub async fn table_shows_delete(store: Arc<dyn LocalFeatureFlagStore>) {
    let store = Local::ready(store).await;
    let record = flag("SHOWN");
    for _ in 0..20 {
        let version = store.put(&record, Precondition::Absent).await;
        store.expect_in_table(&record, &version);
        store.delete(record.name(), Precondition::Unchanged(version)).await;
        let left = store.0.table().get(record.name());
        assert!(left.is_none(), "the table has a flag that was deleted: {left:?}");
    }
}

/// See [`LocalFeatureFlagStore::table`].
pub async fn table_shows_put_all(store: Arc<dyn LocalFeatureFlagStore>) {
    let store = Local::ready(store).await;
    let records: Vec<_> = (0..20).map(|_| flag("ALL")).collect();
    for (record, result) in records.iter().zip(store.put_all(&records, Precondition::Absent).await) {
        let version = result.unwrap_or_else(|error| panic!("`put_all` of {:?} failed: {error:?}", record.name()));
        store.expect_in_table(record, &version);
    }
}

/// See [`LocalFeatureFlagStore::table`].
pub async fn table_agrees_with_list(store: Arc<dyn LocalFeatureFlagStore>) {
    let store = Local::ready(store).await;
    let records: Vec<_> = (0..10).map(|number| with_data(&flag("AGREES"), "number", number)).collect();
    for record in &records {
        store.put(record, Precondition::Any).await;
    }
    store.delete(records[3].name(), Precondition::Any).await;
    store.put(&with_data(&records[4], "n", 1), Precondition::Any).await;

    let names: Vec<_> = records.iter().map(FlagRecord::name).collect();
    let state = |stored: Stored| {
        let text = stored.record.map(|record| record.to_json());
        names.contains(&stored.name.as_str()).then_some((stored.name, stored.version, text))
    };
    let table: Vec<_> = store.0.table().list().into_iter().filter_map(state).collect();
    let listed: Vec<_> = store.list().await.into_iter().filter_map(state).collect();
    assert_eq!(table.len(), 9, "the table must have the flags that were put and not deleted");
    assert_eq!(table, listed, "the table must equal `list`");
}

/// See [`LocalFeatureFlagStore::table`].
pub async fn table_keeps_order(store: Arc<dyn LocalFeatureFlagStore>) {
    let store = Local::ready(store).await;
    let record = flag("ORDER");
    for round in 0..10 {
        at_once((0..4).map(|writer| {
            let (store, record) = (store.clone(), record.clone());
            async move {
                for number in 0..5 {
                    let written = with_data(&record, "from", format!("{round}-{writer}-{number}"));
                    store.put(&written, Precondition::Any).await;
                    if writer == 3 {
                        store.delete(record.name(), Precondition::Any).await;
                    }
                }
            }
        }))
        .await;
        let state = |stored: Option<Stored>| {
            stored.map(|stored| (stored.version, stored.record.map(|record| record.to_json())))
        };
        let last = state(store.get(record.name()).await);
        assert_eq!(
            state(store.0.table().get(record.name())),
            last,
            "the table must have the last state, as `get` has it"
        );
    }
}

/// See [`LocalFeatureFlagStore::status`].
pub async fn status_is_live(store: Arc<dyn LocalFeatureFlagStore>) {
    let store = Local::ready(store).await;
    let status = store.0.status();
    assert!(status.is_live(), "once ready the status must be `Live`: {status:?}");
    let Some(last_sync) = status.last_sync else { panic!("once ready there must be a `last_sync`: {status:?}") };
    assert!(last_sync <= SystemTime::now(), "`last_sync` is in the future: {status:?}");
    assert!(status.corrupt.is_empty(), "no flag of an empty store is corrupt: {status:?}");
    store.put(&flag("LIVE"), Precondition::Any).await;
    let status = store.0.status();
    assert!(status.is_live() && status.corrupt.is_empty(), "after a put the status must be as before: {status:?}");
}

/// See [`LocalFeatureFlagStore::ready`].
pub async fn ready_again(store: Arc<dyn LocalFeatureFlagStore>) {
    let store = Subject(store);
    at_once((0..4).map(|_| {
        let store = store.clone();
        async move { store.wait().await }
    }))
    .await;
    store.wait().await;
}

/// See [`LocalFeatureFlagStore`].
pub async fn close_keeps_flags(store: Arc<dyn LocalFeatureFlagStore>) {
    let store = Local::ready(store).await;
    let record = flag("KEPT");
    let version = store.put(&record, Precondition::Any).await;
    store.close().await;
    store.expect_in_table(&record, &version);
}

/// See [`LocalFeatureFlagStore`].
pub async fn close_refuses_writes(store: Arc<dyn LocalFeatureFlagStore>) {
    let store = Local::ready(store).await;
    let record = flag("KEPT");
    let version = store.put(&record, Precondition::Any).await;
    store.close().await;

    let changed = with_data(&record, "n", 1);
    assert_kind(store.try_put(&changed, Precondition::Any).await, ErrorKind::Unavailable, "`put` to a closed store");
    let new = FlagRecord::new(name("NEW"), 0);
    assert_kind(store.try_put(&new, Precondition::Absent).await, ErrorKind::Unavailable, "`put` to a closed store");
    let delete = store.try_delete(record.name(), Precondition::Any).await;
    assert_kind(delete, ErrorKind::Unavailable, "`delete` from a closed store");
    store.expect_in_table(&record, &version);
    assert!(store.0.table().get(new.name()).is_none(), "the table has a flag that was refused");
}

/// See [`LocalFeatureFlagStore`].
pub async fn close_is_stale(store: Arc<dyn LocalFeatureFlagStore>) {
    let store = Local::ready(store).await;
    store.close().await;
    let status = store.0.status();
    let Health::Stale { since, .. } = &status.health else {
        panic!("a closed store must be `Stale`: {status:?}");
    };
    assert!(*since <= SystemTime::now(), "`since` is in the future: {status:?}");
}
