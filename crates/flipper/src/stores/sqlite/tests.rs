//! What only a test inside can provoke.

use futures_executor::block_on;

use super::*;
use crate::{Health, WatchEvent};

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
