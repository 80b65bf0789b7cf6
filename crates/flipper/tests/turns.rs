//! Writers of one flag in one process take turns.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::thread;
use std::time::Duration;

use flipper::client::Remote;
use flipper::events::{Pre, Verb, WriteEvent};
use flipper::testing::{Call, FailingStore, RecordingStore};
use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
use flipper_testkit::{block_on, within};
use serde_json::json;

type Store = RecordingStore<FailingStore>;

/// A client whose store has the flag `X`.
fn remote() -> (Store, FeatureFlagClient<Remote>) {
    let failing = FailingStore::new(MemoryFeatureFlagStore::new());
    failing.delay(Duration::from_millis(1));
    let store = RecordingStore::new(failing);
    let features = FeatureFlagClient::remote(store.clone());
    block_on(features.create("X")).unwrap();
    drop(store.take_calls());
    (store, features)
}

fn puts(store: &Store) -> usize {
    store.calls().iter().filter(|call| matches!(call, Call::Put { .. })).count()
}

fn data_of(features: &FeatureFlagClient<Remote>) -> usize {
    block_on(features.fetch("X")).unwrap().unwrap().client_data().as_object().unwrap().len()
}

#[test]
fn no_write_meets_another_of_its_process() {
    let (store, features) = remote();
    thread::scope(|scope| {
        for writer in 0..50 {
            let features = &features;
            scope.spawn(move || {
                for number in 0..4 {
                    block_on(features.set_client_data("X", json!({ format!("{writer}-{number}"): 1 }))).unwrap();
                }
            });
        }
    });
    assert_eq!((puts(&store), data_of(&features)), (200, 200), "each write was one put");
}

#[test]
fn code_of_the_program_may_write_the_flag_within_a_write() {
    let (store, features) = remote();
    let writer = features.clone();
    // On another thread, as code may that waits for a lock of the program's own.
    let write = move |key: &str| {
        let (writer, data) = (writer.clone(), json!({ key: 1 }));
        thread::spawn(move || block_on(writer.set_client_data("X", data))).join().unwrap()
    };
    let of_subscriber = write.clone();
    let _subscription = features.subscribe(Pre(move |event: &WriteEvent| {
        if *event.verb() == Verb::Update {
            of_subscriber("subscriber")?;
        }
        Ok(())
    }));
    let updated = features.clone();
    let tries = within(Duration::from_secs(60), move || {
        let mut tries = 0;
        let update = updated.update("X", |_| {
            tries += 1;
            // The second time within a turn.
            if tries <= 2 { write(&tries.to_string()) } else { Ok(()) }
        });
        block_on(update).unwrap();
        tries
    });
    assert_eq!((tries, data_of(&features), puts(&store)), (3, 3, 6));
}
