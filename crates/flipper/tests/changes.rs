//! The stream of changes has all of them in order, or says how many it missed and then has all flags.

use std::task::{Context, Poll, Waker};
use std::thread;

use flipper::events::{Change, Changes};
use flipper::store::{Corrupt, LocalFeatureFlagStore, Precondition, Stored, Version, Watch, WatchEvent};
use flipper::{FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore};
use flipper_testkit::block_on;
use futures_util::StreamExt;

const KEPT: usize = 1024;

fn both() -> (FeatureFlagClient, MemoryFeatureFlagStore) {
    let store = MemoryFeatureFlagStore::new();
    (FeatureFlagClient::new(store.clone()), store)
}

fn now(changes: &mut Changes) -> Vec<Change> {
    std::iter::from_fn(|| match changes.poll_next_unpin(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(change) => change,
        Poll::Pending => None,
    })
    .collect()
}

fn texts(changes: &mut Changes) -> Vec<String> {
    now(changes).iter().map(text).collect()
}

fn text(change: &Change) -> String {
    match change {
        Change::Set { name, record } => format!("{name} {}", if record.is_enabled() { "on" } else { "off" }),
        Change::Removed { name } => format!("{name} gone"),
        Change::Corrupt { name, corrupt } => format!("{name} {corrupt}"),
        Change::Lagged { missed } => format!("{missed} missed"),
        Change::Snapshot(flags) => {
            format!("all: {:?}", flags.iter().map(|flag| flag.name.as_str()).collect::<Vec<_>>())
        }
        _ => "unknown".to_owned(),
    }
}

fn record(name: &str, enabled: bool) -> FlagRecord {
    let mut record = FlagRecord::new(name, 1_700_000_000);
    record.set_enabled(enabled);
    record
}

#[test]
fn every_change_is_emitted_in_order_for_every_writer() {
    let (features, store) = both();
    let other = FeatureFlagClient::new(store.clone());
    block_on(features.create("OLD")).unwrap();
    let (mut first, mut second) = (features.changes(), other.changes());
    block_on(async {
        features.create("A").await.unwrap();
        store.put(&record("B", true), Precondition::Any.into()).await.unwrap();
        other.enable("A").await.unwrap();
        features.disable("B").await.unwrap();
        store.put_text("C", "{");
        other.get("A").destroy().await.unwrap();
        store.delete("C", Precondition::Any.into()).await.unwrap();
        features.create("A").enabled(true).await.unwrap();
    });
    let all = texts(&mut first);
    assert!(all[4].starts_with("C "), "{all:?}");
    let others: Vec<_> = all.iter().map(String::as_str).filter(|text| !text.starts_with("C ")).collect();
    assert_eq!(others, ["A off", "B on", "A on", "B off", "A gone", "A on"]);
    assert_eq!(all[6], "C gone");
    assert_eq!(texts(&mut second), all);
    assert!(texts(&mut first).is_empty());
}

#[test]
fn a_write_without_effect_is_not_emitted() {
    let (features, store) = both();
    let mut changes = features.changes();
    block_on(async {
        store.put(&record("A", true), Precondition::Any.into()).await.unwrap();
        store.put(&record("A", true), Precondition::Any.into()).await.unwrap();
        features.enable("A").await.unwrap();
        store.delete("A", Precondition::Any.into()).await.unwrap();
        store.delete("A", Precondition::Any.into()).await.unwrap();
        features.enable("A").await.unwrap_err();
        store.put(&record("A", true), Precondition::Absent.into()).await.unwrap();
        store.put(&record("A", false), Precondition::Absent.into()).await.unwrap_err();
    });
    store.put_text("B", "{");
    store.put_text("B", "{");
    let texts = texts(&mut changes);
    assert_eq!(texts[..3], ["A on", "A gone", "A on"]);
    assert_eq!(texts.len(), 4, "B once: {texts:?}");
}

#[test]
fn a_change_is_in_memory_when_it_is_emitted() {
    let (features, _) = both();
    let flag = block_on(features.create("A")).unwrap();
    let mut changes = features.changes();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..500 {
                block_on(flag.enable()).unwrap();
                block_on(flag.disable()).unwrap();
            }
            block_on(flag.destroy()).unwrap();
        });
        let mut created = 0;
        loop {
            match block_on(changes.recv()).unwrap() {
                Change::Set { record, .. } => {
                    created += 1;
                    assert_eq!(record.is_enabled(), created % 2 == 1);
                }
                Change::Removed { .. } => break,
                other => panic!("{other:?}"),
            }
        }
        assert!(!flag.exists());
    });
}

#[test]
fn a_slow_receiver_gets_lagged_then_a_snapshot_then_newer_changes() {
    let (features, _) = both();
    let (mut slow, mut quick) = (features.changes(), features.changes());
    let flag = block_on(features.create("A")).unwrap();
    for _ in 0..KEPT {
        block_on(flag.enable()).unwrap();
        block_on(flag.disable()).unwrap();
        assert_eq!(texts(&mut quick).last().map(String::as_str), Some("A off"));
    }
    block_on(features.create("B").enabled(true)).unwrap();

    let lagged = block_on(slow.recv()).unwrap();
    let Change::Lagged { missed } = lagged else { panic!("{lagged:?}") };
    assert_eq!(missed as usize, 2 * KEPT + 2 - KEPT);
    // After `Lagged` and before the snapshot: in the snapshot, and not emitted again.
    block_on(features.create("C")).unwrap();
    block_on(flag.enable()).unwrap();
    let snapshot = block_on(slow.recv()).unwrap();
    let Change::Snapshot(flags) = snapshot else { panic!("{snapshot:?}") };
    let on: Vec<_> =
        flags.iter().map(|flag| (flag.name.as_str(), flag.record.as_ref().unwrap().is_enabled())).collect();
    assert_eq!(on, [("A", true), ("B", true), ("C", false)]);

    assert!(texts(&mut slow).is_empty());
    block_on(features.destroy("B")).unwrap();
    assert_eq!(texts(&mut slow), ["B gone"]);
}

#[test]
fn a_receiver_that_lags_again_and_again_ends_with_the_last_state() {
    const FLIPS: usize = 20_000;
    let (features, _) = both();
    let flag = block_on(features.create("A")).unwrap();
    let mut changes = features.changes();
    let (mut last, mut lagged) = (false, false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..FLIPS {
                block_on(flag.enable()).unwrap();
                block_on(flag.disable()).unwrap();
            }
            block_on(features.create("END")).unwrap();
        });
        loop {
            let change = block_on(changes.recv()).unwrap();
            assert!(!lagged || matches!(change, Change::Snapshot(_)), "{change:?} after Lagged");
            lagged = matches!(change, Change::Lagged { .. });
            match change {
                Change::Set { name, .. } if name == "END" => break,
                Change::Set { record, .. } => {
                    assert_ne!(record.is_enabled(), last, "twice the same, so one is missing");
                    last = record.is_enabled();
                }
                Change::Snapshot(flags) => {
                    last = flags[0].record.as_ref().unwrap().is_enabled();
                    if flags.len() == 2 {
                        break;
                    }
                }
                Change::Lagged { .. } => thread::yield_now(),
                other => panic!("{other:?}"),
            }
        }
        assert!(!last);
    });
}

#[test]
fn the_stream_ends_with_the_last_client() {
    let (features, store) = both();
    let (mut changes, flag) = (features.changes(), block_on(features.create("A")).unwrap());
    drop(features);
    block_on(flag.enable()).unwrap();
    drop(store);
    drop(flag);
    assert_eq!(text(&block_on(changes.recv()).unwrap()), "A off", "a change emitted before is not lost");
    assert_eq!(text(&block_on(changes.recv()).unwrap()), "A on");
    assert!(block_on(changes.recv()).is_none());
}

#[test]
fn the_stream_ends_though_a_receiver_lagged() {
    let (features, store) = both();
    let mut changes = features.changes();
    let flag = block_on(features.create("A")).unwrap();
    for _ in 0..KEPT {
        block_on(flag.enable()).unwrap();
        block_on(flag.disable()).unwrap();
    }
    drop((features, store, flag));
    assert!(matches!(block_on(changes.recv()), Some(Change::Lagged { .. })));
    assert!(block_on(changes.recv()).is_none());
}

#[test]
fn a_reset_emits_each_difference() {
    let (features, store) = both();
    for (name, enabled) in [("A", true), ("B", true), ("C", true)] {
        block_on(features.create(name).enabled(enabled)).unwrap();
    }
    let same = features.record("A").unwrap();
    let mut changes = features.changes();
    let stored = |name: &str, record| Stored { name: name.into(), version: Version::ordered(1), record };
    store.table().reset(vec![
        stored("A", Ok(same)),
        stored("B", Ok(record("B", false).into())),
        stored("D", Err(Corrupt::new("not JSON"))),
    ]);
    assert_eq!(texts(&mut changes), ["C gone", "B off", "D not JSON"]);
}

fn next(watch: &mut Watch<'_>) -> WatchEvent {
    match watch.poll_next_unpin(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(event)) => event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_watch_emits_a_reset_when_versions_start_over() {
    let (features, store) = both();
    for name in ["A", "B"] {
        block_on(features.create(name)).unwrap();
    }
    let mut watch = store.watch();
    assert!(matches!(next(&mut watch), WatchEvent::Reset { flags, .. } if flags.len() == 2));
    block_on(features.destroy("B")).unwrap();
    let event = next(&mut watch);
    assert!(matches!(&event, WatchEvent::Removed { name, version: Some(_), .. } if name == "B"), "{event:?}");

    let again = Stored { name: "C".into(), version: Version::ordered(1), record: Ok(record("C", true).into()) };
    store.table().reset(vec![again]);
    // Without the reset the new state of C and the absence of A would count as older.
    let reset = std::iter::repeat_with(|| next(&mut watch)).find_map(|event| match event {
        WatchEvent::Reset { flags, .. } => Some(flags),
        _ => None,
    });
    assert_eq!(reset.unwrap().iter().map(|flag| flag.name.as_str()).collect::<Vec<_>>(), ["C"]);
}
