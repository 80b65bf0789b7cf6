//! The mirror over a scripted store, which fails, waits and emits events on command, and over the memory store.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/scripted.rs"]
#[allow(dead_code, reason = "shared with other tests, which use other parts")]
mod scripted;

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use flipper::events::Change;
use flipper::store::{
    Health, LocalFeatureFlagStore, Precondition, Status, Stored, Updates, Version, Watch, WatchEvent, WriteOptions,
};
use flipper::{
    ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, MirroredFeatureFlagStore,
    Result,
};
use flipper_testkit::block_on;
use scripted::{Scripted, poll_once, wait_until};
use serde_json::json;

type Mirror<S = Scripted> = MirroredFeatureFlagStore<S>;

flipper::local_store_conformance_tests!(memory_mirrored, async || Mirror::new(MemoryFeatureFlagStore::new()));
flipper::local_store_conformance_tests!(opaque_versions_mirrored, async || Mirror::new(Scripted::new()));
flipper::local_store_conformance_tests!(any_store_mirrored, async || {
    Mirror::new(Box::new(Scripted::new()) as Box<dyn FeatureFlagStore>)
});

fn mirror(store: &Scripted) -> (Mirror, FeatureFlagClient) {
    let mirror = Mirror::new(store.clone());
    let features = FeatureFlagClient::new(mirror.clone());
    block_on(features.ready()).unwrap();
    (mirror, features)
}

fn stale(status: &Status) -> (SystemTime, &str) {
    match &status.health {
        Health::Stale { since, reason } => (*since, reason),
        other => panic!("not stale but {other:?}"),
    }
}

fn record(name: &str, enabled: bool) -> FlagRecord {
    let mut record = FlagRecord::new(name, 1);
    record.set_enabled(enabled);
    record
}

#[test]
fn prints_the_stack() {
    let mirror = Mirror::new(MemoryFeatureFlagStore::new());
    assert_eq!(mirror.to_string(), "Mirrored(Memory)");
    assert!(format!("{mirror:?}").contains("MemoryFeatureFlagStore"));
}

#[test]
fn checks_read_memory_and_writes_go_through() {
    let store = Scripted::with("OLD", true);
    let (_mirror, features) = mirror(&store);
    assert!(features.is_enabled("OLD"));
    assert_eq!(store.gets(), 0);

    block_on(features.create("NEW").enabled(true)).unwrap();
    assert!(features.is_enabled("NEW"));
    assert_eq!(store.all().len(), 2);
    block_on(features.destroy("OLD")).unwrap();
    assert!(!features.exists("OLD"));
    assert!(features.status().is_live());
}

#[test]
fn foreign_changes_arrive() {
    let store = Scripted::with("F", false);
    let (_mirror, features) = mirror(&store);
    store.set("F", Some(true));
    wait_until("F is on", || features.is_enabled("F"));
    store.set("F", None);
    wait_until("F is gone", || !features.exists("F"));
    store.set("G", Some(true));
    wait_until("G is on", || features.is_enabled("G"));
}

#[test]
fn a_write_costs_one_call_and_one_read_after() {
    let store = Scripted::with("F", false);
    let (_mirror, features) = mirror(&store);
    for enabled in [true, false, true] {
        let (gets, puts) = (store.gets(), store.puts());
        block_on(async { if enabled { features.enable("F").await } else { features.disable("F").await } }).unwrap();
        assert_eq!(store.puts(), puts + 1);
        wait_until("the echo is read", || store.gets() == gets + 1);
        // Events arrive in order: with this flag here, all before it are processed.
        store.set("AFTER", Some(enabled));
        wait_until("AFTER is seen", || features.is_enabled("AFTER") == enabled);
        assert_eq!(store.gets(), gets + 2, "one for the echo, one for AFTER");
    }
}

#[test]
fn a_slow_read_does_not_undo_a_write_made_since() {
    let store = Scripted::with("F", false);
    let (_mirror, features) = mirror(&store);
    let mut changes = features.changes();

    store.after_get.shut();
    store.hint("F");
    store.after_get.wait_for_one();
    block_on(features.enable("F")).unwrap();
    assert!(features.is_enabled("F"));
    store.after_get.open();

    wait_until("it is read again", || store.gets() >= 2);
    store.set("LAST", Some(true));
    wait_until("LAST is seen", || features.is_enabled("LAST"));
    let mut seen = Vec::new();
    while let Some(change) = block_on(changes.recv()) {
        if let Change::Set { name, record } = change {
            seen.push((name.clone(), record.is_enabled()));
            if name == "LAST" {
                break;
            }
        }
    }
    assert_eq!(seen, [("F".to_owned(), true), ("LAST".to_owned(), true)]);
}

#[test]
fn on_off_on_counts_though_the_bytes_are_equal() {
    let store = Scripted::with("F", true);
    store.sends_hints.store(false, Ordering::SeqCst);
    let (mirror, features) = mirror(&store);
    block_on(features.disable("F")).unwrap();
    let on = Stored { name: "F".into(), version: Version::opaque("x"), record: Ok(record("F", true).into()) };
    // Read before the write, or at an unknown time.
    let early = Instant::now() - Duration::from_secs(1);
    store.emit(|| WatchEvent::Changed { flag: on.clone(), read_at: Some(early) });
    store.emit(|| WatchEvent::Changed { flag: on.clone(), read_at: None });
    store.emit(|| WatchEvent::Removed { name: "F".into(), version: None, read_at: Some(early) });
    wait_until("it is read instead", || store.gets() > 0);
    store.set("F", Some(true));
    assert!(!features.is_enabled("F"), "no event for that one");
    store.emit(|| WatchEvent::Changed { flag: on.clone(), read_at: Some(Instant::now()) });
    wait_until("F is on", || features.is_enabled("F"));
    drop(mirror);
}

#[test]
fn a_dropped_write_that_happened_is_seen() {
    let store = Scripted::with("F", false);
    store.sends_hints.store(false, Ordering::SeqCst);
    let (mirror, features) = mirror(&store);
    store.after_write.shut();
    poll_once(mirror.put(&record("F", true), Precondition::Any.into()));
    wait_until("F is on", || features.is_enabled("F"));

    poll_once(mirror.delete("F", Precondition::Any.into()));
    wait_until("F is gone", || !features.exists("F"));

    poll_once(mirror.put_all(&[record("G", true), record("H", true)], Precondition::Any.into()));
    wait_until("G is on", || features.is_enabled("G"));
    assert!(!features.exists("H"), "the loop did not come to it");
    store.after_write.open();
    block_on(features.create("H")).unwrap();
}

#[test]
fn a_dropped_write_that_did_not_happen_leaves_the_flag_and_blocks_no_write() {
    let store = Scripted::with("F", false);
    let (mirror, features) = mirror(&store);
    store.before_write.shut();
    poll_once(mirror.put(&record("F", true), Precondition::Any.into()));
    wait_until("it is read again", || store.gets() == 1);
    store.before_write.open();
    assert!(!features.is_enabled("F"));
    block_on(features.enable("F")).unwrap();
    assert!(features.is_enabled("F"));
}

#[test]
fn a_write_whose_answer_was_lost_is_seen() {
    let store = Scripted::with("F", false);
    store.sends_hints.store(false, Ordering::SeqCst);
    let (mirror, features) = mirror(&store);
    store.after_write.shut();
    let put = thread::spawn(move || block_on(mirror.put(&record("F", true), Precondition::Any.into())));
    store.after_write.wait_for_one();
    store.fail(ErrorKind::Unavailable);
    store.after_write.open();
    assert_eq!(put.join().unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    wait_until("the failing reads are reported", || !features.status().is_live());
    assert!(stale(&features.status()).1.contains("flag \"F\" cannot be read again: store is unavailable"));
    assert!(!features.is_enabled("F"), "the held state");
    store.fail(None);
    wait_until("F is on", || features.is_enabled("F"));
    wait_until("it is live", || features.status().is_live());
}

/// It would be reported for ever, since the flag is not read again.
#[test]
fn a_failing_read_that_is_needless_by_now_is_not_reported() {
    let store = Scripted::with("F", false);
    let (_mirror, features) = mirror(&store);
    store.after_get.shut();
    store.set("F", Some(true));
    store.after_get.wait_for_one();
    // A list makes the pending read needless.
    store.restore();
    wait_until("F is on", || features.is_enabled("F"));
    store.fail(ErrorKind::Unavailable);
    store.after_get.open();
    wait_until("the read has failed", || store.after_get.waiting.load(Ordering::SeqCst) == 0);
    store.emit(|| WatchEvent::Following(Updates::Local));
    wait_until("it goes on", || features.status().updates == Updates::Local);
    store.fail(None);
    store.set("G", Some(true));
    wait_until("the next read is made", || features.is_enabled("G"));
    assert!(features.status().is_live(), "{:?}", features.status());
}

#[derive(Debug)]
struct Polled(MemoryFeatureFlagStore);

impl fmt::Display for Polled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Polled")
    }
}

#[async_trait::async_trait]
impl FeatureFlagStore for Polled {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        self.0.get(name).await
    }
    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        self.0.put(record, options).await
    }
    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        self.0.delete(name, options).await
    }
    async fn list(&self) -> Result<Vec<Stored>> {
        self.0.list().await
    }
    fn watch(&self) -> Watch<'_> {
        flipper::store::watch_by_polling(self, Duration::from_millis(200))
    }
}

/// Two polls then find the same, and emit no change.
#[test]
fn an_own_write_that_is_undone_between_two_polls_is_not_kept() {
    let inner = MemoryFeatureFlagStore::new();
    let features = FeatureFlagClient::new(MirroredFeatureFlagStore::new(Polled(inner.clone())));
    block_on(features.ready()).unwrap();
    wait_until("it polls", || matches!(features.status().updates, Updates::Poll { .. }));
    block_on(features.create("F").enabled(true)).unwrap();
    block_on(inner.delete("F", Precondition::Any.into())).unwrap();
    wait_until("F is gone", || !features.exists("F"));
}

#[test]
fn an_event_answers_for_a_read_that_failed() {
    let store = Scripted::with("F", false);
    store.sends_hints.store(false, Ordering::SeqCst);
    let (_mirror, features) = mirror(&store);
    store.fail(ErrorKind::Unavailable);
    store.hint("F");
    wait_until("the failing read is reported", || !features.status().is_live());
    let flag = Stored { name: "F".to_owned(), version: Version::opaque("on"), record: Ok(Arc::new(record("F", true))) };
    store.emit(|| WatchEvent::Changed { flag: flag.clone(), read_at: Some(Instant::now()) });
    wait_until("F is on", || features.is_enabled("F"));
    wait_until("nothing is to be read any more", || features.status().is_live());
}

#[test]
fn a_conflict_is_the_callers_and_needs_no_read() {
    let store = Scripted::with("F", false);
    let (mirror, _features) = mirror(&store);
    let error = block_on(mirror.put(&record("F", true), Precondition::Absent.into())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    store.hint("OTHER");
    wait_until("the hint is followed", || store.gets() == 1);
}

#[test]
fn a_read_of_the_store_updates_memory() {
    let store = Scripted::with("F", false);
    store.sends_hints.store(false, Ordering::SeqCst);
    let (_mirror, features) = mirror(&store);
    store.set("F", Some(true));
    assert!(!features.is_enabled("F"));
    assert!(block_on(features.fetch("F")).unwrap().unwrap().is_enabled());
    assert!(features.is_enabled("F"));
    assert!(block_on(features.fetch("MISSING")).unwrap().is_none());
}

#[test]
fn an_outage_is_survived_and_reported() {
    let store = Scripted::with("F", true);
    store.set("GOES", Some(true));
    let (_mirror, features) = mirror(&store);
    let before = SystemTime::now();
    store.fail(ErrorKind::Unavailable);
    store.sends_hints.store(false, Ordering::SeqCst);
    store.lose();
    wait_until("it is stale", || !features.status().is_live());
    let status = features.status();
    let (since, reason) = stale(&status);
    assert!(reason.contains("gone"), "{reason}");
    assert!(since <= before, "it counts from the last contact");
    assert_eq!(status.last_sync, Some(since));

    store.set("F", Some(false));
    store.set("GOES", None);
    store.set("NEW", Some(true));
    assert!(features.is_enabled("F"), "the held state");
    assert_eq!(block_on(features.enable("F")).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(stale(&features.status()).0, since, "still the same outage");

    store.fail(None);
    store.restore();
    wait_until("it is live", || features.status().is_live());
    assert!(!features.is_enabled("F") && !features.exists("GOES") && features.is_enabled("NEW"));
}

#[test]
fn panics_and_ends_of_the_watch_are_reported_and_survived() {
    let store = Scripted::with("F", false);
    let (_mirror, features) = mirror(&store);
    // The new watch cannot reach the store at first, so that the status can be read.
    store.fail(ErrorKind::Unavailable);
    store.panic_watches("the driver is broken");
    wait_until("it is stale", || !features.status().is_live());
    wait_until("it watches again", || stale(&features.status()).1.contains("store is unavailable"));
    store.sends_hints.store(false, Ordering::SeqCst);
    store.set("F", Some(true));
    store.fail(None);
    store.restore();
    wait_until("it is live with what was missed", || features.status().is_live() && features.is_enabled("F"));

    store.set("F", Some(false));
    store.end_watches();
    wait_until("it is live with what was missed", || !features.is_enabled("F") && features.status().is_live());
}

#[test]
fn the_reason_of_a_panic_is_in_the_status() {
    #[derive(Debug)]
    struct Broken;
    impl std::fmt::Display for Broken {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Broken")
        }
    }
    #[async_trait::async_trait]
    impl FeatureFlagStore for Broken {
        async fn get(&self, _: &str) -> Result<Option<Stored>> {
            Ok(None)
        }
        async fn put(&self, _: &FlagRecord, _: WriteOptions) -> Result<Version> {
            Ok(Version::ordered(1))
        }
        async fn delete(&self, _: &str, _: WriteOptions) -> Result<Version> {
            Ok(Version::ordered(1))
        }
        async fn list(&self) -> Result<Vec<Stored>> {
            panic!("no list today")
        }
        fn watch(&self) -> Watch<'_> {
            panic!("no watch today")
        }
    }
    let mirror = Mirror::new(Broken);
    wait_until("the panic is reported", || stale(&mirror.status()).1.contains("panicked: no watch today"));
    block_on(mirror.put(&record("F", true), Precondition::Any.into())).unwrap();
    assert!(mirror.table().get("F").is_some());
}

#[test]
fn the_task_ends_with_the_last_clone() {
    let store = Scripted::with("F", true);
    let (mirror, features) = mirror(&store);
    let table = Arc::downgrade(mirror.table());
    assert_eq!(store.watching.load(Ordering::SeqCst), 1);
    drop(mirror);
    store.set("F", Some(false));
    wait_until("F is off", || !features.is_enabled("F"));
    drop(features);
    wait_until("the watch is dropped", || store.watching.load(Ordering::SeqCst) == 0);
    wait_until("the flags are dropped", || table.strong_count() == 0);
}

#[test]
fn a_closed_mirror_answers_from_memory_and_takes_no_writes() {
    let store = Scripted::with("F", true);
    let (mirror, features) = mirror(&store);
    block_on(features.close()).unwrap();
    block_on(features.close()).unwrap();
    assert_eq!(store.watching.load(Ordering::SeqCst), 0);
    assert!(features.is_enabled("F"));
    assert_eq!(block_on(features.disable("F")).unwrap_err().kind(), ErrorKind::Unavailable);
    let written = block_on(mirror.put_all(&[record("F", false)], Precondition::Any.into()));
    assert_eq!(written[0].as_ref().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.puts(), 0);
    assert_eq!(stale(&features.status()).1, "store is closed");
    block_on(features.ready()).unwrap();
}

#[test]
fn ready_waits_for_the_flags_or_fails() {
    let store = Scripted::with("F", true);
    store.fail(ErrorKind::Unavailable);
    let mirror = Mirror::new(store.clone());
    poll_once(mirror.ready());
    wait_until("it is stale", || stale(&mirror.status()).1.contains("unavailable"));
    poll_once(mirror.ready());
    assert!(mirror.status().last_sync.is_none());
    store.fail(None);
    let (waiting, restored) = (mirror.clone(), store.clone());
    let waiting = thread::spawn(move || block_on(waiting.ready()));
    restored.restore();
    waiting.join().unwrap().unwrap();
    assert!(mirror.table().get("F").is_some());

    store.fail(ErrorKind::Unauthorized);
    let refused = Mirror::new(store.clone());
    assert_eq!(block_on(refused.ready()).unwrap_err().kind(), ErrorKind::Unauthorized);
    store.fail(None);
    store.restore();
    wait_until("it comes all the same", || refused.status().is_live());
    block_on(refused.ready()).unwrap();

    store.fail(ErrorKind::Unavailable);
    let closed = Mirror::new(store);
    block_on(closed.close()).unwrap();
    assert_eq!(block_on(closed.ready()).unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn eight_writers_lose_nothing() {
    for polled in [false, true] {
        let (memory, scripted) = (MemoryFeatureFlagStore::new(), Scripted::new());
        let make = || -> FeatureFlagClient {
            if polled {
                FeatureFlagClient::new(Mirror::new(scripted.clone()))
            } else {
                FeatureFlagClient::new(Mirror::new(memory.clone()))
            }
        };
        let clients: Vec<_> = (0..8).map(|_| make()).collect();
        block_on(clients[0].create("F")).unwrap();
        thread::scope(|scope| {
            for (writer, client) in clients.iter().enumerate() {
                scope.spawn(move || {
                    for number in 0..50 {
                        block_on(client.set_client_data("F", json!({ (format!("{writer}-{number}")): number })))
                            .unwrap();
                        let own = client.client_data("F").unwrap();
                        assert!(own.get(&format!("{writer}-{number}")).is_some(), "an own write is not there");
                    }
                });
            }
        });
        for client in &clients {
            wait_until("every mirror has all 400", || {
                client.client_data("F").unwrap().as_object().is_some_and(|data| data.len() == 400)
            });
        }
    }
}

#[test]
fn bulk_writes_of_the_same_flags_do_not_deadlock() {
    let store = Scripted::new();
    let (mirror, features) = mirror(&store);
    let records: Vec<_> = (0..20).map(|number| record(&format!("F{number}"), true)).collect();
    let reversed: Vec<_> = records.iter().rev().cloned().chain([record("F3", false)]).collect();
    thread::scope(|scope| {
        for records in [&records, &reversed] {
            let mirror = &mirror;
            scope.spawn(move || {
                for _ in 0..20 {
                    for written in block_on(mirror.put_all(records, Precondition::Any.into())) {
                        written.unwrap();
                    }
                }
            });
        }
    });
    let invalid =
        block_on(mirror.put_all(&[record(&"x".repeat(4097), true), record("F0", false)], Precondition::Any.into()));
    assert_eq!(invalid[0].as_ref().unwrap_err().kind(), ErrorKind::InvalidName);
    assert!(invalid[1].is_ok() && !features.is_enabled("F0"));
}

#[test]
fn says_how_changes_arrive() {
    let store = Scripted::new();
    let (_mirror, features) = mirror(&store);
    assert_eq!(features.status().updates, Updates::Push);
    let every = Duration::from_secs(7);
    store.emit(|| WatchEvent::Following(Updates::Poll { every }));
    wait_until("it polls", || features.status().updates == Updates::Poll { every });
}

fn with_file(store: &Scripted, path: &Path) -> FeatureFlagClient {
    FeatureFlagClient::new(Mirror::builder(store.clone()).snapshot_file(path).build())
}

fn file_of(store: &Scripted, path: &Path) {
    let features = with_file(store, path);
    block_on(features.ready()).unwrap();
    block_on(features.close()).unwrap();
    assert!(path.exists());
}

#[test]
fn a_process_that_starts_in_an_outage_has_the_saved_flags() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.snapshot");
    let store = Scripted::with("F", true);
    store.set("GOES", Some(true));
    file_of(&store, &path);
    let written = fs::read(&path).unwrap();

    let before = SystemTime::now();
    store.fail(ErrorKind::Unavailable);
    let features = with_file(&store, &path);
    assert!(features.is_enabled("F"), "at once");
    block_on(features.ready()).unwrap();
    let status = features.status();
    assert!(stale(&status).0 <= before);
    assert_eq!(status.last_sync, Some(stale(&status).0));
    wait_until("the reason is reported", || stale(&features.status()).1.contains("unavailable"));
    block_on(features.close()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), written, "the file is still the better one");

    let features = with_file(&store, &path);
    store.sends_hints.store(false, Ordering::SeqCst);
    store.set("F", Some(false));
    store.set("GOES", None);
    store.fail(None);
    wait_until("it watches", || store.watching.load(Ordering::SeqCst) == 1);
    store.restore();
    wait_until("it is live", || features.status().is_live());
    assert!(features.exists("F") && !features.is_enabled("F") && !features.exists("GOES"));
    block_on(features.enable("F")).unwrap();
}

#[test]
fn the_snapshot_file_follows_the_flags() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.snapshot");
    let store = Scripted::with("F", false);
    let features = with_file(&store, &path);
    block_on(features.ready()).unwrap();
    store.set("WRITTEN_LATER", Some(true));
    wait_until("the change is in the file", || {
        fs::read_to_string(&path).is_ok_and(|text| text.contains("WRITTEN_LATER"))
    });
    drop(features);
    wait_until("it is over", || store.watching.load(Ordering::SeqCst) == 0);
    let names = || -> Vec<_> { fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect() };
    wait_until("no temporary file is left", || names() == ["flags.snapshot"]);
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777, 0o600);
}

#[test]
fn an_invalid_snapshot_file_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.snapshot");
    let store = Scripted::with("F", true);
    file_of(&store, &path);
    let good = fs::read(&path).unwrap();
    store.fail(ErrorKind::Unavailable);
    let is_used = || with_file(&store, &path).is_enabled("F");
    assert!(is_used());

    for length in 0..good.len() {
        fs::write(&path, &good[..length]).unwrap();
        assert!(!is_used(), "cut to {length} bytes");
    }
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&path, &bad).unwrap();
        assert!(!is_used(), "byte {at} changed");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(!is_used(), "a folder");
    fs::remove_dir(&path).unwrap();

    // An invalid file is replaced once the store answers.
    fs::write(&path, "rubbish").unwrap();
    store.fail(None);
    file_of(&store, &path);
    assert!(is_used());

    let other = Mirror::builder(MemoryFeatureFlagStore::new()).snapshot_file(&path).build();
    assert!(other.table().get("F").is_none());
}

#[test]
fn a_file_that_cannot_be_written_does_no_harm() {
    let store = Scripted::with("F", true);
    let features = with_file(&store, Path::new("/nowhere/at/all"));
    block_on(features.ready()).unwrap();
    assert!(features.is_enabled("F"));
    block_on(features.close()).unwrap();
}

#[test]
fn snapshots_keep_ordered_versions_and_everything_of_a_flag() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.snapshot");
    let memory = MemoryFeatureFlagStore::new();
    let build = || Mirror::builder(memory.clone()).snapshot_file(&path).build();
    let features = FeatureFlagClient::new(build());
    block_on(features.create("é \"quoted\"").client_data(json!({ "big": u64::MAX, "a": ["b", null] }))).unwrap();
    block_on(features.add_condition("é \"quoted\"", flipper::Condition::new().eq("plan", "pro"))).unwrap();
    block_on(features.ready()).unwrap();
    block_on(features.close()).unwrap();
    let again = build();
    let (old, new) = (memory.table().list(), again.table().list());
    assert_eq!(old.len(), 1);
    assert_eq!((&old[0].version, &old[0].record), (&new[0].version, &new[0].record));
}
