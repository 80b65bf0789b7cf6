use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::subject::{Subject, assert_kind, at_once, flag, name, with_data, within};
use crate::error::ErrorKind;
use crate::json::Object;
use crate::record::FlagRecord;
use crate::state::{Cause, Entry, FlagState, HistoryQuery, Precondition, WriteOptions};
use crate::store::FeatureFlagStore;

const WRITERS: usize = 4;
const MERGES: usize = 12;

/// See [`FeatureFlagStore::history`].
pub async fn history_each_write(store: Arc<dyn FeatureFlagStore>) {
    let Some(store) = with_history(store).await else { return };
    let created = flag("WRITTEN");
    let changed = with_data(&created, "n", 1);
    let version = store.put(&created, Precondition::Absent).await;
    store.put_conflicts(&changed, Precondition::Absent).await;
    store.put(&changed, Precondition::Unchanged(version.clone())).await;
    store.delete_conflicts(created.name(), Precondition::Unchanged(version)).await;
    store.delete(created.name(), Precondition::Any).await;
    store.delete(created.name(), Precondition::Any).await;

    let name = created.name().to_owned();
    let (created, changed) = (state(&created), state(&changed));
    let expected = [(changed.clone(), None), (created.clone(), changed), (None, created)];
    for entries in [store.history_of(&name).await, of(&store, &name).await] {
        let found: Vec<_> = entries.iter().map(|entry| (entry.before.clone(), entry.after.clone())).collect();
        assert_eq!(found, expected, "`history` must have each write once, the newest first, and nothing else");
    }
}

/// See [`FeatureFlagStore::history`].
pub async fn history_cause(store: Arc<dyn FeatureFlagStore>) {
    let Some(store) = with_history(store).await else { return };
    let record = flag("CAUSED");
    let cause = Cause::default()
        .with_actor("Älice \"O'Hara\" <alice@example.org>")
        .and_then(|cause| cause.with_reason(format!("incident 42\n\u{1f}\u{1f}\u{1f525} {}", "x".repeat(4000))))
        .and_then(|cause| cause.with_source("conformance"));
    let cause = Arc::new(cause.unwrap_or_else(|error| panic!("{error}")));
    let options = |when: Precondition, verb| WriteOptions::from(when).with_verb(verb).with_cause(cause.clone());
    let put = store.0.put(&record, options(Precondition::Absent, "restore")).await;
    put.unwrap_or_else(|error| panic!("`put` with a cause failed: {error:?}"));
    store.put(&with_data(&record, "n", 1), Precondition::Any).await;
    let deleted = store.0.delete(record.name(), options(Precondition::Any, "destroy")).await;
    deleted.unwrap_or_else(|error| panic!("`delete` with a cause failed: {error:?}"));
    store.put(&record, Precondition::Any).await;
    store.delete(record.name(), Precondition::Any).await;

    let entries = store.history_of(record.name()).await;
    // A store may know the program of a write without a cause.
    let stated = |entry: &Entry| entry.cause.clone().filter(|cause| !cause.source().starts_with(Entry::OUTSIDE));
    let found: Vec<_> = entries.iter().map(|entry| (&*entry.verb, stated(entry))).collect();
    let expected = [
        ("destroy", None),
        ("create", None),
        ("destroy", Some(cause.clone())),
        ("set_client_data", None),
        ("restore", Some(cause.clone())),
    ];
    assert_eq!(found, expected);
}

/// See [`FeatureFlagStore::history`].
pub async fn history_put_all(store: Arc<dyn FeatureFlagStore>) {
    let Some(store) = with_history(store).await else { return };
    let there = flag("THERE");
    store.put(&there, Precondition::Absent).await;
    let records: Vec<_> = (0..20).map(|number| with_data(&flag("ALL"), "number", number)).chain([there]).collect();
    let cause = Arc::new(Cause::default());
    let options = WriteOptions::from(Precondition::Absent).with_verb("create").with_cause(cause.clone());
    let results = store.0.put_all(&records, options).await;
    for (record, result) in records.iter().zip(results) {
        let entries = store.history_of(record.name()).await;
        assert_eq!(entries.len(), 1, "`history` of {:?}, whose put was {result:?}: {entries:?}", record.name());
        if result.is_ok() {
            assert_eq!((&entries[0].before, &entries[0].after), (&None, &state(record)));
            assert_eq!(entries[0].cause.as_ref(), Some(&cause), "the cause of {:?}", record.name());
        }
    }
}

/// See [`FeatureFlagStore::history`].
pub async fn history_of_one(store: Arc<dyn FeatureFlagStore>) {
    let Some(store) = with_history(store).await else { return };
    let one = flag("ONE");
    let others = [FlagRecord::new(format!("{}2", one.name()), 0), FlagRecord::new(one.name().to_lowercase(), 0)];
    store.put(&one, Precondition::Absent).await;
    for other in &others {
        store.put(other, Precondition::Any).await;
    }
    store.delete(one.name(), Precondition::Any).await;
    let again = with_data(&one, "n", 1);
    store.put(&again, Precondition::Absent).await;

    let entries = store.history_of(one.name()).await;
    assert!(entries.iter().all(|entry| entry.name == one.name()), "`history` of one flag has others: {entries:?}");
    let found: Vec<_> = entries.into_iter().map(|entry| entry.after).collect();
    assert_eq!(found, [state(&again), None, state(&one)]);
    let none = store.history_of(&name("NEVER")).await;
    assert!(none.is_empty(), "`history` of a flag that never was: {none:?}");
}

/// See [`FeatureFlagStore::history`].
pub async fn history_pages(store: Arc<dyn FeatureFlagStore>) {
    let Some(store) = with_history(store).await else { return };
    let record = flag("PAGED");
    for number in 0..10 {
        store.put(&with_data(&record, "n", number), Precondition::Any).await;
        store.put(&flag("BETWEEN"), Precondition::Any).await;
    }
    let whole = store.history_of(record.name()).await;
    assert_eq!(whole.len(), 10);
    for limit in [1, 3, 5, 10, 11] {
        let pages = store.all_pages(HistoryQuery::of(record.name()).limit(limit)).await;
        assert_eq!(pages, whole, "`history` in pages of {limit}");
        let mut all = store.all_pages(HistoryQuery::all().limit(limit)).await;
        let ids: HashSet<_> = all.iter().map(|entry| entry.id.clone()).collect();
        assert_eq!(ids.len(), all.len(), "`history` of all flags in pages of {limit} has an entry twice");
        all.retain(|entry| entry.name == record.name());
        assert_eq!(all, whole, "`history` of all flags in pages of {limit}");
    }
    // What is written between two pages moves no entry.
    let page = store.history(&HistoryQuery::of(record.name()).limit(4)).await;
    store.put(&record, Precondition::Any).await;
    let rest = store.all_pages(HistoryQuery::of(record.name()).before(page.next)).await;
    assert_eq!(rest, whole[4..], "`history` after a page, with a write in between");
}

/// See [`FeatureFlagStore::history`].
pub async fn history_since(store: Arc<dyn FeatureFlagStore>) {
    let Some(store) = with_history(store).await else { return };
    let record = flag("DATED");
    for number in 0..3 {
        store.put(&with_data(&record, "n", number), Precondition::Any).await;
        crate::background::sleep(Duration::from_millis(5)).await;
    }
    let all = store.history_of(record.name()).await;
    assert_eq!(all.len(), 3);
    for entry in &all {
        let mut expected = all.clone();
        expected.retain(|other| other.at >= entry.at);
        let found = store.all_pages(HistoryQuery::of(record.name()).since(Some(entry.at))).await;
        assert_eq!(found, expected, "`history` since {:?}", entry.at);
    }
    let newest = all.iter().map(|entry| entry.at).max();
    let after = newest.map(|at| at + Duration::from_secs(3600));
    let none = store.all_pages(HistoryQuery::of(record.name()).since(after)).await;
    assert!(none.is_empty(), "`history` since an hour after the last entry: {none:?}");
}

/// See [`FeatureFlagStore::history`].
pub async fn history_replays(store: Arc<dyn FeatureFlagStore>) {
    let Some(store) = with_history(store).await else { return };
    let record = flag("MERGED");
    store.put(&record, Precondition::Absent).await;
    at_once((0..WRITERS).map(|writer| {
        let (store, name) = (store.clone(), record.name().to_owned());
        async move {
            for number in 0..MERGES {
                merge(&store, &name, format!("{writer}-{number}")).await;
            }
        }
    }))
    .await;
    let entries = store.history_of(record.name()).await;
    assert_eq!(entries.len(), WRITERS * MERGES + 1, "`history` must have each write of each writer once");
    let mut current: FlagState = None;
    for entry in entries.iter().rev() {
        assert_eq!(entry.before, current, "an entry must begin with what the previous one has left");
        current = entry.after.clone();
    }
    let stored = store.existing(record.name()).await;
    assert_eq!(current, Some(stored.record), "the last entry must have left the flag as it is");
}

async fn merge(store: &Subject, name: &str, key: String) {
    // One writer succeeds in each round, which may be this one last.
    loop {
        let stored = store.existing(name).await;
        let Ok(record) = &stored.record else { panic!("{name:?} is unreadable") };
        let mut merged = FlagRecord::clone(record);
        let key: Object = [(key.as_str(), true)].into_iter().collect();
        merged.merge_client_data(&key).unwrap_or_else(|error| panic!("{error}"));
        let options = WriteOptions::from(Precondition::Unchanged(stored.version)).with_cause(Cause::default());
        match within("`put`", store.0.put(&merged, options)).await {
            Ok(_) => return,
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => panic!("`put` failed: {error:?}"),
        }
    }
}

/// See [`FeatureFlagStore::history`].
pub async fn history_unsupported(store: Arc<dyn FeatureFlagStore>) {
    let history = store.history(&HistoryQuery::all()).await;
    match store.capabilities().history {
        true => drop(history.unwrap_or_else(|error| panic!("`history` failed: {error:?}"))),
        false => assert_kind(history, ErrorKind::Unsupported, "`history` without the capability"),
    }
}

/// `history_unsupported` tests the others. A store may know only after a call.
async fn with_history(store: Arc<dyn FeatureFlagStore>) -> Option<Subject> {
    let _ = store.history(&HistoryQuery::all().limit(1)).await;
    store.capabilities().history.then_some(Subject(store))
}

fn state(record: &FlagRecord) -> FlagState {
    Some(Ok(Arc::new(record.clone())))
}

/// From the history of all flags.
async fn of(store: &Subject, name: &str) -> Vec<Entry> {
    let mut entries = store.all_pages(HistoryQuery::all()).await;
    entries.retain(|entry| entry.name == name);
    entries
}
