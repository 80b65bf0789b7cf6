//! The mirror keeps flags for a while that a store comes back without, and emits an event only once its memory has the
//! change.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/scripted.rs"]
#[allow(dead_code, reason = "shared with other tests, which use other parts")]
mod scripted;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use flipper::store::{Health, LocalFeatureFlagStore, Precondition, Stored, WatchEvent};
use flipper::{
    Error, ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, MirroredFeatureFlagStore,
};
use flipper_testkit::block_on;
use futures_util::StreamExt;
use scripted::{Scripted, wait_until};

const NAMES: [&str; 4] = ["A", "B", "C", "D"];

type Features = FeatureFlagClient;

fn four(mirror: impl FnOnce(Scripted) -> MirroredFeatureFlagStore<Scripted>) -> (Scripted, Features) {
    let store = Scripted::new();
    for name in NAMES {
        store.set(name, Some(true));
    }
    let features = FeatureFlagClient::new(mirror(store.clone()));
    block_on(features.ready()).unwrap();
    (store, features)
}

/// The store is lost, and comes back with only these flags.
fn comes_back_with(store: &Scripted, names: &[&str]) {
    store.lose();
    store.sends_hints.store(false, Ordering::SeqCst);
    for name in NAMES {
        store.set(name, names.contains(&name).then_some(true));
    }
    store.sends_hints.store(true, Ordering::SeqCst);
    store.restore();
}

/// Waits until all events before are processed.
fn settle(store: &Scripted, features: &Features) {
    store.set("SETTLED", Some(true));
    wait_until("the last change is here", || features.is_enabled("SETTLED"));
    store.set("SETTLED", None);
    wait_until("the last change is here", || !features.exists("SETTLED"));
}

fn reason(features: &Features) -> Option<Arc<str>> {
    match features.status().health {
        Health::Stale { reason, .. } => Some(reason),
        _ => None,
    }
}

fn on(features: &Features) -> Vec<&'static str> {
    NAMES.into_iter().filter(|name| features.is_enabled(name)).collect()
}

#[test]
fn a_store_that_comes_back_empty_is_doubted() {
    let (store, features) = four(MirroredFeatureFlagStore::new);
    comes_back_with(&store, &[]);
    wait_until("it is doubted", || reason(&features).is_some_and(|reason| reason.contains("without 4 of 4 flags")));
    settle(&store, &features);
    assert_eq!(on(&features), NAMES);

    // Neither a caller's read nor the next loss ends the doubt.
    assert!(block_on(features.fetch("A")).unwrap().is_none());
    comes_back_with(&store, &[]);
    settle(&store, &features);
    assert_eq!(on(&features), NAMES);
    assert!(reason(&features).is_some());

    for name in NAMES {
        assert!(!features.status().is_live());
        store.set(name, Some(true));
        settle(&store, &features);
    }
    wait_until("it is current", || features.status().is_live());
    assert_eq!(on(&features), NAMES);
}

#[test]
fn what_happens_to_a_flag_in_doubt_counts() {
    let (store, features) = four(MirroredFeatureFlagStore::new);
    comes_back_with(&store, &["A"]);
    wait_until("it is doubted", || reason(&features).is_some_and(|reason| reason.contains("without 3 of 4 flags")));
    store.emit(|| WatchEvent::Removed { name: "B".into(), version: None, read_at: Some(std::time::Instant::now()) });
    wait_until("B is gone", || !features.exists("B"));
    block_on(features.create("C").replace()).unwrap();
    assert!(!features.is_enabled("C"));
    assert!(features.is_enabled("D") && !features.status().is_live());
    block_on(features.destroy("D")).unwrap_err();
    // A deletion while the store is followed is believed.
    store.set("A", None);
    store.set("C", None);
    store.emit(|| store.reset());
    wait_until("A and C are gone", || !features.exists("A") && !features.exists("C"));
    assert!(features.is_enabled("D") && !features.status().is_live());
    store.emit(|| WatchEvent::Removed { name: "D".into(), version: None, read_at: Some(std::time::Instant::now()) });
    wait_until("it is current", || features.status().is_live());
    assert_eq!(on(&features), [""; 0]);
}

/// The store's feed may list all flags again for a reason of its own.
#[test]
fn a_list_without_a_loss_does_not_end_the_doubt() {
    let (store, features) = four(MirroredFeatureFlagStore::new);
    comes_back_with(&store, &[]);
    wait_until("it is doubted", || reason(&features).is_some_and(|reason| reason.contains("without 4 of 4 flags")));
    store.emit(|| store.reset());
    settle(&store, &features);
    assert_eq!(on(&features), NAMES);
    store.sends_hints.store(false, Ordering::SeqCst);
    store.set("A", Some(true));
    store.emit(|| store.reset());
    wait_until("A is there", || reason(&features).is_some_and(|reason| reason.contains("without 3 of 4 flags")));
    assert_eq!(on(&features), NAMES);
    for name in NAMES {
        store.set(name, Some(true));
    }
    store.emit(|| store.reset());
    wait_until("it is current", || features.status().is_live());
    assert_eq!(on(&features), NAMES);
}

#[test]
fn half_of_the_flags_at_the_next_loss_leaves_the_others_in_doubt() {
    let (store, features) = four(MirroredFeatureFlagStore::new);
    comes_back_with(&store, &[]);
    wait_until("it is doubted", || reason(&features).is_some_and(|reason| reason.contains("without 4 of 4 flags")));
    comes_back_with(&store, &["A", "B"]);
    wait_until("two are there", || reason(&features).is_some_and(|reason| reason.contains("without 2 of 4 flags")));
    assert_eq!(on(&features), NAMES);
}

#[test]
fn deletions_while_the_store_is_followed_are_believed() {
    let (store, features) = four(MirroredFeatureFlagStore::new);
    store.sends_hints.store(false, Ordering::SeqCst);
    for name in NAMES {
        store.set(name, None);
    }
    store.emit(|| store.reset());
    wait_until("all are gone", || on(&features).is_empty());
    assert!(features.status().is_live());
}

#[test]
fn half_of_the_flags_may_have_been_deleted_meanwhile() {
    let (store, features) = four(MirroredFeatureFlagStore::new);
    comes_back_with(&store, &["A", "B"]);
    wait_until("two are gone", || on(&features) == ["A", "B"]);
    wait_until("it is current", || features.status().is_live());
}

#[test]
fn after_a_while_the_store_is_believed() {
    let (store, features) =
        four(|store| MirroredFeatureFlagStore::builder(store).doubt_for(Duration::from_millis(300)).build());
    comes_back_with(&store, &[]);
    wait_until("all are gone", || on(&features).is_empty());
    wait_until("it is current", || features.status().is_live());
    let (store, features) = four(|store| MirroredFeatureFlagStore::builder(store).doubt_for(Duration::ZERO).build());
    comes_back_with(&store, &[]);
    wait_until("all are gone", || on(&features).is_empty());
}

#[test]
fn the_snapshot_file_is_not_overwritten_with_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.snapshot");
    let with_file = |store: Scripted| MirroredFeatureFlagStore::builder(store).snapshot_file(&path).build();
    let (store, features) = four(with_file);
    let flags_in = |path: &Path| fs::read_to_string(path).unwrap_or_default().matches("feature_name").count();
    wait_until("the file is there", || flags_in(&path) == 4);
    let before = fs::read(&path).unwrap();
    comes_back_with(&store, &[]);
    wait_until("it is doubted", || reason(&features).is_some());
    block_on(features.close()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);

    // A process that starts has the flags of the file, in doubt as well.
    let features = FeatureFlagClient::new(with_file(store));
    block_on(features.ready()).unwrap();
    wait_until("it is doubted", || reason(&features).is_some_and(|reason| reason.contains("without 4 of 4 flags")));
    assert_eq!(on(&features), NAMES);
    block_on(features.close()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn what_a_mirror_emits_can_be_read_from_it() {
    let store = Scripted::with("F", false);
    let mirror = MirroredFeatureFlagStore::new(store.clone());
    block_on(mirror.ready()).unwrap();
    let mut events = mirror.watch();
    assert!(matches!(block_on(events.next()), Some(WatchEvent::Reset { flags, .. }) if flags.len() == 1));
    for step in 0..400 {
        let enabled = step % 2 == 0;
        store.set("F", Some(enabled));
        loop {
            let event = block_on(events.next()).unwrap();
            let WatchEvent::Changed { flag, .. } = event else { continue };
            assert_eq!(flag.record.unwrap().is_enabled(), enabled);
            assert_eq!(mirror.table().get("F").unwrap().record.unwrap().is_enabled(), enabled);
            break;
        }
    }
}

#[test]
fn a_doubt_ends_when_memory_has_what_ended_it() {
    for _ in 0..20 {
        let store = Scripted::new();
        for name in NAMES {
            store.set(name, Some(true));
        }
        let mirror = MirroredFeatureFlagStore::new(store.clone());
        block_on(mirror.ready()).unwrap();
        comes_back_with(&store, &[]);
        wait_until("it is doubted", || !mirror.status().is_live());
        let mut events = mirror.watch();
        store.sends_hints.store(false, Ordering::SeqCst);
        for name in NAMES {
            store.set(name, Some(false));
            store.hint(name);
        }
        assert!(block_on(events.by_ref().any(async |event| matches!(event, WatchEvent::Restored))));
        let Some(WatchEvent::Reset { flags, .. }) = block_on(events.next()) else { panic!("no flags") };
        assert!(flags.iter().all(|flag| !flag.record.as_ref().unwrap().is_enabled()), "{flags:?}");
    }
}

#[test]
fn deletions_reach_a_mirror_of_a_mirror() {
    let store = MemoryFeatureFlagStore::new();
    let first = MirroredFeatureFlagStore::new(store.clone());
    let second = FeatureFlagClient::new(MirroredFeatureFlagStore::new(first.clone()));
    block_on(second.ready()).unwrap();
    for step in 0..40 {
        block_on(store.put(&FlagRecord::new("F", 1), Precondition::Absent.into())).unwrap();
        wait_until("F is here", || second.exists("F"));
        match step % 2 {
            0 => block_on(store.delete("F", Precondition::Any.into())).unwrap(),
            _ => block_on(first.delete("F", Precondition::Any.into())).unwrap(),
        };
        wait_until("F is gone", || !second.exists("F"));
    }
}

#[test]
fn a_mirror_emits_its_doubts() {
    let store = Scripted::new();
    store.fail(ErrorKind::Unavailable);
    let mirror = MirroredFeatureFlagStore::new(store.clone());
    let mut events = mirror.watch();
    assert!(matches!(block_on(events.next()), Some(WatchEvent::Lost(_))), "no list, not even an empty one");
    store.fail(None);
    store.sends_hints.store(false, Ordering::SeqCst);
    for name in NAMES {
        store.set(name, Some(true));
    }
    store.emit(|| store.reset());
    let mut next_reset = || loop {
        if let Some(WatchEvent::Reset { flags, .. }) = block_on(events.next()) {
            return flags;
        }
    };
    assert_eq!(next_reset().len(), 4);
    comes_back_with(&store, &[]);
    assert_eq!(next_reset().len(), 4);
    let is_lost =
        |event: &WatchEvent| matches!(event, WatchEvent::Lost(error) if error.to_string().contains("without 4 of 4"));
    assert!(block_on(events.by_ref().any(async |event| is_lost(&event))), "and that they are in doubt");
    let reading: Vec<Stored> = mirror.table().list();
    assert_eq!(reading.len(), 4);
    for name in NAMES {
        store.set(name, Some(false));
    }
    assert!(
        block_on(events.by_ref().any(async |event| matches!(event, WatchEvent::Restored))),
        "and that the doubt is over"
    );
    assert!(matches!(block_on(events.next()), Some(WatchEvent::Reset { flags, .. }) if flags.len() == 4));
    assert!(mirror.status().is_live());
}

#[test]
fn a_store_that_falls_silent_makes_the_flags_stale() {
    let store = Scripted::with("F", true);
    let mirror = MirroredFeatureFlagStore::new(store.clone());
    block_on(mirror.ready()).unwrap();
    let confirmed = |valid_for| WatchEvent::Confirmed { at: std::time::Instant::now(), valid_for };
    store.emit(|| confirmed(Duration::from_millis(200)));
    let events = mirror.watch();
    let is_silence = |event: &WatchEvent| matches!(event, WatchEvent::Lost(error) if error.to_string().contains("not been heard of"));
    assert!(block_on(events.any(async |event| is_silence(&event))), "without a read of the status");
    assert!(!mirror.status().is_live());
    store.emit(|| confirmed(Duration::from_secs(60)));
    wait_until("it is current", || mirror.status().is_live());
}

/// A process that is stopped while the answer is on its way receives it late.
#[test]
fn a_list_that_comes_too_late_makes_nothing_current() {
    let store = Scripted::with("F", true);
    store.fail(ErrorKind::Unavailable);
    let mirror = MirroredFeatureFlagStore::new(store.clone());
    let mut events = mirror.watch();
    assert!(matches!(block_on(events.next()), Some(WatchEvent::Lost(_))));
    let minute = Duration::from_secs(60);
    let list = |age: Duration| {
        let read_at = Some(std::time::Instant::now() - age);
        WatchEvent::Reset { flags: store.all(), read_at, valid_for: Some(minute) }
    };
    store.emit(|| list(2 * minute));
    let silent = loop {
        match block_on(events.next()).unwrap() {
            WatchEvent::Lost(error) => break error.to_string(),
            WatchEvent::Reset { flags, valid_for, .. } => assert_eq!((flags.len(), valid_for), (1, Some(minute))),
            event => assert!(!matches!(event, WatchEvent::Restored)),
        }
    };
    assert!(silent.contains("not been heard of for 12"), "{silent}");
    assert!(!mirror.status().is_live());
    store.emit(|| list(minute / 2));
    wait_until("it is current", || mirror.status().is_live());
}

/// The list does not have the flag, and may have been read before or after the write.
#[test]
fn an_own_write_that_a_list_overtakes_is_read_back() {
    let store = Scripted::with("OTHER", true);
    let features = FeatureFlagClient::new(MirroredFeatureFlagStore::new(store.clone()));
    block_on(features.ready()).unwrap();
    store.after_write.shut();
    std::thread::scope(|scope| {
        let written = scope.spawn(|| block_on(features.create("F").enabled(true)).map(drop));
        store.after_write.wait_for_one();
        // The flag is deleted at once, while the watch is disconnected.
        store.sends_hints.store(false, Ordering::SeqCst);
        store.set("F", None);
        store.lose();
        store.set("SETTLED", Some(true));
        store.restore();
        wait_until("the list is here", || features.is_enabled("SETTLED"));
        // Holds all background reads.
        store.after_get.shut();
        store.after_write.open();
        store.after_get.wait_for_one();
        assert!(!features.exists("F") && !written.is_finished());
        store.after_get.open();
        written.join().unwrap().unwrap();
        assert!(!features.exists("F"));
    });
}

#[test]
fn a_pending_read_outlasts_confirmations() {
    let store = Scripted::with("F", false);
    let mirror = MirroredFeatureFlagStore::new(store.clone());
    block_on(mirror.ready()).unwrap();
    store.after_get.shut();
    store.set("F", Some(true));
    store.after_get.wait_for_one();
    let valid_for = Duration::from_millis(100);
    wait_until("it is stale, whatever the store says", || {
        store.emit(|| WatchEvent::Confirmed { at: std::time::Instant::now(), valid_for });
        !mirror.status().is_live()
    });
    store.after_get.open();
    wait_until("the change is here", || mirror.table().get("F").unwrap().record.unwrap().is_enabled());
    store.emit(|| WatchEvent::Confirmed { at: std::time::Instant::now(), valid_for: Duration::from_secs(60) });
    wait_until("it is current", || mirror.status().is_live());
}

#[test]
fn answers_of_a_lost_store_are_not_believed() {
    let (store, features) = four(MirroredFeatureFlagStore::new);
    store.after_get.shut();
    store.hint("A");
    store.after_get.wait_for_one();
    store.lose();
    wait_until("it is stale", || reason(&features).is_some());
    store.sends_hints.store(false, Ordering::SeqCst);
    for name in NAMES {
        store.set(name, None);
    }
    store.hint("B");
    store.after_get.open();
    assert!(block_on(features.fetch("C")).unwrap().is_none(), "the caller gets the answer");
    store.emit(|| WatchEvent::Lost(Error::new(ErrorKind::Unavailable).with_message("still")));
    wait_until("all before is processed", || reason(&features).is_some_and(|reason| reason.contains("still")));
    assert_eq!(on(&features), NAMES);
}

#[test]
fn the_reason_is_the_latest() {
    let (store, features) = four(MirroredFeatureFlagStore::new);
    store.lose();
    wait_until("it is stale", || reason(&features).is_some_and(|reason| reason.contains("gone")));
    store.emit(|| WatchEvent::Lost(Error::new(ErrorKind::Unauthorized).with_message("NOAUTH")));
    wait_until("the reason is the new one", || reason(&features).is_some_and(|reason| reason.contains("NOAUTH")));
}
