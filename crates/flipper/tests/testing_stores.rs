//! `RecordingStore` reports its calls, and `FailingStore` fails on command only; both are correct stores.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper::store::{Health, Precondition, WatchEvent};
use flipper::testing::{Call, FailingStore, RecordingStore};
use flipper::{
    ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, MirroredFeatureFlagStore,
    context,
};
use flipper_testkit::block_on;
use flipper_testkit::wait_until;
use futures_util::StreamExt;

flipper::local_store_conformance_tests!(recording, async || RecordingStore::new(MemoryFeatureFlagStore::new()));
flipper::local_store_conformance_tests!(failing, async || FailingStore::new(MemoryFeatureFlagStore::new()));

fn failing() -> (FailingStore, FeatureFlagClient) {
    let store = FailingStore::new(MemoryFeatureFlagStore::new());
    let features = FeatureFlagClient::new(store.clone());
    block_on(features.create("FLAG").enabled(true)).unwrap();
    (store, features)
}

fn kind<T: std::fmt::Debug>(result: flipper::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn calls_are_recorded_with_their_arguments() {
    let store = RecordingStore::new(MemoryFeatureFlagStore::new());
    let features = FeatureFlagClient::new(store.clone());
    block_on(features.create("FLAG").enabled(true)).unwrap();
    let calls = store.take_calls();
    let [Call::Put { record, when: Precondition::Absent }] = &*calls else { panic!("{calls:?}") };
    assert!(record.is_enabled() && record.name() == "FLAG" && calls[0].is_write());
    assert!(store.calls().is_empty());

    let remote = FeatureFlagClient::remote(store.clone());
    block_on(async {
        remote.fetch("FLAG").await?;
        remote.fetch_enabled("FLAG", &context! {}).await?;
        remote.disable("FLAG").await?;
        remote.destroy("FLAG").await?;
        store.put_all(&[FlagRecord::new("A", 0), FlagRecord::new("B", 0)], Precondition::Any.into()).await;
        store.list().await?;
        features.ready().await?;
        features.close().await
    })
    .unwrap();
    drop(store.watch());
    drop(store.stream());
    let calls: Vec<String> = store.calls().iter().map(ToString::to_string).collect();
    let expected = "get FLAG, get_cached FLAG, get_cached FLAG, put FLAG, get_cached FLAG, delete FLAG, put_all A B, list, ready, close, watch, stream";
    assert_eq!(calls.join(", "), expected);
    assert_eq!(store.to_string(), "Recording(Memory)");
}

#[test]
fn fails_until_it_recovers() {
    let (store, features) = failing();
    store.fail(ErrorKind::Unauthorized);
    assert_eq!(kind(block_on(features.fetch("FLAG"))), ErrorKind::Unauthorized);
    assert_eq!(kind(block_on(features.disable("FLAG"))), ErrorKind::Unauthorized);
    assert_eq!(kind(block_on(store.list())), ErrorKind::Unauthorized);
    assert_eq!(kind(block_on(features.destroy("FLAG"))), ErrorKind::Unauthorized);
    assert!(features.is_enabled("FLAG"), "nothing was written");
    store.recover();
    block_on(features.disable("FLAG")).unwrap();
    assert!(!features.is_enabled("FLAG"));
}

#[test]
fn fails_so_many_times() {
    let (store, features) = failing();
    store.fail_next(1, ErrorKind::Conflict);
    block_on(features.disable("FLAG")).unwrap();
    assert!(!features.is_enabled("FLAG"), "the client goes on after a conflict");
    store.fail_next(2, ErrorKind::Unavailable);
    assert_eq!(kind(block_on(features.enable("FLAG"))), ErrorKind::Unavailable);
    assert_eq!(kind(block_on(features.fetch("FLAG"))), ErrorKind::Unavailable);
    block_on(features.enable("FLAG")).unwrap();
}

#[test]
fn an_answer_is_lost_but_not_the_write() {
    let (store, features) = failing();
    store.lose_next_answers(1);
    assert_eq!(kind(block_on(features.disable("FLAG"))), ErrorKind::Unavailable);
    assert!(!features.is_enabled("FLAG"));
    block_on(features.enable("FLAG")).unwrap();
}

#[test]
fn a_call_takes_the_given_time() {
    let (store, features) = failing();
    store.delay(Duration::from_millis(30));
    let begin = Instant::now();
    block_on(features.fetch("FLAG")).unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(30));
}

#[test]
fn a_pending_write_that_loses_its_connection_happens() {
    let slow = FailingStore::new(MemoryFeatureFlagStore::new());
    let store = FailingStore::new(slow.clone());
    let features = FeatureFlagClient::new(store.clone());
    block_on(features.create("FLAG")).unwrap();

    slow.delay(Duration::from_millis(20));
    let mut write = Box::pin(features.enable("FLAG"));
    assert!(block_on(futures_util::future::poll_immediate(&mut write)).is_none(), "under way");
    store.disconnect();
    assert_eq!(kind(block_on(write)), ErrorKind::Unavailable);
    assert!(features.is_enabled("FLAG"));
}

#[test]
fn a_lost_connection_is_reported_and_restored() {
    let (store, features) = failing();
    block_on(async {
        let mut watch = store.watch();
        assert!(matches!(watch.next().await, Some(WatchEvent::Reset { flags, .. }) if flags.len() == 1));
        store.disconnect();
        assert!(matches!(watch.next().await, Some(WatchEvent::Lost(_))));
        assert_eq!(kind(features.enable("FLAG").await), ErrorKind::Unavailable);
        assert!(matches!(features.status().health, Health::Stale { .. }));
        assert_eq!(kind(features.ready().await), ErrorKind::Unavailable);
        assert!(features.is_enabled("FLAG"));
        store.reconnect();
        assert!(matches!(watch.next().await, Some(WatchEvent::Restored)));
        assert!(matches!(watch.next().await, Some(WatchEvent::Reset { .. })));
        features.disable("FLAG").await.unwrap();
        assert!(matches!(watch.next().await, Some(WatchEvent::Changed { .. })));
        assert!(features.status().is_live());
    });
}

#[test]
fn a_connection_that_is_lost_for_a_moment_is_reported_too() {
    let (store, features) = failing();
    store.delay(Duration::from_millis(20));
    let mut write = Box::pin(features.disable("FLAG"));
    assert!(block_on(futures_util::future::poll_immediate(&mut write)).is_none(), "under way");
    let mut watch = store.watch();
    assert!(matches!(block_on(watch.next()), Some(WatchEvent::Reset { .. })));
    store.disconnect();
    store.reconnect();
    assert_eq!(kind(block_on(write)), ErrorKind::Unavailable);
    assert!(matches!(block_on(watch.next()), Some(WatchEvent::Lost(_))));
    assert!(matches!(block_on(watch.next()), Some(WatchEvent::Restored)));
    assert!(matches!(block_on(watch.next()), Some(WatchEvent::Reset { .. })));
}

#[test]
fn many_writes_are_one_call() {
    let (store, _features) = failing();
    let records = ["A", "B"].map(|name| FlagRecord::new(name, 1));
    store.fail_next(1, ErrorKind::Unauthorized);
    let failed = block_on(store.put_all(&records, Precondition::Any.into()));
    assert_eq!(failed.into_iter().map(kind).collect::<Vec<_>>(), [ErrorKind::Unauthorized; 2]);
    assert!(block_on(store.put_all(&records, Precondition::Any.into())).iter().all(Result::is_ok));
}

#[test]
fn a_stream_breaks_off_with_the_connection() {
    let (store, features) = failing();
    for name in ["A", "B"] {
        block_on(features.create(name)).unwrap();
    }
    let mut flags = store.stream();
    assert!(block_on(flags.next()).unwrap().is_ok());
    store.disconnect();
    assert_eq!(kind(block_on(flags.next()).unwrap()), ErrorKind::Unavailable);
    assert!(block_on(flags.next()).is_none(), "an error ends it");
}

#[test]
fn a_mirror_survives_failures() {
    let within = MemoryFeatureFlagStore::new();
    let others = FeatureFlagClient::new(within.clone());
    let store = FailingStore::new(within);
    let features = FeatureFlagClient::new(MirroredFeatureFlagStore::new(Arc::new(store.clone())));
    block_on(features.ready()).unwrap();
    block_on(features.create("FLAG").enabled(true)).unwrap();

    store.disconnect();
    wait_until("the mirror knows", || !features.status().is_live());
    block_on(others.disable("FLAG")).unwrap();
    assert!(features.is_enabled("FLAG"), "the last known flags");
    assert_eq!(kind(block_on(features.enable("FLAG"))), ErrorKind::Unavailable);

    store.reconnect();
    wait_until("the mirror is back", || features.status().is_live() && !features.is_enabled("FLAG"));
}

#[cfg(feature = "macros")]
#[test]
fn flags_are_registered_in_the_background_once_the_store_is_there() {
    flipper::flags! {
        struct Flags {
            search = true,
        }
    }
    let failing = FailingStore::new(MemoryFeatureFlagStore::new());
    let recording = RecordingStore::new(failing.clone());
    let features = FeatureFlagClient::new(recording.clone());
    failing.disconnect();
    assert_eq!(kind(block_on(Flags::register(&features))), ErrorKind::Unavailable);
    let _ = recording.take_calls();

    let flags = Flags::register_in_background(&features);
    wait_until("it was tried", || !recording.take_calls().is_empty());
    assert!(flags.search.is_enabled() && !flags.search.exists(), "the default, meanwhile");
    failing.reconnect();
    wait_until("it is there", || flags.search.exists());
    block_on(flags.search.disable()).unwrap();
    assert!(!flags.search.is_enabled(), "the switch can be thrown");
}
