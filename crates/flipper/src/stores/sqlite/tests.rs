//! What only a test inside can provoke.

use futures_executor::block_on;

use super::*;
use crate::{Health, Updates, WatchEvent};

/// Whatever panics in a thread is told, and the store goes on.
#[test]
fn threads_survive_panics() {
    use futures_util::StreamExt;

    let folder = tempfile::tempdir().unwrap();
    let store = SqliteFeatureFlagStore::open(folder.path().join("flags.db")).unwrap();
    let mut watch = store.watch();
    assert!(matches!(block_on(watch.next()), Some(WatchEvent::Reset { .. })));
    for round in 0..3 {
        let panic_in_writer = || store.threads.writer.send(Job::Panic).unwrap();
        let panic_in_follower = || store.threads.follower.send(Request::Panic).unwrap();
        for (thread, panic) in [("writes", &panic_in_writer as &dyn Fn()), ("reads", &panic_in_follower)] {
            panic();
            let lost = loop {
                match block_on(watch.next()).unwrap() {
                    WatchEvent::Lost(error) => break error.to_string(),
                    _ => continue,
                }
            };
            assert!(lost.contains(&format!("the thread that {thread} the database panicked")), "{lost}");
            while !matches!(block_on(watch.next()), Some(WatchEvent::Restored)) {}
            assert_eq!(store.status().health, Health::Live);
            let record = FlagRecord::new(format!("{thread}_{round}"), 0);
            block_on(store.put(&record, Precondition::Absent)).unwrap();
            assert!(block_on(store.get(record.name())).unwrap().is_some());
        }
    }
    assert_eq!(block_on(store.list()).unwrap().len(), 6);
}

/// Network and container file systems accept a watch and then tell nothing.
#[test]
fn notifications_that_never_come_are_replaced_by_polling() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.db");
    let store = SqliteFeatureFlagStore::open(&path).unwrap();
    store.threads.follower.send(Request::Deafen(elsewhere.path().join("flags.db"))).unwrap();
    let shell = rusqlite::Connection::open(&path).unwrap();
    let record = FlagRecord::new("X", 0).to_json();
    for number in 0..20 {
        let name = format!("FLAG_{number}");
        shell.execute("INSERT INTO flags VALUES (?1, ?2)", [&name, &record]).unwrap();
        flipper_testkit::wait_until("the change is seen", || store.table().get(&name).is_some());
        if matches!(store.status().updates, Updates::Poll { .. }) {
            return;
        }
    }
    panic!("still waiting for notifications: {:?}", store.status());
}
