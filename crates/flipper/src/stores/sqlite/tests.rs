//! Faults that only a test inside the module can cause.

use futures_executor::block_on;
use futures_util::StreamExt;

use super::followers::Request;
use super::*;
use crate::state::{Precondition, Updates, WatchEvent};

#[test]
fn threads_survive_panics() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap();
    let mut watch = store.watch();
    assert!(matches!(block_on(watch.next()), Some(WatchEvent::Reset { .. })));
    for round in 0..3 {
        let error = block_on(store.write::<()>(|_, _| panic!("a test asked for it"))).unwrap_err();
        assert!(error.to_string().contains("did not finish"), "{error}");
        store.shared.followers.ask(|| Request::Panic);
        let lost = loop {
            match block_on(watch.next()).unwrap() {
                WatchEvent::Lost(error) => break error.to_string(),
                _ => continue,
            }
        };
        assert!(lost.contains("the thread that reads the database panicked"), "{lost}");
        while !matches!(block_on(watch.next()), Some(WatchEvent::Reset { .. })) {}
        let record = FlagRecord::new(format!("FLAG_{round}"), 0);
        block_on(store.put(&record, Precondition::Absent.into())).unwrap();
        assert!(block_on(store.get(record.name())).unwrap().is_some());
        while !matches!(block_on(watch.next()), Some(WatchEvent::Changed { flag, .. }) if flag.name == record.name()) {}
    }
    assert_eq!(block_on(store.list()).unwrap().len(), 3);
}

/// `new` opens the connection before the user sets it, and clones share it.
#[test]
fn reads_wait_as_long_as_was_set() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap();
    for patience in [7, 8] {
        let store = store.clone().busy_timeout(Duration::from_millis(patience.into()));
        let waits = store.read(|connection| {
            connection.query_row("PRAGMA busy_timeout", [], |row| row.get::<_, u32>(0)).map_err(from_sqlite)
        });
        assert_eq!(block_on(waits).unwrap(), patience);
    }
}

/// Network and container file systems accept a watch and then report nothing.
#[test]
fn notifications_that_never_come_are_replaced_by_polling() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.db");
    let store = SqliteFeatureFlagStore::new(&path).unwrap();
    let mut watch = store.watch();
    assert!(matches!(block_on(watch.next()), Some(WatchEvent::Reset { .. })));
    store.shared.followers.ask(|| Request::Deafen(elsewhere.path().join("flags.db")));
    let shell = rusqlite::Connection::open(&path).unwrap();
    let record = FlagRecord::new("X", 0).to_json();
    for number in 0..20 {
        let name = format!("FLAG_{number}");
        shell.execute("INSERT INTO flags VALUES (?1, ?2)", [&name, &record]).unwrap();
        loop {
            match block_on(watch.next()).unwrap() {
                WatchEvent::Following(Updates::Poll { .. }) => return,
                WatchEvent::Changed { flag, .. } if flag.name == name => break,
                _ => {}
            }
        }
    }
    panic!("still waiting for notifications");
}

/// Its queue is bounded, and `close` does not wait for its reader.
#[test]
fn an_unread_watch_does_not_delay_close() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap();
    let mut watch = store.watch();
    assert!(matches!(block_on(watch.next()), Some(WatchEvent::Reset { .. })));
    for number in 0..200 {
        block_on(store.put(&FlagRecord::new(format!("FLAG_{number}"), 0), Precondition::Any.into())).unwrap();
    }
    let closing = store.clone();
    flipper_testkit::within(Duration::from_secs(10), move || block_on(closing.close()).unwrap());
    let mut changes = 0;
    let error = loop {
        match block_on(watch.next()).unwrap() {
            WatchEvent::Changed { .. } => changes += 1,
            WatchEvent::Lost(error) => break error,
            _ => {}
        }
    };
    assert!(error.to_string().contains("store is closed"), "{error}");
    assert!(changes < 200, "{changes} changes waited");
}
