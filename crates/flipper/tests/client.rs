//! The client over the memory store, without any runtime.

use std::collections::BTreeMap;
use std::thread;

use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
use futures_executor::block_on;
use serde_json::json;

fn client() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

fn spawnable<T: Send>(future: T) -> T {
    future
}

#[test]
fn futures_can_be_sent_between_threads() {
    let features = client();
    block_on(spawnable(features.create("X"))).unwrap();
    block_on(spawnable(features.enable("X"))).unwrap();
    block_on(spawnable(features.set_client_data("X", BTreeMap::from([("a", 1)])))).unwrap();
    block_on(spawnable(features.update("X", |_| Ok(())))).unwrap();
    block_on(spawnable(features.destroy("X"))).unwrap();
    block_on(spawnable(features.get("X").fetch())).unwrap();
}

#[test]
fn contended_writers_lose_nothing() {
    let features = client();
    block_on(features.create("X")).unwrap();
    thread::scope(|scope| {
        for writer in 0..8 {
            let features = &features;
            scope.spawn(move || {
                for number in 0..100 {
                    block_on(features.set_client_data("X", json!({ format!("{writer}-{number}"): number }))).unwrap();
                }
            });
        }
    });
    assert_eq!(features.client_data("X").unwrap().as_object().unwrap().len(), 800);
}
