use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future;

use super::subject::{CALL_LIMIT, Follow, Subject, assert_same, at_once, flag, segment, with_data};
use crate::background;
use crate::record::FlagRecord;
use crate::state::{Precondition, WatchEvent};
use crate::store::FeatureFlagStore;

const WATCHES: usize = 5;

/// See [`FeatureFlagStore::watch`].
pub async fn watch_begins_with_reset(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let records = ["A", "B", "C"].map(|label| with_data(&flag(label), "label", label));
    for record in &records {
        store.put(record, Precondition::Any).await;
    }
    let deadline = Instant::now() + CALL_LIMIT;
    let flags = loop {
        let mut follow = Follow::new(&store);
        let WatchEvent::Reset { flags, .. } = follow.next().await else {
            panic!("the first event of `watch` must be `Reset`");
        };
        // A mirror may not have another process's write yet.
        let is_there = |record: &FlagRecord| flags.iter().any(|flag| flag.name == record.name());
        if records.iter().all(is_there) || Instant::now() > deadline {
            break flags;
        }
        background::sleep(Duration::from_millis(5)).await;
    };
    for record in &records {
        let found: Vec<_> = flags.iter().filter(|flag| flag.name == record.name()).collect();
        assert_eq!(found.len(), 1, "`Reset` must have {:?} once", record.name());
        assert_same(found[0], record, "`Reset`");
        assert_eq!(
            found[0].version,
            store.existing(record.name()).await.version,
            "`Reset` has another version than `get`"
        );
    }
}

/// See [`FeatureFlagStore::watch`].
pub async fn watch_put(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let mut follow = store.follow().await;
    for record in [flag("WATCHED"), segment("WATCHED")] {
        let version = store.put(&record, Precondition::Absent).await;
        follow.until(record.name(), Some((&record, &version))).await;
        let changed = with_data(&record, "n", 1);
        let version = store.put(&changed, Precondition::Unchanged(version)).await;
        follow.until(record.name(), Some((&changed, &version))).await;
    }
}

/// See [`FeatureFlagStore::watch`].
pub async fn watch_delete(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("WATCHED");
    let version = store.put(&record, Precondition::Any).await;
    let mut follow = store.follow().await;
    // A watch over another connection's memory needs it to report a deletion.
    follow.until(record.name(), Some((&record, &version))).await;
    store.delete(record.name(), Precondition::Any).await;
    follow.until(record.name(), None).await;
    // Created again, with other and with the same content.
    let version = store.put(&record, Precondition::Absent).await;
    follow.until(record.name(), Some((&record, &version))).await;
    store.delete(record.name(), Precondition::Unchanged(version)).await;
    follow.until(record.name(), None).await;
}

/// See [`FeatureFlagStore::watch`].
pub async fn watch_no_gap(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let (early, late) = (flag("EARLY"), flag("LATE"));
    let mut follow = Follow::new(&store);
    // Before the first poll, and between two.
    let early_version = store.put(&early, Precondition::Any).await;
    follow.until(early.name(), Some((&early, &early_version))).await;
    let late_version = store.put(&late, Precondition::Any).await;
    follow.until(late.name(), Some((&late, &late_version))).await;
}

/// See [`FeatureFlagStore::watch`].
pub async fn watch_no_gap_at_start(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    for _ in 0..WATCHES {
        // On its own thread, to write between any two steps, even within one poll.
        let has_begun = Arc::new(AtomicBool::new(false));
        let (writer, until) = (store.clone(), has_begun.clone());
        let writes = at_once([async move {
            let mut written = Vec::new();
            while written.is_empty() || !until.load(Ordering::Relaxed) {
                let record = flag("MEANWHILE");
                let version = writer.put(&record, Precondition::Any).await;
                written.push((record, version));
                background::sleep(Duration::from_micros(200)).await;
            }
            written
        }]);
        let mut follow = Follow::new(&store);
        let begin = async {
            follow.first = Some(follow.next().await);
            has_begun.store(true, Ordering::Relaxed);
        };
        let (written, ()) = future::join(writes, begin).await;
        follow.until_all(written.into_iter().flatten().collect()).await;
    }
}

/// See [`FeatureFlagStore::watch`].
pub async fn watch_removes_nothing_else(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("KEPT");
    let version = store.put(&record, Precondition::Any).await;
    let mut follow = store.follow().await;
    follow.until(record.name(), Some((&record, &version))).await;
    for number in 0..20 {
        let changed = with_data(&record, "number", number);
        let version = store.put(&changed, Precondition::Any).await;
        loop {
            let state = match follow.next().await {
                WatchEvent::Reset { flags, .. } => flags.into_iter().find(|flag| flag.name == record.name()),
                WatchEvent::Changed { flag, .. } if flag.name == record.name() => Some(flag),
                WatchEvent::Removed { name, .. } if name == record.name() => None,
                WatchEvent::Hint { name } if name == record.name() => store.get(&name).await,
                _ => continue,
            };
            let state =
                state.unwrap_or_else(|| panic!("`watch` reported {:?} as deleted, which was changed", record.name()));
            if state.version == version {
                break;
            }
        }
    }
}

/// See [`FeatureFlagStore::watch`].
pub async fn watch_last_state(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let (kept, gone) = (flag("KEPT"), flag("GONE"));
    let mut follow = store.follow().await;
    store.put(&gone, Precondition::Any).await;
    let mut last = (kept.clone(), store.put(&kept, Precondition::Any).await);
    for number in 0..50 {
        if number % 10 == 9 {
            store.delete(kept.name(), Precondition::Any).await;
        }
        let changed = with_data(&kept, "number", number);
        last.1 = store.put(&changed, Precondition::Any).await;
        last.0 = changed;
    }
    follow.until(kept.name(), Some((&last.0, &last.1))).await;
    // It was in this watch's `Reset`, so its deletion must be emitted.
    let mut follow = store.follow().await;
    let version = store.put(&with_data(&gone, "n", 1), Precondition::Any).await;
    store.delete(gone.name(), Precondition::Unchanged(version)).await;
    follow.until(gone.name(), None).await;
}

/// See [`FeatureFlagStore::watch`].
pub async fn watch_is_independent(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("WATCHED");
    let (mut first, mut second, dropped) = (store.follow().await, store.follow().await, store.follow().await);
    let version = store.put(&record, Precondition::Any).await;
    first.until(record.name(), Some((&record, &version))).await;
    drop(dropped);
    second.until(record.name(), Some((&record, &version))).await;
    drop(second);
    let changed = with_data(&record, "n", 1);
    let version = store.put(&changed, Precondition::Any).await;
    first.until(record.name(), Some((&changed, &version))).await;
}

/// See [`FeatureFlagStore::watch`].
pub async fn watch_never_ends(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("WATCHED");
    let mut follow = store.follow().await;
    // What may be mistaken for an end: an empty store, a refused write, a deletion.
    for number in 0..4 {
        let changed = with_data(&record, "number", number);
        let version = store.put(&changed, Precondition::Absent).await;
        follow.until(record.name(), Some((&changed, &version))).await;
        store.put_conflicts(&changed, Precondition::Absent).await;
        store.delete(record.name(), Precondition::Any).await;
        follow.until(record.name(), None).await;
    }
}
